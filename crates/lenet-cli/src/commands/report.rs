//! `lenet report`: every exercise on one HTML page. Exercises whose results are on disk are not run again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use lenet_core::DeviceChoice;
use lenet_core::file::write_file;
use lenet_data::KnownDataset;
use lenet_train::TrainingError;

use crate::Exercise;
use crate::args::{count, out_root};
use crate::command_line::{command_line, exercise_command};
use crate::exercise::Run;
use crate::exercises;
use crate::report::{Page, Section};
use crate::session::interrupt::{self, Interrupted};
use crate::session::{check_writable, machine};

pub(crate) const ABOUT: &str =
    "Run every exercise that is not on disk yet, and show all of them on one HTML page";

#[derive(Clone, Debug, Args)]
pub(crate) struct ReportArgs {
    /// Device to run the exercises on
    #[arg(long, default_value = "auto", value_name = "NAME")]
    device: DeviceChoice,

    /// Use synthetic images instead of real data sets
    #[arg(long)]
    synthetic: bool,

    /// Directory to search for data sets first; then LENET_DATA_DIR, datasets/ and the user's cache
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Runs of each setting of a comparison [default: the exercise's, or at most 2 with --quick]
    #[arg(long, value_name = "N", value_parser = count)]
    seeds: Option<usize>,

    /// Trials of a comparison to run at once [default: one per core; 32 on a GPU]
    #[arg(long, value_name = "N", value_parser = count)]
    jobs: Option<usize>,

    /// Directory of the exercises' output directories and of report.html [default: out, or out/quick with --quick]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Short runs to see that everything works
    #[arg(long)]
    quick: bool,

    /// Run nothing and make the page from the results on disk
    #[arg(long)]
    collect: bool,
}

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let default_root = || out_root(args.quick).to_owned();
    let root = args.out.clone().unwrap_or_else(default_root);
    check_writable(&root)?;
    if !args.collect {
        run_missing(args, &root)?;
    }
    let mut page = Page {
        title: "LeNet: the exercises of Dive into Deep Learning, section 7.6".to_owned(),
        warnings: Vec::new(),
        facts: vec![
            ("command".to_owned(), command_line()),
            ("machine".to_owned(), machine::description()),
            ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ],
        sections: Vec::new(),
    };
    if args.quick {
        let warning = "A quick run: it shows that everything works; its numbers are not those of the exercises.";
        page.warnings.push(warning.to_owned());
    }
    let mut missing = Vec::new();
    for exercise in exercises::ALL {
        let folder = root.join(exercise.name);
        if Section::exists(&folder) {
            let section = Section::load(&folder)?;
            check(args, &section, &folder)?;
            page.sections.push((section, folder));
        } else {
            missing.push(exercise.name);
        }
    }
    if page.sections.is_empty() {
        bail!("{} holds no results of any exercise", root.display());
    }
    if !missing.is_empty() {
        let missing = format!("Not run yet: {}.", missing.join(", "));
        say!("{missing}");
        page.warnings.push(missing);
    }
    let file = root.join("report.html");
    let html = page.to_html()?;
    write_file(&file, html.as_bytes()).with_context(|| format!("writing {}", file.display()))?;
    say!("{} exercises in {}", page.sections.len(), file.display());
    Ok(())
}

/// Refuses to mix quick runs with full ones, or real images with a report on synthetic ones.
fn check(args: &ReportArgs, section: &Section, folder: &Path) -> Result<()> {
    let expected = if args.quick { "quick" } else { "full" };
    let found = section.fact("run").unwrap_or("unknown");
    if found != expected {
        bail!(
            "{} holds a {found} run, not a {expected} one: choose another --out, or remove it",
            folder.display()
        );
    }
    let images = section.fact("images");
    let is_synthetic = images.is_some_and(|images| images.starts_with("synthetic"));
    if args.synthetic && !is_synthetic {
        bail!(
            "{} holds a run on a real data set: choose another --out, or remove it",
            folder.display()
        );
    }
    Ok(())
}

/// Runs the exercises that have no section yet, one after the other.
fn run_missing(args: &ReportArgs, root: &Path) -> Result<()> {
    let missing: Vec<&Exercise> = exercises::ALL
        .into_iter()
        .filter(|exercise| !Section::exists(&root.join(exercise.name)))
        .collect();
    if missing.is_empty() {
        say!(
            "every exercise is on disk already: remove a directory of {} to run it again",
            root.display()
        );
    }
    let stop = interrupt::flag()?;
    for (number, exercise) in (1..).zip(&missing) {
        interrupt::check(&stop)?;
        say!("\n== {} ({number} of {})", exercise.name, missing.len());
        let arguments = arguments(args, root, exercise);
        let command = exercise_command(&arguments);
        let matches = exercise
            .command(exercise.name)
            .try_get_matches_from(&arguments)?;
        if let Err(error) = exercise.run(&matches, &command) {
            let context = format!(
                "{}: what is finished stays in {}",
                exercise.name,
                root.display()
            );
            // Rerunning the report repeats this exercise; it has no checkpoints to resume from.
            if let Some(TrainingError::Interrupted { .. }) = error.downcast_ref() {
                return Err(anyhow::Error::new(Interrupted).context(context));
            }
            return Err(error.context(context));
        }
    }
    interrupt::check(&stop)?;
    Ok(())
}

/// The command line of an exercise.
fn arguments(args: &ReportArgs, root: &Path, exercise: &Exercise) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![exercise.name.into()];
    let mut push = |flag: &str, value: OsString| arguments.extend([flag.into(), value]);
    push("--device", args.device.to_string().into());
    push("--out", root.join(exercise.name).into());
    if args.synthetic {
        let images = match exercise.dataset {
            KnownDataset::Mnist => "synthetic-digits",
            _ => "synthetic",
        };
        push("--dataset", images.into());
    }
    if let Some(folder) = &args.data_dir {
        push("--data-dir", folder.into());
    }
    match exercise.run {
        Run::Comparison(_) | Run::Comparisons(_) => {
            for (flag, value) in [("--seeds", args.seeds), ("--jobs", args.jobs)] {
                if let Some(value) = value {
                    push(flag, value.to_string().into());
                }
            }
        }
        Run::Inspection(_) | Run::Pictures(_) => {
            // Exercise 1 has trained the network that these inspect.
            let weights = root.join("q1_modern/weights.safetensors");
            if weights.exists() {
                push("--weights", weights.into());
            }
        }
        Run::Training { .. } => {}
    }
    if args.quick {
        arguments.push("--quick".into());
    }
    arguments
}
