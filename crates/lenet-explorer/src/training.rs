//! The training in the page: one at a time, on a thread of its own.

mod observer;
mod plan;
mod preparation;
mod publication;
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use lenet_core::LeNet;
use lenet_data::{ImageDataset, Splits};
use lenet_train::{Trainer, TrainingError, evaluate_with_stop};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::api::App;
use crate::error::{ApiError, chain};
use crate::networks::{Details, Kind, Network};
use observer::Progress;
pub(crate) use plan::{Plan, Request};
pub(crate) use preparation::Preparation;
use preparation::Stop;
pub(crate) use publication::publish_changes;
use publication::{Published, publish};
pub(crate) use state::{State, Status};

/// Those who watch a training at once.
const MAX_WATCHERS: usize = 32;

/// The validation images: this fraction of the training images, up to the number below.
const VALIDATION_FRACTION: usize = 10;
const MAX_VALIDATION: usize = 5_000;

/// The training that runs, if there is one, and the state of the last one.
pub(crate) struct Training {
    /// Stops the training that runs or is being prepared.
    running: Mutex<Option<Arc<Stop>>>,
    state: watch::Sender<Arc<State>>,
    /// A state of at most a moment ago, for those who watch.
    published: watch::Sender<Published>,
    watchers: Arc<Semaphore>,
}

/// Someone who follows the state; there is a bound on their number.
pub(crate) struct Watcher {
    published: watch::Receiver<Published>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The latest state, as JSON.
    pub(crate) fn state(&mut self) -> Arc<str> {
        Arc::clone(&self.published.borrow_and_update().json)
    }

    /// Waits for another state than the latest, or returns `None` if there will be none.
    pub(crate) async fn changed(&mut self) -> Option<()> {
        self.published.changed().await.ok()
    }
}

impl Training {
    pub(crate) fn new() -> Self {
        let state = Arc::new(State::default());
        Self {
            running: Mutex::default(),
            published: watch::Sender::new(Published::new(Arc::clone(&state))),
            state: watch::Sender::new(state),
            watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
        }
    }

    pub(crate) fn state(&self) -> State {
        State::clone(&self.state.borrow())
    }

    pub(crate) fn watcher(&self) -> Result<Watcher, ApiError> {
        let place = Arc::clone(&self.watchers).try_acquire_owned();
        let place = place.map_err(|_| {
            ApiError::unavailable(format!(
                "{MAX_WATCHERS} pages watch the training already: close one of them"
            ))
        })?;
        // The first state is that of the moment.
        publish(&self.state, &self.published);
        Ok(Watcher {
            published: self.published.subscribe(),
            _place: place,
        })
    }

    /// Adds a network with its initial weights and begins to train it.
    pub(crate) fn start(
        &self,
        preparation: Preparation,
        plan: Plan,
        splits: Splits,
    ) -> Result<Arc<Network>, ApiError> {
        let app = Arc::clone(preparation.app());
        // Before the lock, for which requests wait: it may take a moment.
        let lenet = plan
            .network
            .init(app.networks.device(), plan.training.seed)?;
        // Released before the preparation, which takes it to give back its place.
        let running = self.running();
        preparation.check()?;
        let details = Details {
            name: plan.name(),
            kind: Kind::Trained,
            dataset: Some(plan.dataset),
            classes: plan.dataset.class_names(),
        };
        let network = app.networks.add("trained", details, lenet, Some(0))?;
        self.state
            .send_replace(Arc::new(State::started(&network, &plan)));

        let run = Run {
            app,
            network: Arc::clone(&network),
            plan,
            stop: Arc::clone(preparation.stop()),
        };
        let spawned = thread::Builder::new()
            .name("training".to_owned())
            .spawn(move || run.run(splits));
        if let Err(error) = spawned {
            network.set_in_training(false);
            self.state.send_modify(|state| {
                Arc::make_mut(state).end(
                    Status::Failed,
                    Some("the training could not start".to_owned()),
                );
            });
            drop(running);
            return Err(ApiError::internal(&error));
        }
        preparation.begin();
        drop(running);
        Ok(network)
    }

    /// Asks the training that runs to stop after its current step, and one that is being prepared not to begin.
    pub(crate) fn stop(&self) -> Result<(), ApiError> {
        match &*self.running() {
            Some(stop) => {
                stop.set();
                Ok(())
            }
            None => Err(ApiError::conflict("no training is running")),
        }
    }

    /// Waits until no training runs, but not longer than this.
    pub(crate) async fn wait(&self, time: Duration) {
        let mut states = self.state.subscribe();
        let idle = states.wait_for(|state| state.status() != Status::Running);
        let _ = timeout(time, idle).await;
    }

    fn running(&self) -> MutexGuard<'_, Option<Arc<Stop>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread of a training needs.
struct Run {
    app: Arc<App>,
    network: Arc<Network>,
    plan: Plan,
    stop: Arc<Stop>,
}

impl Run {
    /// Trains to the end, or until it is stopped or fails, and says so.
    fn run(self, splits: Splits) {
        let trained = catch_unwind(AssertUnwindSafe(|| self.train(&splits)));
        let (status, message) = trained.unwrap_or_else(|_| {
            // The panic itself was printed when it happened.
            let message = "the training ended with an error, which is printed in the terminal";
            (Status::Failed, Some(message.to_owned()))
        });
        let training = &self.app.training;
        // Before anybody hears of the end, so that the network can be deleted then.
        self.network.set_in_training(false);
        // Both at once, or a training that starts in between would be said to have ended.
        let mut running = training.running();
        *running = None;
        training
            .state
            .send_modify(|state| Arc::make_mut(state).end(status, message));
        drop(running);
    }

    fn train(&self, splits: &Splits) -> (Status, Option<String>) {
        let validation = (splits.train.len() / VALIDATION_FRACTION).clamp(1, MAX_VALIDATION);
        let (train, validation) = splits
            .train
            .split_validation(validation, self.plan.training.seed);
        let stop = AtomicBool::new(false);
        let training = &self.app.training;
        let mut progress = Progress::new(&training.state, &self.network, self.stop.flag(), &stop);
        let result = Trainer::new(&self.plan.network, &self.plan.training)
            .with_validation(&validation)
            .with_observer(&mut progress)
            .with_stop(&stop)
            .fit(&train, self.app.networks.device());
        let steps = progress.total_step();
        match result {
            Ok(run) => self.network.update(run.lenet, steps),
            // Without a test accuracy: whoever stops it does not want to wait.
            Err(TrainingError::Interrupted { .. }) => return (Status::Stopped, None),
            Err(error) => return (Status::Failed, Some(chain(&error))),
        }
        match self.test(&self.network.look().lenet, &splits.test) {
            // Perhaps during the last validation, when there is no step to stop at.
            _ if self.stop.is_set() => (Status::Stopped, None),
            Ok(()) => (Status::Finished, None),
            Err(error) => (
                Status::Finished,
                Some(format!("there is no test accuracy: {}", chain(&error))),
            ),
        }
    }

    /// Evaluates the network on the test images, once, unless it is stopped.
    fn test(&self, lenet: &LeNet, images: &ImageDataset) -> Result<(), TrainingError> {
        let device = self.app.networks.device();
        let Some(evaluation) = evaluate_with_stop(lenet, images, device, self.stop.flag())? else {
            return Ok(());
        };
        self.network.set_test_accuracy(evaluation.accuracy);
        self.app.training.state.send_modify(|state| {
            Arc::make_mut(state).set_test_accuracy(evaluation.accuracy);
        });
        Ok(())
    }
}
