//! The gradients of the parameters, in chunks of the images. A cube takes a chunk, brings maps of the input and gradients of
//! the output to shared memory, and adds up what the pooled places contribute: each unit one row of a kernel, or a bias,
//! over a share of the places.
//!
//! Neighbouring units have neighbouring rows of kernels and read neighbouring rows of a map at once. So the maps are in
//! shared memory column by column, and as far apart that those of the next channel are in the next banks.

use cubecl::prelude::*;
use lenet_kernels::Pooling;

use super::ConvBlock;
use super::forward::{padded, window_index};
use super::partials::PartialSums;
use super::reduction::Reduction;
use crate::activation::derivative;
use crate::launch::{ahead, rounds};

/// What a cube computes.
#[derive(CubeType)]
struct Part {
    network: usize,
    chunk: usize,
    first_input: usize,
    first_output: usize,
}

#[cube(launch)]
pub(super) fn conv_weight_gradient(
    input: &[f32],
    output: &[f32],
    saved: &[f32],
    output_gradient: &[f32],
    partials: &mut [f32],
    images: usize,
    networks: usize,
    chunks: usize,
    images_of_chunk: usize,
    #[comptime] block: ConvBlock,
    #[comptime] reduction: Reduction,
    #[comptime] partial_sums: PartialSums,
) {
    let kernel_size = comptime!(block.kernel_size);
    let cubes = networks * chunks * comptime!(reduction.cubes());
    let index = min(CUBE_POS, cubes - 1);
    let tile = index / comptime!(reduction.input_tiles) % comptime!(reduction.output_tiles);
    let part = Part {
        network: index / comptime!(reduction.cubes()) / chunks,
        chunk: index / comptime!(reduction.cubes()) % chunks,
        first_input: index % comptime!(reduction.input_tiles) * comptime!(reduction.inputs),
        first_output: tile * comptime!(reduction.outputs),
    };

    let mut shared = Shared::<[f32]>::new_slice(comptime!(reduction.shared_len()));
    // Where in a map the kernel lies for each gradient.
    let mut corners = Shared::<[u32]>::new_slice(comptime!(reduction.gradients_len()));
    let mut sums = Array::<f32>::new(kernel_size);
    #[unroll]
    for x in 0..kernel_size {
        sums[x] = 0.0;
    }
    for step in 0..images_of_chunk * comptime!(reduction.bands) {
        let within = part.chunk * images_of_chunk + step / comptime!(reduction.bands);
        let image = part.network * images + min(within, images - 1);
        let first_row = step % comptime!(reduction.bands) * comptime!(reduction.rows);
        sync_cube();
        load_maps(
            input,
            &mut shared,
            &part,
            image,
            first_row,
            block,
            reduction,
        );
        load_gradients(
            output,
            saved,
            output_gradient,
            &mut shared,
            &mut corners,
            &part,
            image,
            within < images,
            first_row,
            block,
            reduction,
        );
        sync_cube();
        add_places(&shared, &corners, &mut sums, block, reduction);
    }
    add_shares(
        &mut shared,
        &sums,
        partials,
        &part,
        networks,
        block,
        reduction,
        partial_sums,
    );
}

/// Brings the maps of an image to shared memory, with the padding.
#[cube]
fn load_maps(
    input: &[f32],
    shared: &mut Shared<[f32]>,
    part: &Part,
    image: usize,
    first_row: usize,
    #[comptime] block: ConvBlock,
    #[comptime] reduction: Reduction,
) {
    let in_channels = comptime!(block.in_channels);
    let [height, width] = comptime!(reduction.map_size());
    let (len, units) = comptime!((reduction.inputs * height * width, reduction.units()));
    let at_once = comptime!(ahead(len, units));
    for round in 0..comptime!(rounds(len, units)) {
        let mut values = Array::<f32>::new(at_once);
        #[unroll]
        for i in 0..at_once {
            // The last one several times rather than none.
            let index = min(UNIT_POS as usize + (round * at_once + i) * units, len - 1);
            let channel = part.first_input + index / comptime!(height * width);
            let map = image * in_channels + min(channel, comptime!(in_channels - 1));
            let map = map * comptime!(block.height * block.width);
            let y = 2 * first_row + index / width % height;
            values[i] = padded(input, map, y, index % width, block);
        }
        #[unroll]
        for i in 0..at_once {
            let index = min(UNIT_POS as usize + (round * at_once + i) * units, len - 1);
            let map = index / comptime!(height * width) * comptime!(reduction.map_stride());
            shared[map + index % width * height + index / width % height] = values[i];
        }
    }
}

