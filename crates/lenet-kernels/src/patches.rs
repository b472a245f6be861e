//! Gradients by patches of the input.
//!
//! The gradient of a value before the pooling touches one patch of the input. In max pooling only the
//! winner of each window carries one, so the work is a pass over a patch for each winner: a quarter of
//! what all positions would cost, less where an activation is flat. Images lie with their channels
//! innermost, so that a row of a patch is contiguous.

use pulp::Simd;

use crate::aligned::Aligned;
use crate::geometry::{Geometry, LANES, Shape};

/// Values of a patch up to which a processor waits for the previous one to be written.
const SMALL: usize = 512;

/// Where patches lie in an image `[row, column, channel]` with a border of zeros.
#[derive(Clone, Debug)]
pub(crate) struct PatchGeometry {
    shape: Shape,
    /// Values of a pixel.
    pixel: usize,
    /// Values of a row of the image.
    row: usize,
    /// Values of a row of a patch.
    patch_row: usize,
    /// The same, rounded up to whole vectors of any width.
    weight_row: usize,
    /// Values of an image, and as many more as a vector may reach beyond its end.
    image: usize,
    /// Images that gradients are added to in turn: patches of neighbouring windows overlap, and what was
    /// just written is slow to read at another place.
    copies: usize,
    /// Where the patch of each pooling window's first value begins.
    windows: Vec<usize>,
}

/// A winner: where its patch begins in the image, and its gradient.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Winner {
    pub(crate) patch: usize,
    pub(crate) gradient: f32,
}

