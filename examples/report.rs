//! The whole of exercise 7.6 as one HTML page: every exercise is run, or taken from what is
//! already on disk.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::args::{count, parse};
use common::exercise::command_line;
use common::{machine, say};
use lenet::core::DeviceChoice;
use lenet::plot::{Report, Section};

/// In the order of the page.
const EXERCISES: [&str; 12] = [
    "lenet",
    "q1_modern",
    "q2_kernel",
    "q2_channels",
    "q2_conv_layers",
    "q2_fc_layers",
    "q2_learning_rate",
    "q2_training",
    "q2_best",
    "q3_mnist",
    "q4_activations",
    "q5_unfamiliar",
];

#[derive(Debug, Parser)]
struct Args {
    /// Device, as of the exercises
    #[arg(long, default_value = "auto", value_name = "NAME")]
    device: DeviceChoice,

    /// Use the drawings of this program instead of real data sets
    #[arg(long)]
    synthetic: bool,

    /// Folder to look for data sets in first; then LENET_DATA_DIR, datasets/ and the user's cache
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Networks of each setting of a comparison [default: the exercise's, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = count)]
    seeds: Option<usize>,

    /// Networks trained at once in a comparison [default: one for each core; 1 on a GPU]
    #[arg(long, value_name = "N", value_parser = count)]
    jobs: Option<usize>,

    /// Folder of the exercises' folders, which are taken as they are, and of report.html [default: out, or out/quick with --quick]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Short runs to see that everything works
    #[arg(long)]
    quick: bool,

    /// Run nothing: make the page of what is on disk
    #[arg(long)]
    collect: bool,
}

fn main() -> ExitCode {
    let args: Args =
        parse("Runs every exercise that is not on disk yet, and makes one page of all");
    common::exit_code(|| {
        let root = args
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from(if args.quick { "out/quick" } else { "out" }));
        std::fs::create_dir_all(&root)
            .and_then(|()| tempfile::tempfile_in(&root))
            .with_context(|| format!("cannot write to the output folder {}", root.display()))?;
        if !args.collect {
            run_missing(&args, &root)?;
        }
        let mut report =
            Report::new("LeNet: the exercises of Dive into Deep Learning, section 7.6")
                .with_fact("command", command_line())
                .with_fact("machine", machine::description())
                .with_fact("version", env!("CARGO_PKG_VERSION"));
        if args.quick {
            report = report.with_warning(
                "A quick run: it shows that everything works; its numbers are not those of the exercises.",
            );
        }
        let (mut found, mut missing) = (0, Vec::new());
        for name in EXERCISES {
            let folder = root.join(name);
            match folder.join("section.json").exists() {
                true => {
                    let section = Section::load(&folder)?;
                    check(&args, &section, &folder)?;
                    report = report.with_section(section, folder);
                    found += 1;
                }
                false => missing.push(name),
            }
        }
        if found == 0 {
            bail!("{} holds no results of any exercise", root.display());
        }
        if !missing.is_empty() {
            let missing = format!("Not run yet: {}.", missing.join(", "));
            say!("{missing}");
            report = report.with_warning(missing);
        }
        let page = root.join("report.html");
        report.save(&page)?;
        say!("{found} exercises in {}", page.display());
        Ok(())
    })
}

/// Refuses to mix quick runs with full ones, or drawings with what was asked for as real.
fn check(args: &Args, section: &Section, folder: &Path) -> Result<()> {
    let run = if args.quick { "quick" } else { "full" };
    let found = section.fact("run").unwrap_or("unknown");
    let drawn = section
        .fact("images")
        .is_some_and(|images| images.starts_with("synthetic"));
    if found != run {
        bail!(
            "{} holds a {found} run, not a {run} one: choose another --out, or remove it",
            folder.display()
        );
    }
    if args.synthetic && !drawn {
        bail!(
            "{} holds a run on a real data set: choose another --out, or remove it",
            folder.display()
        );
    }
    Ok(())
}

