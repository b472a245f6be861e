//! The optimiser. The learning rate of each step comes from the schedule.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Gradients, Tensor, TensorData};
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
        if let Some(norm) = self.sgd.clipping {
            gradient = clip(gradient, norm);
        }
        let rule = Rule {
            rate: self.rate,
            weight_decay: self.sgd.weight_decay,
            momentum: self.sgd.momentum.map(|momentum| momentum as f32),
        };
        let (tensor, velocity) = rule.apply(tensor.inner(), gradient, self.velocities.next());
        self.sgd.velocities.extend(velocity);
        let mut tensor = Tensor::from_inner(tensor);
        if requires_gradient {
            tensor = tensor.require_grad();
        }
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// A step of one parameter.
#[derive(Clone, Copy)]
struct Rule {
    rate: f64,
    weight_decay: Option<f32>,
    momentum: Option<f32>,
}

impl Rule {
    /// The parameter after the step and, with momentum, its velocity; there is none before the first step.
    fn apply<const D: usize>(
        self,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        velocity: Option<Tensor<1>>,
    ) -> (Tensor<D>, Option<Tensor<1>>) {
        let floats = [tensor.dtype(), gradient.dtype()] == [DType::F32; 2];
        let velocity_floats = velocity.as_ref().is_none_or(|v| v.dtype() == DType::F32);
        if uses_rayon_pool(&tensor.device()) && floats && velocity_floats {
            self.in_place(tensor, gradient, velocity)
        } else {
            self.composed(tensor, gradient, velocity)
        }
    }

    fn composed<const D: usize>(
        self,
        tensor: Tensor<D>,
        mut gradient: Tensor<D>,
        velocity: Option<Tensor<1>>,
    ) -> (Tensor<D>, Option<Tensor<1>>) {
        if let Some(penalty) = self.weight_decay {
            gradient = tensor.clone().mul_scalar(penalty).add(gradient);
        }
        if let (Some(momentum), Some(velocity)) = (self.momentum, velocity) {
            let velocity = velocity.reshape(gradient.dims());
            gradient = gradient.add(velocity.mul_scalar(momentum));
        }
        let velocity = self.momentum.map(|_| gradient.clone().flatten(0, D - 1));
        (tensor - gradient.mul_scalar(self.rate), velocity)
    }

    /// [`composed`](Self::composed) to the bit, in one pass over values in this program's memory.
    fn in_place<const D: usize>(
        self,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        velocity: Option<Tensor<1>>,
    ) -> (Tensor<D>, Option<Tensor<1>>) {
        let device = tensor.device();
        let rate = self.rate as f32;
        let decayed = |weight: f32, gradient: f32| match self.weight_decay {
            Some(penalty) => weight * penalty + gradient,
            None => gradient,
        };
        let (mut weights, mut gradients) = (tensor.into_data(), gradient.into_data());
        let mut velocities = velocity.map(Tensor::into_data);
        match (self.momentum, &mut velocities) {
            (Some(momentum), Some(velocities)) => {
                let pairs = floats(&mut weights).iter_mut().zip(floats(&mut gradients));
                for ((weight, gradient), velocity) in pairs.zip(floats(velocities)) {
                    *velocity = decayed(*weight, *gradient) + *velocity * momentum;
                    *weight -= rate * *velocity;
                }
            }
            _ => {
                let pairs = floats(&mut weights).iter_mut().zip(floats(&mut gradients));
                for (weight, gradient) in pairs {
                    *gradient = decayed(*weight, *gradient);
                    *weight -= rate * *gradient;
                }
            }
        }
        let velocity = self.momentum.map(|_| {
            let velocity = Tensor::<D>::from_data(gradients, &device).flatten(0, D - 1);
            velocities.map_or(velocity, |velocities| {
                Tensor::from_data(velocities, &device)
            })
        });
        (Tensor::from_data(weights, &device), velocity)
    }
}

/// The values of a tensor that is known to hold 32-bit floats.
fn floats(data: &mut TensorData) -> &mut [f32] {
    match data.as_mut_slice() {
        Ok(values) => values,
        Err(error) => unreachable!("a tensor of 32-bit floats: {error}"),
    }
}

/// The gradient, scaled down to an L2 norm of `limit` if its own is larger.
fn clip<const D: usize>(gradient: Tensor<D>, limit: f32) -> Tensor<D> {
    let norm = gradient.clone().square().sum().sqrt();
    // A zero gradient stays zero.
    let scale = (limit / norm.add_scalar(f32::MIN_POSITIVE)).clamp_max(1.0);
    gradient.mul(scale.unsqueeze())
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn steps_in_place_have_the_bits_of_composed_ones() {
        let device = Device::flex();
        let noise = |phase: f32| {
            let values: Vec<f32> = (0..77)
                .map(|i| (i as f32 * 12.9898 + phase).sin())
                .collect();
            Tensor::<2>::from_data(TensorData::new(values, [7, 11]), &device)
        };
        for weight_decay in [None, Some(0.01)] {
            for momentum in [None, Some(0.9)] {
                let rule = Rule {
                    rate: 0.3,
                    weight_decay,
                    momentum,
                };
                let (mut fused, mut composed) = ((noise(0.1), None), (noise(0.1), None));
                for step in 0..3 {
                    let gradient = noise(step as f32);
                    fused = rule.apply(fused.0, gradient.clone(), fused.1);
                    composed = rule.composed(composed.0, gradient, composed.1);
                    assert_eq!(fused.0.to_data(), composed.0.to_data());
                    let velocity = |v: &Option<Tensor<1>>| v.as_ref().map(Tensor::to_data);
                    assert_eq!(velocity(&fused.1), velocity(&composed.1));
                    assert_eq!(fused.1.is_some(), momentum.is_some());
                }
            }
        }
    }
}
