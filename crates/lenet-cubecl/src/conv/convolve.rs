//! What the forward pass and the gradient of the input have in common: kernels that slide over maps in shared memory.

use cubecl::prelude::*;

use super::division::Division;
use crate::launch::UNITS;

/// Kernels up to this size are unrolled.
const UNROLLED: usize = 7;

/// What a cube computes, and the share of one of its units.
#[derive(CubeType)]
pub(super) struct Share {
    pub(super) image: usize,
    /// The first row of windows of the cube.
    pub(super) first_row: usize,
    /// The first channel of the cube.
    pub(super) first_channel: usize,
    /// The window of the unit.
    pub(super) row: usize,
    pub(super) column: usize,
    /// The group of channels of the unit, within the cube.
    pub(super) group: usize,
    /// Whether the unit computes anything: a cube may have more units than windows, the last ones fewer channels.
    pub(super) is_active: bool,
}

#[cube]
pub(super) fn share_of_unit(images: usize, rows: usize, #[comptime] division: Division) -> Share {
    let index = min(CUBE_POS, images * comptime!(division.cubes()) - 1);
    let unit = UNIT_POS as usize;
    let window = unit % comptime!(division.windows());
    let group = unit / comptime!(division.windows());
    let tile = index / comptime!(division.bands) % comptime!(division.tiles);
    let first_row = index % comptime!(division.bands) * comptime!(division.rows);
    let row = first_row + window / comptime!(division.columns);
    let channel = (tile * comptime!(division.groups) + group) * comptime!(division.channels);
    Share {
        image: index / comptime!(division.cubes()),
        first_row,
        first_channel: tile * comptime!(division.groups * division.channels),
        row,
        column: window % comptime!(division.columns),
        group: min(group, comptime!(division.groups - 1)),
        is_active: group < comptime!(division.groups)
            && channel < comptime!(division.outputs)
            && row < rows,
    }
}

/// Brings the weights of a piece to shared memory: `[groups * channels, maps, taps]`. In the device's they are
/// `[outputs, inputs, taps]`, or the other way round.
#[cube]
pub(super) fn load_weights(
    weight: &[f32],
    first: usize,
    share: &Share,
    piece: usize,
    weights: &mut Shared<[f32]>,
    #[comptime] division: Division,
    #[comptime] inputs_first: bool,
) {
    let (inputs, outputs) = comptime!((division.inputs, division.outputs));
    let (maps, taps) = comptime!((division.maps, division.taps()));
    let mut index = UNIT_POS as usize;
    while index < comptime!(division.groups * division.channels * maps * taps) {
        let tap = index % taps;
        let input = piece * maps + index / taps % maps;
        let output = share.first_channel + index / comptime!(taps * maps);
        let output = min(output, comptime!(outputs - 1));
        let known = min(input, comptime!(inputs - 1));
        let mut place = output * inputs + known;
        if inputs_first {
            place = known * outputs + output;
        }
        let value = weight[first + place * taps + tap];
        weights[index] = select(input < inputs, value, 0.0);
        index += UNITS;
    }
}

/// Adds what the maps of a piece contribute to the four positions of the unit's window, for each of its channels.
#[cube]
pub(super) fn add_piece(
    maps: &Shared<[f32]>,
    weights: &Shared<[f32]>,
    share: &Share,
    sums: &mut Array<f32>,
    #[comptime] division: Division,
    #[comptime] flipped: bool,
) {
    let kernel_size = comptime!(division.kernel_size);
    let [_, width] = comptime!(division.map_size());
    let patch_size = comptime!(kernel_size + 1);
    let row = min(share.row - share.first_row, comptime!(division.rows - 1));
    let corner = 2 * row * width + 2 * share.column;
    let channels = comptime!(division.channels);
    let weights_of_channel = comptime!(division.maps * division.taps());
    for map in 0..comptime!(division.maps) {
        let corner = corner + map * comptime!(division.map_len());
        let first = share.group * comptime!(channels * weights_of_channel)
            + map * comptime!(division.taps());
        if comptime!(kernel_size <= UNROLLED) {
            let mut patch = Array::<f32>::new(comptime!(patch_size * patch_size));
            #[unroll]
            for y in 0..patch_size {
                #[unroll]
                for x in 0..patch_size {
                    patch[y * patch_size + x] = maps[corner + y * width + x];
                }
            }
            #[unroll]
            for c in 0..channels {
                #[unroll]
                for y in 0..kernel_size {
                    #[unroll]
                    for x in 0..kernel_size {
                        let place = c * weights_of_channel + y * kernel_size + x;
                        let weight = weights[first + place];
                        let corner = comptime!(if flipped {
                            (kernel_size - 1 - y) * patch_size + kernel_size - 1 - x
                        } else {
                            y * patch_size + x
                        });
                        sums[c * 4] += weight * patch[corner];
                        sums[c * 4 + 1] += weight * patch[comptime!(corner + 1)];
                        sums[c * 4 + 2] += weight * patch[comptime!(corner + patch_size)];
                        sums[c * 4 + 3] += weight * patch[comptime!(corner + patch_size + 1)];
                    }
                }
            }
        } else {
            for y in 0..kernel_size {
                for x in 0..kernel_size {
                    let mut place = corner + y * width + x;
                    if flipped {
                        place = corner + (kernel_size - 1 - y) * width + kernel_size - 1 - x;
                    }
                    #[unroll]
                    for c in 0..channels {
                        let tap = first + c * weights_of_channel + y * kernel_size + x;
                        let weight = weights[tap];
                        sums[c * 4] += weight * maps[place];
                        sums[c * 4 + 1] += weight * maps[place + 1];
                        sums[c * 4 + 2] += weight * maps[place + width];
                        sums[c * 4 + 3] += weight * maps[place + width + 1];
                    }
                }
            }
        }
    }
}
