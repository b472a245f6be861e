//! The next steps of several networks, as kernels read them.

use cubecl::client::Client;

use crate::Buffer;
use crate::step::CONTROLS;

/// The most steps that wait for the device.
pub(crate) const QUEUE: usize = 16;

/// Values before the steps in the table.
pub(crate) const HEADER: usize = 1;
/// The place in the table of the number of the current step.
pub(crate) const CURRENT: usize = 0;

/// The next steps, and the current one. The buffers stay the same for all steps, so that their launches do.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// The number of the current step, then what each network does in each step: `[QUEUE, networks, CONTROLS]`.
    pub(crate) table: Buffer,
    /// What each network does in the current step, `[networks, CONTROLS]`.
    pub(crate) controls: Buffer,
}

impl Schedule {
    pub(crate) fn new(client: &Client, networks: usize) -> Self {
        let controls = networks * CONTROLS;
        Self {
            table: Buffer::empty(client, HEADER + QUEUE * controls),
            controls: Buffer::empty(client, controls),
        }
    }
}