/// Runs each exercise that has no section yet, one after the other.
fn run_missing(args: &Args, root: &Path) -> Result<()> {
    let missing: Vec<&str> = EXERCISES
        .into_iter()
        .filter(|name| !root.join(name).join("section.json").exists())
        .collect();
    if missing.is_empty() {
        say!(
            "every exercise is on disk already: remove a folder of {} to run it again",
            root.display()
        );
        return Ok(());
    }
    let programs = programs(&missing)?;
    for (index, name) in missing.iter().enumerate() {
        say!("\n== {name} ({} of {})", index + 1, missing.len());
        let mut command = Command::new(programs.join(program(name)));
        command.args(arguments(args, root, name));
        let status = command
            .status()
            .with_context(|| format!("starting {name}"))?;
        if !status.success() {
            bail!(
                "{name} ended with {status}; what is finished stays in {}",
                root.display()
            );
        }
    }
    Ok(())
}

/// The command line of an exercise.
fn arguments(args: &Args, root: &Path, name: &str) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> = vec![
        "--device".into(),
        args.device.name().into(),
        "--out".into(),
        root.join(name).into(),
    ];
    if args.quick {
        arguments.push("--quick".into());
    }
    if args.synthetic {
        let digits = name == "q3_mnist";
        let drawings = if digits {
            "synthetic-digits"
        } else {
            "synthetic"
        };
        arguments.extend(["--dataset".into(), drawings.into()]);
    }
    if let Some(folder) = &args.data_dir {
        arguments.extend(["--data-dir".into(), folder.into()]);
    }
    let sweep = name.starts_with("q2_") || name == "q3_mnist";
    for (flag, value) in [("--seeds", args.seeds), ("--jobs", args.jobs)] {
        if let (true, Some(value)) = (sweep, value) {
            arguments.extend([flag.into(), value.to_string().into()]);
        }
    }
    // Exercise 1 trained the network that exercises 4 and 5 look into.
    let weights = root.join("q1_modern/weights.safetensors");
    if (name.starts_with("q4_") || name.starts_with("q5_")) && weights.exists() {
        arguments.extend(["--weights".into(), weights.into()]);
    }
    arguments
}

/// The folder of the exercises' programs; under cargo they are brought up to date first.
fn programs(names: &[&str]) -> Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program's folder")?;
    let folder = this.parent().map(Path::to_owned).unwrap_or_default();
    if let Some(cargo) = std::env::var_os("CARGO") {
        let profile = folder.parent().and_then(Path::file_name);
        let release = profile.is_none_or(|profile| profile != "debug");
        let mut command = Command::new(cargo);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("build");
        command.args(release.then_some("--release"));
        // Those of this program: others would compile the exercises again, or without its device.
        command.args(["--no-default-features", "--features", &features()]);
        for name in names {
            command.args(["--example", name]);
        }
        let status = command.status().context("starting cargo")?;
        if !status.success() {
            bail!("building the exercises failed");
        }
    }
    match names
        .iter()
        .find(|name| !folder.join(program(name)).is_file())
    {
        None => Ok(folder),
        Some(name) => {
            bail!("{name} is not beside this program: build the examples first")
        }
    }
}

/// The Cargo features of this program.
fn features() -> String {
    let all = [
        ("default", cfg!(feature = "default")),
        ("cpu", cfg!(feature = "cpu")),
        ("flex", cfg!(feature = "flex")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("metal", cfg!(feature = "metal")),
        ("cuda", cfg!(feature = "cuda")),
        ("ndarray", cfg!(feature = "ndarray")),
        ("download", cfg!(feature = "download")),
        ("pictures", cfg!(feature = "pictures")),
        ("pretrained", cfg!(feature = "pretrained")),
        ("pytorch", cfg!(feature = "pytorch")),
    ];
    let enabled = all.iter().filter(|(_, is_enabled)| *is_enabled);
    let names: Vec<&str> = enabled.map(|(name, _)| *name).collect();
    names.join(",")
}

fn program(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
