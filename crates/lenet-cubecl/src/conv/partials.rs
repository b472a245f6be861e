//! The gradients of the parameters in chunks of the images, and their sums.

use cubecl::prelude::*;

use crate::Buffer;
use crate::launch::{UNITS, cubes};

/// Chunks of the images, at most. The sums depend on it.
const CHUNKS: usize = 64;

/// Chunks of so many images, and images of a chunk.
pub(super) fn chunks(images: usize) -> (usize, usize) {
    let of_chunk = images.div_ceil(CHUNKS).max(1);
    (images.div_ceil(of_chunk), of_chunk)
}

/// Values of the sums of the chunks, each in a row of `stride` values.
pub(crate) fn partials_len([networks, images]: [usize; 2], stride: usize) -> usize {
    let (chunks, _) = chunks(images);
    chunks.saturating_mul(networks).saturating_mul(stride)
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
    let (chunks, _) = chunks(images);
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
