//! Several runs at once: none waits for another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use burn::tensor::Device;
use lenet_core::LeNetConfig;
use lenet_data::{ImageDataset, synthetic};
use lenet_train::{Checkpoints, Event, Observer, Trainer, TrainingConfig, TrainingError};
use rayon::{ThreadPool, ThreadPoolBuilder};

const TRAININGS: usize = 3;
/// Steps of an epoch.
const STEPS: usize = 40;
const BATCH_SIZE: usize = 64;

/// Longer than a few steps take on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn images() -> ImageDataset {
    synthetic::garments(STEPS * BATCH_SIZE, 0)
}

fn config(epochs: usize) -> TrainingConfig {
    TrainingConfig::default()
        .with_epochs(epochs)
        .with_batch_size(BATCH_SIZE)
}

/// Where runs are started.
#[derive(Clone, Copy, Debug)]
enum Caller<'a> {
    /// A thread outside of rayon.
    Thread,
    /// A job of a pool that has fewer threads than there are runs.
    Pool(&'a ThreadPool),
}

impl Caller<'_> {
    fn call<R: Send>(self, work: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::Thread => work(),
            Self::Pool(pool) => pool.install(work),
        }
    }
}

fn pool() -> ThreadPool {
    let pool = ThreadPoolBuilder::new().num_threads(TRAININGS - 1);
    pool.build().unwrap()
}

/// Calls `training` with the number of each run, all at once.
fn at_once(caller: Caller<'_>, called: impl Fn(usize) + Sync, training: impl Fn(usize) + Sync) {
    let (called, training) = (&called, &training);
    thread::scope(|scope| {
        for number in 0..TRAININGS {
            scope.spawn(move || {
                called(number);
                caller.call(|| training(number));
            });
        }
    });
}

/// Records which run made each step.
struct Log<'a>(&'a Mutex<Vec<usize>>, usize);

impl Observer for Log<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Step { .. } = event {
            self.0.lock().unwrap().push(self.1);
        }
    }
}

/// The largest number of steps that one run made between two steps of another.
fn longest_pause(log: &[usize]) -> usize {
    let mut longest = 0;
    for waiting in 0..TRAININGS {
        let own: Vec<usize> = (0..log.len()).filter(|&i| log[i] == waiting).collect();
        for pause in own.windows(2) {
            for other in 0..TRAININGS {
                let steps = &log[pause[0] + 1..pause[1]];
                longest = longest.max(steps.iter().filter(|&&step| step == other).count());
            }
        }
    }
    longest
}

fn steps_are_made_side_by_side(caller: Caller<'_>) {
    const EPOCHS: usize = 10;
    let (images, log) = (images(), Mutex::new(Vec::new()));
    // The others start while the first is making steps.
    let called = |number| {
        while number > 0 && log.lock().unwrap().len() < 5 {
            thread::yield_now();
        }
        log.lock().unwrap().push(number);
    };
    at_once(caller, called, |number| {
        let (network, config) = (LeNetConfig::modern(10), config(EPOCHS));
        let mut observer = Log(&log, number);
        let trainer = Trainer::new(&network, &config).with_observer(&mut observer);
        trainer.fit(&images, &Device::flex()).unwrap();
    });
    let log = log.into_inner().unwrap();
    assert_eq!(log.len(), TRAININGS * (1 + EPOCHS * STEPS));
    let pause = longest_pause(&log);
    println!("{pause} steps");
    // A stalled run waits for nearly all steps of another; a busy machine delays it by some dozens.
    assert!(pause < EPOCHS * STEPS * 3 / 4, "{pause} steps");
}

#[test]
fn trainings_called_from_threads_make_their_steps_side_by_side() {
    steps_are_made_side_by_side(Caller::Thread);
}

#[test]
fn trainings_called_in_a_pool_make_their_steps_side_by_side() {
    steps_are_made_side_by_side(Caller::Pool(&pool()));
}

