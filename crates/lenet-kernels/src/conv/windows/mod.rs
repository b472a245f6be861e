//! The layout for large maps of few channels: neighbouring pooling windows side by side in a vector.
//!
//! # What lies where
//!
//! Pooling reduces the 2×2 outputs of a window to one value. If the four are in four vectors at the same lane,
//! pooling is three comparisons of whole vectors, and nothing moves across lanes. So lane `i` of a vector stands
//! for window `i`, and neighbouring windows must read neighbouring inputs. In the image they are two columns
//! apart; hence the padded image is split into four planes by the parity of its columns and rows:
//!
//! ```text
//!   padded image            plane 0     plane 1     plane 2     plane 3
//!  a b a b a b a b          a a a a     c c c c     b b b b     d d d d
//!  c d c d c d c d    →     a a a a     c c c c     b b b b     d d d d
//!  a b a b a b a b          column      column      column      column
//!  c d c d c d c d          even,       even,       odd,        odd,
//!                           row even    row odd     row even    row odd
//! ```
//!
//! The convolution's output at place `(dy, dx)` of the window in row `r` and column `c` reads, at the tap in row
//! `y` and column `x` of a kernel, the padded input at `(2r + dy + y, 2c + dx + x)`. Its plane depends on
//! `dy + y` and `dx + x` alone, and so does its distance from `r · stride + c` in that plane. These distances
//! are the table `offsets`, and a vector of 16 windows reads one run of 16 inputs:
//!
//! ```text
//!  windows of a row     |  0   1   2   3   4   5   6   7 …
//!  place 0 reads plane 0   a₀  a₁  a₂  a₃  a₄  a₅  a₆  a₇ …     tap (0, 0): offset 0
//!  place 1 reads plane 2   b₀  b₁  b₂  b₃  b₄  b₅  b₆  b₇ …     tap (0, 0): offset 2 · plane
//!  place 0 reads plane 0   a₁  a₂  a₃  a₄  a₅  a₆  a₇  a₈ …     tap (0, 2): offset 1
//! ```
//!
//! A row of windows is as long as a row of a plane, `stride`, which the kernel makes a little longer than the
//! windows need. So windows are numbered by *slots*, `row · stride + column`, and vectors run across the ends of
//! rows. What they compute between two rows belongs to no window and is skipped when results are copied.
//!
//! Axes, outermost first:
//!
//! | what | order |
//! |---|---|
//! | image | in channel, plane (column parity, row parity), row, column |
//! | packed weights | block of out channels, in channel, tap, out channel of the block |
//! | values before the pooling | out channel, vector of slots, place, lane |
//! | their gradients | block of out channels, vector of slots, place, out channel of the block, lane |
//! | sums of weight gradients | out channel, in channel, tap, lane |
//!
//! # Loops
//!
//! ```text
//! for block of up to 6 output channels            // 2 where there are 16 registers or fewer
//!   for vector of slots
//!     sums[6][4] = bias                           // 24 registers: one for each channel and place
//!     for input channel, tap
//!       inputs[4] = load(planes + offset)         // 4 registers
//!       for channel of the block
//!         sums[channel][0..4] += inputs[0..4] · splat(weight)
//!     pool sums[channel] and store                // the epilogue
//! ```
//!
//! It is fast because each input loaded serves six channels and each weight four places: 10 loads for 24
//! multiply-adds, none of which waits for another. Sums never leave the registers, and the values before the
//! pooling, four times the output, are never stored when max pooling follows.

mod backward;
mod forward;

use super::geometry::Geometry;
use crate::Shape;
use crate::simd::{LANES, Vectors, chunk, chunk_mut};

/// Where everything lies.
pub(super) struct Windows {
    shape: Shape,
    lanes: usize,
    /// Rows and columns of windows.
    pooled: [usize; 2],
    /// Columns of a plane; slots from one row of windows to the next.
    stride: usize,
    /// Vectors of slots in a map.
    vectors: usize,
    /// Most output channels of a block.
    block: usize,
    /// Values of a plane.
    plane: usize,
    /// Values of the planes of an input channel.
    channel_len: usize,
    /// For each place in a window: where in the planes each tap reads its input.
    offsets: [Vec<usize>; 4],
    /// Where in the planes the padded input of a window lies, `kernel_size + 1` columns of as many rows.
    reach: Vec<Vec<usize>>,
}