/// Brings the gradients of an image to shared memory, before the activation, or zeros if it does not count.
#[cube]
fn load_gradients(
    output: &[f32],
    saved: &[f32],
    output_gradient: &[f32],
    shared: &mut Shared<[f32]>,
    corners: &mut Shared<[u32]>,
    part: &Part,
    image: usize,
    counts: bool,
    first_row: usize,
    #[comptime] block: ConvBlock,
    #[comptime] reduction: Reduction,
) {
    let [rows, columns] = comptime!(block.pooled);
    let of_window = comptime!(reduction.of_window);
    let [map_height, _] = comptime!(reduction.map_size());
    let (len, units) = comptime!((reduction.gradients_len(), reduction.units()));
    let at_once = comptime!(ahead(len, units));
    for round in 0..comptime!(rounds(len, units)) {
        let mut gradients = Array::<f32>::new(at_once);
        let mut places = Array::<u32>::new(at_once);
        #[unroll]
        for i in 0..at_once {
            let index = min(UNIT_POS as usize + (round * at_once + i) * units, len - 1);
            let channel = part.first_output + index / comptime!(reduction.places());
            let channel = min(channel, comptime!(block.out_channels - 1));
            let window = index % comptime!(reduction.places()) / of_window;
            let (row, column) = (window / columns, window % columns);
            let known = min(first_row + row, comptime!(rows - 1));
            let position = window_index(image, channel, known, column, block);
            let mut gradient = output_gradient[position];
            let mut place = index % of_window;
            if comptime!(block.pooling == Pooling::Max) {
                gradient *= derivative(output[position], comptime!(block.activation));
                place = usize::cast_from(saved[position]);
            } else {
                let activation = saved[position * 4 + place];
                gradient *= 0.25 * derivative(activation, comptime!(block.activation));
            }
            gradients[i] = select(counts && first_row + row < rows, gradient, 0.0);
            let x = 2 * column + place % 2;
            places[i] = u32::cast_from(x * map_height + 2 * row + place / 2);
        }
        #[unroll]
        for i in 0..at_once {
            let index = min(UNIT_POS as usize + (round * at_once + i) * units, len - 1);
            shared[comptime!(reduction.maps_len()) + index] = gradients[i];
            corners[index] = places[i];
        }
    }
}

/// Adds what the places of the unit's share contribute to its row of a kernel, or its bias.
#[cube]
fn add_places(
    shared: &Shared<[f32]>,
    corners: &Shared<[u32]>,
    sums: &mut Array<f32>,
    #[comptime] block: ConvBlock,
    #[comptime] reduction: Reduction,
) {
    let kernel_size = comptime!(block.kernel_size);
    let [map_height, _] = comptime!(reduction.map_size());
    let (places, shares) = comptime!((reduction.places(), reduction.shares));
    let share = UNIT_POS as usize / comptime!(reduction.lines());
    let line = UNIT_POS as usize % comptime!(reduction.lines());
    let output = line / comptime!(reduction.lines_of_channel());
    let row = line % comptime!(reduction.lines_of_channel());
    let is_bias = row == comptime!(reduction.rows_of_channel());
    let input = min(row / kernel_size, comptime!(reduction.inputs - 1));
    let first = input * comptime!(reduction.map_stride()) + row % kernel_size;
    let at_once = comptime!(ahead(places, shares));
    for round in 0..comptime!(rounds(places, shares)) {
        let mut gradients = Array::<f32>::new(at_once);
        let mut starts = Array::<u32>::new(at_once);
        #[unroll]
        for i in 0..at_once {
            let place = share + (round * at_once + i) * shares;
            let known = output * places + min(place, comptime!(places - 1));
            let counts = share < shares && place < places;
            let gradient = shared[comptime!(reduction.maps_len()) + known];
            gradients[i] = select(counts, gradient, 0.0);
            starts[i] = corners[known];
        }
        #[unroll]
        for i in 0..at_once {
            let gradient = gradients[i];
            if gradient != 0.0 {
                let start = first + starts[i] as usize;
                #[unroll]
                for x in 0..kernel_size {
                    let value = shared[start + comptime!(x * map_height)];
                    sums[x] += gradient * select(is_bias, 1.0, value);
                }
            }
        }
    }
}

/// Adds up the shares, and writes the sums of the chunk.
#[cube]
fn add_shares(
    shared: &mut Shared<[f32]>,
    sums: &Array<f32>,
    partials: &mut [f32],
    part: &Part,
    networks: usize,
    #[comptime] block: ConvBlock,
    #[comptime] reduction: Reduction,
    #[comptime] partial_sums: PartialSums,
) {
    let kernel_size = comptime!(block.kernel_size);
    let (weights, shares) = comptime!((reduction.weights(), reduction.shares));
    let unit = UNIT_POS as usize;
    sync_cube();
    if unit < comptime!(shares * reduction.lines()) {
        #[unroll]
        for x in 0..kernel_size {
            shared[unit * kernel_size + x] = sums[x];
        }
    }
    sync_cube();
    let start = (part.chunk * networks + part.network) * comptime!(partial_sums.stride);
    let rows_of_channel = comptime!(reduction.rows_of_channel());
    let mut index = unit;
    while index < weights {
        let mut total = 0.0f32;
        for share in 0..shares {
            total += shared[share * weights + index];
        }
        let x = index % kernel_size;
        let line = index / kernel_size;
        let channel = part.first_output + line / comptime!(reduction.lines_of_channel());
        let row = line % comptime!(reduction.lines_of_channel());
        let input = part.first_input + row / kernel_size;
        if channel < comptime!(block.out_channels) {
            if row < rows_of_channel && input < comptime!(block.in_channels) {
                let first = start + comptime!(partial_sums.weight);
                let kernels = channel * comptime!(block.fan_in());
                let place = (part.first_input * kernel_size + row) * kernel_size + x;
                partials[first + kernels + place] = total;
            } else if row == rows_of_channel && part.first_input == 0 && x == 0 {
                partials[start + comptime!(partial_sums.bias) + channel] = total;
            }
        }
        index += comptime!(reduction.units());
    }
}
