//! What the forward pass and the gradient of the input have in common: kernels that slide over maps in shared memory.
//!
//! A window is two columns wide, so the units of a plane read every other column: the even columns of a row come before
//! the odd ones, and neighbouring units read neighbouring values. A unit has two rows of a map in registers and steps
//! down one at a time; weights are read four at once.

use cubecl::prelude::*;

use super::division::{Division, VECTOR};
use crate::launch::{ahead, rounds};

/// Kernels up to this size are unrolled.
const UNROLLED: usize = 7;

/// Weights of a row of a kernel; those behind the row are zero.
pub(super) type Weights = Vector<f32, Const<VECTOR>>;

/// What a cube computes, and the share of one of its units.
#[derive(CubeType)]
pub(super) struct Share {
    pub(super) network: usize,
    /// The first image of the cube, among those of its network.
    pub(super) first_image: usize,
    /// The first row of windows of the cube.
    pub(super) first_row: usize,
    /// The first channel of the cube.
    pub(super) first_channel: usize,
    /// The window of the unit.
    pub(super) row: usize,
    pub(super) column: usize,
    /// The group of channels of the unit, within the cube.
    pub(super) group: usize,
    /// Whether the unit computes anything: a cube may have more units than windows, and its last ones fewer channels.
    pub(super) is_active: bool,
}

/// The share of a unit, where all cubes compute `rows` rows of windows.
#[cube]
pub(super) fn share_of_unit(
    networks: usize,
    images: usize,
    images_at_once: usize,
    #[comptime] rows: usize,
    #[comptime] division: Division,
) -> Share {
    let per_network = images.div_ceil(images_at_once) * comptime!(division.cubes());
    let index = min(CUBE_POS, networks * per_network - 1);
    let unit = UNIT_POS as usize;
    let window = unit % comptime!(division.windows());
    let group = unit / comptime!(division.windows());
    let tile = index / comptime!(division.bands) % comptime!(division.tiles);
    let first_row = index % comptime!(division.bands) * comptime!(division.rows);
    let row = first_row + window / comptime!(division.columns);
    let channel = (tile * comptime!(division.groups) + group) * comptime!(division.channels);
    Share {
        network: index / per_network,
        first_image: index % per_network / comptime!(division.cubes()) * images_at_once,
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

/// Where a map has a column, within a row.
#[cube]
pub(super) fn place_of_column(x: usize, #[comptime] division: Division) -> usize {
    x % 2 * comptime!(division.row_len() / 2) + x / 2
}

/// Brings the weights of a piece to shared memory: `[groups * channels, maps, kernel_len]`. In the device's they are
/// `[outputs, inputs, kernel_size, kernel_size]`, or the other way round.
#[cube]
pub(super) fn load_weights(
    weight: &[f32],
    first: usize,
    share: &Share,
    piece: usize,
    weights: &mut Shared<[Weights]>,
    #[comptime] division: Division,
    #[comptime] inputs_first: bool,
) {
    let (inputs, outputs) = comptime!((division.inputs, division.outputs));
    let (maps, kernel_size) = comptime!((division.maps, division.kernel_size));
    let kernel_len = comptime!(division.kernel_len());
    let (len, units) = comptime!((division.weights_len(), division.units()));
    let ahead = comptime!(ahead(len, units));
    for round in 0..comptime!(rounds(len, units)) {
        let mut vectors = Array::<Weights>::new(ahead);
        #[unroll]
        for i in 0..ahead {
            // The last one several times rather than none.
            let index = min(UNIT_POS as usize + (round * ahead + i) * units, len - 1);
            let y = index % kernel_len / comptime!(division.row_vectors());
            let x = index % comptime!(division.row_vectors()) * VECTOR;
            let input = piece * maps + index / kernel_len % maps;
            let output = share.first_channel + index / comptime!(kernel_len * maps);
            let output = min(output, comptime!(outputs - 1));
            let known = min(input, comptime!(inputs - 1));
            let kernel = if comptime!(inputs_first) {
                known * outputs + output
            } else {
                output * inputs + known
            };
            let place = first + kernel * comptime!(kernel_size * kernel_size) + y * kernel_size;
            let mut vector = Weights::empty();
            #[unroll]
            for j in 0..VECTOR {
                let value = weight[place + min(x + j, comptime!(kernel_size - 1))];
                let counts = input < inputs && x + j < kernel_size;
                vector.insert(j, select(counts, value, 0.0));
            }
            vectors[i] = vector;
        }
        #[unroll]
        for i in 0..ahead {
            let index = min(UNIT_POS as usize + (round * ahead + i) * units, len - 1);
            weights[index] = vectors[i];
        }
    }
}

/// Adds what the maps of a piece contribute to the four positions of the unit's window, for each of its channels.
#[cube]
pub(super) fn add_piece(
    maps: &Shared<[f32]>,
    weights: &Shared<[Weights]>,
    share: &Share,
    sums: &mut Array<f32>,
    #[comptime] division: Division,
    #[comptime] flipped: bool,
) {
    let kernel_size = comptime!(division.kernel_size);
    let row_len = comptime!(division.row_len());
    let columns = comptime!(kernel_size + 1);
    let channels = comptime!(division.channels);
    let weights_of_channel = comptime!(division.maps * division.kernel_len());
    let row = min(share.row - share.first_row, comptime!(division.rows - 1));
    let corner = 2 * row * row_len + share.column;
    let mut top = Array::<f32>::new(columns);
    let mut bottom = Array::<f32>::new(columns);
    for map in 0..comptime!(division.maps) {
        let corner = corner + map * comptime!(division.map_len());
        let first = share.group * comptime!(channels * weights_of_channel)
            + map * comptime!(division.kernel_len());
        #[unroll]
        for x in 0..columns {
            top[x] = maps[corner + comptime!(x % 2 * row_len / 2 + x / 2)];
        }
        #[unroll(kernel_size <= UNROLLED)]
        for y in 0..kernel_size {
            let below = corner + (y + 1) * row_len;
            #[unroll]
            for x in 0..columns {
                bottom[x] = maps[below + comptime!(x % 2 * row_len / 2 + x / 2)];
            }
            let mut kernel_row = y;
            if flipped {
                kernel_row = kernel_size - 1 - y;
            }
            let first = first + kernel_row * comptime!(division.row_vectors());
            #[unroll]
            for c in 0..channels {
                #[unroll]
                for i in 0..comptime!(division.row_vectors()) {
                    let vector = weights[first + comptime!(c * weights_of_channel + i)];
                    #[unroll]
                    for j in 0..comptime!(VECTOR.min(kernel_size - i * VECTOR)) {
                        let weight = vector.extract(j);
                        let x = comptime!(if flipped {
                            kernel_size - 1 - i * VECTOR - j
                        } else {
                            i * VECTOR + j
                        });
                        sums[c * 4] += weight * top[x];
                        sums[c * 4 + 1] += weight * top[comptime!(x + 1)];
                        sums[c * 4 + 2] += weight * bottom[x];
                        sums[c * 4 + 3] += weight * bottom[comptime!(x + 1)];
                    }
                }
            }
            #[unroll]
            for x in 0..columns {
                top[x] = bottom[x];
            }
        }
    }
}
