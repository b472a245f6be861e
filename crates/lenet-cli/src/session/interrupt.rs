//! Ctrl-C: a flag that a training watches, and the error of a run that stopped outside of one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code of a program that Ctrl-C ended: 128 + SIGINT, as shells report it.
pub(crate) const EXIT_CODE: u8 = 130;

/// The flag that Ctrl-C sets; a second Ctrl-C ends the program at once.
///
/// There is one per process, so Ctrl-C between two trainings stops the second one.
pub(crate) fn flag() -> Result<Arc<AtomicBool>> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut flag = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stop) = &*flag {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the shutdown must find the flag unset at the first signal.
        flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle Ctrl-C")?;
    }
    Ok(Arc::clone(flag.insert(stop)))
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

/// Ends the run if Ctrl-C was pressed.
pub(crate) fn check(stop: &AtomicBool) -> Result<(), Interrupted> {
    if stop.load(Ordering::Relaxed) {
        Err(Interrupted)
    } else {
        Ok(())
    }
}
