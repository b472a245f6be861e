//! Networks of one geometry that train side by side.

mod copy;
mod networks;
mod room;

use cubecl::client::Client;

pub(crate) use self::copy::copy;
use self::networks::Networks;
use crate::images::{DeviceImages, Place};
use crate::{Buffer, GpuError, Layers, Predictions, Step};

/// Networks of one geometry that train side by side on one data set: a step of all of them is the same number of
/// launches as a step of one.
///
/// Networks are numbered from 0 and may come and go between two steps. Each computes the same bits as it would alone.
/// An ensemble may be used from several threads, one at a time. Once the device has failed, every call returns that
/// error.
///
/// ```
/// use lenet_cubecl::{DeviceImages, Ensemble, Layers, Place, Step};
/// use lenet_kernels::{Activation, Pooling};
///
/// // Two images of 2 × 2 pixels and a single dense layer.
/// let client = cubecl::Device::default().client();
/// let images = DeviceImages::new(&client, &[0, 0, 255, 255, 255, 255, 0, 0], &[0, 1], [2, 2])?;
/// let layers = Layers {
///     blocks: Vec::new(),
///     dense: vec![[4, 2]],
///     activation: Activation::Relu,
///     pooling: Pooling::Max,
/// };
/// let mut ensemble = Ensemble::new(&client, &layers, images, 2)?;
/// let order = [Place::default(), Place { image: 1, ..Place::default() }];
/// for _ in 0..2 {
///     let network = ensemble.push(&[vec![0.0; 8], vec![0.0; 2]], None)?;
///     ensemble.set_order(network, &order)?;
/// }
/// let step = |learning_rate| Step {
///     start: 0,
///     images: 2,
///     learning_rate,
///     momentum: 0.0,
///     weight_decay: 0.0,
///     gradient_clipping: None,
/// };
/// ensemble.step(&[step(0.1), step(1.0)])?;
/// ensemble.step(&[step(0.1), step(1.0)])?;
/// let (slow, fast) = (ensemble.take_losses(0)?, ensemble.take_losses(1)?);
/// assert!((slow[0] - 2.0_f32.ln()).abs() < 1e-6);
/// assert!(fast[1] < slow[1] && slow[1] < slow[0]);
/// # Ok::<(), lenet_cubecl::GpuError>(())
/// ```
pub struct Ensemble {
    /// On the stream on which everything is launched, whichever thread does: other streams would not wait for it.
    stream: Buffer,
    networks: Networks,
    /// What happened to the device; from then on there is no telling which steps it made.
    failure: Option<GpuError>,
}

impl Ensemble {
    /// No networks yet, of these layers, to be trained on `images` in batches of `batch_size`.
    ///
    /// # Errors
    ///
    /// [`GpuError::Shape`] if a block leaves nothing to pool, [`GpuError::Layers`] if the outputs of a layer are not
    /// the inputs of the next one, or there is no dense layer, [`GpuError::Length`] if the images have another size,
    /// [`GpuError::TooLarge`] if the device has no room for a network.
    pub fn new(
        client: &Client,
        layers: &Layers,
        images: DeviceImages,
        batch_size: usize,
    ) -> Result<Self, GpuError> {
        let stream = Buffer::empty(client, 1);
        let networks = stream.on_stream(|| Networks::new(client, layers, images, batch_size))?;
        Ok(Self {
            stream,
            networks,
            failure: None,
        })
    }

