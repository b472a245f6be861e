//! How work is divided over cubes.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;

/// Units of a cube: the most that every WebGPU device offers.
pub(crate) const UNITS: usize = 256;

/// Values of a cube's shared memory: 16 KiB, which every WebGPU device offers.
pub(crate) const SHARED: usize = 4096;

/// How many of `results` a unit computes, so that it reads what they have in common only once: up to 4 that `fit`, if
/// that leaves `units` units.
pub(crate) fn at_once(results: usize, units: usize, fit: impl Fn(usize) -> bool) -> usize {
    let candidates = (1..=4).rev();
    let mut candidates = candidates.filter(|&n| fit(n) && results / n >= units);
    candidates.next().unwrap_or(1)
}

/// One unit for each of `len` values.
pub(crate) fn per_value(client: &Client, len: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(UNITS as u32);
    (calculate_cube_count_elemwise(client, len, dim), dim)
}

/// So many cubes, or a few more, which must do nothing, or repeat the last one.
pub(crate) fn cubes(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    cubes_of(client, count, UNITS)
}

/// The same, of so many units.
pub(crate) fn cubes_of(client: &Client, count: usize, units: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(units as u32);
    (
        calculate_cube_count_elemwise(client, count * units, dim),
        dim,
    )
}

/// How often each unit of a cube of `units` reads values and then writes them, when the cube brings `len` values to
/// shared memory: the device's memory answers late, but up to four reads at once.
pub(crate) fn rounds(len: usize, units: usize) -> usize {
    len.div_ceil(4 * units)
}

/// How many values it reads before it writes them.
pub(crate) fn ahead(len: usize, units: usize) -> usize {
    len.div_ceil(units * rounds(len, units))
}

/// The sum of a value of each unit of a cube.
#[cube]
pub(crate) fn sum_of_cube(value: f32) -> f32 {
    let mut sums = Shared::<[f32]>::new_slice(UNITS);
    let unit = UNIT_POS as usize;
    sums[unit] = value;
    let mut half = comptime!(UNITS / 2).runtime();
    while half > 0 {
        sync_cube();
        if unit < half {
            sums[unit] += sums[unit + half];
        }
        half /= 2;
    }
    sync_cube();
    sums[0]
}
