//! The networks that can be explored: pretrained, from files, and trained here.

mod bounds;
mod network;
mod predictions;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use burn::tensor::Device;
use lenet_core::{LeNet, Preset, Pretrained, Weights, WeightsError};
use lenet_data::{KnownDataset, class_names};

use crate::error::ApiError;
use crate::gallery::{DatasetId, excerpt};
pub(crate) use bounds::{Cost, check_cost};
pub(crate) use network::{Details, Kind, Network};

/// Networks beside the pretrained ones.
const MAX_OWN: usize = 16;

/// Longest name, in characters.
const MAX_NAME: usize = 80;

/// The networks, in the order in which they were added.
pub(crate) struct Networks {
    device: Device,
    list: RwLock<Vec<Arc<Network>>>,
}

impl Networks {
    /// The pretrained networks.
    pub(crate) fn new(device: Device) -> Result<Self, WeightsError> {
        let mut list = Vec::new();
        for pretrained in Pretrained::ALL {
            let lenet = LeNet::pretrained(pretrained, &device)?;
            list.push(Arc::new(Network::pretrained(pretrained, lenet)));
        }
        Ok(Self {
            device,
            list: RwLock::new(list),
        })
    }

    /// On which the networks compute.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn all(&self) -> Vec<Arc<Network>> {
        self.list
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn get(&self, id: &str) -> Result<Arc<Network>, ApiError> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let network = list.iter().find(|network| network.id() == id);
        network.cloned().ok_or_else(|| {
            ApiError::not_found(format!(
                "there is no network '{}': it may have been deleted, or belong to an earlier start of the program",
                excerpt(id)
            ))
        })
    }

    /// Adds the network of a file of weights under the given name.
    ///
    /// `preset` says what the network computes if the file does not; `dataset` names its classes.
    pub(crate) fn open(
        &self,
        weights: Weights,
        name: &str,
        preset: Preset,
        dataset: Option<KnownDataset>,
    ) -> Result<Arc<Network>, ApiError> {
        self.check_room()?;
        // The shapes of the weights determine the number of classes.
        let weights = weights.with_preset(preset.config(10));
        check_cost(&weights.config()?, Cost::OneImage)?;
        let lenet = LeNet::from_weights(weights, &self.device)?;
        let classes = class_names(dataset, lenet.config().classes)
            .map_err(|error| ApiError::invalid(error.to_string()))?;
        let details = Details {
            name: clean(name),
            kind: Kind::File,
            dataset: dataset.map(DatasetId::from),
            classes,
        };
        let stem = Path::new(name).file_stem().unwrap_or_default();
        self.add(&slug(&stem.to_string_lossy()), details, lenet, None)
    }

    /// Adds a network under `id`, or under `id-2` and so on if there is such a network; its name is numbered likewise.
    pub(crate) fn add(
        &self,
        id: &str,
        mut details: Details,
        lenet: LeNet,
        step: Option<usize>,
    ) -> Result<Arc<Network>, ApiError> {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        room(&list)?;
        let numbered = |number: usize| match number {
            1 => id.to_owned(),
            _ => format!("{id}-{number}"),
        };
        let is_free = |id: &str| list.iter().all(|network| network.id() != id);
        let mut numbers = (1..).filter(|&number| is_free(&numbered(number)));
        let Some(number) = numbers.next() else {
            unreachable!("expected a free number among more than there are networks")
        };
        if number > 1 {
            details.name = format!("{} ({number})", details.name);
        }
        let id = numbered(number);
        let network = Arc::new(Network::new(id, details, lenet, step));
        list.push(Arc::clone(&network));
        Ok(network)
    }

    /// Removes a network that the user added and that is not being trained.
    pub(crate) fn remove(&self, id: &str) -> Result<(), ApiError> {
        let network = self.get(id)?;
        if network.kind() == Kind::Pretrained {
            return Err(ApiError::forbidden(format!(
                "{id} is part of the program: only your own networks can be deleted"
            )));
        }
        if network.is_in_training() {
            return Err(ApiError::conflict(format!(
                "{id} is being trained: stop the training first"
            )));
        }
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        list.retain(|other| !Arc::ptr_eq(other, &network));
        Ok(())
    }

    /// Whether another network can be added.
    pub(crate) fn check_room(&self) -> Result<(), ApiError> {
        room(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn room(list: &[Arc<Network>]) -> Result<(), ApiError> {
    let own = list
        .iter()
        .filter(|network| network.kind() != Kind::Pretrained);
    if own.count() < MAX_OWN {
        return Ok(());
    }
    Err(ApiError::conflict(format!(
        "there are {MAX_OWN} networks of your own already: delete one first"
    )))
}

/// A name for people: without control characters, and not too long.
fn clean(name: &str) -> String {
    let visible = name.trim().chars().filter(|letter| !letter.is_control());
    let name: String = visible.take(MAX_NAME).collect();
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    }
}

/// A name as a part of an address: lower-case letters, digits and hyphens.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().take(MAX_NAME) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    match slug.trim_end_matches('-') {
        "" => "network".to_owned(),
        slug => slug.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_addresses() {
        for (name, expected) in [
            ("weights", "weights"),
            ("My LeNet (2)", "my-lenet-2"),
            ("../../etc/passwd", "etc-passwd"),
            ("日本", "network"),
        ] {
            assert_eq!(slug(name), expected);
        }
        assert_eq!(clean(" a\u{0}b\n"), "ab");
        assert_eq!(clean("\n"), "unnamed");
    }
}
