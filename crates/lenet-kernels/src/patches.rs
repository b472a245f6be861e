//! Gradients by patches of the input.
//!
//! The gradient of a value before the pooling touches one patch of the input. In max pooling only the
//! winner of each window carries one, so the work is a pass over a patch for each winner: a quarter of
//! what all positions would cost, less where an activation is flat. Images lie with their channels
//! innermost, so that a row of a patch is contiguous.

use pulp::Simd;

use crate::aligned::Aligned;
use crate::channels::parts;
use crate::geometry::{Geometry, LANES, Shape};
use crate::level::Vectors;

/// Values that a cache holds beside others: half of a first one of 48 KiB.
const NEAR: usize = 6 << 10;

/// Where patches lie in an image `[row, column, channel]` with a border of zeros.
#[derive(Clone, Debug)]
pub(crate) struct PatchGeometry {
    shape: Shape,
    lanes: usize,
    /// Values of a pixel.
    pixel: usize,
    /// Values of a row of the image.
    row: usize,
    /// Values of an image, and as many more as a vector may reach beyond its end.
    image: usize,
    /// Parts of a patch whose values fit the registers.
    tiles: Vec<Tile>,
    /// Whether [`add_gradients`](Self::add_gradients) is faster than one gradient after the other: where
    /// the registers hold a tile of both, and a cache all weights and their gradients.
    both_at_once: bool,
    /// Where the patch of each pooling window's first value begins.
    windows: Vec<u32>,
}

/// A part of a patch: some rows of some vectors.
#[derive(Clone, Copy, Debug)]
struct Tile {
    row: usize,
    /// In values, from the beginning of a row.
    column: usize,
    /// Rows and vectors.
    shape: (usize, usize),
}

/// Where the gradients of values before the pooling lie.
pub(crate) struct GradientPlaces {
    /// Those of each window.
    pub(crate) windows: Vec<usize>,
    /// From there, those of each output channel.
    pub(crate) channels: Vec<usize>,
    /// From one place in the window to the next.
    pub(crate) place_len: usize,
}

/// The winner of a pooling window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Winner {
    /// Where its patch begins, or its output channel.
    at: u32,
    gradient: f32,
}

/// The winners of a sample whose gradient is not zero.
pub(crate) struct Winners {
    /// Those of one channel.
    of_channel: Vec<Winner>,
    /// Those of all channels by their patch: for each window and place in it, room for one of each channel.
    of_patch: Vec<Winner>,
    /// For each window how many there are at each of its places.
    counts: Vec<[u32; 4]>,
    channels: usize,
}

impl Winners {
    pub(crate) fn new(geometry: &PatchGeometry) -> Self {
        let channels = geometry.shape.out_channels;
        let windows = geometry.windows.len();
        Self {
            of_channel: vec![Winner::default(); windows],
            of_patch: vec![Winner::default(); windows * 4 * channels],
            counts: vec![[0; 4]; windows],
            channels,
        }
    }

    /// Forgets those of the sample before.
    pub(crate) fn clear(&mut self) {
        self.counts.fill([0; 4]);
    }