/// Calls a function for the shape of a tile: `R` rows of `V` vectors, as [`PatchGeometry::tiles`] cuts them.
macro_rules! for_shape {
    ($function:ident, $simd:expr, $geometry:expr, $tile:expr, $($operand:expr),*) => {
        for_shape!(
            @ $function, $simd, $geometry, $tile, ($($operand),*),
            (6 1)(5 1)(4 1)(3 1)(2 1)(1 1)(5 2)(4 2)(3 2)(2 2)(1 2)(5 3)(4 3)(3 3)(2 3)(1 3)(5 4)(4 4)(3 4)(2 4)(1 4)
        )
    };
    (@ $function:ident, $simd:expr, $geometry:expr, $tile:expr, $operands:tt, $(($r:literal $v:literal))*) => {
        match $tile.shape {
            $(($r, $v) => for_shape!(# $function, $r, $v, $simd, $geometry, $tile, $operands),)*
            shape => unreachable!("no tile has the shape {shape:?}"),
        }
    };
    (# $function:ident, $r:literal, $v:literal, $simd:expr, $geometry:expr, $tile:expr, ($($operand:expr),*)) => {
        $function::<S, $r, $v>($simd, $geometry, $tile, $($operand),*)
    };
}

impl PatchGeometry {
    pub(crate) fn new(geometry: &Geometry) -> Self {
        let shape = geometry.shape;
        // Pixels of many channels begin at whole vectors, which is worth the zeros.
        let pixel = match shape.in_channels {
            channels @ ..LANES => channels,
            channels => channels.next_multiple_of(LANES),
        };
        let row = geometry.stride * pixel;
        let patch_row = shape.kernel_size * pixel;
        let weight_row = patch_row.next_multiple_of(LANES);
        let rows = shape.height + 2 * shape.padding;
        let [pooled_height, pooled_width] = geometry.pooled;
        let windows = (0..pooled_height)
            .flat_map(|y| (0..pooled_width).map(move |x| 2 * y * row + 2 * x * pixel));
        Self {
            windows: windows.collect(),
            shape,
            pixel,
            row,
            patch_row,
            weight_row,
            image: (rows * row + weight_row).next_multiple_of(LANES),
            copies: if patch_row * shape.kernel_size <= SMALL {
                4
            } else {
                1
            },
        }
    }

    /// Values of an image buffer.
    pub(crate) fn image_len(&self) -> usize {
        self.image
    }

    /// Values of the images that [`add_input_gradient`](Self::add_input_gradient) adds to.
    pub(crate) fn images_len(&self) -> usize {
        self.copies * self.image
    }

    /// Adds all images up in the first one.
    #[inline(always)]
    pub(crate) fn add_up(&self, images: &mut [f32]) {
        let (first, others) = images.split_at_mut(self.image);
        for other in others.chunks_exact(self.image) {
            first
                .iter_mut()
                .zip(other)
                .for_each(|(to, &from)| *to += from);
        }
    }

    /// Values of one output channel's weights.
    pub(crate) fn channel_len(&self) -> usize {
        self.shape.kernel_size * self.weight_row
    }

    /// Values of all weights.
    pub(crate) fn weight_len(&self) -> usize {
        self.shape.out_channels * self.channel_len()
    }

    /// Where the patch of the first value of each pooling window begins.
    pub(crate) fn windows(&self) -> &[usize] {
        &self.windows
    }

    /// How much further the patch of a window's value begins, 0 to 3 in reading order.
    #[inline(always)]
    pub(crate) fn place(&self, place: u8) -> usize {
        usize::from(place & 1) * self.pixel + usize::from(place >> 1) * self.row
    }

    /// Weights `[out, in, row, column]` as patches lie: `[out, row, column, in]`, rows filled up with
    /// zeros.
    pub(crate) fn pack(&self, weight: &[f32]) -> Aligned {
        let mut packed = Aligned::zeros(self.weight_len());
        self.for_each_weight(|from, to| {
            if let (Some(to), Some(&from)) = (packed.get_mut(to), weight.get(from)) {
                *to = from;
            }
        });
        packed
    }

    /// The reverse of [`pack`](Self::pack), added to `weight`.
    pub(crate) fn add_unpacked(&self, packed: &[f32], weight: &mut [f32]) {
        self.for_each_weight(|to, from| {
            if let (Some(to), Some(&from)) = (weight.get_mut(to), packed.get(from)) {
                *to += from;
            }
        });
    }

    /// Calls with the index of each weight, unpacked and packed.
    fn for_each_weight(&self, mut call: impl FnMut(usize, usize)) {
        let Shape {
            in_channels,
            out_channels,
            kernel_size,
            ..
        } = self.shape;
        let mut index = 0;
        for out in 0..out_channels {
            for channel in 0..in_channels {
                for row in 0..kernel_size {
                    let first = (out * kernel_size + row) * self.weight_row + channel;
                    for column in 0..kernel_size {
                        call(index, first + column * self.pixel);
                        index += 1;
                    }
                }
            }
        }
    }

    /// Copies maps `[channel, row, column]` into an image whose border is zero already.
    pub(crate) fn interleave(&self, maps: &[f32], image: &mut [f32]) {
        self.for_each_row(|channel, from, to| {
            let pixels = image.get_mut(to..).unwrap_or_default();
            let pixels = pixels.chunks_exact_mut(self.pixel);
            let values = maps.get(from..from + self.shape.width).unwrap_or_default();
            for (pixel, &value) in pixels.zip(values) {
                if let Some(to) = pixel.get_mut(channel) {
                    *to = value;
                }
            }
        });
    }

    /// Copies an image without its border into maps `[channel, row, column]`.
    pub(crate) fn separate(&self, image: &[f32], maps: &mut [f32]) {
        self.for_each_row(|channel, to, from| {
            let pixels = image.get(from..).unwrap_or_default();
            let pixels = pixels.chunks_exact(self.pixel);
            let values = maps.get_mut(to..to + self.shape.width).unwrap_or_default();
            for (value, pixel) in values.iter_mut().zip(pixels) {
                if let Some(&from) = pixel.get(channel) {
                    *value = from;
                }
            }
        });
    }

    /// Calls with each channel and row: the channel, where the row begins in the maps, and where in
    /// the image.
    #[inline(always)]
    fn for_each_row(&self, mut call: impl FnMut(usize, usize, usize)) {
        let Shape {
            in_channels,
            height,
            width,
            padding,
            ..
        } = self.shape;
        for row in 0..height {
            for channel in 0..in_channels {
                let map_row = (channel * height + row) * width;
                let image_row = (row + padding) * self.row + padding * self.pixel;
                call(channel, map_row, image_row);
            }
        }
    }

    /// Adds to the weights' gradient, packed, of one output channel: the sum of all winners' patches,
    /// each times its gradient.
    #[inline(always)]
    pub(crate) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        winners: &[Winner],
        gradient: &mut [f32],
    ) {
        for tile in self.tiles(S::F32_LANES, S::REGISTER_COUNT) {
            for_shape!(gather, simd, self, tile, image, winners, gradient);
        }
    }

    /// Adds one output channel's part to the gradient of the input: its weights, packed, times each
    /// winner's gradient, laid over the winner's patch.
    #[inline(always)]
    pub(crate) fn add_input_gradient<S: Simd>(
        &self,
        simd: S,
        weight: &[f32],
        winners: &[Winner],
        image: &mut [f32],
    ) {
        for tile in self.tiles(S::F32_LANES, S::REGISTER_COUNT) {
            for_shape!(scatter, simd, self, tile, weight, winners, image);
        }
    }

    /// Adds to the gradient of the input where every value before the pooling carries a gradient: a
    /// channel's weights are laid over the patch, times its gradient. Those of a window and place lie at
    /// `channels` from where the multiples of `window_len` and `place_len` lead.
    #[inline(always)]
    pub(crate) fn add_dense_input_gradient<S: Simd>(
        &self,
        simd: S,
        weight: &[f32],
        (gradients, channels): (&[f32], &[usize]),
        (window_len, place_len): (usize, usize),
        image: &mut [f32],
    ) {
        for tile in self.tiles(S::F32_LANES, S::REGISTER_COUNT) {
            for (window, &start) in self.windows.iter().enumerate() {
                for place in 0..4 {
                    let from = window * window_len + usize::from(place) * place_len;
                    let gradients = gradients.get(from..).unwrap_or_default();
                    let operands = (weight, gradients, channels);
                    let patch = start + self.place(place);
                    for_shape!(spread, simd, self, tile, operands, patch, image);
                }
            }
        }
    }

    /// Cuts a patch into tiles whose values fit the registers.
    fn tiles(&self, lanes: usize, registers: usize) -> impl Iterator<Item = Tile> {
        let kernel_size = self.shape.kernel_size;
        let vectors = self.patch_row.div_ceil(lanes);
        (0..vectors).step_by(WIDEST).flat_map(move |vector| {
            let wide = (vectors - vector).min(WIDEST);
            let most = match wide {
                1 => 6,
                2 => 5,
                _ if registers >= 32 => 5,
                _ => 3,
            };
            (0..kernel_size).step_by(most).map(move |row| Tile {
                row,
                column: vector * lanes,
                shape: ((kernel_size - row).min(most), wide),
            })
        })
    }
}

/// Most vectors of a tile's row.
const WIDEST: usize = 4;

/// A part of a patch: some rows of some vectors.
#[derive(Clone, Copy)]
struct Tile {
    row: usize,
    /// In values, from the beginning of a row.
    column: usize,
    shape: (usize, usize),
}

#[inline(always)]
fn gather<S: Simd, const R: usize, const V: usize>(
    simd: S,
    geometry: &PatchGeometry,
    tile: Tile,
    image: &[f32],
    winners: &[Winner],
    gradient: &mut [f32],
) {
    let within = tile.row * geometry.row + tile.column;
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for winner in winners {
        let scale = simd.splat_f32s(winner.gradient);
        let mut row = winner.patch + within;
        for sums in &mut sums {
            let Some(values) = image.get(row..row + V * S::F32_LANES) else {
                return;
            };
            let values = S::as_simd_f32s(values).0;
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(scale, value, *sum);
            }
            row += geometry.row;
        }
    }
    let mut row = tile.row * geometry.weight_row + tile.column;
    for sums in sums {
        let values = gradient.get_mut(row..).unwrap_or_default();
        for (value, sum) in S::as_mut_simd_f32s(values).0.iter_mut().zip(sums) {
            *value = simd.add_f32s(*value, sum);
        }
        row += geometry.weight_row;
    }
}

