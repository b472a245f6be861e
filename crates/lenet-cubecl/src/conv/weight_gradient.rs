//! The gradients of the parameters. A cube takes a chunk of the images, brings maps of the input and gradients of the
//! output to shared memory, and adds up what the pooled places contribute: each unit one row of a kernel, or a bias, over
//! a share of the places. A second launch adds up the chunks.

use cubecl::prelude::*;
use lenet_kernels::Pooling;

use super::ConvBlock;
use super::division::{PLANE, largest, map_size};
use super::forward::{padded, window_index};
use crate::Buffer;
use crate::activation::derivative;
use crate::launch::{SHARED, UNITS, ahead, cubes, rounds};

/// Chunks of the images, at most. The sums depend on it.
pub(super) const CHUNKS: usize = 64;

/// How the sums over all places are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reduction {
    /// Channels of the input of a cube, and cubes for all of them.
    inputs: usize,
    input_tiles: usize,
    /// Channels of the output of a cube, and cubes for all of them.
    outputs: usize,
    output_tiles: usize,
    /// Rows of windows in shared memory at once, and how often that is done.
    rows: usize,
    bands: usize,
    /// Parts of the places, each of which has its own units.
    shares: usize,
    /// Places of a window that have gradients of their own.
    places: usize,
}

impl Reduction {
    /// `None` if a row of windows does not fit.
    pub(super) fn new(block: &ConvBlock) -> Option<Self> {
        let [rows, columns] = block.pooled;
        let kernel_size = block.kernel_size;
        let places = match block.pooling {
            Pooling::Max => 1,
            Pooling::Average => 4,
        };
        let lines = |inputs: usize, outputs: usize| outputs * lines_of_channel(inputs, kernel_size);
        let fits = |inputs: usize, outputs: usize, rows: usize| {
            let gradients = 2 * outputs * rows * columns * places;
            let map = map_stride(rows, columns, kernel_size);
            let sums = lines(inputs, outputs) * kernel_size;
            lines(inputs, outputs) <= UNITS && inputs * map + gradients <= SHARED && sums <= SHARED
        };
        let (bands, rows) = largest(rows, |rows| fits(1, 1, rows))?;
        // Leaves room for the gradients of a few channels.
        let (input_tiles, inputs) = largest(block.in_channels, |inputs| {
            let map = map_stride(rows, columns, kernel_size);
            fits(inputs, 1, rows) && (inputs == 1 || inputs * map <= SHARED / 2)
        })?;
        let (output_tiles, outputs) =
            largest(block.out_channels, |outputs| fits(inputs, outputs, rows))?;
        let lines = lines(inputs, outputs);
        Some(Self {
            inputs,
            input_tiles,
            outputs,
            output_tiles,
            rows,
            bands,
            shares: (UNITS / lines).min(SHARED / (lines * kernel_size)),
            places,
        })
    }

    /// Chunks of so many images, and images of a chunk.
    pub(super) fn chunks(images: usize) -> (usize, usize) {
        let of_chunk = images.div_ceil(CHUNKS).max(1);
        (images.div_ceil(of_chunk), of_chunk)
    }

    /// Cubes of a chunk.
    pub(super) fn cubes(&self) -> usize {
        self.input_tiles * self.output_tiles
    }

    /// Units of a cube, in whole planes of most devices.
    pub(super) fn units(&self, kernel_size: usize) -> usize {
        (self.shares * self.lines(kernel_size)).next_multiple_of(PLANE)
    }

    /// Rows of kernels, and biases, of a cube.
    fn lines(&self, kernel_size: usize) -> usize {
        self.outputs * lines_of_channel(self.inputs, kernel_size)
    }
}

/// Rows of the kernels of so many channels of the input, and a bias, in whole planes if that idles few units: then the
/// gradients of a plane are those of one channel of the output, and it can skip those that are zero.
fn lines_of_channel(inputs: usize, kernel_size: usize) -> usize {
    let lines = inputs * kernel_size + 1;
    let whole = lines.next_multiple_of(PLANE);
    if whole - lines <= lines / 4 {
        whole
    } else {
        lines
    }
}

/// Values between a map and the next, in shared memory.
fn map_stride(rows: usize, columns: usize, kernel_size: usize) -> usize {
    let [rows, columns] = map_size(rows, columns, kernel_size);
    let len = rows.saturating_mul(columns);
    len.saturating_add((kernel_size + PLANE - len % PLANE) % PLANE)
}

