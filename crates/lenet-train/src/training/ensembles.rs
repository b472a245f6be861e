//! What the trials of a sweep share on GPUs.

#[cfg(feature = "gpu")]
use std::sync::{Arc, Mutex, PoisonError, Weak};

#[cfg(feature = "gpu")]
use lenet_cubecl::GpuError;

#[cfg(feature = "gpu")]
use super::group::{Group, GroupKey, Reservation};
#[cfg(feature = "gpu")]
use super::uploads::Uploads;

/// Runs that train side by side on a GPU, in the same launches, if they have the same layers, batch size and images.
///
/// Each run must have a thread that executes nothing else until it ends, because the runs wait for each other.
#[derive(Default)]
pub(crate) struct Ensembles {
    #[cfg(feature = "gpu")]
    groups: Mutex<Vec<Weak<Group>>>,
    #[cfg(feature = "gpu")]
    uploads: Uploads,
}

#[cfg(feature = "gpu")]
impl Ensembles {
    /// A place in a group of this kind that has room; in a new one if there is none.
    pub(super) fn reserve(&self, key: GroupKey) -> Result<Reservation, GpuError> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|group| group.strong_count() > 0);
        let alive = groups.iter().filter_map(Weak::upgrade);
        let mut places = alive
            .filter(|group| *group.key() == key)
            .map(Group::reserve);
        if let Some(place) = places.find_map(|place| place) {
            return Ok(place);
        }
        let group = Arc::new(Group::new(key, &self.uploads)?);
        groups.push(Arc::downgrade(&group));
        let place = group.reserve();
        place.ok_or_else(|| unreachable!("a new group has room for a run"))
    }
}
