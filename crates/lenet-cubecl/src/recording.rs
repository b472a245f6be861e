//! Launches that are recorded once and replayed: on CUDA as one graph, on other devices with less work on the CPU.

use std::fmt;

use cubecl::client::{Client, Graph};

use crate::GpuError;
use crate::buffer::{self, Buffer};
use crate::ensemble::copy;

/// Recorded launches.
pub(crate) struct Recording {
    graph: Graph,
    /// Keeps everything alive that the launches read and write.
    buffers: Vec<Buffer>,
}

/// What became of work that was to be executed and recorded.
pub(crate) enum Attempt {
    /// Nothing was executed: something else is being recorded.
    Refused,
    /// It was executed, but not recorded.
    Executed,
    /// It was executed and recorded.
    Recorded(Recording),
}

impl Recording {
    /// Executes the launches of `work` once, as devices require, and records them. They must use none but these buffers,
    /// and allocate nothing.
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if the device fails while it records. What `work` writes can then not be read any more.
    pub(crate) fn attempt(
        client: &Client,
        buffers: Vec<Buffer>,
        work: impl Fn() + Send + Sync,
    ) -> Result<Attempt, GpuError> {
        // Without other threads: CUDA refuses their allocations meanwhile, and a stream records one thing at a time.
        let attempt = client.exclusive(|| {
            if client.graph_prepare().is_err() {
                return Ok(Attempt::Refused);
            }
            work();
            if client.start_capture().is_err() {
                return Ok(Attempt::Executed);
            }
            work();
            let graph = client.stop_capture()?;
            Ok(Attempt::Recorded(Self { graph, buffers }))
        });
        let attempt = attempt.and_then(|attempt| attempt);
        if !matches!(attempt, Ok(Attempt::Refused | Attempt::Recorded(_))) {
            // Other work of the stream would be recorded as well. It is an error if the recording has ended already.
            drop(client.stop_capture());
        }
        attempt.map_err(device)
    }

    /// Checks that everything that the launches read was written, which replays do not.
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if something failed earlier.
    pub(crate) fn check(&self, client: &Client) -> Result<(), GpuError> {
        let handles = self.buffers.iter().map(Buffer::handle);
        client.check(handles).map_err(device)
    }

    /// Executes the launches, on the stream on which they were recorded.
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if the device refuses.
    pub(crate) fn replay(&self) -> Result<(), GpuError> {
        buffer::replay(&self.graph, &self.buffers)
    }
}

/// Whether the device records launches and replays them, found out with a copy of one value.
pub(crate) fn is_supported(client: &Client) -> bool {
    const VALUE: f32 = 1.5;
    let [value, zero, to] = [VALUE, 0.0, 0.0].map(|value| Buffer::from_floats(client, &[value]));
    let work = || copy(&value, 0, &to, 0, 1);
    let buffers = vec![value.clone(), to.clone()];
    let Ok(Attempt::Recorded(recording)) = Recording::attempt(client, buffers, work) else {
        return false;
    };
    copy(&zero, 0, &to, 0, 1);
    let replayed = recording.replay().and_then(|()| to.read());
    replayed.is_ok_and(|values| values == [VALUE])
}

fn device(error: impl fmt::Display) -> GpuError {
    GpuError::Device(error.to_string())
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}
