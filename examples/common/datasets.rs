use std::cell::RefCell;

use indicatif::{ProgressBar, ProgressStyle};
use lenet::data::{
    DataError, DownloadProgress, ImageDataset, KnownDataset, Loader, Splits, Verification,
    synthetic,
};

use super::args::{DatasetChoice, SessionArgs};

/// Images of a `--quick` run.
const QUICK_TRAIN: usize = 12_800;
const QUICK_TEST: usize = 2_000;

/// The images that the command line asks for; `auto` is `of_exercise`.
pub(crate) fn load(args: &SessionArgs, of_exercise: KnownDataset) -> Result<Splits, DataError> {
    let (train, test) = sizes(args);
    let drawings = match of_exercise {
        KnownDataset::Mnist => synthetic::digit_splits,
        _ => synthetic::garment_splits,
    };
    let splits = match args.dataset {
        DatasetChoice::Auto => match known(of_exercise, args) {
            Err(missing @ DataError::Missing { .. }) => {
                eprintln!("{missing}\n\nTraining on drawings instead.\n");
                drawings(train, test)
            }
            other => other?,
        },
        DatasetChoice::FashionMnist => known(KnownDataset::FashionMnist, args)?,
        DatasetChoice::Mnist => known(KnownDataset::Mnist, args)?,
        DatasetChoice::Kmnist => known(KnownDataset::Kmnist, args)?,
        DatasetChoice::Synthetic => synthetic::garment_splits(train, test),
        DatasetChoice::SyntheticDigits => synthetic::digit_splits(train, test),
    };
    if !args.quick {
        return Ok(splits);
    }
    let first = |dataset: &ImageDataset, count: usize| {
        dataset.select(&(0..count.min(dataset.len())).collect::<Vec<_>>())
    };
    Ok(Splits {
        train: first(&splits.train, QUICK_TRAIN),
        test: first(&splits.test, QUICK_TEST),
    })
}

fn known(dataset: KnownDataset, args: &SessionArgs) -> Result<Splits, DataError> {
    let bar = DownloadBar::default();
    let mut loader = Loader::new(dataset).with_download(&bar);
    if let Some(folder) = &args.data_dir {
        loader = loader.with_directory(folder);
    }
    let splits = loader.load()?;
    if let Some(by @ Verification::Shape) = splits.verification() {
        eprintln!(
            "{dataset} is verified by {by}: no digests of its decompressed files are known. Keep the \
             published .gz files beside them, and those are read and verified instead.\n"
        );
    }
    Ok(splits)
}

/// As many drawings as the real sets have images.
fn sizes(args: &SessionArgs) -> (usize, usize) {
    match args.quick {
        true => (QUICK_TRAIN, QUICK_TEST),
        false => (60_000, 10_000),
    }
}

/// A bar for the file that is being fetched.
#[derive(Default)]
struct DownloadBar {
    current: RefCell<Option<(String, ProgressBar)>>,
}

impl DownloadProgress for DownloadBar {
    fn received(&self, file: &str, received: u64, total: Option<u64>) {
        let mut current = self.current.borrow_mut();
        if current.as_ref().is_none_or(|(name, _)| name != file) {
            let bar = match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::no_length(),
            };
            let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(format!("fetching {file}"));
            *current = Some((file.to_owned(), bar));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_position(received);
        }
    }
}
