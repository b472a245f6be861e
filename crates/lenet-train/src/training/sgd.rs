//! The optimiser. The learning rate of each step comes from the schedule.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Gradients, Tensor};
use lenet_core::{LeNet, uses_rayon_pool};

use crate::TrainingConfig;

/// Stochastic gradient descent with momentum as in PyTorch: the velocity starts as the first gradient, without
/// dampening.
pub(crate) struct Sgd {
    momentum: Option<f64>,
    weight_decay: Option<f32>,
    /// Largest L2 norm of a parameter's gradient.
    clipping: Option<f32>,
    /// The flattened velocity of each parameter, in the order of the network; empty without momentum and before
    /// the first step.
    velocities: Vec<Tensor<1>>,
}

impl Sgd {
    pub(crate) fn new(config: &TrainingConfig) -> Self {
        Self {
            momentum: Some(config.momentum).filter(|&momentum| momentum > 0.0),
            weight_decay: Some(config.weight_decay).filter(|&penalty| penalty > 0.0),
            clipping: config.gradient_clipping,
            velocities: Vec::new(),
        }
    }

    pub(crate) fn step(&mut self, rate: f64, lenet: LeNet, gradients: Gradients) -> LeNet {
        let velocities = std::mem::take(&mut self.velocities);
        lenet.map(&mut Step {
            velocities: velocities.into_iter(),
            sgd: self,
            rate,
            gradients,
        })
    }

    /// The velocities in place of the network's parameters, if there are any.
    pub(crate) fn velocity(&self, lenet: &LeNet) -> Option<LeNet> {
        let mut velocities = Velocities {
            values: self.velocities.iter(),
        };
        let some = !self.velocities.is_empty();
        some.then(|| lenet.valid().map(&mut velocities))
    }

    /// Restores velocities that [`velocity`](Self::velocity) returned.
    pub(crate) fn set_velocity(&mut self, velocity: LeNet) {
        self.velocities.clear();
        velocity.map(&mut Collect(&mut self.velocities));
    }
}

struct Step<'a> {
    sgd: &'a mut Sgd,
    /// Of the previous step.
    velocities: std::vec::IntoIter<Tensor<1>>,
    rate: f64,
    gradients: Gradients,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        let Some(mut gradient) = tensor.grad_remove(&mut self.gradients) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let requires_gradient = tensor.is_require_grad();
        let tensor = tensor.inner();
        if let Some(norm) = self.sgd.clipping {
            gradient = clip(gradient, norm);
        }
        if let Some(penalty) = self.sgd.weight_decay {
            gradient = tensor.clone().mul_scalar(penalty).add(gradient);
        }
        if let Some(momentum) = self.sgd.momentum {
            if let Some(velocity) = self.velocities.next() {
                let velocity = velocity.reshape(gradient.dims());
                gradient = gradient.add(velocity.mul_scalar(momentum as f32));
            }
            self.sgd.velocities.push(gradient.clone().flatten(0, D - 1));
        }
        let mut tensor = Tensor::from_inner(descend(tensor, gradient, self.rate));
        if requires_gradient {
            tensor = tensor.require_grad();
        }
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// The gradient, scaled down to an L2 norm of `limit` if its own is larger.
fn clip<const D: usize>(gradient: Tensor<D>, limit: f32) -> Tensor<D> {
    let norm = gradient.clone().square().sum().sqrt();
    // A zero gradient stays zero.
    let scale = (limit / norm.add_scalar(f32::MIN_POSITIVE)).clamp_max(1.0);
    gradient.mul(scale.unsqueeze())
}

/// `tensor - rate * gradient`.
fn descend<const D: usize>(tensor: Tensor<D>, gradient: Tensor<D>, rate: f64) -> Tensor<D> {
    let device = tensor.device();
    if !uses_rayon_pool(&device) {
        return tensor - gradient.mul_scalar(rate);
    }
    // Values in this program's memory are updated in place, in one pass.
    let (mut values, gradient) = (tensor.into_data(), gradient.into_data());
    match (values.as_mut_slice::<f32>(), gradient.as_slice::<f32>()) {
        (Ok(slice), Ok(gradient)) => {
            let rate = rate as f32;
            for (value, gradient) in slice.iter_mut().zip(gradient) {
                *value -= rate * gradient;
            }
            Tensor::from_data(values, &device)
        }
        // Floats of another width.
        _ => {
            Tensor::from_data(values, &device)
                - Tensor::from_data(gradient, &device).mul_scalar(rate)
        }
    }
}

/// Replaces parameters by velocities.
struct Velocities<'a> {
    values: std::slice::Iter<'a, Tensor<1>>,
}

impl ModuleMapper for Velocities<'_> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        let Some(velocity) = self.values.next() else {
            unreachable!("every parameter has a velocity")
        };
        let tensor = velocity.clone().reshape(tensor.dims());
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Collects parameters as flat velocities.
struct Collect<'a>(&'a mut Vec<Tensor<1>>);

impl ModuleMapper for Collect<'_> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0.push(parameter.val().inner().flatten(0, D - 1));
        parameter
    }
}
