//! Values on a device, and the one place that vouches for their length and that they are alive.

#![allow(
    unsafe_code,
    reason = "kernel arguments are made of a handle and a length that must match, and recorded ones must be alive"
)]

use std::fmt;

use cubecl::client::{Client, Graph};
use cubecl::prelude::{BufferArg, CubeElement};
use cubecl::server::Handle;

use crate::GpuError;

/// Bytes of a value.
pub(crate) const VALUE: usize = size_of::<f32>();

/// A contiguous array of 32-bit values, floats or integers, on a device. Clones share the values.
#[derive(Clone)]
pub(crate) struct Buffer {
    client: Client,
    handle: Handle,
    len: usize,
}

impl Buffer {
    /// Room for `len` values, which a kernel must write before one reads them.
    pub(crate) fn empty(client: &Client, len: usize) -> Self {
        Self {
            client: client.clone(),
            handle: client.empty(len * VALUE),
            len,
        }
    }

    /// Uploads floats.
    pub(crate) fn from_floats(client: &Client, values: &[f32]) -> Self {
        Self {
            client: client.clone(),
            handle: client.create_from_slice(f32::as_bytes(values)),
            len: values.len(),
        }
    }

    /// Uploads integers.
    pub(crate) fn from_integers(client: &Client, values: &[u32]) -> Self {
        Self {
            client: client.clone(),
            handle: client.create_from_slice(u32::as_bytes(values)),
            len: values.len(),
        }
    }

    /// Uploads bytes, four a value, the first in the lowest bits.
    pub(crate) fn from_bytes(client: &Client, bytes: &[u8]) -> Self {
        let mut values = Vec::with_capacity(bytes.len().next_multiple_of(VALUE));
        // Devices have their bytes in this order.
        values.extend_from_slice(bytes);
        values.resize(bytes.len().next_multiple_of(VALUE), 0);
        Self {
            client: client.clone(),
            handle: client.create_from_slice(&values),
            len: values.len() / VALUE,
        }
    }

    /// The first `len` values behind a handle.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if it holds fewer.
    pub(crate) fn from_handle(
        client: &Client,
        what: &'static str,
        handle: Handle,
        len: usize,
    ) -> Result<Self, GpuError> {
        let found = usize::try_from(handle.size_in_used()).unwrap_or(usize::MAX) / VALUE;
        if found < len {
            return Err(GpuError::Length {
                what,
                expected: len,
                found,
            });
        }
        Ok(Self {
            client: client.clone(),
            handle,
            len,
        })
    }

    /// Launches what `work` launches on the stream of this buffer.
    pub(crate) fn on_stream<R>(&self, work: impl FnOnce() -> R) -> R {
        self.handle.stream.executes(work)
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn into_handle(self) -> Handle {
        self.handle
    }

    /// The client of the device that holds the values.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Waits for the kernels that were launched so far and downloads the values as floats.
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if a kernel failed or the device was lost.
    pub(crate) fn read(&self) -> Result<Vec<f32>, GpuError> {
        let bytes = self.client.read_one(self.handle.clone());
        let bytes = bytes.map_err(|error| GpuError::Device(error.to_string()))?;
        let mut values = f32::from_bytes(&bytes).to_vec();
        values.truncate(self.len);
        Ok(values)
    }

    /// `len` values from `start` on, which must be a multiple of [`ALIGNMENT`].
    pub(crate) fn part(&self, start: usize, len: usize) -> Self {
        assert!(
            start.is_multiple_of(ALIGNMENT) && start + len <= self.len,
            "part {start}..{} of {} values, in steps of {ALIGNMENT}",
            start + len,
            self.len
        );
        let rest = self.len - start - len;
        Self {
            client: self.client.clone(),
            handle: self
                .handle
                .clone()
                .offset_start((start * VALUE) as u64)
                .offset_end((rest * VALUE) as u64),
            len,
        }
    }

    /// The values as an argument of a kernel.
    pub(crate) fn arg(&self) -> BufferArg {
        // SAFETY: every constructor allocates `len` values or checks that the handle holds as many, and the kernels
        // are launched with bounds checks against that length.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("device", &self.client.name())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// Executes launches that were recorded with these buffers and no others, on the stream on which they were.
///
/// # Errors
///
/// [`GpuError::Device`] if the device refuses.
pub(crate) fn replay(graph: &Graph, _buffers: &[Buffer]) -> Result<(), GpuError> {
    // SAFETY: the caller has the buffers, so they are alive. Those of an ensemble are used on its stream only, so
    // nothing else accesses them while the launches are executed.
    unsafe { graph.replay() }.map_err(|error| GpuError::Device(error.to_string()))
}

/// Values between the possible starts of a part: WebGPU's default `minStorageBufferOffsetAlignment` of 256 bytes.
pub(crate) const ALIGNMENT: usize = 256 / VALUE;

/// The most values of a buffer: the device must be able to allocate it, and kernels index it with 32 bits.
pub(crate) fn most_values(client: &Client) -> u64 {
    let by_page = client.properties().memory.max_page_size / VALUE as u64;
    by_page.min(u32::MAX.into())
}

/// Checks that a device can allocate a buffer, and kernels index it.
pub(crate) fn check_size(client: &Client, len: usize) -> Result<(), GpuError> {
    let most = most_values(client);
    if len as u64 <= most {
        return Ok(());
    }
    let bytes = |values: u64| values.saturating_mul(VALUE as u64);
    Err(GpuError::TooLarge {
        what: "bytes of a buffer",
        found: bytes(len as u64),
        limit: bytes(most),
    })
}
