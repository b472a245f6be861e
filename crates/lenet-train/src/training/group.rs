//! Runs that train side by side on a GPU. Each run asks for its steps on its own thread; a step is made when every run of
//! the group has asked for its next one, and is then a step of all of them. A run may be a few steps ahead of the others,
//! because threads that waited for one another at every step would take longer than the step.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use burn::backend::CubeDevice;
use lenet_cubecl::{Ensemble, GpuError, Layers, Place, Predictions, Step};
use lenet_data::ImageDataset;

use super::uploads::Uploads;

/// Steps that a run may be ahead of the others.
const AHEAD: usize = 16;

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
    uploads: Uploads,
    /// The most runs.
    capacity: usize,
    state: Mutex<State>,
    /// A run that waited has its steps, the group failed, or its runs changed.
    changed: Condvar,
}

struct State {
    ensemble: Ensemble,
    /// In the order of the ensemble's networks.
    runs: Vec<Run>,
    /// Runs that will join.
    reserved: usize,
    /// Runs that have ever joined.
    joined: u64,
    /// What ended the group.
    failure: Option<GpuError>,
}

struct Run {
    number: u64,
    /// The steps that it has asked for and that were not made yet.
    steps: VecDeque<Step>,
    /// Whether it waits for them.
    is_waiting: bool,
}

impl Group {
    pub(super) fn new(key: GroupKey, uploads: &Uploads) -> Result<Self, GpuError> {
        let client = key.device.client();
        let images = uploads.get(&key.device, &key.train)?;
        let ensemble = Ensemble::new(&client, &key.layers, images, key.batch_size)?;
        Ok(Self {
            key,
            uploads: uploads.clone(),
            capacity: ensemble.capacity(),
            state: Mutex::new(State {
                ensemble,
                runs: Vec::new(),
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

    /// Makes the steps that every run has asked for, unless another one is about to join.
    fn step_together(&self, state: &mut State) {
        while state.reserved == 0 && state.failure.is_none() && !state.runs.is_empty() {
            let next = state.runs.iter().map(|run| run.steps.front().copied());
            let Some(steps) = next.collect::<Option<Vec<Step>>>() else {
                break;
            };
            let _notify = NotifyOnPanic(&self.changed);
            state.failure = Some(GpuError::Device("a step was not completed".to_owned()));
            state.failure = state.ensemble.step(&steps).err();
            for run in &mut state.runs {
                run.steps.pop_front();
            }
        }
        let has_its_steps = |run: &Run| run.is_waiting && run.steps.is_empty();
        if state.failure.is_some() || state.runs.iter().any(has_its_steps) {
            self.changed.notify_all();
        }
    }
}

/// Wakes the runs that wait when dropped by a panic, so that none waits for a step that will not come.
struct NotifyOnPanic<'a>(&'a Condvar);

impl Drop for NotifyOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.notify_all();
        }
    }
}

impl State {
    fn position(&self, number: u64) -> usize {
        let position = self.runs.iter().position(|run| run.number == number);
        position.unwrap_or_else(|| unreachable!("run {number} is in the group until it is dropped"))
    }

    #[expect(clippy::indexing_slicing, reason = "the position is one of the runs")]
    fn run(&mut self, number: u64) -> &mut Run {
        let position = self.position(number);
        &mut self.runs[position]
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
        let number = state.joined;
        state.joined += 1;
        state.runs.push(Run {
            number,
            steps: VecDeque::new(),
            is_waiting: false,
        });
        drop(state);
        let group = Arc::clone(&self.group);
        Ok(Member { group, number })
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
    number: u64,
}

impl Member {
    pub(super) fn set_order(&self, order: &[Place]) -> Result<(), GpuError> {
        let (mut state, position) = self.up_to_date()?;
        state.ensemble.set_order(position, order)
    }

    /// Asks for a step, which is made together with one of every other run.
    pub(super) fn step(&self, step: Step) -> Result<(), GpuError> {
        let mut state = self.group.lock();
        state.check()?;
        state.run(self.number).steps.push_back(step);
        self.group.step_together(&mut state);
        if state.run(self.number).steps.len() < AHEAD {
            return state.check();
        }
        drop(state);
        self.up_to_date().map(|_| ())
    }

    /// The group, once it has made all steps that this run has asked for, and the number of the run's network.
    fn up_to_date(&self) -> Result<(MutexGuard<'_, State>, usize), GpuError> {
        let is_behind = |state: &mut State| {
            let failed = state.failure.is_some();
            let run = state.run(self.number);
            run.is_waiting = !failed && !run.steps.is_empty();
            run.is_waiting
        };
        let state = self.group.changed.wait_while(self.group.lock(), is_behind);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.check()?;
        let position = state.position(self.number);
        Ok((state, position))
    }

    pub(super) fn take_losses(&self) -> Result<Vec<f32>, GpuError> {
        let (mut state, position) = self.up_to_date()?;
        state.ensemble.take_losses(position)
    }

    pub(super) fn parameters(&self) -> Result<Vec<Vec<f32>>, GpuError> {
        let (mut state, position) = self.up_to_date()?;
        state.ensemble.parameters(position)
    }

    pub(super) fn predict(&self, dataset: &ImageDataset) -> Result<Predictions, GpuError> {
        let images = self.group.uploads.get(&self.group.key.device, dataset)?;
        let (mut state, position) = self.up_to_date()?;
        state.ensemble.predict(position, &images)
    }

    pub(super) fn velocities(&self) -> Result<Vec<Vec<f32>>, GpuError> {
        let (mut state, position) = self.up_to_date()?;
        state.ensemble.velocities(position)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.group.lock();
        let position = state.position(self.number);
        // With the steps that it has asked for and does not need any more.
        state.runs.swap_remove(position);
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
        // Also if the device panicked, so that no run waits for this one.
        self.group.changed.notify_all();
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
