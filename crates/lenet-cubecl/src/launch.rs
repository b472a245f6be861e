//! How work is divided over cubes.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;

/// Units of a cube: the most that every WebGPU device offers.
pub(crate) const UNITS: u32 = 256;

/// One unit for each of `len` values.
pub(crate) fn per_value(client: &Client, len: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(UNITS);
    (calculate_cube_count_elemwise(client, len, dim), dim)
}

/// The sum of a value of each unit of a cube, in the order of the units.
#[cube]
pub(crate) fn sum_of_cube(value: f32) -> f32 {
    let mut values = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    values[UNIT_POS as usize] = value;
    sync_cube();
    let mut sum = 0.0f32;
    for unit in 0..comptime!(UNITS as usize) {
        sum += values[unit];
    }
    sum
}