    /// Takes in the next channel, given the place and the gradient of each window's winner, and returns its
    /// winners.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        geometry: &PatchGeometry,
        channel: usize,
        places: &[u8],
        gradients: &[f32],
    ) -> &[Winner] {
        let offsets = [0, 1, 2, 3].map(|place| geometry.place(place) as u32);
        let windows = self.of_patch.chunks_exact_mut(4 * self.channels);
        let windows = windows.zip(&mut self.counts).zip(&geometry.windows);
        let mut found = 0;
        for (((of_patch, counts), &start), (&place, &gradient)) in
            windows.zip(places.iter().zip(gradients))
        {
            let place = usize::from(place);
            let (Some(count), Some(offset)) = (counts.get_mut(place), offsets.get(place)) else {
                break;
            };
            // Written in any case and kept if it counts: no branch to mispredict.
            if let Some(to) = of_patch.get_mut(place * self.channels + *count as usize) {
                let at = channel as u32;
                *to = Winner { at, gradient };
            }
            if let Some(to) = self.of_channel.get_mut(found) {
                let at = start + offset;
                *to = Winner { at, gradient };
            }
            let counts = gradient != 0.0;
            *count += u32::from(counts);
            found += usize::from(counts);
        }
        self.of_channel.get(..found).unwrap_or_default()
    }

    /// Where each patch begins, and its winners.
    #[inline(always)]
    fn by_patch<'a>(
        &'a self,
        geometry: &'a PatchGeometry,
    ) -> impl Iterator<Item = (usize, &'a [Winner])> {
        let patches = geometry.windows.iter();
        let patches = patches.flat_map(|&start| [0, 1, 2, 3].map(|at| geometry.patch(start, at)));
        let winners = self.of_patch.chunks_exact(self.channels);
        let winners = winners.zip(self.counts.as_flattened());
        let winners = winners.map(|(all, &count)| all.get(..count as usize).unwrap_or_default());
        patches
            .zip(winners)
            .filter(|(_, winners)| !winners.is_empty())
    }
}

