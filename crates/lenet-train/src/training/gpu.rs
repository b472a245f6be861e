//! Training on a GPU: parameters, velocities and images stay there, and a step is a handful of launches of
//! `lenet-cubecl`.

use burn::backend::DispatchDevice;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use lenet_core::{LayerKind, LeNet, LeNetConfig, NamedTensor, ReadBackError, read_back};
use lenet_cubecl::{GpuError, Layers, Place, Predictions, Step};
use lenet_data::{ImageDataset, Order};
use lenet_kernels::Shape;

use super::ensembles::Ensembles;
use super::group::{GroupKey, Member, Reservation};
use super::learner::Learner;
use super::uploads::upload;
use crate::dataset::check_fit;
use crate::evaluation::summarize;
use crate::pool::Helpers;
use crate::{Evaluation, TrainingConfig, TrainingError};

pub(super) struct Gpu<'a> {
    config: &'a TrainingConfig,
    train: &'a ImageDataset,
    /// On the device, with outdated parameters.
    lenet: LeNet,
    device: Device,
    member: Member,
    /// Place of the next step's first image in the order of the epoch.
    next: usize,
}

impl From<GpuError> for TrainingError {
    fn from(error: GpuError) -> Self {
        Self::device(error)
    }
}

/// A place for a run on this device, if it is a GPU with room for it.
pub(super) fn reserve(
    network: &LeNetConfig,
    config: &TrainingConfig,
    train: &ImageDataset,
    device: &Device,
    ensembles: Option<&Ensembles>,
) -> Result<Option<Reservation>, TrainingError> {
    let device = device.clone().without_autodiff();
    let DispatchDevice::Cube(device) = device.as_dispatch() else {
        return Ok(None);
    };
    let key = GroupKey {
        device: device.clone(),
        layers: layers(network)?,
        batch_size: config.batch_size.min(train.len()),
        clips: config.gradient_clipping.is_some(),
        train: train.clone(),
    };
    let alone = Ensembles::default();
    match ensembles.unwrap_or(&alone).reserve(key) {
        Ok(place) => Ok(Some(place)),
        Err(GpuError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a network says of a data set, if the device is a GPU whose kernels cover it.
pub(crate) fn predict(
    lenet: &LeNet,
    dataset: &ImageDataset,
    device: &Device,
) -> Result<Option<Predictions>, TrainingError> {
    let device = device.clone().without_autodiff();
    let DispatchDevice::Cube(device) = device.as_dispatch() else {
        return Ok(None);
    };
    let (layers, parameters) = (layers(lenet.config())?, values(lenet)?);
    let found = upload(device, dataset)
        .and_then(|images| lenet_cubecl::predict(&device.client(), &layers, &parameters, &images));
    match found {
        Ok(found) => Ok(Some(found)),
        Err(GpuError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The layers as the kernels describe them.
fn layers(network: &LeNetConfig) -> Result<Layers, TrainingError> {
    let (mut blocks, mut dense) = (Vec::new(), Vec::new());
    for row in network.layer_table()?.rows() {
        match (&row.kind, row.input_shape.as_slice()) {
            (
                &LayerKind::Convolution {
                    in_channels,
                    out_channels,
                    kernel_size,
                    padding,
                },
                &[_, height, width],
            ) => blocks.push(Shape {
                in_channels,
                out_channels,
                height,
                width,
                kernel_size,
                padding,
            }),
            (&LayerKind::Dense { inputs, outputs }, _) => dense.push([inputs, outputs]),
            _ => {}
        }
    }
    Ok(Layers {
        blocks,
        dense,
        activation: network.activation,
        pooling: network.pooling,
    })
}

impl<'a> Gpu<'a> {
    /// `lenet` and `velocity` are on `device`, without autodiff.
    pub(super) fn new(
        config: &'a TrainingConfig,
        train: &'a ImageDataset,
        device: Device,
        lenet: LeNet,
        velocity: Option<&LeNet>,
        place: Reservation,
    ) -> Result<Self, TrainingError> {
        let velocities = velocity.map(values).transpose()?;
        let member = place.join(&values(&lenet)?, velocities.as_deref())?;
        Ok(Self {
            config,
            train,
            lenet,
            device,
            member,
            next: 0,
        })
    }
}

impl Learner for Gpu<'_> {
    fn start_epoch(&mut self, epoch: usize, step: usize) -> Result<(), TrainingError> {
        let order = Order::Shuffled {
            seed: self.config.seed,
            epoch: epoch as u64,
        };
        let batches = self
            .train
            .batches(self.config.batch_size, order, &self.device)?;
        let batches = batches.with_augmentation(self.config.augmentation);
        let places = batches.places().map(|place| Place {
            image: place.image,
            flip: place.change.flip,
            down: place.change.down,
            right: place.change.right,
        });
        self.member.set_order(&places.collect::<Vec<_>>())?;
        self.next = step * self.config.batch_size;
        Ok(())
    }

    fn step(&mut self, rate: f64, _helpers: &Helpers) -> Result<usize, TrainingError> {
        let left = self.train.len() - self.next;
        let images = self.config.batch_size.min(left);
        self.member.step(Step {
            start: self.next,
            images,
            learning_rate: rate as f32,
            momentum: self.config.momentum as f32,
            weight_decay: self.config.weight_decay,
            gradient_clipping: self.config.gradient_clipping,
        })?;
        self.next += images;
        Ok(images)
    }

    fn read_losses(&mut self) -> Result<Vec<f32>, TrainingError> {
        Ok(self.member.take_losses()?)
    }

    fn network(&self) -> Result<LeNet, TrainingError> {
        Ok(with_values(&self.lenet, self.member.parameters()?))
    }

    fn evaluate(&self, dataset: &ImageDataset) -> Result<Option<Evaluation>, TrainingError> {
        check_fit(self.lenet.config(), dataset)?;
        match self.member.predict(dataset) {
            Ok(found) => summarize(dataset, &found.classes, &found.log_likelihoods).map(Some),
            Err(GpuError::TooLarge { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn velocity(&self) -> Result<Vec<NamedTensor>, TrainingError> {
        if self.config.momentum == 0.0 {
            return Ok(Vec::new());
        }
        let velocity = with_values(&self.lenet, self.member.velocities()?);
        velocity.state_dict().map_err(TrainingError::device)
    }
}

/// The parameters in the order of the network, in burn's layouts.
fn values(lenet: &LeNet) -> Result<Vec<Vec<f32>>, ReadBackError> {
    struct Read(Vec<Result<Vec<f32>, ReadBackError>>);

    impl ModuleVisitor for Read {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.0.push(read_back(parameter.val()));
        }
    }

    let mut read = Read(Vec::new());
    lenet.visit(&mut read);
    read.0.into_iter().collect()
}

/// The network with other parameters.
fn with_values(lenet: &LeNet, values: Vec<Vec<f32>>) -> LeNet {
    struct Replace(std::vec::IntoIter<Vec<f32>>);

    impl ModuleMapper for Replace {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, mapper) = parameter.consume();
            let Some(values) = self.0.next() else {
                unreachable!("the device has values for every parameter")
            };
            let values = TensorData::new(values, tensor.dims());
            Param::from_mapped_value(id, Tensor::from_data(values, &tensor.device()), mapper)
        }
    }

    lenet.clone().map(&mut Replace(values.into_iter()))
}