#[inline(always)]
fn scatter<S: Simd, const R: usize, const V: usize>(
    simd: S,
    geometry: &PatchGeometry,
    tile: Tile,
    weight: &[f32],
    winners: &[Winner],
    image: &mut [f32],
) {
    let within = tile.row * geometry.row + tile.column;
    let start = tile.row * geometry.weight_row + tile.column;
    let mut weights = [[simd.splat_f32s(0.0); V]; R];
    for (index, to) in weights.iter_mut().enumerate() {
        let row = weight.get(start + index * geometry.weight_row..);
        let row = S::as_simd_f32s(row.unwrap_or_default()).0;
        let Some(from) = row.first_chunk::<V>() else {
            return;
        };
        *to = *from;
    }
    let copies = (0..geometry.copies).cycle();
    for (winner, copy) in winners.iter().zip(copies) {
        let scale = simd.splat_f32s(winner.gradient);
        let mut row = winner.patch + within + copy * geometry.image;
        for weights in &weights {
            let Some(values) = image.get_mut(row..row + V * S::F32_LANES) else {
                return;
            };
            let values = S::as_mut_simd_f32s(values).0;
            for (value, &weight) in values.iter_mut().zip(weights) {
                *value = simd.mul_add_e_f32s(scale, weight, *value);
            }
            row += geometry.row;
        }
    }
}

#[inline(always)]
fn spread<S: Simd, const R: usize, const V: usize>(
    simd: S,
    geometry: &PatchGeometry,
    tile: Tile,
    (weight, gradients, channels): (&[f32], &[f32], &[usize]),
    patch: usize,
    image: &mut [f32],
) {
    let start = tile.row * geometry.weight_row + tile.column;
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    let weights = weight.chunks_exact(geometry.channel_len());
    for (weights, &channel) in weights.zip(channels) {
        let Some(&gradient) = gradients.get(channel) else {
            return;
        };
        let gradient = simd.splat_f32s(gradient);
        let mut row = start;
        for sums in &mut sums {
            let Some(values) = weights.get(row..row + V * S::F32_LANES) else {
                return;
            };
            let values = S::as_simd_f32s(values).0;
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(gradient, value, *sum);
            }
            row += geometry.weight_row;
        }
    }
    let mut row = patch + tile.row * geometry.row + tile.column;
    for sums in sums {
        let Some(values) = image.get_mut(row..row + V * S::F32_LANES) else {
            return;
        };
        let values = S::as_mut_simd_f32s(values).0;
        for (value, sum) in values.iter_mut().zip(sums) {
            *value = simd.add_f32s(*value, sum);
        }
        row += geometry.row;
    }
}
