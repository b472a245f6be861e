//! Loads the images that the command line selects.

use std::cell::RefCell;

use indicatif::{ProgressBar, ProgressStyle};
use lenet_data::{
    DataError, DownloadProgress, KnownDataset, Loader, Splits, Verification, synthetic,
};

use crate::args::{DatasetChoice, SessionArgs};

/// Training and test images of a `--quick` run.
const QUICK: [usize; 2] = [12_800, 2_000];

/// Training and test images of the real data sets, and hence of the synthetic ones.
const FULL: [usize; 2] = [60_000, 10_000];

/// Loads the images; `auto` is the data set of the exercise, or synthetic images if it is unavailable.
pub(crate) fn load(args: &SessionArgs, of_exercise: KnownDataset) -> Result<Splits, DataError> {
    let [train, test] = if args.quick { QUICK } else { FULL };
    let splits = match args.dataset {
        DatasetChoice::Auto => match known(of_exercise, args) {
            Err(missing @ DataError::Missing { .. }) => {
                eprintln!("{missing}\n\nTraining on synthetic images instead.\n");
                match of_exercise {
                    KnownDataset::Mnist => synthetic::digit_splits(train, test),
                    _ => synthetic::garment_splits(train, test),
                }
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
    Ok(Splits {
        train: splits.train.take(train),
        test: splits.test.take(test),
    })
}

/// A real data set, downloaded if it is not on disk.
fn known(dataset: KnownDataset, args: &SessionArgs) -> Result<Splits, DataError> {
    let bar = DownloadBar::default();
    let mut loader = Loader::new(dataset).with_progress(&bar);
    if let Some(folder) = &args.data_dir {
        loader = loader.with_directory(folder);
    }
    let splits = loader.load()?;
    if let Some(by @ Verification::Shape) = splits.verification() {
        eprintln!(
            "{dataset} is verified by {by}: no digests of its decompressed files are known. Put the \
             published .gz files beside them, and those will be read and verified instead.\n"
        );
    }
    Ok(splits)
}

/// A progress bar for the file being downloaded.
#[derive(Default)]
struct DownloadBar {
    current: RefCell<Option<(String, ProgressBar)>>,
}

impl DownloadProgress for DownloadBar {
    fn received(&self, file: &str, received: u64, total: Option<u64>) {
        let mut current = self.current.borrow_mut();
        if current.as_ref().is_none_or(|(name, _)| name != file) {
            let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(format!("downloading {file}"));
            *current = Some((file.to_owned(), bar));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_position(received);
        }
    }
}
