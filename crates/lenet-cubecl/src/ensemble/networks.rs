//! The state of an ensemble, on the device and on the host.

use cubecl::client::Client;
use cubecl::prelude::*;

use crate::buffer::{VALUE, check_size, most_values};
use crate::images::{DeviceImages, PLACE, Place};
use crate::launch::per_value;
use crate::network::{Network, Workspace};
use crate::sgd::Descent;
use crate::{Buffer, GpuError, Layers, Step};

/// Steps whose losses stay on the device until they are read.
const PENDING: usize = 64;

/// What [`Ensemble`](super::Ensemble) is, on whichever stream it is called.
pub(super) struct Networks {
    client: Client,
    network: Network,
    images: DeviceImages,
    batch_size: usize,
    stride: usize,
    places: Buffer,
    room: Room,
    members: Vec<Member>,
    /// Steps since the losses were read.
    pending: usize,
}

/// What the host knows of a network.
#[derive(Debug, Default)]
struct Member {
    /// Losses that were read from the device and not taken yet.
    losses: Vec<f32>,
    /// The first step since the losses were last read in which the network took part.
    joined: usize,
    /// Number of places in its order.
    places: usize,
}

impl Networks {
    pub(super) fn new(
        client: &Client,
        layers: &Layers,
        images: DeviceImages,
        batch_size: usize,
    ) -> Result<Self, GpuError> {
        let network = Network::new(layers)?;
        if network.input_len() != images.image_len() {
            return Err(GpuError::Length {
                what: "an image",
                expected: network.input_len(),
                found: images.image_len(),
            });
        }
        let places = network.places();
        let places: Vec<u32> = places.iter().flatten().map(|&place| place as u32).collect();
        let places = Buffer::from_integers(client, &places);
        let room = Room::new(client, &network, &images, batch_size, 1)?;
        Ok(Self {
            client: client.clone(),
            stride: network.stride(),
            network,
            images,
            batch_size,
            places,
            room,
            members: Vec::new(),
            pending: 0,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn capacity(&self) -> usize {
        const UNKNOWN: u64 = 8 << 30;
        let properties = self.client.properties();
        let values = Room::values_per_network(&self.network, &self.images, self.batch_size);
        let most = |limit: u64, of: usize| {
            usize::try_from(limit / (of as u64).max(1)).unwrap_or(usize::MAX)
        };
        let largest = values.iter().copied().max().unwrap_or(0);
        let memory = properties.memory.max_memory().unwrap_or(UNKNOWN);
        most(most_values(&self.client), largest)
            .min(most(memory / 2, VALUE * values.iter().sum::<usize>()))
    }

    pub(super) fn push(
        &mut self,
        parameters: &[Vec<f32>],
        velocities: Option<&[Vec<f32>]>,
    ) -> Result<usize, GpuError> {
        let parameters = self.flatten(parameters)?;
        let velocities = velocities
            .map(|velocities| self.flatten(velocities))
            .transpose()?;
        let index = self.members.len();
        if index == self.room.networks {
            self.reserve(2 * index)?;
        }
        let velocities = velocities.unwrap_or_else(|| vec![0.0; self.stride]);
        for (values, buffer) in [
            (parameters, &self.room.parameters),
            (velocities, &self.room.velocities),
        ] {
            let values = Buffer::from_floats(&self.client, &values);
            copy(&values, 0, buffer, index * self.stride, self.stride);
        }
        self.members.push(Member {
            joined: self.pending,
            ..Member::default()
        });
        Ok(index)
    }

    pub(super) fn swap_remove(&mut self, index: usize) -> Result<(), GpuError> {
        let flushed = self.flush();
        self.members.swap_remove(index);
        let last = self.members.len();
        if index < last {
            let order = self.order_values();
            for (buffer, len) in [
                (&self.room.parameters, self.stride),
                (&self.room.velocities, self.stride),
                (&self.room.orders, order),
            ] {
                copy_within(buffer, last * len, index * len, len);
            }
        }
        flushed
    }

    pub(super) fn set_order(&mut self, index: usize, order: &[Place]) -> Result<(), GpuError> {
        let images = self.images.len();
        let last = order.iter().map(|place| place.image + 1).max().unwrap_or(0);
        if order.len() > images || last > images {
            return Err(GpuError::Length {
                what: "the order of the images",
                expected: images,
                found: order.len().max(last),
            });
        }
        let values: Vec<u32> = order.iter().flat_map(Place::values).collect();
        if !values.is_empty() {
            let uploaded = Buffer::from_integers(&self.client, &values);
            copy(
                &uploaded,
                0,
                &self.room.orders,
                index * self.order_values(),
                values.len(),
            );
        }
        self.members[index].places = order.len();
        Ok(())
    }

    pub(super) fn step(&mut self, steps: &[Step]) -> Result<(), GpuError> {
        self.check_steps(steps)?;
        if steps.is_empty() {
            return Ok(());
        }
        if self.pending == PENDING {
            self.flush()?;
        }
        let networks = steps.len();
        let controls: Vec<u32> = steps.iter().flat_map(Step::controls).collect();
        let controls = Buffer::from_integers(&self.client, &controls);
        let room = &self.room;
        let (order_len, samples) = (self.images.len(), networks * self.batch_size);
        let batch = room.batch.part(0, samples * self.network.input_len());
        let labels = room.labels.part(0, samples);
        let gathered = (&batch, &labels);
        self.images.gather(
            &room.orders,
            order_len,
            &controls,
            self.batch_size,
            gathered,
        );

        let sizes = [networks, self.batch_size];
        let workspace = room.workspace.part(&self.network, sizes);
        let parts = |flat: &Buffer| self.network.parts(&flat.part(0, networks * self.stride));
        let loss = (&room.losses, self.pending * room.networks);
        let (parameters, gradients) = (parts(&room.parameters), parts(&room.gradients));
        self.network
            .gradients(&batch, &labels, &parameters, &gradients, &workspace, loss);
        Descent {
            parameters: &room.parameters,
            velocities: &room.velocities,
            gradients: &room.gradients,
            controls: &controls,
            places: &self.places,
            scales: &room.scales,
            clipping: steps.iter().any(|step| step.gradient_clipping.is_some()),
        }
        .step(networks, self.stride);
        self.pending += 1;
        Ok(())
    }

    fn check_steps(&self, steps: &[Step]) -> Result<(), GpuError> {
        let mismatch = |what, expected, found| GpuError::Length {
            what,
            expected,
            found,
        };
        if steps.len() != self.members.len() {
            return Err(mismatch(
                "the list of steps",
                self.members.len(),
                steps.len(),
            ));
        }
        for (step, member) in steps.iter().zip(&self.members) {
            if step.images == 0 || step.images > self.batch_size {
                return Err(mismatch("a step", self.batch_size, step.images));
            }
            let end = step.start.saturating_add(step.images);
            if end > member.places {
                return Err(mismatch("the order of the images", end, member.places));
            }
        }
        Ok(())
    }

    pub(super) fn take_losses(&mut self, index: usize) -> Result<Vec<f32>, GpuError> {
        self.flush()?;
        Ok(std::mem::take(&mut self.members[index].losses))
    }

    pub(super) fn parameters(&self, index: usize) -> Result<Vec<Vec<f32>>, GpuError> {
        self.unflatten(index, &self.room.parameters)
    }

    pub(super) fn velocities(&self, index: usize) -> Result<Vec<Vec<f32>>, GpuError> {
        self.unflatten(index, &self.room.velocities)
    }

    /// Reads the losses that are still on the device, in one transfer.
    fn flush(&mut self) -> Result<(), GpuError> {
        if self.pending == 0 {
            return Ok(());
        }
        let losses = self
            .room
            .losses
            .part(0, self.pending * self.room.networks)
            .read()?;
        for (index, member) in self.members.iter_mut().enumerate() {
            let steps = losses.chunks_exact(self.room.networks).skip(member.joined);
            member.losses.extend(steps.map(|step| step[index]));
            member.joined = 0;
        }
        self.pending = 0;
        Ok(())
    }

    pub(super) fn reserve(&mut self, networks: usize) -> Result<(), GpuError> {
        if networks <= self.room.networks {
            return Ok(());
        }
        // Not for each network that comes, because it waits for the device.
        let networks = networks
            .next_power_of_two()
            .min(self.capacity())
            .max(networks);
        self.flush()?;
        let client = &self.client;
        let room = Room::new(
            client,
            &self.network,
            &self.images,
            self.batch_size,
            networks,
        )?;
        if !self.members.is_empty() {
            for (from, to) in [
                (&self.room.parameters, &room.parameters),
                (&self.room.velocities, &room.velocities),
                (&self.room.orders, &room.orders),
            ] {
                copy(from, 0, to, 0, from.len());
            }
        }
        self.room = room;
        // The buffers of other sizes are of no more use.
        let released = self.client.memory_cleanup();
        released.map_err(|error| GpuError::Device(error.to_string()))
    }

    /// Values of a network's order.
    fn order_values(&self) -> usize {
        self.images.len() * PLACE
    }

    /// The parameters one after the other, each at its place.
    fn flatten(&self, parameters: &[Vec<f32>]) -> Result<Vec<f32>, GpuError> {
        let places = self.network.places();
        let mismatch = |what, expected, found| GpuError::Length {
            what,
            expected,
            found,
        };
        if places.len() != parameters.len() {
            return Err(mismatch(
                "the list of parameters",
                places.len(),
                parameters.len(),
            ));
        }
        let mut flat = Vec::with_capacity(self.stride);
        for ([start, len], values) in places.into_iter().zip(parameters) {
            if len != values.len() {
                return Err(mismatch("a parameter", len, values.len()));
            }
            flat.resize(start, 0.0);
            flat.extend(values);
        }
        flat.resize(self.stride, 0.0);
        Ok(flat)
    }

    fn unflatten(&self, index: usize, flat: &Buffer) -> Result<Vec<Vec<f32>>, GpuError> {
        assert!(index < self.len(), "network {index} of {}", self.len());
        let values = flat.part(index * self.stride, self.stride).read()?;
        let places = self.network.places().into_iter();
        Ok(places
            .map(|[start, len]| values[start..][..len].to_vec())
            .collect())
    }
}

/// The buffers of a number of networks.
struct Room {
    networks: usize,
    parameters: Buffer,
    velocities: Buffer,
    gradients: Buffer,
    /// `[networks, images, PLACE]`.
    orders: Buffer,
    scales: Buffer,
    batch: Buffer,
    labels: Buffer,
    /// `[PENDING, networks]`.
    losses: Buffer,
    workspace: Workspace,
}

impl Room {
    fn new(
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
            workspace: Workspace::new(client, network, sizes)?,
        })
    }

    /// Values of each buffer for one network.
    fn values_per_network(
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

/// Copies `len` values.
fn copy(from: &Buffer, from_start: usize, to: &Buffer, to_start: usize, len: usize) {
    let (count, dim) = per_value(from.client(), len);
    copy_values::launch(
        from.client(),
        count,
        dim,
        from.arg(),
        to.arg(),
        from_start,
        to_start,
        len,
    );
}

/// Copies `len` values to another place of a buffer, which they must not overlap.
fn copy_within(buffer: &Buffer, from: usize, to: usize, len: usize) {
    let (count, dim) = per_value(buffer.client(), len);
    move_values::launch(buffer.client(), count, dim, buffer.arg(), from, to, len);
}

// As integers, because devices may change the bits of floats that are not normal numbers.
#[cube(launch)]
fn copy_values(from: &[u32], to: &mut [u32], from_start: usize, to_start: usize, len: usize) {
    if ABSOLUTE_POS < len {
        to[to_start + ABSOLUTE_POS] = from[from_start + ABSOLUTE_POS];
    }
}

#[cube(launch)]
fn move_values(values: &mut [u32], from: usize, to: usize, len: usize) {
    if ABSOLUTE_POS < len {
        values[to + ABSOLUTE_POS] = values[from + ABSOLUTE_POS];
    }
}