/// Where the sums of a chunk are, for each network a row in which the gradients of all blocks follow one another as the
/// parameters do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartialSums {
    /// Values of a row.
    pub(crate) stride: usize,
    /// Where the weights of the block start in a row, and its biases.
    pub(crate) weight: usize,
    pub(crate) bias: usize,
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
    #[comptime] places_of_sums: PartialSums,
) {
    let kernel_size = comptime!(block.kernel_size);
    let in_channels = comptime!(block.in_channels);
    let out_channels = comptime!(block.out_channels);
    let columns = comptime!(block.pooled[1]);
    let [map_height, map_width] = comptime!(map_size(reduction.rows, columns, kernel_size));
    let map_len = comptime!(map_height * map_width);
    let map_stride = comptime!(map_stride(reduction.rows, columns, kernel_size));
    let places = comptime!(reduction.rows * columns * reduction.places);
    let rows_of_channel = comptime!(reduction.inputs * kernel_size);
    let lines_of_channel = comptime!(lines_of_channel(reduction.inputs, kernel_size));
    let lines = comptime!(reduction.lines(kernel_size));
    let shares = comptime!(reduction.shares);
    let is_max = comptime!(block.pooling == Pooling::Max);
    let maps_len = comptime!(reduction.inputs * map_stride);
    let values_len = comptime!(reduction.inputs * map_len);
    let gradients_len = comptime!(reduction.outputs * places);
    let len = comptime!((maps_len + gradients_len).max(shares * lines * kernel_size));
    let units = comptime!(reduction.units(kernel_size));

    let index = min(
        CUBE_POS,
        networks * chunks * comptime!(reduction.cubes()) - 1,
    );
    let first_input = index % comptime!(reduction.input_tiles) * comptime!(reduction.inputs);
    let tile = index / comptime!(reduction.input_tiles) % comptime!(reduction.output_tiles);
    let first_output = tile * comptime!(reduction.outputs);
    let part = index / comptime!(reduction.cubes());
    let network = part / chunks;
    let chunk = part % chunks;

    // Maps of the input, then gradients.
    let mut shared = Shared::<[f32]>::new_slice(len);
    // Where in a map the kernel lies for each gradient.
    let mut corners = Shared::<[u32]>::new_slice(gradients_len);
    let unit = UNIT_POS as usize;
    let share = unit / lines;
    let line = unit % lines;
    let own_output = line / lines_of_channel;
    let is_bias = line % lines_of_channel == rows_of_channel;
    let own_input = min(
        line % lines_of_channel / kernel_size,
        comptime!(reduction.inputs - 1),
    );
    let own_row = line % lines_of_channel % kernel_size;
    let own_map = own_input * map_stride + own_row;

    let mut sums = Array::<f32>::new(kernel_size);
    #[unroll]
    for x in 0..kernel_size {
        sums[x] = 0.0;
    }
    for step in 0..images_of_chunk * comptime!(reduction.bands) {
        let within = chunk * images_of_chunk + step / comptime!(reduction.bands);
        let image = network * images + min(within, images - 1);
        let first_row = step % comptime!(reduction.bands) * comptime!(reduction.rows);
        sync_cube();
        let at_once = comptime!(ahead(values_len, units));
        for round in 0..comptime!(rounds(values_len, units)) {
            let mut values = Array::<f32>::new(at_once);
            #[unroll]
            for i in 0..at_once {
                // The last one several times rather than none.
                let index = min(
                    unit + (round * at_once + i) * units,
                    comptime!(values_len - 1),
                );
                let channel = min(first_input + index / map_len, comptime!(in_channels - 1));
                let map = (image * in_channels + channel) * comptime!(block.height * block.width);
                let y = 2 * first_row + index % map_len / map_width;
                values[i] = padded(input, map, y, index % map_width, block);
            }
            #[unroll]
            for i in 0..at_once {
                let index = min(
                    unit + (round * at_once + i) * units,
                    comptime!(values_len - 1),
                );
                let column = index % map_width * map_height;
                let place = index / map_len * map_stride + column + index % map_len / map_width;
                shared[place] = values[i];
            }
        }
        let at_once = comptime!(ahead(gradients_len, units));
        for round in 0..comptime!(rounds(gradients_len, units)) {
            let mut values = Array::<f32>::new(at_once);
            let mut places_of = Array::<u32>::new(at_once);
            #[unroll]
            for i in 0..at_once {
                let index = min(
                    unit + (round * at_once + i) * units,
                    comptime!(gradients_len - 1),
                );
                let channel = min(first_output + index / places, comptime!(out_channels - 1));
                let window = index % places / comptime!(reduction.places);
                let row = first_row + window / columns;
                let known = min(row, comptime!(block.pooled[0] - 1));
                let column = window % columns;
                let position = window_index(image, channel, known, column, block);
                let mut gradient = output_gradient[position];
                let mut place = index % comptime!(reduction.places);
                if is_max {
                    gradient *= derivative(output[position], comptime!(block.activation));
                    place = usize::cast_from(saved[position]);
                } else {
                    let activation = saved[position * 4 + place];
                    gradient *= 0.25 * derivative(activation, comptime!(block.activation));
                }
                let counts = within < images && row < comptime!(block.pooled[0]);
                values[i] = select(counts, gradient, 0.0);
                let y = 2 * (window / columns) + place / 2;
                places_of[i] = u32::cast_from((2 * column + place % 2) * map_height + y);
            }
            #[unroll]
            for i in 0..at_once {
                let index = min(
                    unit + (round * at_once + i) * units,
                    comptime!(gradients_len - 1),
                );
                shared[maps_len + index] = values[i];
                corners[index] = places_of[i];
            }
        }
        sync_cube();
        let at_once = comptime!(ahead(places, shares));
        for round in 0..comptime!(rounds(places, shares)) {
            let mut gradients = Array::<f32>::new(at_once);
            let mut starts = Array::<u32>::new(at_once);
            #[unroll]
            for i in 0..at_once {
                let place = share + (round * at_once + i) * shares;
                let known = own_output * places + min(place, comptime!(places - 1));
                let counts = share < shares && place < places;
                gradients[i] = select(counts, shared[maps_len + known], 0.0);
                starts[i] = corners[known];
            }
            #[unroll]
            for i in 0..at_once {
                let gradient = gradients[i];
                if gradient != 0.0 {
                    let start = own_map + starts[i] as usize;
                    #[unroll]
                    for x in 0..kernel_size {
                        let value = shared[start + comptime!(x * map_height)];
                        sums[x] += gradient * select(is_bias, 1.0, value);
                    }
                }
            }
        }
    }

    sync_cube();
    if share < shares {
        #[unroll]
        for x in 0..kernel_size {
            shared[unit * kernel_size + x] = sums[x];
        }
    }
    sync_cube();
    let fan_in = comptime!(block.fan_in());
    let mut index = unit;
    while index < comptime!(lines * kernel_size) {
        let mut total = 0.0f32;
        for share in 0..shares {
            total += shared[share * comptime!(lines * kernel_size) + index];
        }
        let line = index / kernel_size;
        let x = index % kernel_size;
        let channel = first_output + line / lines_of_channel;
        let row = line % lines_of_channel;
        let start = (chunk * networks + network) * comptime!(places_of_sums.stride);
        if channel < out_channels {
            if row < rows_of_channel {
                if first_input + row / kernel_size < in_channels {
                    let weights = start + comptime!(places_of_sums.weight) + channel * fan_in;
                    let place = (first_input * kernel_size + row) * kernel_size + x;
                    partials[weights + place] = total;
                }
            } else if row == rows_of_channel && first_input == 0 && x == 0 {
                partials[start + comptime!(places_of_sums.bias) + channel] = total;
            }
        }
        index += units;
    }
}

