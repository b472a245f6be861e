use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use lenet::core::SelectedDevice;
use lenet::data::{KnownDataset, Splits};
use lenet::plot::{Block, Section};
use lenet::train::Table;

use super::args::{SessionArgs, backends};
use super::{datasets, machine};

/// What an exercise is.
pub(crate) struct Exercise {
    /// Name of its program.
    pub(crate) name: &'static str,
    /// Its title.
    pub(crate) title: &'static str,
    /// What it asks, in a sentence or two.
    pub(crate) question: &'static str,
    /// The data set that it is about.
    pub(crate) dataset: KnownDataset,
}

/// One run of an exercise: its device, its images, its folder, and the section of the report that
/// it writes at the end.
pub(crate) struct Session {
    pub(crate) device: SelectedDevice,
    pub(crate) splits: Splits,
    pub(crate) quick: bool,
    folder: PathBuf,
    section: Section,
    written: Vec<(&'static str, String)>,
    started: Instant,
}

impl Session {
    /// Finds everything that can be missing, before anything is trained.
    pub(crate) fn begin(exercise: &Exercise, args: &SessionArgs) -> Result<Self> {
        let started = Instant::now();
        let folder = args.out_folder(exercise.name);
        std::fs::create_dir_all(&folder)
            .and_then(|()| tempfile::tempfile_in(&folder))
            .with_context(|| format!("cannot write to the output folder {}", folder.display()))?;
        let device = args.device.select()?;
        let splits = datasets::load(args, exercise.dataset)?;
        let (train, test) = (&splits.train, &splits.test);

        say!("{}: {}", exercise.title, exercise.question);
        say!("device    {}", device.description);
        say!("backends  {}", backends());
        say!(
            "images    {}: {} to train on, {} to test with",
            train.name(),
            train.len(),
            test.len()
        );
        let mut section =
            Section::new(exercise.name, exercise.title).with_question(exercise.question);
        if args.quick {
            section =
                section.with_warning("A quick run: its numbers are not those of the exercise.");
            say!("quick     a shortened run: its accuracy is not that of the exercise");
        }
        if train.is_synthetic() {
            let warning = format!(
                "{}: drawings made by this program, not a real data set",
                train.name()
            );
            say!("note      {warning}");
            section = section.with_warning(warning);
        }
        let images = format!("{}, {} + {} images", train.name(), train.len(), test.len());
        section = section
            .with_fact("run", if args.quick { "quick" } else { "full" })
            .with_fact("command", command_line())
            .with_fact("images", images)
            .with_fact("device", device.description.clone())
            .with_fact("machine", machine::description());
        Ok(Self {
            device,
            splits,
            quick: args.quick,
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

    /// Refuses images that are not of garments.
    pub(crate) fn require_garments(&self) -> Result<()> {
        let test = &self.splits.test;
        let coats = test.class_names().iter().any(|name| name == "coat");
        anyhow::ensure!(
            coats,
            "{} has no class 'coat': this exercise is about garments",
            test.name()
        );
        Ok(())
    }

    /// What pictures of drawings must say.
    pub(crate) fn warning(&self) -> Option<String> {
        (!self.section.warnings.is_empty()).then(|| self.section.warnings.join(" · "))
    }

    /// A title that tells the data set.
    pub(crate) fn title(&self, title: &str) -> String {
        format!("{title} on {}", self.splits.train.name())
    }

    /// A file in the session's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Prints a paragraph and puts it into the report.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        say!("{text}");
        self.add(Block::Text(text));
    }

    /// Prints a heading and puts it into the report.
    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        let text = text.into();
        say!("\n{text}\n");
        self.add(Block::Heading(text));
    }

    /// Prints a table and puts it into the report.
    pub(crate) fn table(&mut self, table: Table) {
        say!("{table}");
        self.add(Block::Table(table));
    }

    /// Puts something into the report.
    pub(crate) fn add(&mut self, block: Block) {
        self.section.blocks.push(block);
    }

    /// Puts a circumstance into the report.
    pub(crate) fn add_fact(&mut self, name: &str, value: impl Into<String>) {
        self.section.facts.push((name.to_owned(), value.into()));
    }

    /// Lists a file among those written, at the end.
    pub(crate) fn wrote(&mut self, what: &'static str, name: impl Into<String>) {
        self.written.push((what, name.into()));
    }

    /// Writes the section and says what was written where.
    pub(crate) fn finish(mut self) -> Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        self.add_fact("time", format!("{seconds:.1} s"));
        self.section.save(&self.folder)?;
        // Said again where the result stands, so that nobody quotes it for a real one.
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

/// The command as one types it.
pub(crate) fn command_line() -> String {
    let mut arguments = std::env::args_os();
    let example = PathBuf::from(arguments.next().unwrap_or_default());
    let example = example.file_stem().unwrap_or_default().to_string_lossy();
    let quoted = |argument: std::ffi::OsString| {
        let argument = argument.to_string_lossy();
        match argument.contains(|c: char| c.is_whitespace() || "'\"$&|;<>()*?".contains(c)) {
            true => format!("'{}'", argument.replace('\'', "'\\''")),
            false => argument.into_owned(),
        }
    };
    let arguments: Vec<String> = arguments.map(quoted).collect();
    let dashes = if arguments.is_empty() { "" } else { " -- " };
    // What is typed again must not compile the GPU backends that this build does without.
    let cargo = match cfg!(feature = "wgpu") {
        true => "cargo run --release --example",
        false => "cargo cpu",
    };
    format!("{cargo} {example}{dashes}{}", arguments.join(" "))
}
