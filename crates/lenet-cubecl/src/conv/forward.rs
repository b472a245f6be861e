//! The forward pass: a unit computes one window of a few output channels, from a patch of the input that it reads
//! once.

use cubecl::prelude::*;
use lenet_kernels::Pooling;

use super::ConvBlock;
use crate::activation::activate;

/// Kernels up to this size are unrolled.
const UNROLLED: usize = 7;

#[cube(launch)]
pub(super) fn conv_forward(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    output: &mut [f32],
    saved: ComptimeOption<&mut [f32]>,
    images: usize,
    #[comptime] block: ConvBlock,
    #[comptime] stride: usize,
    #[comptime] channels: usize,
) {
    let kernel_size = comptime!(block.kernel_size);
    let in_channels = comptime!(block.in_channels);
    let [rows, columns] = comptime!(block.pooled);
    let blocks = comptime!(block.out_channels / channels);
    let patch_size = comptime!(kernel_size + 1);
    let unrolled = comptime!(kernel_size <= UNROLLED);
    let is_max = comptime!(block.pooling == Pooling::Max);

    if ABSOLUTE_POS >= output.len() / channels {
        terminate!();
    }
    let column = ABSOLUTE_POS % columns;
    let row = ABSOLUTE_POS / columns % rows;
    let first = ABSOLUTE_POS / (columns * rows) % blocks * channels;
    let image = ABSOLUTE_POS / (columns * rows * blocks);
    let network = image / images;

    let mut sums = Array::<f32>::new(comptime!(4 * channels));
    #[unroll]
    for i in 0..comptime!(4 * channels) {
        sums[i] = 0.0;
    }
    let mut patch = Array::<f32>::new(comptime!(patch_size * patch_size));
    for in_channel in 0..in_channels {
        let map = (image * in_channels + in_channel) * comptime!(block.height * block.width);
        #[unroll(unrolled)]
        for y in 0..patch_size {
            #[unroll(unrolled)]
            for x in 0..patch_size {
                patch[y * patch_size + x] = padded(input, map, 2 * row + y, 2 * column + x, block);
            }
        }
        #[unroll]
        for c in 0..channels {
            let weights = network * stride
                + ((first + c) * in_channels + in_channel) * comptime!(kernel_size * kernel_size);
            #[unroll(unrolled)]
            for y in 0..kernel_size {
                #[unroll(unrolled)]
                for x in 0..kernel_size {
                    let tap = weight[weights + y * kernel_size + x];
                    let corner = y * patch_size + x;
                    sums[c * 4] += tap * patch[corner];
                    sums[c * 4 + 1] += tap * patch[corner + 1];
                    sums[c * 4 + 2] += tap * patch[corner + patch_size];
                    sums[c * 4 + 3] += tap * patch[corner + patch_size + 1];
                }
            }
        }
    }

    #[unroll]
    for c in 0..channels {
        let bias = bias[network * stride + first + c];
        let window = window_index(image, first + c, row, column, block);
        if is_max {
            let mut largest = sums[c * 4];
            let mut argmax = 0.0f32;
            #[unroll]
            for place in 1..4usize {
                let value = sums[c * 4 + place];
                // NaN is the largest, as on the CPU, so that a network that diverged shows it.
                let larger = value > largest || value.is_nan();
                argmax = select(larger, comptime!(place as f32), argmax);
                largest = select(larger, value, largest);
            }
            output[window] = activate(largest + bias, comptime!(block.activation));
            sums[c * 4] = argmax;
        } else {
            let mut sum = 0.0f32;
            #[unroll]
            for place in 0..4usize {
                let value = activate(sums[c * 4 + place] + bias, comptime!(block.activation));
                sum += value;
                sums[c * 4 + place] = value;
            }
            output[window] = sum * 0.25;
        }
    }

    #[comptime]
    if let ComptimeOption::Some(saved) = saved {
        let per_window = comptime!(block.saved_per_window());
        #[unroll]
        for c in 0..channels {
            let window = window_index(image, first + c, row, column, block);
            #[unroll]
            for place in 0..per_window {
                saved[window * per_window + place] = sums[c * 4 + place];
            }
        }
    }
}

/// The position of a window in the output.
#[cube]
pub(super) fn window_index(
    image: usize,
    out_channel: usize,
    row: usize,
    column: usize,
    #[comptime] block: ConvBlock,
) -> usize {
    let [rows, columns] = comptime!(block.pooled);
    ((image * comptime!(block.out_channels) + out_channel) * rows + row) * columns + column
}

/// The value of a map at a position of the padded input.
#[cube]
pub(super) fn padded(
    input: &[f32],
    map: usize,
    y: usize,
    x: usize,
    #[comptime] block: ConvBlock,
) -> f32 {
    let padding = comptime!(block.padding);
    let (height, width) = comptime!((block.height, block.width));
    if comptime!(padding == 0) {
        input[map + y * width + x]
    } else {
        // Wrap around to positions outside of the map. Without branches, which compilers of shaders dislike.
        let row = y - padding;
        let column = x - padding;
        let inside = row < height && column < width;
        let row = min(row, comptime!(height - 1));
        let column = min(column, comptime!(width - 1));
        select(inside, input[map + row * width + column], 0.0)
    }
}
