//! Where training and evaluation run.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use burn::tensor::Device;
use lenet_core::runs_on_rayon;

/// Idle looks for work after which a thread stops to help: some tenths of a millisecond, longer than what
/// only one thread works on between two kernels.
const IDLE_LOOKS: usize = 1000;

/// Calls for help after which no more are made until some are heard.
const MOST_UNHEARD: usize = 256;

thread_local! {
    /// Whether this thread is in the middle of a step.
    static IN_STEP: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread helps already.
    static HELPING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread of the current pool, if it computes there: from outside, every kernel would
/// hand over to one and wait for it.
pub(crate) fn run<R: Send>(device: &Device, work: impl FnOnce(&Helpers) -> R + Send) -> R {
    let helpers = Helpers {
        unheard: runs_on_rayon(device).then(Arc::default),
    };
    if helpers.unheard.is_none() {
        return work(&helpers);
    }
    keep_freed_memory();
    rayon::scope(|_| work(&helpers))
}

/// Keeps the threads of a pool awake during steps: a kernel takes some tenths of a millisecond, and waking
/// a sleeping thread for it costs a good part of that.
///
/// They help for one step at a time and as long as there is something to do, so that whatever else the
/// pool has to do waits no longer than that.
pub(crate) struct Helpers {
    /// Calls that no thread has heard yet; `None` where the pool has nothing to do.
    unheard: Option<Arc<AtomicUsize>>,
}

impl Helpers {
    /// Runs one step, within [`run`], while a thread that has nothing to do in it prepares what the next
    /// one takes.
    pub(crate) fn step<R: Send, N: Send>(
        &self,
        work: impl FnOnce() -> R + Send,
        prepare: impl FnOnce() -> N + Send,
    ) -> (R, N) {
        let threads = rayon::current_num_threads();
        let alone = threads == 1 || IN_STEP.get();
        let Some(unheard) = self.unheard.as_ref().filter(|_| !alone) else {
            return (work(), prepare());
        };
        let done = Arc::new(AtomicBool::new(false));
        // Threads that are busy with something else hear nothing, and need not be called for ever.
        if unheard.load(Ordering::Relaxed) < MOST_UNHEARD {
            unheard.fetch_add(threads, Ordering::Relaxed);
            let (done, unheard) = (Arc::clone(&done), Arc::clone(unheard));
            rayon::spawn_broadcast(move |_| {
                unheard.fetch_sub(1, Ordering::Relaxed);
                // A thread that waits within a step of its own must not wait for another's.
                if !IN_STEP.get() && !HELPING.replace(true) {
                    help_until(&done);
                    HELPING.set(false);
                }
            });
        }
        // Also when `work` panics.
        let _end = End::new(&done);
        rayon::join(work, prepare)
    }
}

/// Never waits without an end: the step may wait for what this thread was in the middle of.
fn help_until(done: &AtomicBool) {
    let mut idle = 0;
    while idle < IDLE_LOOKS && !done.load(Ordering::Relaxed) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            idle = 0;
        } else {
            idle += 1;
            std::thread::yield_now();
        }
    }
}

/// The end of a step.
struct End<'a>(&'a AtomicBool);

impl<'a> End<'a> {
    fn new(done: &'a AtomicBool) -> Self {
        IN_STEP.set(true);
        Self(done)
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        IN_STEP.set(false);
    }
}

/// Teaches glibc's allocator that large blocks come back.
///
/// It gives what is freed back to the system above a threshold which follows the largest block that was
/// ever freed; with the one it begins with, every step pays for its pages anew, a fifth of its time. The
/// block is never touched, and other allocators take no notice.
fn keep_freed_memory() {
    const BLOCK: usize = 24 << 20;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK))));
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap_or_else(|error| panic!("{error}"))
    }

    fn sum(steps: u64) -> u64 {
        run(&Device::flex(), |helpers| {
            let (mut total, mut step) = (0, 0);
            while step < steps {
                let (sum, next) = helpers.step(|| step_sum(step), || step + 1);
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
            // More of them than threads: each waits within its own steps while others run.
            let all: Vec<u64> =
                pool.install(|| (0..16).into_par_iter().map(|_| sum(100)).collect());
            assert_eq!(all, [expected; 16]);
        }
    }

    #[test]
    fn a_panic_ends_the_step() {
        let pool = pool(2);
        let fails = || {
            run(&Device::flex(), |helpers| {
                helpers.step(|| panic!("on purpose"), || 1)
            })
        };
        let found = pool.install(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(fails)));
        assert!(found.is_err());
        assert_eq!(pool.install(|| sum(2)), 19_900);
    }
}