impl Windows {
    pub(super) fn new(geometry: &Geometry, vectors: Vectors) -> Self {
        let Vectors { lanes, registers } = vectors;
        let [rows, columns] = geometry.pooled;
        let k = geometry.shape.kernel_size;
        let stride = columns + k / 2;
        let slots = (rows - 1) * stride + columns.next_multiple_of(lanes);
        // The last vector of the last tap reaches at most this far beyond the image.
        let plane = ((rows + k.div_ceil(2)) * stride + 2 * LANES).next_multiple_of(LANES);
        let at = |row: usize, column: usize| {
            (column % 2 * 2 + row % 2) * plane + row / 2 * stride + column / 2
        };
        let offsets = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| {
            let taps = (0..k).flat_map(|y| (0..k).map(move |x| (y + dy, x + dx)));
            taps.map(|(row, column)| at(row, column)).collect()
        });
        let reach = (0..=k).map(|column| (0..=k).map(|row| at(row, column)).collect());
        Self {
            reach: reach.collect(),
            shape: geometry.shape,
            lanes,
            pooled: geometry.pooled,
            stride,
            vectors: slots.div_ceil(lanes),
            // The sums of a block, four to a channel, leave registers for four inputs and a weight.
            block: if registers >= 32 { 6 } else { 2 },
            plane,
            channel_len: 4 * plane,
            offsets,
        }
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Vector operations for each tap and place.
    pub(super) fn cost(&self) -> usize {
        self.shape.out_channels * self.vectors
    }

    /// Values of all planes.
    pub(super) fn image_len(&self) -> usize {
        self.shape.in_channels * self.channel_len
    }

    /// Values before the pooling, including those between rows.
    pub(super) fn values_len(&self) -> usize {
        self.cost() * 4 * self.lanes
    }

    /// Vectors of slots in a map.
    pub(super) fn vectors(&self) -> usize {
        self.vectors
    }

    /// The vectors that cover the windows of a map, row by row: the number of the first window, its slot, and
    /// how many windows of the row are left.
    pub(super) fn row_vectors(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let [rows, columns] = self.pooled;
        (0..rows).flat_map(move |row| {
            let vectors = (0..columns).step_by(self.lanes);
            vectors.map(move |column| {
                let window = row * columns + column;
                (window, row * self.stride + column, columns - column)
            })
        })
    }

    /// Copies bytes of a sample `[channel, slot]` to `[window, channel]`, with `width` for each window.
    pub(super) fn by_window(&self, bytes: &[u8], to: &mut [u8], width: usize) {
        let [rows, columns] = self.pooled;
        let slots = bytes.chunks_exact(self.vectors * self.lanes);
        for (channel, slots) in slots.enumerate() {
            let to = &mut to[channel..];
            for row in 0..rows {
                let slots = &slots[row * self.stride..][..columns];
                let to = to[row * columns * width..].iter_mut().step_by(width);
                to.zip(slots).for_each(|(to, &byte)| *to = byte);
            }
        }
    }

    /// Copies maps into planes, whose borders must be zero already.
    #[inline(always)]
    pub(super) fn split(&self, maps: &[f32], image: &mut [f32]) {
        let Shape {
            height,
            width,
            padding,
            kernel_size,
            ..
        } = self.shape;
        // An odd last row or column that no window reads is left out.
        let [rows, columns] = self.pooled.map(|size| 2 * size + kernel_size - 1 - padding);
        let columns = columns.min(width);
        let maps = maps.chunks_exact(height * width);
        for (map, planes) in maps.zip(image.chunks_exact_mut(self.channel_len)) {
            let (even, odd) = planes.split_at_mut(2 * self.plane);
            for (row, values) in (padding..).zip(map.chunks_exact(width)).take(rows) {
                let start = row % 2 * self.plane + row / 2 * self.stride;
                let even = &mut even[start + padding.div_ceil(2)..];
                let odd = &mut odd[start + padding / 2..];
                // The map's first column is the padded image's column number `padding`.
                if padding.is_multiple_of(2) {
                    deinterleave(&values[..columns], even, odd);
                } else {
                    deinterleave(&values[..columns], odd, even);
                }
            }
        }
    }
}

/// Copies the values of a row alternately into `first` and `second`.
#[inline(always)]
fn deinterleave(row: &[f32], first: &mut [f32], second: &mut [f32]) {
    let (pairs, last) = row.as_chunks::<2>();
    if pairs.len() < 8 {
        for (&[a, b], (first, second)) in pairs.iter().zip(first.iter_mut().zip(&mut *second)) {
            *first = a;
            *second = b;
        }
    } else {
        // Eight pairs at a time become shuffles; the last eight may overlap those before them.
        for start in (0..pairs.len().div_ceil(8)).map(|eight| (8 * eight).min(pairs.len() - 8)) {
            let pairs: &[[f32; 2]; 8] = chunk(pairs, start);
            let (mut even, mut odd) = ([0.0; 8], [0.0; 8]);
            for ((even, odd), &[a, b]) in even.iter_mut().zip(&mut odd).zip(pairs) {
                (*even, *odd) = (a, b);
            }
            *chunk_mut(first, start) = even;
            *chunk_mut(second, start) = odd;
        }
    }
    if let [value] = last {
        first[pairs.len()] = *value;
    }
}
