//! The forward pass: the convolution of the padded input; each unit then pools and activates its window.

use cubecl::prelude::*;
use lenet_kernels::Pooling;

use super::ConvBlock;
use super::convolve::{Share, Weights, add_piece, load_weights, place_of_column, share_of_unit};
use super::division::Division;
use crate::activation::activate;
use crate::launch::{ahead, rounds};

#[cube(launch)]
pub(super) fn conv_forward(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    output: &mut [f32],
    mut saved: ComptimeOption<&mut [f32]>,
    networks: usize,
    images: usize,
    images_at_once: usize,
    #[comptime] block: ConvBlock,
    #[comptime] stride: usize,
    #[comptime] division: Division,
) {
    let rows = comptime!(block.pooled[0]);
    let channels = comptime!(division.channels);
    let share = share_of_unit(networks, images, images_at_once, rows, division);
    let mut maps = Shared::<[f32]>::new_slice(comptime!(division.maps_len()));
    let mut weights = Shared::<[Weights]>::new_slice(comptime!(division.weights_len()));
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
            load_maps(input, &mut maps, &share, image, piece, block, division);
            if comptime!(division.pieces > 1).runtime() || i == 0 {
                let first = share.network * stride;
                load_weights(weight, first, &share, piece, &mut weights, division, false);
            }
            sync_cube();
            add_piece(&maps, &weights, &share, &mut sums, division, false);
        }

        if share.is_active {
            let biases = share.network * stride;
            write_window(
                bias, output, &mut sums, &share, biases, image, block, division,
            );
            #[comptime]
            if let ComptimeOption::Some(saved) = &mut saved {
                let per_window = comptime!(block.saved_per_window());
                let first = share.first_channel + share.group * channels;
                #[unroll]
                for c in 0..channels {
                    let window = window_index(image, first + c, share.row, share.column, block);
                    #[unroll]
                    for place in 0..per_window {
                        saved[window * per_window + place] = sums[c * 4 + place];
                    }
                }
            }
        }
    }
}

/// Brings the maps of a piece to shared memory, with the padding.
#[cube]
fn load_maps(
    input: &[f32],
    maps: &mut Shared<[f32]>,
    share: &Share,
    image: usize,
    piece: usize,
    #[comptime] block: ConvBlock,
    #[comptime] division: Division,
) {
    let in_channels = comptime!(block.in_channels);
    let [height, width] = comptime!(division.map_size());
    let (len, units) = comptime!((division.maps * height * width, division.units()));
    let ahead = comptime!(ahead(len, units));
    for round in 0..comptime!(rounds(len, units)) {
        let mut values = Array::<f32>::new(ahead);
        #[unroll]
        for i in 0..ahead {
            // The last one several times rather than none.
            let index = min(UNIT_POS as usize + (round * ahead + i) * units, len - 1);
            let channel = piece * comptime!(division.maps) + index / comptime!(height * width);
            let known = image * in_channels + min(channel, comptime!(in_channels - 1));
            let map = known * comptime!(block.height * block.width);
            let y = 2 * share.first_row + index / width % height;
            let value = padded(input, map, y, index % width, block);
            values[i] = select(channel < in_channels, value, 0.0);
        }
        #[unroll]
        for i in 0..ahead {
            let index = min(UNIT_POS as usize + (round * ahead + i) * units, len - 1);
            let map = index / comptime!(height * width) * comptime!(division.map_len());
            let row = index / width % height * comptime!(division.row_len());
            maps[map + row + place_of_column(index % width, division)] = values[i];
        }
    }
}

/// Pools and activates, and leaves in `sums` what the backward pass needs.
#[cube]
fn write_window(
    bias: &[f32],
    output: &mut [f32],
    sums: &mut Array<f32>,
    share: &Share,
    biases: usize,
    image: usize,
    #[comptime] block: ConvBlock,
    #[comptime] division: Division,
) {
    let channels = comptime!(division.channels);
    let is_max = comptime!(block.pooling == Pooling::Max);
    let first = share.first_channel + share.group * channels;
    #[unroll]
    for c in 0..channels {
        let bias = bias[biases + first + c];
        let window = window_index(image, first + c, share.row, share.column, block);
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
    // Wrap around to positions outside of the map. Without branches, which compilers of shaders dislike.
    let row = y - padding;
    let column = x - padding;
    let inside = row < height && column < width;
    let row = min(row, comptime!(height - 1));
    let column = min(column, comptime!(width - 1));
    select(inside, input[map + row * width + column], 0.0)
}
