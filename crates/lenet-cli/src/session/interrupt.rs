//! Ctrl-C and SIGTERM: a flag that a training watches, and the error of a run that stopped outside of one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signals that end a run, and the exit codes by which shells report them, 128 + the signal: Ctrl-C sends the
/// first, schedulers send the second.
const SIGNALS: [(i32, u8); 2] = [(SIGINT, 130), (SIGTERM, 143)];

/// The exit code of the last signal, or 0.
static RECEIVED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The flag that Ctrl-C and SIGTERM set; a second one ends the program at once.
///
/// There is one per process, so Ctrl-C between two trainings stops the second one.
pub(crate) fn flag() -> Result<Arc<AtomicBool>> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut flag = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stop) = &*flag {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for (signal, code) in SIGNALS {
        // The order matters: the shutdown must find the flag unset at the first signal, and whoever finds the flag
        // set must find the code.
        flag::register_conditional_shutdown(signal, code.into(), Arc::clone(&stop))
            .and_then(|_| flag::register_usize(signal, Arc::clone(&RECEIVED), code.into()))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle Ctrl-C")?;
    }
    Ok(Arc::clone(flag.insert(stop)))
}

/// The exit code of a run that a signal interrupted.
pub(crate) fn exit_code() -> u8 {
    let received = RECEIVED.load(Ordering::SeqCst);
    let mut codes = SIGNALS.into_iter().map(|(_, code)| code);
    match codes.find(|&code| usize::from(code) == received) {
        Some(code) => code,
        None => unreachable!("a run is interrupted by a signal, found none"),
    }
}

/// The error of a run that was interrupted while no network was being trained.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; everything finished so far is on disk")
    }
}

impl std::error::Error for Interrupted {}

/// Ends the run if a signal asked for it.
pub(crate) fn check(stop: &AtomicBool) -> Result<(), Interrupted> {
    if stop.load(Ordering::Relaxed) {
        Err(Interrupted)
    } else {
        Ok(())
    }
}
