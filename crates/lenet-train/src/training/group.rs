//! Runs that train side by side on a GPU. Each run makes its steps on its own thread; a step starts when every run of
//! the group has asked for its next one, and is then a step of all of them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use burn::backend::CubeDevice;
use lenet_cubecl::{DeviceImages, Ensemble, GpuError, Layers, Place, Predictions, Step};
use lenet_data::ImageDataset;

/// What runs must have in common to be in a group.
#[derive(Clone, PartialEq)]
pub(super) struct GroupKey {
    pub(super) device: CubeDevice,
    pub(super) layers: Layers,
    pub(super) batch_size: usize,
    /// Whether gradients are clipped, by a kernel that may round differently.
    pub(super) clips: bool,
    /// A clone shares its pixels, so comparing two of them is cheap.
    pub(super) train: ImageDataset,
}

pub(super) struct Group {
    key: GroupKey,
    /// The most runs.
    capacity: usize,
    state: Mutex<State>,
    /// The round, the failure or the runs changed.
    changed: Condvar,
}

struct State {
    ensemble: Ensemble,
    /// The data set that was evaluated last, on the device.
    evaluated: Option<(ImageDataset, DeviceImages)>,
    /// The run of each network, in the order of the ensemble.
    runs: Vec<u64>,
    /// The step that each run asks for.
    steps: Vec<Option<Step>>,
    /// Steps that the group has made.
    round: u64,
    /// Runs that will join.
    reserved: usize,
    /// Runs that have ever joined.
    joined: u64,
    /// What ended the group.
    failure: Option<GpuError>,
}

impl Group {
    pub(super) fn new(key: GroupKey) -> Result<Self, GpuError> {
        let client = key.device.client();
        let images = upload(&key.device, &key.train)?;
        let ensemble = Ensemble::new(&client, &key.layers, images, key.batch_size)?;
        Ok(Self {
            key,
            capacity: ensemble.capacity(),
            state: Mutex::new(State {
                ensemble,
                evaluated: None,
                runs: Vec::new(),
                steps: Vec::new(),
                round: 0,
                reserved: 0,
                joined: 0,
                failure: None,
            }),
            changed: Condvar::new(),
        })
    }

    pub(super) fn key(&self) -> &GroupKey {
        &self.key
    }

    /// A place for a run, for which the others wait from now on; `None` if the device has no room for it, or failed.
    pub(super) fn reserve(self: Arc<Self>) -> Option<Reservation> {
        let mut state = self.lock();
        let runs = state.runs.len() + state.reserved;
        // The first run has to find out itself why it cannot be made.
        let has_room = state.failure.is_none() && (runs == 0 || runs < self.capacity);
        if !has_room {
            return None;
        }
        state.reserved += 1;
        drop(state);
        Some(Reservation { group: self })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a step if every run has asked for one, and none is about to join.
    fn step_together(&self, state: &mut State) {
        if state.reserved > 0 || state.failure.is_some() {
            return;
        }
        let steps: Option<Vec<Step>> = state.steps.iter().copied().collect();
        let Some(steps) = steps.filter(|steps| !steps.is_empty()) else {
            return;
        };
        // Even if the step panics, so that no run waits for one that will not come.
        let _notify = Notify(&self.changed);
        state.failure = Some(GpuError::Device("a step was not completed".to_owned()));
        state.failure = state.ensemble.step(&steps).err();
        state.steps.fill(None);
        state.round += 1;
    }
}

fn upload(device: &CubeDevice, dataset: &ImageDataset) -> Result<DeviceImages, GpuError> {
    let (pixels, labels) = (dataset.images(), dataset.labels());
    DeviceImages::new(&device.client(), pixels, labels, dataset.image_size())
}

/// Wakes the runs that wait, when dropped.
struct Notify<'a>(&'a Condvar);

impl Drop for Notify<'_> {
    fn drop(&mut self) {
        self.0.notify_all();
    }
}

