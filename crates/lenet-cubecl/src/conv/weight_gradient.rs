//! The gradients of the parameters. A cube takes one output channel, some rows of its kernels and a chunk of the
//! images: each unit adds up one row over a share of the windows, and a second launch adds up the chunks. The bias is
//! one more row.

use cubecl::prelude::*;
use lenet_kernels::Pooling;

use super::ConvBlock;
use super::forward::padded;
use crate::activation::derivative;
use crate::launch::UNITS;

/// Chunks of the images, at most.
const CHUNKS: usize = 32;

/// How the sum over all windows is divided.
pub(super) struct Reduction {
    pub(super) chunks: usize,
    /// Images of a chunk.
    pub(super) images: usize,
    /// Rows of a cube.
    pub(super) lanes: usize,
    /// Cubes for all rows of an output channel.
    pub(super) tiles: usize,
}

impl Reduction {
    pub(super) fn new(block: &ConvBlock, images: usize) -> Self {
        let per_chunk = images.div_ceil(CHUNKS).max(1);
        let rows = block.in_channels * block.kernel_size + 1;
        let lanes = rows.next_power_of_two().min(64);
        Self {
            chunks: images.div_ceil(per_chunk),
            images: per_chunk,
            lanes,
            tiles: rows.div_ceil(lanes),
        }
    }
}

#[cube(launch)]
pub(super) fn conv_weight_gradient(
    input: &[f32],
    output: &[f32],
    saved: &[f32],
    output_gradient: &[f32],
    partials: &mut [f32],
    images: usize,
    images_per_chunk: usize,
    #[comptime] block: ConvBlock,
    #[comptime] lanes: usize,
) {
    let kernel_size = comptime!(block.kernel_size);
    let fan_in = comptime!(block.fan_in());
    let windows = comptime!(block.windows());
    let columns = comptime!(block.pooled[1]);
    let rows = comptime!(block.in_channels * kernel_size);
    let shares = comptime!(UNITS / lanes);
    let is_max = comptime!(block.pooling == Pooling::Max);

    let unit = UNIT_POS as usize;
    let lane = unit % lanes;
    let share = unit / lanes;
    let kernel_row = CUBE_POS_Y as usize * lanes + lane;
    let network = CUBE_POS_Z as usize / comptime!(block.out_channels);
    let out_channel = CUBE_POS_Z as usize % comptime!(block.out_channels);
    let in_channel = kernel_row / kernel_size;
    let tap_y = kernel_row % kernel_size;

    let mut sums = Array::<f32>::new(kernel_size);
    #[unroll]
    for x in 0..kernel_size {
        sums[x] = 0.0;
    }
    let first = CUBE_POS_X as usize * images_per_chunk;
    let count = min(images_per_chunk, images - first) * windows;
    let mut position = share;
    while position < count {
        let image = network * images + first + position / windows;
        let window = position % windows;
        let row = window / columns;
        let column = window % columns;
        let index = (image * comptime!(block.out_channels) + out_channel) * windows + window;
        let map = (image * comptime!(block.in_channels) + in_channel)
            * comptime!(block.height * block.width);
        let gradient = output_gradient[index];
        if is_max {
            let gradient = gradient * derivative(output[index], comptime!(block.activation));
            let place = usize::cast_from(saved[index]);
            if kernel_row < rows {
                let y = 2 * row + place / 2 + tap_y;
                let x = 2 * column + place % 2;
                add_row(&mut sums, input, map, gradient, y, x, block);
            } else {
                sums[0] += gradient;
            }
        } else {
            for place in 0..4usize {
                let activation = saved[index * 4 + place];
                let gradient =
                    0.25 * gradient * derivative(activation, comptime!(block.activation));
                if kernel_row < rows {
                    let y = 2 * row + place / 2 + tap_y;
                    let x = 2 * column + place % 2;
                    add_row(&mut sums, input, map, gradient, y, x, block);
                } else {
                    sums[0] += gradient;
                }
            }
        }
        position += shares;
    }

    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS * kernel_size));
    #[unroll]
    for x in 0..kernel_size {
        shared[unit * kernel_size + x] = sums[x];
    }
    sync_cube();
    // One unit for each weight of the cube's rows.
    let len = comptime!(lanes * kernel_size);
    let row = CUBE_POS_X as usize * CUBE_COUNT_Z as usize + CUBE_POS_Z as usize;
    let mut place = unit;
    while place < len {
        let weight = CUBE_POS_Y as usize * len + place;
        if weight <= fan_in {
            let mut total = 0.0f32;
            for share in 0..shares {
                total += shared[share * len + place];
            }
            partials[row * comptime!(fan_in + 1) + weight] = total;
        }
        place += comptime!(UNITS);
    }
}

/// Adds what a position of the convolution contributes to a row of the kernel.
#[cube]
fn add_row(
    sums: &mut Array<f32>,
    input: &[f32],
    map: usize,
    gradient: f32,
    y: usize,
    x: usize,
    #[comptime] block: ConvBlock,
) {
    if gradient != 0.0 {
        #[unroll]
        for tap in 0..comptime!(block.kernel_size) {
            sums[tap] += gradient * padded(input, map, y, x + tap, block);
        }
    }
}

/// Adds up the chunks.
#[cube(launch)]
pub(super) fn conv_sum_partials(
    partials: &[f32],
    weight: &mut [f32],
    bias: &mut [f32],
    chunks: usize,
    networks: usize,
    #[comptime] block: ConvBlock,
    #[comptime] stride: usize,
) {
    let fan_in = comptime!(block.fan_in());
    let per_network = comptime!(block.out_channels * (fan_in + 1));
    let values = networks * per_network;
    if ABSOLUTE_POS >= values {
        terminate!();
    }
    let mut sum = 0.0f32;
    for chunk in 0..chunks {
        sum += partials[chunk * values + ABSOLUTE_POS];
    }
    let network = ABSOLUTE_POS / per_network;
    let channel = ABSOLUTE_POS % per_network / comptime!(fan_in + 1);
    let place = ABSOLUTE_POS % comptime!(fan_in + 1);
    if place < fan_in {
        weight[network * stride + channel * fan_in + place] = sum;
    } else {
        bias[network * stride + channel] = sum;
    }
}
