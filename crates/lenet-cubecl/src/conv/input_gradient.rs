//! The gradient of the input: the gradient of the convolution's output, which is zero but for the places that were
//! pooled, convolved with flipped kernels. Each unit computes a 2×2 block of positions.

use cubecl::prelude::*;
use lenet_kernels::Pooling;

use super::ConvBlock;
use super::convolve::{add_piece, load_weights, share_of_unit};
use super::division::Division;
use super::forward::window_index;
use crate::activation::derivative;
use crate::launch::UNITS;

#[cube(launch)]
pub(super) fn conv_input_gradient(
    weight: &[f32],
    output: &[f32],
    saved: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    images: usize,
    networks: usize,
    #[comptime] block: ConvBlock,
    #[comptime] stride: usize,
    #[comptime] division: Division,
) {
    let (height, width) = comptime!((block.height, block.width));
    let channels = comptime!(division.channels);
    let map_len = comptime!(division.map_len());
    let [_, map_width] = comptime!(division.map_size());

    let share = share_of_unit(networks * images, comptime!(height.div_ceil(2)).runtime(), division);
    let network = share.image / images;
    let mut maps = Shared::<[f32]>::new_slice(comptime!(division.maps * map_len));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(
        division.groups * channels * division.maps * division.taps()
    ));
    let mut sums = Array::<f32>::new(comptime!(4 * channels));
    #[unroll]
    for i in 0..comptime!(4 * channels) {
        sums[i] = 0.0;
    }
    for piece in 0..comptime!(division.pieces) {
        sync_cube();
        let mut index = UNIT_POS as usize;
        while index < comptime!(division.maps * map_len) {
            let channel = piece * comptime!(division.maps) + index / map_len;
            // In the output of the convolution. Wraps around to positions outside of it.
            let shift = comptime!(block.padding + 1);
            let y = 2 * share.first_row + index % map_len / map_width + shift
                - comptime!(block.kernel_size);
            let x = index % map_width + shift - comptime!(block.kernel_size);
            let known = min(channel, comptime!(block.out_channels - 1));
            let value = gradient_at(
                output, saved, output_gradient, share.image, known, y, x, block,
            );
            maps[index] = select(channel < comptime!(block.out_channels), value, 0.0);
            index += UNITS;
        }
        load_weights(weight, network * stride, &share, piece, &mut weights, division, true);
        sync_cube();
        add_piece(&maps, &weights, &share, &mut sums, division, true);
    }

    if share.is_active {
        #[unroll]
        for c in 0..channels {
            let channel = share.first_channel + share.group * channels + c;
            let map = (share.image * comptime!(block.in_channels) + channel)
                * comptime!(height * width);
            #[unroll]
            for place in 0..4usize {
                let y = 2 * share.row + comptime!(place / 2);
                let x = 2 * share.column + comptime!(place % 2);
                if y < height && x < width {
                    input_gradient[map + y * width + x] = sums[c * 4 + place];
                }
            }
        }
    }
}

/// The gradient of the convolution's output, before the activation.
#[cube]
fn gradient_at(
    output: &[f32],
    saved: &[f32],
    output_gradient: &[f32],
    image: usize,
    out_channel: usize,
    y: usize,
    x: usize,
    #[comptime] block: ConvBlock,
) -> f32 {
    let [rows, columns] = comptime!(block.pooled);
    let is_pooled = y < comptime!(2 * rows) && x < comptime!(2 * columns);
    let row = min(y / 2, comptime!(rows - 1));
    let column = min(x / 2, comptime!(columns - 1));
    let window = window_index(image, out_channel, row, column, block);
    let place = y % 2 * 2 + x % 2;
    let gradient = output_gradient[window];
    if comptime!(block.pooling == Pooling::Max) {
        let gradient = gradient * derivative(output[window], comptime!(block.activation));
        let is_largest = saved[window] == f32::cast_from(place);
        select(is_pooled && is_largest, gradient, 0.0)
    } else {
        let activation = saved[window * 4 + place];
        let gradient = 0.25 * gradient * derivative(activation, comptime!(block.activation));
        select(is_pooled, gradient, 0.0)
    }
}