/// Calls a function for the shape of a tile: `R` rows of `V` vectors. Only shapes with at most `$most`
/// sums are compiled.
macro_rules! for_shape {
    ($function:ident, $most:expr, $tile:expr, $operands:tt) => {
        for_shape!(
            @ $function, $most, $tile, $operands,
            (7 1)(6 1)(5 1)(4 1)(3 1)(2 1)(1 1)(7 2)(6 2)(5 2)(4 2)(3 2)(2 2)(1 2)
            (7 3)(6 3)(5 3)(4 3)(3 3)(2 3)(1 3)(6 4)(5 4)(4 4)(3 4)(2 4)(1 4)
        )
    };
    (@ $function:ident, $most:expr, $tile:expr, $operands:tt, $(($r:literal $v:literal))*) => {
        match $tile.shape {
            // Not as guards of the arms, which would be tried one after the other.
            $(($r, $v) => match const { $r * $v <= $most } {
                true => for_shape!(# $function, $r, $v, $operands),
                false => unreachable!("a tile has at most {} sums", $most),
            },)*
            shape => unreachable!("no tile has the shape {shape:?}"),
        }
    };
    (# $function:ident, $r:literal, $v:literal, ($($operand:expr),*)) => {
        $function::<S, $r, $v>($($operand),*)
    };
}

impl PatchGeometry {
    pub(crate) fn new(geometry: &Geometry, vectors: Vectors) -> Self {
        let shape = geometry.shape;
        // Pixels of many channels begin at half a vector, which is worth the zeros.
        let pixel = match shape.in_channels {
            channels @ ..LANES => channels,
            channels => channels.next_multiple_of(LANES / 2),
        };
        let row = geometry.stride * pixel;
        let rows = shape.height + 2 * shape.padding;
        let [pooled_height, pooled_width] = geometry.pooled;
        let windows = (0..pooled_height)
            .flat_map(|y| (0..pooled_width).map(move |x| (2 * y * row + 2 * x * pixel) as u32));
        let patch_row = shape.kernel_size * pixel;
        let patch = shape.kernel_size * patch_row.next_multiple_of(vectors.lanes);
        let both_at_once =
            most_sums_of_both(vectors.registers) > 0 && 2 * shape.out_channels * patch <= NEAR;
        Self {
            image: (rows * row + patch_row + LANES).next_multiple_of(LANES),
            tiles: tiles(shape.kernel_size, patch_row, vectors, both_at_once),
            both_at_once,
            windows: windows.collect(),
            lanes: vectors.lanes,
            shape,
            pixel,
            row,
        }
    }

    /// Values of an image buffer.
    pub(crate) fn image_len(&self) -> usize {
        self.image
    }

    /// Values of all weights as [`pack`](Self::pack) gives them.
    pub(crate) fn weight_len(&self) -> usize {
        self.tiles.iter().map(|&tile| self.tile_len(tile)).sum()
    }

    /// Values of all output channels' weights in a tile.
    fn tile_len(&self, tile: Tile) -> usize {
        let (rows, vectors) = tile.shape;
        self.shape.out_channels * rows * vectors * self.lanes
    }

    /// How much further the patch of a window's value begins, 0 to 3 in reading order.
    #[inline(always)]
    fn place(&self, place: usize) -> usize {
        (place & 1) * self.pixel + (place >> 1) * self.row
    }

    /// Where the patch of a window's value begins.
    #[inline(always)]
    fn patch(&self, window: u32, place: usize) -> usize {
        window as usize + self.place(place)
    }

    /// Weights `[out, in, row, column]` as patches lie, `[row, column, in]`, cut into tiles: for each tile
    /// those of all output channels, filled up with zeros.
    pub(crate) fn pack(&self, weight: &[f32]) -> Aligned {
        let mut packed = Aligned::zeros(self.weight_len());
        self.for_each_weight(|from, to| {
            if let (Some(to), Some(&from)) = (packed.get_mut(to), weight.get(from)) {
                *to = from;
            }
        });
        packed
    }

    /// The reverse of [`pack`](Self::pack).
    pub(crate) fn unpack(&self, packed: &[f32], weight: &mut [f32]) {
        self.for_each_weight(|to, from| {
            if let (Some(to), Some(&from)) = (weight.get_mut(to), packed.get(from)) {
                *to = from;
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
        let mut packed = 0;
        for tile in &self.tiles {
            let (rows, vectors) = tile.shape;
            for out in 0..out_channels {
                for row in tile.row..tile.row + rows {
                    let first = (tile.column / self.pixel, tile.column % self.pixel);
                    let (mut column, mut channel) = first;
                    for packed in packed..packed + vectors * self.lanes {
                        if column < kernel_size && channel < in_channels {
                            let map = (out * in_channels + channel) * kernel_size;
                            call((map + row) * kernel_size + column, packed);
                        }
                        channel += 1;
                        if channel == self.pixel {
                            (column, channel) = (column + 1, 0);
                        }
                    }
                    packed += vectors * self.lanes;
                }
            }
        }
    }

    /// Copies maps `[channel, row, column]` into an image whose border is zero already.
    #[inline(always)]
    pub(crate) fn interleave(&self, maps: &[f32], image: &mut [f32]) {
        self.for_each_row(|channels, from, to| {
            let image = image.get_mut(to..).unwrap_or_default();
            let maps = maps.get(from..).unwrap_or_default();
            match channels {
                8 => self.interleave_row::<8>(maps, image),
                7 => self.interleave_row::<7>(maps, image),
                6 => self.interleave_row::<6>(maps, image),
                5 => self.interleave_row::<5>(maps, image),
                4 => self.interleave_row::<4>(maps, image),
                3 => self.interleave_row::<3>(maps, image),
                2 => self.interleave_row::<2>(maps, image),
                _ => self.interleave_row::<1>(maps, image),
            }
        });
    }

    /// Copies a row of `C` maps.
    #[expect(
        clippy::indexing_slicing,
        reason = "all rows are cut to one length before the loop over it"
    )]
    #[inline(always)]
    fn interleave_row<const C: usize>(&self, maps: &[f32], image: &mut [f32]) {
        let Shape { height, width, .. } = self.shape;
        let mut rows: [&[f32]; C] = [&[]; C];
        for (row, map) in rows.iter_mut().zip(maps.chunks(height * width)) {
            *row = map.get(..width).unwrap_or_default();
        }
        if rows.iter().any(|row| row.len() != width) {
            return;
        }
        for (column, pixel) in (0..width).zip(image.chunks_mut(self.pixel)) {
            let Some(pixel) = pixel.first_chunk_mut::<C>() else {
                return;
            };
            for (to, row) in pixel.iter_mut().zip(&rows) {
                *to = row[column];
            }
        }
    }

    /// Copies an image without its border into maps `[channel, row, column]`.
    #[inline(always)]
    pub(crate) fn separate(&self, image: &[f32], maps: &mut [f32]) {
        self.for_each_row(|channels, to, from| {
            let image = image.get(from..).unwrap_or_default();
            let maps = maps.get_mut(to..).unwrap_or_default();
            match channels {
                8 => self.separate_row::<8>(image, maps),
                7 => self.separate_row::<7>(image, maps),
                6 => self.separate_row::<6>(image, maps),
                5 => self.separate_row::<5>(image, maps),
                4 => self.separate_row::<4>(image, maps),
                3 => self.separate_row::<3>(image, maps),
                2 => self.separate_row::<2>(image, maps),
                _ => self.separate_row::<1>(image, maps),
            }
        });
    }

    /// Copies a row of `C` maps.
    #[expect(
        clippy::indexing_slicing,
        reason = "all rows are cut to one length before the loop over it"
    )]
    #[inline(always)]
    fn separate_row<const C: usize>(&self, image: &[f32], maps: &mut [f32]) {
        let Shape { height, width, .. } = self.shape;
        let mut rows: [&mut [f32]; C] = std::array::from_fn(|_| [].as_mut_slice());
        for (row, map) in rows.iter_mut().zip(maps.chunks_mut(height * width)) {
            *row = map.get_mut(..width).unwrap_or_default();
        }
        if rows.iter().any(|row| row.len() != width) {
            return;
        }
        for (column, pixel) in (0..width).zip(image.chunks(self.pixel)) {
            let Some(pixel) = pixel.first_chunk::<C>() else {
                return;
            };
            for (row, &from) in rows.iter_mut().zip(pixel) {
                row[column] = from;
            }
        }
    }

    /// Calls with each row of up to eight maps: the number of maps, where the row begins in the first of
    /// them, and where in the image.
    #[inline(always)]
    fn for_each_row(&self, mut call: impl FnMut(usize, usize, usize)) {
        let Shape {
            in_channels,
            height,
            width,
            padding,
            ..
        } = self.shape;
        for channels in parts(in_channels, 8) {
            for row in 0..height {
                let map_row = (channels.start * height + row) * width;
                let pixel = (row + padding) * self.row + padding * self.pixel;
                call(channels.len(), map_row, pixel + channels.start);
            }
        }
    }

    /// Whether [`add_gradients`](Self::add_gradients) is faster than one gradient after the other.
    pub(crate) fn both_at_once(&self) -> bool {
        self.both_at_once
    }

    /// [`add_weight_gradient`](Self::add_weight_gradient) of all channels and
    /// [`add_input_gradient`](Self::add_input_gradient), with one look at each winner.
    #[inline(always)]
    pub(crate) fn add_gradients<S: Simd>(
        &self,
        simd: S,
        winners: &Winners,
        (image, weight): (&[f32], &[f32]),
        (weight_gradient, in_gradient): (&mut [f32], &mut [f32]),
    ) {
        let (mut weight, mut weight_gradient) = (weight, weight_gradient);
        for &tile in &self.tiles {
            let (weights, next_weight) = weight.split_at(self.tile_len(tile));
            let (sums, next_gradient) = weight_gradient.split_at_mut(self.tile_len(tile));
            for (patch, winners) in winners.by_patch(self) {
                let from = (image, weights);
                let to = (&mut *sums, &mut *in_gradient);
                for_shape!(
                    both,
                    most_sums_of_both(S::REGISTER_COUNT),
                    tile,
                    (simd, self, tile, patch, winners, from, to)
                );
            }
            (weight, weight_gradient) = (next_weight, next_gradient);
        }
    }

    /// Adds to the gradient of a channel's weights, packed, the sum of its winners' patches of the input,
    /// each times its gradient.
    #[inline(always)]
    pub(crate) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        (channel, winners): (usize, &[Winner]),
        image: &[f32],
        weight_gradient: &mut [f32],
    ) {
        let mut rest = weight_gradient;
        for &tile in &self.tiles {
            let (sums, next) = rest.split_at_mut(self.tile_len(tile));
            for_shape!(
                gather,
                most_sums(S::REGISTER_COUNT),
                tile,
                (simd, self, tile, channel, winners, image, sums)
            );
            rest = next;
        }
    }

    /// Adds to the gradient of the input: the winners' weights, packed, times their gradients, laid over
    /// their patches.
    #[inline(always)]
    pub(crate) fn add_input_gradient<S: Simd>(
        &self,
        simd: S,
        winners: &Winners,
        weight: &[f32],
        image: &mut [f32],
    ) {
        let mut rest = weight;
        for &tile in &self.tiles {
            let (weight, next) = rest.split_at(self.tile_len(tile));
            for (patch, winners) in winners.by_patch(self) {
                let gradients = winners
                    .iter()
                    .map(|winner| (winner.at as usize, winner.gradient));
                for_shape!(
                    spread,
                    most_sums(S::REGISTER_COUNT),
                    tile,
                    (simd, self, tile, weight, gradients, patch, image)
                );
            }
            rest = next;
        }
    }

    /// Adds to the gradient of the input where every value before the pooling carries a gradient: a
    /// channel's weights are laid over the patch, times its gradient.
    #[inline(always)]
    pub(crate) fn add_dense_input_gradient<S: Simd>(
        &self,
        simd: S,
        weight: &[f32],
        (gradients, places): (&[f32], &GradientPlaces),
        image: &mut [f32],
    ) {
        let mut rest = weight;
        for &tile in &self.tiles {
            let (weight, next) = rest.split_at(self.tile_len(tile));
            for (&window, &start) in places.windows.iter().zip(&self.windows) {
                for place in 0..4 {
                    let gradients = gradients.get(window + place * places.place_len..);
                    let gradients = gradients.unwrap_or_default();
                    let gradients = places.channels.iter().map_while(|&at| gradients.get(at));
                    let gradients = gradients.copied().enumerate();
                    let patch = self.patch(start, place);
                    for_shape!(
                        spread,
                        most_sums(S::REGISTER_COUNT),
                        tile,
                        (simd, self, tile, weight, gradients, patch, image)
                    );
                }
            }
            rest = next;
        }
    }
}

