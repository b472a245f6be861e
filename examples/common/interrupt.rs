use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell calls a program that Ctrl-C ended.
pub(crate) const EXIT_CODE: u8 = 130;

/// A flag that Ctrl-C sets from the first call on; a second Ctrl-C ends the program at once.
///
/// The program has one: a Ctrl-C between two trainings reaches the second.
pub(crate) fn flag() -> Result<Arc<AtomicBool>> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut flag = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stop) = &*flag {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset.
        flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot watch for Ctrl-C")?;
    }
    Ok(Arc::clone(flag.insert(stop)))
}

/// Ctrl-C while nothing was being trained.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted; what was finished until then is on disk")
    }
}

impl std::error::Error for Interrupted {}

/// Ends the exercise if Ctrl-C came.
pub(crate) fn check(stop: &AtomicBool) -> Result<(), Interrupted> {
    match stop.load(Ordering::Relaxed) {
        true => Err(Interrupted),
        false => Ok(()),
    }
}