/// What the runs know about each other.
#[derive(Default)]
struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Steps of each.
    steps: [usize; TRAININGS],
    /// Steps of the one to be stopped when its flag was set.
    at_stop: Option<usize>,
    /// The stopped training has left its last checkpoint.
    has_checkpoint: bool,
    /// Its `fit` has returned.
    has_returned: bool,
    /// What did not happen in time; a panic in an observer would be caught.
    missed: Option<&'static str>,
}

impl Meeting {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, what: &'static str, condition: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        let unmet = |state: &mut State| state.missed.is_none() && !condition(state);
        let waited = self.changed.wait_timeout_while(state, PATIENCE, unmet);
        let (mut state, waited) = waited.unwrap();
        if waited.timed_out() {
            state.missed = Some(what);
            self.changed.notify_all();
        }
    }
}

/// Waits until all runs have begun, stops one of them, and keeps the others in their first epoch until that one
/// has ended.
struct Meets<'a> {
    meeting: &'a Meeting,
    number: usize,
    stopped: usize,
    stop: &'a AtomicBool,
    /// Whether the `fit` of the stopped run must return, or only write its checkpoint.
    returns: bool,
}

impl Observer for Meets<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        let Self { meeting, .. } = self;
        match event {
            Event::Step { step, .. } => {
                meeting.change(|state| state.steps[self.number] += 1);
                if *step == 2 {
                    meeting.wait("the others' steps", |state| {
                        state.steps.iter().all(|&n| n >= 2)
                    });
                }
                if *step == 4 && self.number == (self.stopped + 1) % TRAININGS {
                    meeting.change(|state| {
                        self.stop.store(true, Ordering::SeqCst);
                        state.at_stop = Some(state.steps[self.stopped]);
                    });
                }
                if *step == 4 && self.number != self.stopped {
                    meeting.wait("the stopped one's end", |state| {
                        state.has_checkpoint && (state.has_returned || !self.returns)
                    });
                }
            }
            Event::Checkpoint { .. } if self.number == self.stopped => {
                meeting.change(|state| state.has_checkpoint = true);
            }
            _ => {}
        }
    }
}

fn a_stop_flag_is_seen(caller: Caller<'_>) {
    let images = images();
    for stopped in 0..TRAININGS {
        let (meeting, stop) = (Meeting::default(), AtomicBool::new(false));
        at_once(
            caller,
            |_| (),
            |number| {
                let folder = tempfile::tempdir().unwrap();
                // The stopped one is too long to finish.
                let config = config(if number == stopped { 100 } else { 1 });
                let network = LeNetConfig::modern(10);
                let mut observer = Meets {
                    meeting: &meeting,
                    number,
                    stopped,
                    stop: &stop,
                    returns: matches!(caller, Caller::Thread),
                };
                let mut trainer = Trainer::new(&network, &config).with_observer(&mut observer);
                if number == stopped {
                    let checkpoints = Checkpoints::new(folder.path());
                    trainer = trainer.with_checkpoints(checkpoints).with_stop(&stop);
                }
                let run = trainer.fit(&images, &Device::flex());
                if number == stopped {
                    assert!(matches!(run, Err(TrainingError::Interrupted { .. })));
                    meeting.change(|state| state.has_returned = true);
                } else {
                    run.unwrap();
                }
            },
        );
        let state = meeting.state.into_inner().unwrap();
        assert_eq!(state.missed, None, "training {stopped}");
        let more = state.steps[stopped] - state.at_stop.unwrap();
        assert!(more <= 2, "training {stopped}: {more} more steps");
    }
}

#[test]
fn a_run_called_from_a_thread_sees_its_stop_flag_while_others_wait() {
    a_stop_flag_is_seen(Caller::Thread);
}

#[test]
fn a_run_called_in_a_pool_sees_its_stop_flag_while_others_wait() {
    a_stop_flag_is_seen(Caller::Pool(&pool()));
}