/// Sums of a tile that leave some of the registers free.
const fn most_sums(registers: usize) -> usize {
    if registers >= 32 { 24 } else { 12 }
}

/// As [`most_sums`], if a tile has sums of both gradients; 0 if the registers are too few for that.
const fn most_sums_of_both(registers: usize) -> usize {
    if registers >= 32 { 12 } else { 0 }
}

/// Cuts a patch into tiles of as many sums as the registers hold.
fn tiles(kernel_size: usize, patch_row: usize, vectors: Vectors, both_at_once: bool) -> Vec<Tile> {
    let most = match both_at_once {
        true => most_sums_of_both(vectors.registers),
        false => most_sums(vectors.registers),
    };
    let widest = 4;
    let width = patch_row.div_ceil(vectors.lanes);
    let mut tiles = Vec::new();
    for columns in parts(width, widest) {
        for rows in parts(kernel_size, (most / columns.len()).min(7)) {
            tiles.push(Tile {
                row: rows.start,
                column: columns.start * vectors.lanes,
                shape: (rows.len(), columns.len()),
            });
        }
    }
    tiles
}

/// Adds to a tile of one channel's sums.
#[inline(always)]
fn gather<S: Simd, const R: usize, const V: usize>(
    simd: S,
    geometry: &PatchGeometry,
    tile: Tile,
    channel: usize,
    winners: &[Winner],
    image: &[f32],
    sums: &mut [f32],
) {
    let within = tile.row * geometry.row + tile.column;
    let mut tile_sums = [[simd.splat_f32s(0.0); V]; R];
    for winner in winners {
        let gradient = simd.splat_f32s(winner.gradient);
        let mut row = winner.at as usize + within;
        for sums in &mut tile_sums {
            let Some(values) = image.get(row..row + V * S::F32_LANES) else {
                return;
            };
            let values = S::as_simd_f32s(values).0;
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(gradient, value, *sum);
            }
            row += geometry.row;
        }
    }
    let sums = sums.chunks_exact_mut(R * V * S::F32_LANES).nth(channel);
    let sums = S::as_mut_simd_f32s(sums.unwrap_or_default()).0;
    for (to, &sum) in sums.iter_mut().zip(tile_sums.as_flattened()) {
        *to = simd.add_f32s(*to, sum);
    }
}

