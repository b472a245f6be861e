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
