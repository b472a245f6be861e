//! The layout for small maps of many channels: output channels side by side in a vector.
//!
//! # What lies where
//!
//! Where a row has fewer windows than a vector has lanes, lane `i` stands for output channel `i` instead. All
//! lanes then need the same input, broadcast to a vector, and each its own weight. The image stays as it is,
//! apart from its border of zeros; the weights are packed so that those of neighbouring channels are neighbours:
//!
//! ```text
//!  output channels      |  0   1   2  …  15 | 16  17  …  21   -   -  …  -      filled up with zeros
//!  weights of tap 0     | w₀  w₁  w₂  … w₁₅ | …                                two vectors, one load each
//!  input, tap 0         |  x   x   x  …   x                                    one broadcast for both
//! ```
//!
//! A tile covers a few windows of a row, that is `N` columns of two rows of the convolution's output. The input
//! of a tap at neighbouring columns is one run of the padded map:
//!
//! ```text
//!            window 0   window 1   window 2
//!  upper     a    b     a    b     a    b         place 0 is a, 1 is b
//!  lower     c    d     c    d     c    d         place 2 is c, 3 is d      N = 6 columns
//! ```
//!
//! The four places of a window end in four vectors, stored next to each other, so that pooling is again a few
//! operations on whole vectors.
//!
//! Axes, outermost first:
//!
//! | what | order |
//! |---|---|
//! | image | in channel, padded row, padded column |
//! | packed weights | block of vectors, in channel, tap, vector of the block, lane |
//! | values before the pooling, and their gradients | window, vector, place, lane |
//! | sums of weight gradients | vector, in channel, tap, lane |
//!
//! # Loops
//!
//! ```text
//! for block of up to 3 vectors of output channels   // 2 where there are 16 registers or fewer
//!   for row of windows, tile of up to 6 windows
//!     sums[2][N][V] = bias                          // up to 24 registers of 32, or 12 of 16
//!     for input channel, row of inputs, tap x
//!       upper[V], lower[V] = load                   // its weights as tap (row, x) and as tap (row - 1, x)
//!       for column of the tile
//!         input = splat
//!         sums[0][column][0..V] += upper[0..V] · input
//!         sums[1][column][0..V] += lower[0..V] · input
//!     store sums as [window, vector, place]
//! ```
//!
//! It is fast for the same reason as `windows`: a weight loaded serves up to 12 columns, an input two rows of up to three
//! vectors, and the sums are independent of each other and never leave the registers. No lane is idle except
//! in the last vector of channels. Tiles are compiled for every size up to what the registers hold, since a tile
//! whose size is not a constant would keep its sums in memory.

mod backward;
mod forward;

use super::geometry::Geometry;
use crate::simd::Vectors;

/// Where everything lies.
pub(super) struct Channels {
    geometry: Geometry,
    lanes: usize,
    /// Vectors of output channels, and most of them in a block.
    vectors: usize,
    block: usize,
    /// Values of a map of the padded input.
    plane: usize,
    /// Where in a map each tap reads its input.
    offsets: Vec<usize>,
}

impl Channels {
    pub(super) fn new(geometry: &Geometry, vectors: Vectors) -> Self {
        let Vectors { lanes, registers } = vectors;
        let k = geometry.shape.kernel_size;
        let [rows, columns] = geometry.padded;
        let offsets = (0..k).flat_map(|y| (0..k).map(move |x| y * columns + x));
        Self {
            lanes,
            vectors: geometry.shape.out_channels.div_ceil(lanes),
            // With the weights of two taps, the sums of a window leave a register for an input.
            block: if registers >= 32 { 3 } else { 2 },
            plane: rows * columns,
            offsets: offsets.collect(),
            geometry: *geometry,
        }
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Vector operations for each tap and place.
    pub(super) fn cost(&self) -> usize {
        self.vectors * self.geometry.map_len()
    }

    /// Values of the padded image.
    pub(super) fn image_len(&self) -> usize {
        self.geometry.shape.in_channels * self.plane
    }

    /// Values before the pooling, filled up to whole vectors.
    pub(super) fn values_len(&self) -> usize {
        self.cost() * 4 * self.lanes
    }

    /// Vectors of output channels.
    pub(super) fn vectors(&self) -> usize {
        self.vectors
    }

    /// Copies one sample into padded maps, whose borders must be zero already.
    pub(super) fn pad(&self, maps: &[f32], image: &mut [f32]) {
        let [_, stride] = self.geometry.padded;
        let shape = self.geometry.shape;
        let start = shape.padding * stride + shape.padding;
        let maps = maps.chunks_exact(shape.height * shape.width);
        for (map, plane) in maps.zip(image.chunks_exact_mut(self.plane)) {
            let rows = plane[start..].chunks_mut(stride);
            for (row, values) in rows.zip(map.chunks_exact(shape.width)) {
                row[..shape.width].copy_from_slice(values);
            }
        }
    }
}
