//! Where training and evaluation run.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Idle looks for work after which a thread begins to sleep: some tenths of a millisecond, longer than
/// the steps between two kernels that only one thread works on.
const IDLE_LOOKS: usize = 1000;
/// Sleep between two later looks.
const NAP: Duration = Duration::from_micros(100);

/// Runs `work` on a thread of the current pool and keeps the pool's other threads awake meanwhile.
///
/// A kernel takes less than a millisecond; handing each one over to a pool from outside, and waking a
/// sleeping thread for it, would take about as long.
pub(crate) fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    keep_freed_memory();
    let done = AtomicBool::new(false);
    rayon::scope(|scope| {
        let here = rayon::current_thread_index();
        let done = &done;
        scope.spawn_broadcast(move |_, context| {
            if Some(context.index()) != here {
                help_until(done);
            }
        });
        // Also when `work` panics: the scope waits for the helpers.
        let _end = End(done);
        work()
    })
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

fn help_until(done: &AtomicBool) {
    let mut idle = 0;
    while !done.load(Ordering::Relaxed) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => idle = 0,
            _ if idle < IDLE_LOOKS => {
                idle += 1;
                std::thread::yield_now();
            }
            _ => std::thread::sleep(NAP),
        }
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