/// Values that a cube adds up.
const VALUES: usize = 32;

/// Adds up the chunks of rows of `partials`, and writes them to the beginnings of the rows of `gradients`.
pub(crate) fn sum_partials(
    [networks, images]: [usize; 2],
    partials: &Buffer,
    gradients: &Buffer,
    [partial_stride, stride]: [usize; 2],
) {
    let client = partials.client();
    let (chunks, _) = Reduction::chunks(images);
    let (count, dim) = cubes(client, (networks * partial_stride).div_ceil(VALUES));
    sum_chunks::launch(
        client,
        count,
        dim,
        partials.arg(),
        gradients.arg(),
        chunks,
        networks,
        partial_stride,
        stride,
    );
}

/// A unit adds up every eighth chunk.
#[cube(launch)]
fn sum_chunks(
    partials: &[f32],
    gradients: &mut [f32],
    chunks: usize,
    networks: usize,
    #[comptime] partial_stride: usize,
    #[comptime] stride: usize,
) {
    let values = networks * partial_stride;
    let parts = comptime!(UNITS / VALUES);
    let unit = UNIT_POS as usize;
    let value = CUBE_POS * VALUES + unit % VALUES;
    let known = min(value, values - 1);

    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..comptime!(CHUNKS / parts) {
        let chunk = i * parts + unit / VALUES;
        let partial = partials[min(chunk, chunks - 1) * values + known];
        sum += select(chunk < chunks, partial, 0.0);
    }
    let mut sums = Shared::<[f32]>::new_slice(UNITS);
    sums[unit] = sum;
    sync_cube();
    if unit < VALUES && value < values {
        let mut total = 0.0f32;
        #[unroll]
        for part in 0..parts {
            total += sums[part * VALUES + unit];
        }
        gradients[value / partial_stride * stride + value % partial_stride] = total;
    }
}