impl State {
    fn position(&self, run: u64) -> usize {
        let position = self.runs.iter().position(|&other| other == run);
        position.unwrap_or_else(|| unreachable!("run {run} is in the group until it is dropped"))
    }

    fn check(&self) -> Result<(), GpuError> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

/// A run that is about to join a group; it does not if this is dropped.
pub(super) struct Reservation {
    group: Arc<Group>,
}

impl Reservation {
    /// Adds a run with these parameters and velocities.
    pub(super) fn join(
        self,
        parameters: &[Vec<f32>],
        velocities: Option<&[Vec<f32>]>,
    ) -> Result<Member, GpuError> {
        let mut state = self.group.lock();
        let networks = state.ensemble.len() + state.reserved;
        state.ensemble.reserve(networks)?;
        state.ensemble.push(parameters, velocities)?;
        let run = state.joined;
        state.joined += 1;
        state.runs.push(run);
        state.steps.push(None);
        drop(state);
        let group = Arc::clone(&self.group);
        Ok(Member { group, run })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.group.lock();
        state.reserved -= 1;
        self.group.step_together(&mut state);
        self.group.changed.notify_all();
    }
}

/// A run in a group, which it leaves when it is dropped.
pub(super) struct Member {
    group: Arc<Group>,
    run: u64,
}

impl Member {
    pub(super) fn set_order(&self, order: &[Place]) -> Result<(), GpuError> {
        let mut state = self.group.lock();
        let position = state.position(self.run);
        state.ensemble.set_order(position, order)
    }

    /// Makes a step, together with every other run.
    #[expect(clippy::indexing_slicing, reason = "there is a step for each run")]
    pub(super) fn step(&self, step: Step) -> Result<(), GpuError> {
        let group = &self.group;
        let mut state = group.lock();
        state.check()?;
        let (position, round) = (state.position(self.run), state.round);
        state.steps[position] = Some(step);
        group.step_together(&mut state);
        let waits = |state: &mut State| state.round == round && state.failure.is_none();
        let state = group.changed.wait_while(state, waits);
        state.unwrap_or_else(PoisonError::into_inner).check()
    }

    pub(super) fn take_losses(&self) -> Result<Vec<f32>, GpuError> {
        let mut state = self.group.lock();
        let position = state.position(self.run);
        state.ensemble.take_losses(position)
    }

    pub(super) fn parameters(&self) -> Result<Vec<Vec<f32>>, GpuError> {
        let mut state = self.group.lock();
        let position = state.position(self.run);
        state.ensemble.parameters(position)
    }

    pub(super) fn predict(&self, dataset: &ImageDataset) -> Result<Predictions, GpuError> {
        let mut state = self.group.lock();
        state.check()?;
        let position = state.position(self.run);
        let known = state.evaluated.take().filter(|(known, _)| known == dataset);
        let (dataset, images) = match known {
            Some(known) => known,
            None => {
                let images = upload(&self.group.key.device, dataset)?;
                (dataset.clone(), images)
            }
        };
        let found = state.ensemble.predict(position, &images);
        state.evaluated = Some((dataset, images));
        found
    }

    pub(super) fn velocities(&self) -> Result<Vec<Vec<f32>>, GpuError> {
        let mut state = self.group.lock();
        let position = state.position(self.run);
        state.ensemble.velocities(position)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.group.lock();
        // Even if the device panics, so that no run waits for this one.
        let _notify = Notify(&self.group.changed);
        let position = state.position(self.run);
        state.runs.swap_remove(position);
        state.steps.swap_remove(position);
        if state.failure.is_some() {
            return;
        }
        state.failure = Some(GpuError::Device("a run could not leave".to_owned()));
        let ensemble = AssertUnwindSafe(&mut state.ensemble);
        // A panic here while another one unwinds would abort the program.
        let removed = catch_unwind(move || { ensemble }.swap_remove(position));
        if let Ok(removed) = removed {
            state.failure = removed.err();
            self.group.step_together(&mut state);
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}
