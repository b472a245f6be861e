//! The data sets: each is loaded when it is first asked for, once, and kept.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use lenet_data::{ImageDataset, KnownDataset, Loader, Splits, synthetic};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::shared::Shared;

/// Generated images to look at, and to evaluate on.
const SYNTHETIC_TEST: usize = 2_000;

/// Generated images to train on, as many as the real data sets have.
const SYNTHETIC_TRAIN: usize = 60_000;

/// Images unlike those of any data set, of each of their five classes.
const UNFAMILIAR: usize = 5 * 100;

/// The seed of the unfamiliar images.
const UNFAMILIAR_SEED: u64 = 0;

/// A data set that the page offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DatasetId {
    FashionMnist,
    Mnist,
    Kmnist,
    /// Generated garments.
    Synthetic,
    /// Generated digits.
    SyntheticDigits,
    /// Generated cats, cars and noise.
    Unfamiliar,
}

impl DatasetId {
    pub(crate) const ALL: [Self; 6] = [
        Self::FashionMnist,
        Self::Mnist,
        Self::Kmnist,
        Self::Synthetic,
        Self::SyntheticDigits,
        Self::Unfamiliar,
    ];

    /// As in requests and answers.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::FashionMnist => "fashion-mnist",
            Self::Mnist => "mnist",
            Self::Kmnist => "kmnist",
            Self::Synthetic => "synthetic",
            Self::SyntheticDigits => "synthetic-digits",
            Self::Unfamiliar => "unfamiliar",
        }
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FashionMnist => "Fashion-MNIST",
            Self::Mnist => "MNIST",
            Self::Kmnist => "KMNIST",
            Self::Synthetic => "generated garments",
            Self::SyntheticDigits => "generated digits",
            Self::Unfamiliar => "unfamiliar images",
        }
    }

    /// The published data set, unless the images are generated.
    pub(crate) fn known(self) -> Option<KnownDataset> {
        match self {
            Self::FashionMnist => Some(KnownDataset::FashionMnist),
            Self::Mnist => Some(KnownDataset::Mnist),
            Self::Kmnist => Some(KnownDataset::Kmnist),
            Self::Synthetic | Self::SyntheticDigits | Self::Unfamiliar => None,
        }
    }

    pub(crate) fn class_names(self) -> Vec<String> {
        let known = match self {
            Self::Synthetic => KnownDataset::FashionMnist,
            Self::SyntheticDigits => KnownDataset::Mnist,
            Self::Unfamiliar => {
                return synthetic::unfamiliar(0, UNFAMILIAR_SEED)
                    .class_names()
                    .to_vec();
            }
            Self::FashionMnist => KnownDataset::FashionMnist,
            Self::Mnist => KnownDataset::Mnist,
            Self::Kmnist => KnownDataset::Kmnist,
        };
        known.class_names().map(str::to_owned).to_vec()
    }
}

impl From<KnownDataset> for DatasetId {
    fn from(known: KnownDataset) -> Self {
        let mut all = Self::ALL.into_iter();
        match all.find(|dataset| dataset.known() == Some(known)) {
            Some(dataset) => dataset,
            None => unreachable!("expected every known data set among those of the page: {known}"),
        }
    }
}

impl FromStr for DatasetId {
    type Err = ApiError;

    fn from_str(id: &str) -> Result<Self, ApiError> {
        let mut all = Self::ALL.into_iter();
        all.find(|dataset| dataset.id() == id).ok_or_else(|| {
            let ids = Self::ALL.map(Self::id).join(", ");
            ApiError::not_found(format!(
                "there is no data set '{}': expected one of {ids}",
                excerpt(id)
            ))
        })
    }
}

/// The beginning of a text from a request, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 40;
    let mut excerpt: String = text.chars().take(LENGTH).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

/// The data sets that were asked for.
pub(crate) struct Gallery {
    /// Searched before the usual directories.
    directory: Option<PathBuf>,
    loaded: Mutex<HashMap<DatasetId, Arc<Shared<Splits>>>>,
    /// Generated images to train on.
    drawn: Mutex<HashMap<DatasetId, Arc<Shared<ImageDataset>>>>,
}

