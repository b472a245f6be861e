//! Launches that are recorded once and replayed: on CUDA as one graph, on other devices with less work on the CPU.

#![allow(
    unsafe_code,
    reason = "a replay reads and writes the buffers that were recorded"
)]

use std::fmt;

use cubecl::client::{Client, Graph};

use crate::ensemble::copy;
use crate::{Buffer, GpuError};

/// Recorded launches.
pub(crate) struct Recording {
    graph: Graph,
    /// Keeps everything alive that the launches read and write.
    _buffers: Vec<Buffer>,
}

impl Recording {
    /// Records the launches of `work`, which are not executed. They must use none but these buffers, and allocate
    /// nothing. The same work must have been executed since [`prepare`] was called.
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if the device refuses. What `work` writes can then not be read any more.
    pub(crate) fn new(
        client: &Client,
        buffers: Vec<Buffer>,
        work: impl FnOnce() + Send,
    ) -> Result<Self, GpuError> {
        // Without other threads' allocations, which CUDA refuses meanwhile.
        let graph = client.exclusive(|| {
            client.start_capture()?;
            work();
            client.stop_capture()
        });
        let graph = graph.and_then(|graph| graph).map_err(device)?;
        Ok(Self {
            graph,
            _buffers: buffers,
        })
    }

    /// Executes the launches, on the stream on which they were recorded.
    pub(crate) fn replay(&self) -> Result<(), GpuError> {
        // SAFETY: the buffers are alive, since this holds them. They are used on one stream only, the one of the
        // ensemble, so nothing else accesses them while the launches are executed.
        unsafe { self.graph.replay() }.map_err(device)
    }
}

/// Prepares the current stream for a recording.
///
/// # Errors
///
/// [`GpuError::Device`] if the device does not record.
pub(crate) fn prepare(client: &Client) -> Result<(), GpuError> {
    client.graph_prepare().map_err(device)
}

/// Whether the device records launches, found out with a copy of one value.
pub(crate) fn is_supported(client: &Client) -> bool {
    const VALUE: f32 = 1.5;
    let (from, to) = (
        Buffer::from_floats(client, &[VALUE]),
        Buffer::from_floats(client, &[0.0]),
    );
    let other = Buffer::from_floats(client, &[0.0]);
    let copy_to = |to: &Buffer| copy(&from, 0, to, 0, 1);
    let replayed = || {
        prepare(client)?;
        copy_to(&other);
        let buffers = vec![from.clone(), to.clone()];
        Recording::new(client, buffers, || copy_to(&to))?.replay()?;
        to.read()
    };
    replayed().is_ok_and(|values| values == [VALUE])
}

fn device(error: impl fmt::Display) -> GpuError {
    GpuError::Device(error.to_string())
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}
