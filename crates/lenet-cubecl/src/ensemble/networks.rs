//! The state of an ensemble, on the device and on the host.

use cubecl::client::Client;

use super::copy::{copy, copy_within};
use super::room::{PENDING, Room};
use crate::buffer::{VALUE, most_values};
use crate::images::{DeviceImages, PLACE, Place};
use crate::network::Network;
use crate::recording::{self, Attempt, Recording};
use crate::schedule::{HEADER, QUEUE};
use crate::sgd::Descent;
use crate::step::CONTROLS;
use crate::{Buffer, GpuError, Layers, Predictions, Step};

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
    queue: Queue,
    recording: Option<Recorded>,
    /// Whether the device records launches.
    can_record: bool,
}

/// The last of the steps, which wait for the device.
#[derive(Debug, Default)]
struct Queue {
    /// The controls of every network, step after step.
    controls: Vec<u32>,
    /// Whether any network clips in any step.
    clips: bool,
}

/// The launches of a step.
#[derive(Debug)]
struct Recorded {
    kind: Kind,
    recording: Recording,
}

/// What the launches of a step depend on: the number of networks, and whether any of them clips.
type Kind = (usize, bool);

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
            queue: Queue::default(),
            recording: None,
            can_record: recording::is_supported(client),
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
            // The loss of each network has a cube.
            .min(properties.hardware.max_cube_count.0 as usize)
    }

    pub(super) fn push(
        &mut self,
        parameters: &[Vec<f32>],
        velocities: Option<&[Vec<f32>]>,
    ) -> Result<usize, GpuError> {
        let parameters = self.network.flatten(parameters)?;
        let velocities = velocities
            .map(|velocities| self.network.flatten(velocities))
            .transpose()?;
        self.submit()?;
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
        self.submit()?;
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
        let first = self.pending * self.room.networks;
        for (index, step) in steps.iter().enumerate() {
            self.queue.controls.extend(step.controls(first + index));
            self.queue.clips |= step.gradient_clipping.is_some();
        }
        self.pending += 1;
        if self.queue.controls.len() == QUEUE * steps.len() * CONTROLS {
            self.submit()?;
        }
        Ok(())
    }

    /// Has the device make the steps that wait.
    fn submit(&mut self) -> Result<(), GpuError> {
        let Queue { controls, clips } = std::mem::take(&mut self.queue);
        if controls.is_empty() {
            return Ok(());
        }
        let networks = self.members.len();
        let steps = controls.len() / (networks * CONTROLS);
        let mut table = vec![0; HEADER];
        table.extend(controls);
        let uploaded = Buffer::from_integers(&self.client, &table);
        copy(&uploaded, 0, &self.room.schedule.table, 0, table.len());

        let kind = (networks, clips);
        let recorded = self.recording.take();
        self.recording = recorded.filter(|recorded| recorded.kind == kind);
        if let Some(recorded) = &self.recording {
            recorded.recording.check(&self.client)?;
        }
        for left in (0..steps).rev() {
            if let Some(recorded) = &self.recording {
                recorded.recording.replay()?;
            } else if left > 0 && self.can_record {
                match self.launch_and_record(kind)? {
                    Attempt::Refused => self.launch(kind),
                    Attempt::Executed => {}
                    Attempt::Recorded(recording) => {
                        self.recording = Some(Recorded { kind, recording });
                    }
                }
            } else {
                self.launch(kind);
            }
        }
        Ok(())
    }

    fn launch_and_record(&self, kind: Kind) -> Result<Attempt, GpuError> {
        let mut buffers = self.room.buffers();
        buffers.push(self.places.clone());
        buffers.extend(self.images.buffers());
        Recording::attempt(&self.client, buffers, || self.launch(kind))
    }

    /// Launches the next step of the table.
    fn launch(&self, (networks, clipping): Kind) {
        let room = &self.room;
        let (order_len, samples) = (self.images.len(), networks * self.batch_size);
        let sizes = [networks, self.batch_size];
        let batch = room.batch.part(0, samples * self.network.input_len());
        let labels = room.labels.part(0, samples);
        let gathered = (&batch, &labels);
        self.images
            .gather(&room.orders, order_len, &room.schedule, sizes, gathered);

        let workspace = room.workspace.part(&self.network, sizes);
        let parameters = room.parameters.part(0, networks * self.stride);
        let loss = (&room.losses, &room.schedule);
        let gradients = room.gradients.part(0, networks * self.stride);
        let parameters = self.network.parts(&parameters);
        self.network
            .gradients(&batch, &labels, &parameters, &gradients, &workspace, loss);
        Descent {
            parameters: &room.parameters,
            velocities: &room.velocities,
            gradients: &room.gradients,
            controls: &room.schedule.controls,
            places: &self.places,
            scales: &room.scales,
            clipping,
        }
        .step(networks, self.stride);
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

    pub(super) fn parameters(&mut self, index: usize) -> Result<Vec<Vec<f32>>, GpuError> {
        self.submit()?;
        self.unflatten(index, &self.room.parameters)
    }

    pub(super) fn velocities(&mut self, index: usize) -> Result<Vec<Vec<f32>>, GpuError> {
        self.submit()?;
        self.unflatten(index, &self.room.velocities)
    }

    pub(super) fn predict(
        &mut self,
        index: usize,
        images: &DeviceImages,
    ) -> Result<Predictions, GpuError> {
        assert!(index < self.len(), "network {index} of {}", self.len());
        self.submit()?;
        let parameters = self.room.parameters.part(index * self.stride, self.stride);
        let parameters = self.network.parts(&parameters);
        Predictions::new(&self.client, &self.network, &parameters, images)
    }

    /// Reads the losses that are still on the device, in one transfer.
    fn flush(&mut self) -> Result<(), GpuError> {
        self.submit()?;
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
        self.recording = None;
        self.room = room;
        // The buffers of other sizes are of no more use.
        let released = self.client.memory_cleanup();
        released.map_err(|error| GpuError::Device(error.to_string()))
    }

    /// Values of a network's order.
    fn order_values(&self) -> usize {
        self.images.len() * PLACE
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
