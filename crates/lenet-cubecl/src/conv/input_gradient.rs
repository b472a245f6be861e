//! The gradient of the input: the gradient of the convolution's output, which is zero but for the places that were
//! pooled, convolved with flipped kernels. Each unit computes a 2×2 block of positions.

use cubecl::prelude::*;
use lenet_kernels::Pooling;

use super::ConvBlock;
use super::convolve::{Share, Weights, add_piece, load_weights, place_of_column, share_of_unit};
use super::division::Division;
use super::forward::window_index;
use crate::activation::derivative;

#[cube(launch)]
pub(super) fn conv_input_gradient(
    weight: &[f32],
    output: &[f32],
    saved: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    networks: usize,
    images: usize,
    images_at_once: usize,
    #[comptime] block: ConvBlock,
    #[comptime] stride: usize,
    #[comptime] division: Division,
) {
    let (height, width) = comptime!((block.height, block.width));
    let channels = comptime!(division.channels);
    let share = share_of_unit(
        networks,
        images,
        images_at_once,
        height.div_ceil(2),
        division,
    );
    let mut maps = Shared::<[f32]>::new_slice(comptime!(division.maps_len()));
    let mut weights = Shared::<[Weights]>::new_slice(comptime!(division.weights_len()));
    let mut index = UNIT_POS as usize;
    while index < comptime!(division.maps_len()) {
        maps[index] = 0.0;
        index += comptime!(division.units());
    }
    let mut sums = Array::<f32>::new(comptime!(4 * channels));
    for i in 0..images_at_once {
        // Behind the last one, it is computed again.
        let image = share.network * images + min(share.first_image + i, images - 1);
        #[unroll]
        for i in 0..comptime!(4 * channels) {
            sums[i] = 0.0;
        }
        for piece in 0..comptime!(division.pieces) {
            sync_cube();
            spread_gradients(
                output,
                saved,
                output_gradient,
                &mut maps,
                &share,
                image,
                piece,
                block,
                division,
            );
            if comptime!(division.pieces > 1).runtime() || i == 0 {
                let first = share.network * stride;
                load_weights(weight, first, &share, piece, &mut weights, division, true);
            }
            sync_cube();
            add_piece(&maps, &weights, &share, &mut sums, division, true);
        }

        if share.is_active {
            #[unroll]
            for c in 0..channels {
                let channel = share.first_channel + share.group * channels + c;
                let map =
                    (image * comptime!(block.in_channels) + channel) * comptime!(height * width);
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
}

/// Brings the gradients of a piece to shared memory, before the activation: each window to its four places. Around them
/// the maps stay zero.
#[cube]
fn spread_gradients(
    output: &[f32],
    saved: &[f32],
    output_gradient: &[f32],
    maps: &mut Shared<[f32]>,
    share: &Share,
    image: usize,
    piece: usize,
    #[comptime] block: ConvBlock,
    #[comptime] division: Division,
) {
    let [rows, columns] = comptime!(block.pooled);
    let out_channels = comptime!(block.out_channels);
    let [map_height, map_width] = comptime!(division.map_size());
    let is_max = comptime!(block.pooling == Pooling::Max);
    let first_y = 2 * share.first_row;
    let mut first_row = 0usize;
    if first_y + comptime!(block.padding + 1) > comptime!(block.kernel_size) {
        first_row = (first_y + comptime!(block.padding + 1) - comptime!(block.kernel_size)) / 2;
    }
    // The rows of windows that reach into the map.
    let rows_of_map = comptime!((map_height / 2 + 1).min(rows));
    let windows = comptime!(rows_of_map * columns);
    let mut index = UNIT_POS as usize;
    while index < comptime!(division.maps * windows) {
        let map = index / windows;
        let row = first_row + index % windows / columns;
        let column = index % columns;
        let channel = piece * comptime!(division.maps) + map;
        let window = window_index(
            image,
            min(channel, comptime!(out_channels - 1)),
            min(row, comptime!(rows - 1)),
            column,
            block,
        );
        let mut gradient = output_gradient[window];
        if is_max {
            gradient *= derivative(output[window], comptime!(block.activation));
        }
        gradient = select(channel < out_channels, gradient, 0.0);
        #[unroll]
        for place in 0..4usize {
            let value = if is_max {
                select(saved[window] == comptime!(place as f32), gradient, 0.0)
            } else {
                let activation = saved[window * 4 + place];
                0.25 * gradient * derivative(activation, comptime!(block.activation))
            };
            // In the map, which begins `kernel_size - 1 - padding` before the convolution's output. Wrap around to
            // positions outside of it.
            let y = 2 * row + comptime!(place / 2 + block.kernel_size)
                - (first_y + comptime!(block.padding + 1));
            let x = 2 * column + comptime!(place % 2 + block.kernel_size)
                - comptime!(block.padding + 1);
            if row < rows && y < map_height && x < map_width {
                let place = map * comptime!(division.map_len())
                    + y * comptime!(division.row_len())
                    + place_of_column(x, division);
                maps[place] = value;
            }
        }
        index += comptime!(division.units());
    }
}