    fn with<R>(
        &mut self,
        work: impl FnOnce(&mut Networks) -> Result<R, GpuError>,
    ) -> Result<R, GpuError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        // Until it is known that it was, in case of a panic.
        self.failure = Some(GpuError::Device(
            "an earlier operation was not completed".to_owned(),
        ));
        let result = self.stream.on_stream(|| work(&mut self.networks));
        self.failure = match &result {
            Err(error @ GpuError::Device(_)) => Some(error.clone()),
            _ => None,
        };
        result
    }

    /// Number of networks.
    pub fn len(&self) -> usize {
        self.networks.len()
    }

    /// Whether there are no networks.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// The most networks for which the device has room: no buffer is larger than it allows, and all of them together take
    /// at most half of its memory, or 4 GiB if it does not say how much it has.
    pub fn capacity(&self) -> usize {
        self.networks.capacity()
    }

    /// Adds a network with these values, weights and biases of each layer, blocks first; returns its number. Velocities
    /// are zero unless there are any.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if a parameter has another length, [`GpuError::TooLarge`] if the device has no room for
    /// another network, [`GpuError::Device`] if it failed.
    pub fn push(
        &mut self,
        parameters: &[Vec<f32>],
        velocities: Option<&[Vec<f32>]>,
    ) -> Result<usize, GpuError> {
        self.with(|networks| networks.push(parameters, velocities))
    }

    /// Removes a network; the last one takes its number.
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if the device failed.
    ///
    /// # Panics
    ///
    /// If there is no network of this number.
    pub fn swap_remove(&mut self, index: usize) -> Result<(), GpuError> {
        self.with(|networks| networks.swap_remove(index))
    }

    /// Sets the order of the images for the next steps of a network, as for one epoch.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if there are more places than images, or a place is not one of them.
    ///
    /// # Panics
    ///
    /// If there is no network of this number.
    pub fn set_order(&mut self, index: usize, order: &[Place]) -> Result<(), GpuError> {
        self.with(|networks| networks.set_order(index, order))
    }

    /// Makes a step of every network, in the order of their numbers. Steps may wait until there are 16 of them, or
    /// something depends on them.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if there is not one step for each network, a step has no images or more than a batch, or
    /// it goes beyond the network's order; [`GpuError::Device`] if the device failed earlier.
    pub fn step(&mut self, steps: &[Step]) -> Result<(), GpuError> {
        self.with(|networks| networks.step(steps))
    }

    /// The mean losses of a network in the steps since they were last taken, in nats. They stay on the device until
    /// then, or until there are 64 of them.
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if the device failed.
    ///
    /// # Panics
    ///
    /// If there is no network of this number.
    pub fn take_losses(&mut self, index: usize) -> Result<Vec<f32>, GpuError> {
        self.with(|networks| networks.take_losses(index))
    }

    /// The parameters of a network: weights and biases of each layer, blocks first.
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if the device failed.
    ///
    /// # Panics
    ///
    /// If there is no network of this number.
    pub fn parameters(&mut self, index: usize) -> Result<Vec<Vec<f32>>, GpuError> {
        self.with(|networks| networks.parameters(index))
    }

    /// The velocities of a network, as [`parameters`](Self::parameters).
    ///
    /// # Errors
    ///
    /// [`GpuError::Device`] if the device failed.
    ///
    /// # Panics
    ///
    /// If there is no network of this number.
    pub fn velocities(&mut self, index: usize) -> Result<Vec<Vec<f32>>, GpuError> {
        self.with(|networks| networks.velocities(index))
    }

    /// What a network says of the images of a data set, in seven launches for a thousand images and a LeNet of two blocks
    /// and three dense layers.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if the images have another size, [`GpuError::TooLarge`] if the device has no room for their
    /// results, [`GpuError::Device`] if it failed.
    ///
    /// # Panics
    ///
    /// If there is no network of this number.
    pub fn predict(
        &mut self,
        index: usize,
        images: &DeviceImages,
    ) -> Result<Predictions, GpuError> {
        self.with(|networks| networks.predict(index, images))
    }

    /// Makes room for this many networks. Without it, room is doubled as networks come.
    ///
    /// # Errors
    ///
    /// [`GpuError::TooLarge`] if the device has no room for them, [`GpuError::Device`] if it failed.
    pub fn reserve(&mut self, networks: usize) -> Result<(), GpuError> {
        self.with(|all| all.reserve(networks))
    }
}
