//! Stochastic gradient descent with momentum, weight decay and clipping: all parameters of all networks in one
//! launch, and the norms for clipping in another.

use cubecl::prelude::*;

use crate::Buffer;
use crate::launch::{UNITS, per_value, sum_of_cube};
use crate::step::{CLIPPING, CONTROLS, MOMENTUM, RATE, WEIGHT_DECAY};

/// The values of a step, each `[networks, stride]` unless said otherwise.
pub(crate) struct Descent<'a> {
    pub(crate) parameters: &'a Buffer,
    pub(crate) velocities: &'a Buffer,
    pub(crate) gradients: &'a Buffer,
    /// What each network does in this step, `[networks, CONTROLS]`.
    pub(crate) controls: &'a Buffer,
    /// Start and length of each parameter, `[parameters, 2]`.
    pub(crate) places: &'a Buffer,
    /// Room for a factor for each gradient, `[networks, parameters]`.
    pub(crate) scales: &'a Buffer,
    /// Whether any network clips.
    pub(crate) clipping: bool,
}

impl Descent<'_> {
    pub(crate) fn step(&self, networks: usize, stride: usize) {
        let client = self.parameters.client();
        if self.clipping {
            clipping_scales::launch(
                client,
                CubeCount::Static((self.places.len() / 2) as u32, networks as u32, 1),
                CubeDim::new_1d(UNITS as u32),
                self.gradients.arg(),
                self.controls.arg(),
                self.places.arg(),
                self.scales.arg(),
                stride,
            );
        }
        let (count, dim) = per_value(client, networks * stride);
        descend::launch(
            client,
            count,
            dim,
            self.parameters.arg(),
            self.velocities.arg(),
            self.gradients.arg(),
            self.controls.arg(),
            self.places.arg(),
            self.scales.arg(),
            networks * stride,
            stride,
            self.clipping,
        );
    }
}

/// One parameter in every network: the velocity starts as the first gradient, without dampening, as in PyTorch.
#[cube(launch)]
fn descend(
    parameters: &mut [f32],
    velocities: &mut [f32],
    gradients: &[f32],
    controls: &[u32],
    places: &[u32],
    scales: &[f32],
    len: usize,
    #[comptime] stride: usize,
    #[comptime] clipping: bool,
) {
    if ABSOLUTE_POS >= len {
        terminate!();
    }
    let network = ABSOLUTE_POS / stride;
    let control = network * CONTROLS;
    let value = parameters[ABSOLUTE_POS];
    let mut gradient = gradients[ABSOLUTE_POS];
    if clipping {
        let place = (ABSOLUTE_POS % stride) as u32;
        let count = places.len() / 2;
        let mut parameter = 0usize;
        for next in 1..count {
            parameter = select(place >= places[2 * next], next, parameter);
        }
        gradient *= scales[network * count + parameter];
    }
    gradient += f32::reinterpret(controls[control + WEIGHT_DECAY]) * value;
    let velocity =
        f32::reinterpret(controls[control + MOMENTUM]) * velocities[ABSOLUTE_POS] + gradient;
    velocities[ABSOLUTE_POS] = velocity;
    parameters[ABSOLUTE_POS] = value - f32::reinterpret(controls[control + RATE]) * velocity;
}

/// The factor that scales a gradient down to the largest L2 norm; a cube for each parameter of each network.
#[cube(launch)]
fn clipping_scales(
    gradients: &[f32],
    controls: &[u32],
    places: &[u32],
    scales: &mut [f32],
    #[comptime] stride: usize,
) {
    let units = comptime!(UNITS);
    let unit = UNIT_POS as usize;
    let parameter = CUBE_POS_X as usize;
    let network = CUBE_POS_Y as usize;
    let start = network * stride + places[2 * parameter] as usize;
    let len = places[2 * parameter + 1] as usize;

    let mut sum = 0.0f32;
    let mut index = unit;
    while index < len {
        let gradient = gradients[start + index];
        sum += gradient * gradient;
        index += units;
    }
    let total = sum_of_cube(sum);
    if unit == 0 {
        let limit = f32::reinterpret(controls[network * CONTROLS + CLIPPING]);
        // A zero gradient stays zero.
        let scale = limit / (total.sqrt() + f32::MIN_POSITIVE);
        scales[network * CUBE_COUNT_X as usize + parameter] = min(scale, 1.0);
    }
}
