//! The buffers of an ensemble.

use cubecl::client::Client;

use crate::buffer::check_size;
use crate::images::{DeviceImages, PLACE};
use crate::network::{Network, Workspace};
use crate::schedule::Schedule;
use crate::{Buffer, GpuError};

/// Steps whose losses stay on the device until they are read.
pub(super) const PENDING: usize = 64;

/// The buffers of a number of networks.
pub(super) struct Room {
    pub(super) networks: usize,
    pub(super) parameters: Buffer,
    pub(super) velocities: Buffer,
    pub(super) gradients: Buffer,
    /// `[networks, images, PLACE]`.
    pub(super) orders: Buffer,
    pub(super) scales: Buffer,
    pub(super) batch: Buffer,
    pub(super) labels: Buffer,
    /// `[PENDING, networks]`.
    pub(super) losses: Buffer,
    pub(super) schedule: Schedule,
    pub(super) workspace: Workspace,
}

impl Room {
    pub(super) fn new(
        client: &Client,
        network: &Network,
        images: &DeviceImages,
        batch_size: usize,
        networks: usize,
    ) -> Result<Self, GpuError> {
        let sizes = [networks, batch_size];
        let buffer = |len: usize| {
            let len = networks.saturating_mul(len);
            check_size(client, len)?;
            Ok(Buffer::empty(client, len))
        };
        Ok(Self {
            networks,
            parameters: buffer(network.stride())?,
            velocities: buffer(network.stride())?,
            gradients: buffer(network.stride())?,
            orders: buffer(images.len().saturating_mul(PLACE))?,
            scales: buffer(network.places().len())?,
            batch: buffer(batch_size.saturating_mul(network.input_len()))?,
            labels: buffer(batch_size)?,
            losses: buffer(PENDING)?,
            schedule: Schedule::new(client, networks),
            workspace: Workspace::new(client, network, sizes)?,
        })
    }

    /// All buffers.
    pub(super) fn buffers(&self) -> Vec<Buffer> {
        let buffers = [
            &self.parameters,
            &self.velocities,
            &self.gradients,
            &self.orders,
            &self.scales,
            &self.batch,
            &self.labels,
            &self.losses,
            &self.schedule.table,
            &self.schedule.controls,
        ];
        let mut buffers: Vec<Buffer> = buffers.into_iter().cloned().collect();
        buffers.extend(self.workspace.buffers());
        buffers
    }

    /// Values of each buffer for one network.
    pub(super) fn values_per_network(
        network: &Network,
        images: &DeviceImages,
        batch_size: usize,
    ) -> Vec<usize> {
        let mut values = vec![network.stride(); 3];
        values.push(images.len() * PLACE);
        values.push(batch_size.saturating_mul(network.input_len()));
        values.extend(Workspace::lens(network, [1, batch_size]));
        values
    }
}
