//! The threads of training and evaluation.
//!
//! On Flex, each run has a thread pool of its own. A rayon thread that waits for part of a kernel executes any job
//! of its pool and returns only when that job is complete. In a shared pool, that job may be another training run,
//! which would stall this one from its first step to its last. A pool with the kernels of a single run has no such
//! jobs.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::{io, thread};

use burn::tensor::Device;
use lenet_core::uses_rayon_pool;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::TrainingError;
use crate::remote::catch_loss;

/// Unsuccessful searches for work after which a thread stops helping: some tenths of a millisecond, longer than the
/// single-threaded parts between two kernels.
const IDLE_LOOKS: usize = 1000;

/// Unanswered calls for help after which no more are made.
const MOST_UNANSWERED: usize = 256;

thread_local! {
    /// Whether this thread waits for a run and executes other jobs of its pool in the meantime.
    static WAITING: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread is already helping.
    static HELPING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` in a pool of its own if the device computes on rayon, with as many threads as the current pool has,
/// or fewer if [`Share`] limits them.
///
/// The calling thread waits. If it belongs to a pool, it executes other jobs there in the meantime, so the pool
/// loses no thread. If such a job is a second run, both proceed at the same time, but the first returns after the
/// second, because they share a stack.
pub(crate) fn run<R: Send>(
    device: &Device,
    work: impl FnOnce(&Helpers) -> Result<R, TrainingError> + Send,
) -> Result<R, TrainingError> {
    if !uses_rayon_pool(device) {
        return catch_loss(device, || work(&Helpers::none()));
    }
    keep_freed_memory();
    // First, because on a platform without threads this call makes the current thread the pool.
    let threads = rayon::current_num_threads();
    // The only thread of a pool never waits for another, so it executes no other jobs.
    if threads == 1 && rayon::current_thread_index().is_some() {
        return work(&Helpers::none());
    }
    let share = Share::take(threads);
    let pool = ThreadPoolBuilder::new().num_threads(share.threads).build();
    let pool = pool.map_err(no_threads)?;
    let helpers = match share.threads {
        1 => Helpers::none(),
        _ => Helpers::new(),
    };
    install(&pool, || work(&helpers)).map_err(no_threads)?
}

/// Runs `work` in `pool` and executes other jobs of the current pool until it is complete. Within such a job it only
/// waits: a parallel loop over a thousand runs must not start them all at once.
fn install<R: Send>(pool: &ThreadPool, work: impl FnOnce() -> R + Send) -> io::Result<R> {
    if !WAITING.replace(true) {
        let _end = Waiting;
        return Ok(pool.install(work));
    }
    thread::scope(|scope| {
        let run = thread::Builder::new().spawn_scoped(scope, || pool.install(work))?;
        Ok(run.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Ends the wait, even if the work panics.
struct Waiting;

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.set(false);
    }
}

fn no_threads(error: impl std::error::Error) -> TrainingError {
    TrainingError::Threads {
        // As text, because rayon's error displays its source.
        source: error.to_string().into(),
    }
}

/// A run's share of the threads of all runs in the program.
///
/// A run gets as many threads as it asks for until there are two per core. Further runs get an even share, so a
/// parallel loop over many runs does not start cores × cores threads.
struct Share {
    threads: usize,
}

static SHARES: Mutex<InUse> = Mutex::new(InUse {
    runs: 0,
    threads: 0,
});

#[derive(Clone, Copy)]
struct InUse {
    runs: usize,
    threads: usize,
}

impl InUse {
    fn share(self, asked: usize, cores: usize) -> usize {
        if self.threads + asked <= 2 * asked.max(cores) {
            return asked;
        }
        (asked / (self.runs + 1)).max(1)
    }
}

impl Share {
    fn take(asked: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut in_use = SHARES.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = in_use.share(asked, cores);
        in_use.runs += 1;
        in_use.threads += threads;
        Self { threads }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut in_use = SHARES.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.runs -= 1;
        in_use.threads -= self.threads;
    }
}

/// Keeps the threads of a run's pool awake during steps: a kernel takes some tenths of a millisecond, and waking a
/// sleeping thread takes a large part of that.
///
/// Threads help for one step at a time and only while there is work, so other jobs of the pool, such as those of an
/// observer, wait no longer than that.
pub(crate) struct Helpers {
    /// Calls that no thread has answered yet; `None` if there are no threads to help.
    unanswered: Option<Arc<AtomicUsize>>,
}

impl Helpers {
    fn new() -> Self {
        Self {
            unanswered: Some(Arc::default()),
        }
    }

    fn none() -> Self {
        Self { unanswered: None }
    }

    /// Runs one step within [`run`]: `work` on all threads, then `rest` on one of them while an idle thread prepares
    /// the input of the next step.
    pub(crate) fn step<T: Send, R: Send, N: Send>(
        &self,
        work: impl FnOnce() -> T,
        rest: impl FnOnce(T) -> R + Send,
        prepare: impl FnOnce() -> N + Send,
    ) -> (R, N) {
        let Some(unanswered) = &self.unanswered else {
            return (rest(work()), prepare());
        };
        let done = Arc::new(AtomicBool::new(false));
        // Busy threads do not answer; calls must not accumulate.
        if unanswered.load(Ordering::Relaxed) < MOST_UNANSWERED {
            unanswered.fetch_add(rayon::current_num_threads(), Ordering::Relaxed);
            let (done, unanswered) = (Arc::clone(&done), Arc::clone(unanswered));
            let caller = rayon::current_thread_index();
            rayon::spawn_broadcast(move |helper| {
                unanswered.fetch_sub(1, Ordering::Relaxed);
                // The thread of the step itself has to watch what it waits for.
                if Some(helper.index()) != caller && !HELPING.replace(true) {
                    help_until(&done);
                    HELPING.set(false);
                }
            });
        }
        // Even if `work` panics.
        let _end = End(&done);
        let worked = work();
        rayon::join(|| rest(worked), prepare)
    }
}

/// Executes jobs until the step is complete or no work is found. It never waits indefinitely, because the step may
/// depend on what this thread was doing.
fn help_until(done: &AtomicBool) {
    let mut idle = 0;
    while idle < IDLE_LOOKS && !done.load(Ordering::Relaxed) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            idle = 0;
        } else {
            idle += 1;
            thread::yield_now();
        }
    }
}

/// Marks the end of a step when dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Raises glibc's mmap threshold so that freed buffers are reused.
///
/// glibc returns freed blocks above the threshold to the system, and raises the threshold to the largest block freed
/// so far. With the initial threshold, every step spends a fifth of its time on new pages. The block here is never
/// touched; other allocators are not affected.
fn keep_freed_memory() {
    const BLOCK: usize = 24 << 20;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK))));
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rayon::prelude::*;

    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        let pool = ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap_or_else(|error| panic!("{error}"))
    }

    fn run_here<R: Send>(work: impl FnOnce(&Helpers) -> R + Send) -> R {
        let result = run(&Device::flex(), |helpers| Ok(work(helpers)));
        result.unwrap_or_else(|error| panic!("{error}"))
    }

    fn sum(steps: u64) -> u64 {
        run_here(|helpers| {
            let (mut total, mut step) = (0, 0);
            while step < steps {
                let (sum, next) = helpers.step(|| step_sum(step), |sum| sum, || step + 1);
                total += sum;
                step = next;
            }
            total
        })
    }

    fn step_sum(step: u64) -> u64 {
        (0..200_u64).into_par_iter().map(|i| i * step).sum()
    }

    #[test]
    fn steps_run_from_outside_from_within_and_side_by_side() {
        let expected = 19_900 * (0..100).sum::<u64>();
        assert_eq!(sum(100), expected);
        for threads in [1, 2, 4] {
            let pool = pool(threads);
            assert_eq!(pool.install(|| sum(100)), expected);
            let all: Vec<u64> =
                pool.install(|| (0..16).into_par_iter().map(|_| sum(100)).collect());
            assert_eq!(all, [expected; 16]);
        }
    }

    #[test]
    fn a_panic_ends_the_step_and_the_wait() {
        let pool = pool(2);
        let fails = || run_here(|helpers| helpers.step(|| panic!("on purpose"), |()| (), || 1));
        for waiting in [false, true] {
            let found = pool.install(|| {
                WAITING.set(waiting);
                let found = catch_unwind(AssertUnwindSafe(fails));
                assert_eq!(WAITING.replace(false), waiting);
                found
            });
            assert!(found.is_err());
        }
        assert_eq!(pool.install(|| sum(2)), 19_900);
    }

    #[test]
    fn a_pool_has_at_most_two_runs_under_way_for_each_thread() {
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let one = |_| {
            run_here(|helpers| {
                most.fetch_max(
                    under_way.fetch_add(1, Ordering::SeqCst) + 1,
                    Ordering::SeqCst,
                );
                for _ in 0..100 {
                    helpers.step(|| step_sum(1), |_| (), || ());
                }
                under_way.fetch_sub(1, Ordering::SeqCst);
            });
        };
        pool(2).install(|| (0..64).into_par_iter().for_each(one));
        let most = most.into_inner();
        assert!((1..=4).contains(&most), "{most}");
    }

    #[test]
    fn threads_are_shared_out_once_there_are_two_for_each_core() {
        let share = |runs, threads, asked| InUse { runs, threads }.share(asked, 8);
        assert_eq!(share(0, 0, 8), 8);
        assert_eq!(share(1, 8, 8), 8);
        assert_eq!(share(2, 16, 8), 2);
        assert_eq!(share(9, 20, 8), 1);
        // The workers of a sweep.
        assert_eq!(share(3, 6, 2), 2);
        // More threads than cores, as asked.
        assert_eq!(share(0, 0, 32), 32);
    }
}