impl Gallery {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self {
            directory,
            loaded: Mutex::default(),
            drawn: Mutex::default(),
        }
    }

    /// Whether the images are part of the program or on this computer, so that nothing is downloaded.
    pub(crate) fn is_available(&self, dataset: DatasetId) -> bool {
        let directory = self.directory.clone();
        let known = dataset.known();
        known.is_none_or(|known| loader(known, directory).is_on_disk())
    }

    /// The test images. Requests for the same data set share one load.
    ///
    /// A data set that is unavailable is an error with the reason; the next request tries again.
    pub(crate) async fn test(&self, dataset: DatasetId) -> Result<ImageDataset, ApiError> {
        Ok(self.splits(dataset).await?.test)
    }

    /// `images` images to train on, or as many as there are, and all test images.
    pub(crate) async fn training(
        &self,
        dataset: DatasetId,
        images: Option<usize>,
    ) -> Result<Splits, ApiError> {
        let draw = match dataset {
            DatasetId::Synthetic => Some(synthetic::garment_splits as Draw),
            DatasetId::SyntheticDigits => Some(synthetic::digit_splits as Draw),
            DatasetId::Unfamiliar => {
                return Err(ApiError::invalid(
                    "the unfamiliar images are there to look at, not to train on: choose another data set",
                ));
            }
            DatasetId::FashionMnist | DatasetId::Mnist | DatasetId::Kmnist => None,
        };
        let mut splits = self.splits(dataset).await?;
        let available = match draw {
            Some(_) => SYNTHETIC_TRAIN,
            None => splits.train.len(),
        };
        let images = images.unwrap_or(available);
        if images > available {
            return Err(ApiError::invalid(format!(
                "images is {images}, but {} has {available} training images",
                dataset.name()
            )));
        }
        if let Some(draw) = draw {
            let drawn = shared(&self.drawn, dataset);
            let make = move || Ok(draw(SYNTHETIC_TRAIN, 0).train);
            splits.train = drawn.get(make).await?;
        }
        splits.train = splits.train.take(images);
        Ok(splits)
    }

    async fn splits(&self, dataset: DatasetId) -> Result<Splits, ApiError> {
        let directory = self.directory.clone();
        let loaded = shared(&self.loaded, dataset);
        loaded.get(move || load(dataset, directory)).await
    }
}

/// Draws so many images to train on and so many to test with.
type Draw = fn(usize, usize) -> Splits;

/// The one load of a data set that requests share.
fn shared<T>(
    all: &Mutex<HashMap<DatasetId, Arc<Shared<T>>>>,
    dataset: DatasetId,
) -> Arc<Shared<T>> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(dataset).or_default())
}

/// Reads or generates a data set; of a generated one, only the test images.
fn load(dataset: DatasetId, directory: Option<PathBuf>) -> Result<Splits, ApiError> {
    let Some(known) = dataset.known() else {
        return Ok(match dataset {
            DatasetId::SyntheticDigits => synthetic::digit_splits(0, SYNTHETIC_TEST),
            DatasetId::Unfamiliar => Splits {
                train: synthetic::unfamiliar(0, UNFAMILIAR_SEED),
                test: synthetic::unfamiliar(UNFAMILIAR, UNFAMILIAR_SEED),
            },
            _ => synthetic::garment_splits(0, SYNTHETIC_TEST),
        });
    };
    Ok(loader(known, directory).load()?)
}

fn loader(dataset: KnownDataset, directory: Option<PathBuf>) -> Loader<'static> {
    let loader = Loader::new(dataset);
    match directory {
        Some(directory) => loader.with_directory(directory),
        None => loader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_data_set_is_found_by_its_id() {
        for dataset in DatasetId::ALL {
            assert_eq!(dataset.id().parse(), Ok(dataset));
            assert_eq!(serde_json::json!(dataset), dataset.id());
        }
        for known in KnownDataset::ALL {
            assert_eq!(DatasetId::from(known).known(), Some(known));
        }
        assert!("../mnist".parse::<DatasetId>().is_err());
    }
}