/// Adds to a tile of a patch of the image the sum of some channels' weights, each times its gradient.
#[inline(always)]
fn spread<S: Simd, const R: usize, const V: usize>(
    simd: S,
    geometry: &PatchGeometry,
    tile: Tile,
    weight: &[f32],
    gradients: impl Iterator<Item = (usize, f32)>,
    patch: usize,
    image: &mut [f32],
) {
    let (weight, _) = S::as_simd_f32s(weight).0.as_chunks::<V>();
    let (weight, _) = weight.as_chunks::<R>();
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for (channel, gradient) in gradients {
        let Some(weights) = weight.get(channel) else {
            return;
        };
        let gradient = simd.splat_f32s(gradient);
        for (sums, weights) in sums.iter_mut().zip(weights) {
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum = simd.mul_add_e_f32s(gradient, weight, *sum);
            }
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

/// [`gather`] and [`spread`] of some channels' winners with one patch.
#[inline(always)]
fn both<S: Simd, const R: usize, const V: usize>(
    simd: S,
    geometry: &PatchGeometry,
    tile: Tile,
    patch: usize,
    winners: &[Winner],
    (image, weight): (&[f32], &[f32]),
    (weight_gradient, in_gradient): (&mut [f32], &mut [f32]),
) {
    let first = patch + tile.row * geometry.row + tile.column;
    let zero = simd.splat_f32s(0.0);
    let (mut values, mut sums) = ([[zero; V]; R], [[zero; V]; R]);
    let mut row = first;
    for values in &mut values {
        let found = image.get(row..row + V * S::F32_LANES).unwrap_or_default();
        let Some(&found) = S::as_simd_f32s(found).0.first_chunk() else {
            return;
        };
        *values = found;
        row += geometry.row;
    }
    let (weight, _) = S::as_simd_f32s(weight).0.as_chunks::<V>();
    let (weight, _) = weight.as_chunks::<R>();
    let (weight_gradient, _) = S::as_mut_simd_f32s(weight_gradient).0.as_chunks_mut::<V>();
    let (weight_gradient, _) = weight_gradient.as_chunks_mut::<R>();
    for winner in winners {
        let channel = winner.at as usize;
        let (Some(weights), Some(totals)) = (weight.get(channel), weight_gradient.get_mut(channel))
        else {
            return;
        };
        let gradient = simd.splat_f32s(winner.gradient);
        let rows = sums
            .iter_mut()
            .zip(weights)
            .zip(totals.iter_mut().zip(&values));
        for ((sums, weights), (totals, values)) in rows {
            let vectors = sums
                .iter_mut()
                .zip(weights)
                .zip(totals.iter_mut().zip(values));
            for ((sum, &weight), (total, &value)) in vectors {
                *sum = simd.mul_add_e_f32s(gradient, weight, *sum);
                *total = simd.mul_add_e_f32s(gradient, value, *total);
            }
        }
    }
    let mut row = first;
    for sums in sums {
        let Some(values) = in_gradient.get_mut(row..row + V * S::F32_LANES) else {
            return;
        };
        for (value, sum) in S::as_mut_simd_f32s(values).0.iter_mut().zip(sums) {
            *value = simd.add_f32s(*value, sum);
        }
        row += geometry.row;
    }
}
