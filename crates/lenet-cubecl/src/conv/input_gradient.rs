//! The gradient of the input: a unit computes one position of a few input channels and visits the windows that it
//! took part in.

use cubecl::prelude::*;
use lenet_kernels::Pooling;

use super::forward::window_index;
use super::ConvBlock;
use crate::activation::derivative;

#[cube(launch)]
pub(super) fn conv_input_gradient(
    weight: &[f32],
    output: &[f32],
    saved: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    images: usize,
    #[comptime] block: ConvBlock,
    #[comptime] stride: usize,
    #[comptime] channels: usize,
) {
    let kernel_size = comptime!(block.kernel_size);
    let taps = comptime!(kernel_size * kernel_size);
    let in_channels = comptime!(block.in_channels);
    let out_channels = comptime!(block.out_channels);
    let [rows, columns] = comptime!(block.pooled);
    let (height, width) = comptime!((block.height, block.width));
    let blocks = comptime!(in_channels / channels);
    let is_max = comptime!(block.pooling == Pooling::Max);

    if ABSOLUTE_POS >= input_gradient.len() / channels {
        terminate!();
    }
    let x = ABSOLUTE_POS % width;
    let y = ABSOLUTE_POS / width % height;
    let first = ABSOLUTE_POS / (width * height) % blocks * channels;
    let image = ABSOLUTE_POS / (width * height * blocks);
    let network = image / images;
    // In the padded input.
    let padded_y = y + comptime!(block.padding);
    let padded_x = x + comptime!(block.padding);

    let mut sums = Array::<f32>::new(channels);
    #[unroll]
    for c in 0..channels {
        sums[c] = 0.0;
    }
    // The windows whose kernels reach the position, first and behind the last.
    let top = first_window(padded_y, kernel_size);
    let left = first_window(padded_x, kernel_size);
    let bottom = min(padded_y / 2 + 1, rows);
    let right = min(padded_x / 2 + 1, columns);
    for out_channel in 0..out_channels {
        let weights = network * stride + (out_channel * in_channels + first) * taps;
        for row in top..bottom {
            for column in left..right {
                let window = window_index(image, out_channel, row, column, block);
                let gradient = output_gradient[window];
                if is_max {
                    let place = usize::cast_from(saved[window]);
                    let gradient =
                        gradient * derivative(output[window], comptime!(block.activation));
                    add_place(
                        &mut sums,
                        weight,
                        weights,
                        gradient,
                        // May wrap around, to a position outside of the kernel.
                        padded_y - 2 * row - place / 2,
                        padded_x - 2 * column - place % 2,
                        block,
                        channels,
                    );
                } else {
                    #[unroll]
                    for place in 0..4usize {
                        let activation = saved[window * 4 + place];
                        let gradient =
                            0.25 * gradient * derivative(activation, comptime!(block.activation));
                        add_place(
                            &mut sums,
                            weight,
                            weights,
                            gradient,
                            padded_y - 2 * row - comptime!(place / 2),
                            padded_x - 2 * column - comptime!(place % 2),
                            block,
                            channels,
                        );
                    }
                }
            }
        }
    }

    #[unroll]
    for c in 0..channels {
        let map = (image * in_channels + first + c) * comptime!(height * width);
        input_gradient[map + y * width + x] = sums[c];
    }
}

/// The first window whose kernel reaches a position of the padded input.
#[cube]
fn first_window(position: usize, #[comptime] kernel_size: usize) -> usize {
    let mut first = 0usize;
    if position >= kernel_size {
        first = (position - kernel_size).div_ceil(2);
    }
    first
}

/// Adds what a place of a window contributes to a position that its kernel reaches at tap `(y, x)`, if it does.
#[cube]
fn add_place(
    sums: &mut Array<f32>,
    weight: &[f32],
    weights: usize,
    gradient: f32,
    y: usize,
    x: usize,
    #[comptime] block: ConvBlock,
    #[comptime] channels: usize,
) {
    let kernel_size = comptime!(block.kernel_size);
    let taps = comptime!(kernel_size * kernel_size);
    if y < kernel_size && x < kernel_size {
        #[unroll]
        for c in 0..channels {
            sums[c] += gradient * weight[weights + c * taps + y * kernel_size + x];
        }
    }
}
