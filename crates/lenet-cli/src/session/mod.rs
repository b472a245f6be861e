//! One run of a command: its device, its images, its output directory, and the section of the report that it
//! writes at the end.

mod datasets;
pub(crate) mod interrupt;
pub(crate) mod machine;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lenet_core::SelectedDevice;
use lenet_core::file::{create_folder, write_file};
use lenet_data::Splits;
use lenet_plot::{Chart, Figure};
use lenet_train::sweep::Partition;

use crate::args::{SessionArgs, devices};
use crate::exercise::Task;
use crate::output::Table;
use crate::report::{Block, Section};

pub(crate) struct Session {
    pub(crate) device: SelectedDevice,
    pub(crate) splits: Splits,
    pub(crate) quick: bool,
    /// Set by Ctrl-C.
    pub(crate) stop: Arc<AtomicBool>,
    /// Why this session writes no section, if it does not.
    pub(crate) without_section: Option<WithoutSection>,
    folder: PathBuf,
    section: Section,
    written: Vec<(&'static str, String)>,
    started: Instant,
}

/// Why a session writes no section.
pub(crate) enum WithoutSection {
    /// It ran a part of a comparison.
    Part(Partition),
    /// It only reported what is on disk.
    Report {
        /// Trials that are not complete.
        missing: usize,
    },
}

impl Session {
    /// Runs a function in a session, which writes its section at the end.
    pub(crate) fn run(
        task: &Task,
        args: &SessionArgs,
        command: &str,
        run: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let mut session = Self::begin(task, args, command)?;
        run(&mut session)?;
        session.finish()
    }

    /// Checks that everything the run needs is available, before anything is trained.
    fn begin(task: &Task, args: &SessionArgs, command: &str) -> Result<Self> {
        let started = Instant::now();
        let folder = args.folder(task.name);
        check_writable(&folder)?;
        let device = args.device.select()?;
        let splits = datasets::load(args, task.dataset)?;
        let stop = interrupt::flag()?;
        interrupt::check(&stop)?;
        let (train, test) = (&splits.train, &splits.test);

        say!("{}: {}", task.title, task.question);
        say!("device    {}", device.description);
        say!("devices   {}", devices());
        say!(
            "images    {}: {} for training, {} for testing",
            train.name(),
            train.len(),
            test.len()
        );
        let mut section = Section::new(task.name, task.title, task.question);
        if args.quick {
            say!("quick     a shortened run: its accuracy is not that of the exercise");
            section.add_warning("A quick run: its numbers are not those of the task.");
        }
        if train.is_synthetic() {
            let warning = format!("{}: generated images, not a real data set", train.name());
            say!("note      {warning}");
            section.add_warning(warning);
        }
        section.add_fact("run", if args.quick { "quick" } else { "full" });
        section.add_fact("command", command);
        section.add_fact(
            "images",
            format!("{}, {} + {} images", train.name(), train.len(), test.len()),
        );
        section.add_fact("device", device.description.clone());
        section.add_fact("machine", machine::description());
        Ok(Self {
            device,
            splits,
            quick: args.quick,
            stop,
            without_section: None,
            folder,
            section,
            written: Vec::new(),
            started,
        })
    }

    /// The number of classes of the images.
    pub(crate) fn classes(&self) -> usize {
        self.splits.train.class_names().len()
    }

    /// Rejects images that do not show garments.
    pub(crate) fn require_garments(&self) -> Result<()> {
        let test = &self.splits.test;
        ensure!(
            test.class_names().iter().any(|name| name == "coat"),
            "{} has no class 'coat': this exercise is about garments",
            test.name()
        );
        Ok(())
    }

    /// The warnings that every chart repeats.
    pub(crate) fn warning(&self) -> Option<String> {
        (!self.section.warnings.is_empty()).then(|| self.section.warnings.join(" · "))
    }

    /// A title that names the data set.
    pub(crate) fn title(&self, title: &str) -> String {
        format!("{title} on {}", self.splits.train.name())
    }

    /// A file in the output directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Prints a paragraph and adds it to the report.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        say!("{text}");
        self.add(Block::Text(text));
    }

    /// Prints a heading and adds it to the report.
    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        let text = text.into();
        say!("\n{text}\n");
        self.add(Block::Heading(text));
    }

    /// Prints a table and adds it to the report.
    pub(crate) fn table(&mut self, table: Table) {
        say!("{table}");
        self.add(Block::Table(table));
    }

    /// Adds something to the report.
    pub(crate) fn add(&mut self, block: Block) {
        self.section.blocks.push(block);
    }

    /// Adds a fact about the run to the report.
    pub(crate) fn add_fact(&mut self, name: &str, value: impl Into<String>) {
        self.section.add_fact(name, value);
    }

    /// Records a file for the list of files that is printed at the end.
    pub(crate) fn wrote(&mut self, what: &'static str, name: impl Into<String>) {
        self.written.push((what, name.into()));
    }

    /// Writes a file atomically.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        write_file(&path, bytes).with_context(|| format!("writing {}", path.display()))
    }

    /// Saves a figure in each of these formats, with the session's warnings, and adds the last one to the report.
    pub(crate) fn save_figure<C: Chart>(
        &mut self,
        figure: Figure<C>,
        name: &str,
        formats: &[&str],
        caption: String,
    ) -> Result<()> {
        let figure = match self.warning() {
            Some(warning) => figure.with_warning(warning),
            None => figure,
        };
        let files: Vec<String> = formats
            .iter()
            .map(|format| format!("{name}.{format}"))
            .collect();
        for file in &files {
            figure.save(self.path(file))?;
        }
        self.wrote("figure", files.join(" and "));
        let Some(file) = files.into_iter().next_back() else {
            unreachable!("a figure is saved in at least one format")
        };
        self.add(Block::Picture { file, caption });
        Ok(())
    }

    /// Removes the section of an earlier run, whose tables would not match the files written from now on.
    pub(crate) fn remove_old_section(&self) -> Result<()> {
        Section::remove(&self.folder)
    }

    /// Writes the section and prints what was written where. A part of a comparison has no section, and neither has a report.
    fn finish(mut self) -> Result<()> {
        interrupt::check(&self.stop)?;
        match self.without_section {
            Some(WithoutSection::Part(part)) => {
                say!(
                    "\npart {part} is complete; once all parts are, run the same command without --partition"
                );
                return Ok(());
            }
            Some(WithoutSection::Report { missing: 0 }) => {
                say!("\ncomplete; the same command without --no-train writes tables and charts");
                return Ok(());
            }
            Some(WithoutSection::Report { missing }) => {
                bail!(
                    "{missing} trials are missing; the same command without --no-train runs them"
                );
            }
            None => {}
        }
        let seconds = self.started.elapsed().as_secs_f64();
        self.add_fact("time", format!("{seconds:.1} s"));
        self.section.save(&self.folder)?;
        // Repeated next to the result, so that nobody quotes it as a real one.
        for warning in &self.section.warnings {
            say!("note      {warning}");
        }
        say!("\nfiles in {}", self.folder.display());
        for (what, name) in &self.written {
            say!("  {what:<12} {name}");
        }
        say!("  {:<12} section.json", "for report");
        Ok(())
    }
}

/// Creates an output directory and checks that files can be created in it.
pub(crate) fn check_writable(folder: &Path) -> Result<()> {
    create_folder(folder)
        .and_then(|()| tempfile::tempfile_in(folder))
        .map(drop)
        .with_context(|| format!("cannot write to the output directory {}", folder.display()))
}
