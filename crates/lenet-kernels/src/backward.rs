use pulp::{Simd, WithSimd};

use crate::aligned::Aligned;
use crate::windows::Windows;
use crate::correlate::{Planes, WeightGradient, correlate, sum};
use crate::geometry::{Geometry, LANES, Shape};
use crate::kernel::{ConvBlockKernel, GROUP};
use crate::layout::Layout;
use crate::patches::Winner;
use crate::pooling::{Pooling, average_row_gradient};

/// What a thread needs for a group of samples.
pub(crate) enum Scratch {
    /// Where every value before the pooling carries a gradient.
    Planes(PlaneScratch),
    /// Where the winner of each window does.
    Patches(PatchScratch),
    /// Where windows lie side by side and the input's gradient is not wanted.
    Windows(WindowScratch),
}

/// Zero where nothing is written.
pub(crate) struct PlaneScratch {
    padded: Vec<f32>,
    out_gradient: Vec<f32>,
    in_gradient: Vec<f32>,
    zeros: Vec<f32>,
}

/// The border of `image` is zero.
pub(crate) struct PatchScratch {
    image: Aligned,
    in_gradient: Aligned,
    weight_gradient: Aligned,
    /// Gradients of all windows before the activation.
    scaled: Vec<f32>,
    winners: Vec<Winner>,
}

/// Borders are zero.
pub(crate) struct WindowScratch {
    image: Aligned,
    row: Vec<f32>,
    gradients: Aligned,
    /// Lane by lane, as [`bias_sums`](Self::bias_sums).
    weight_sums: Aligned,
    bias_sums: Aligned,
}

impl Scratch {
    pub(crate) fn new(block: &ConvBlockKernel, input_gradient: bool) -> Self {
        if let (Layout::Windows(windows), false) = (&block.layout, input_gradient) {
            let (weight_sums, bias_sums) = windows.sums_len();
            return Self::Windows(WindowScratch {
                image: Aligned::zeros(windows.image_len()),
                row: vec![0.0; windows.row_len()],
                gradients: Aligned::zeros(windows.values_len()),
                weight_sums: Aligned::zeros(weight_sums),
                bias_sums: Aligned::zeros(bias_sums),
            });
        }
        match block.pooling {
            Pooling::Average => Self::Planes(PlaneScratch::new(&block.geometry, input_gradient)),
            Pooling::Max => {
                let patches = &block.patches;
                let (windows, out_channels) =
                    (patches.windows().len(), block.geometry.shape.out_channels);
                Self::Patches(PatchScratch {
                    image: Aligned::zeros(patches.image_len()),
                    in_gradient: Aligned::zeros(patches.image_len()),
                    weight_gradient: Aligned::zeros(patches.weight_len()),
                    scaled: vec![0.0; block.geometry.output_len()],
                    winners: vec![Winner::default(); windows.max(out_channels)],
                })
            }
        }
    }
}

impl PlaneScratch {
    fn new(geometry: &Geometry, input_gradient: bool) -> Self {
        let Shape {
            in_channels,
            out_channels,
            ..
        } = geometry.shape;
        let in_gradient = if input_gradient {
            in_channels * geometry.in_gradient_plane
        } else {
            0
        };
        Self {
            padded: vec![0.0; GROUP * in_channels * geometry.in_plane],
            out_gradient: vec![0.0; GROUP * out_channels * geometry.out_gradient_plane],
            in_gradient: vec![0.0; in_gradient],
            zeros: vec![0.0; in_channels],
        }
    }
}

/// What is known of the pooling of one group of samples.
#[derive(Clone, Copy)]
pub(crate) struct Pooled<'a> {
    pub(crate) output: &'a [f32],
    pub(crate) output_gradient: &'a [f32],
    pub(crate) winners: &'a [u8],
    pub(crate) activations: &'a [f32],
}

/// The backward pass of one group of samples.
pub(crate) struct Backward<'a> {
    pub(crate) block: &'a ConvBlockKernel,
    pub(crate) packed: &'a [f32],
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) input: &'a [f32],
    pub(crate) pooled: Pooled<'a>,
    pub(crate) partial: &'a mut [f32],
    pub(crate) gradient: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            block,
            packed,
            scratch,
            input,
            pooled,
            partial,
            gradient,
        } = self;
        let pass = Pass {
            block,
            packed,
            input,
            pooled,
        };
        match scratch {
            Scratch::Windows(scratch) => {
                if let Layout::Windows(layout) = &block.layout {
                    pass.windows(simd, layout, scratch, partial);
                }
            }
            Scratch::Planes(scratch) => pass.planes(simd, scratch, partial, gradient),
            Scratch::Patches(scratch) => pass.patches(simd, scratch, partial, gradient),
        }
    }
}

/// What both ways read.
struct Pass<'a> {
    block: &'a ConvBlockKernel,
    packed: &'a [f32],
    input: &'a [f32],
    pooled: Pooled<'a>,
}

impl Pass<'_> {
    /// Windows side by side, without the gradient of the input.
    #[inline(always)]
    fn windows<S: Simd>(
        self,
        simd: S,
        layout: &Windows,
        scratch: &mut WindowScratch,
        partial: &mut [f32],
    ) {
        let WindowScratch {
            image,
            row,
            gradients,
            weight_sums,
            bias_sums,
        } = scratch;
        weight_sums.fill(0.0);
        bias_sums.fill(0.0);
        let input_len = self.block.geometry.input_len();
        for (sample, input) in self.input.chunks_exact(input_len).enumerate() {
            layout.split(input, image, row);
            self.window_gradients(simd, layout, sample, gradients, bias_sums);
            layout.add_weight_gradient(simd, image, gradients, weight_sums);
        }
        let sums = weight_sums.iter().as_slice().chunks_exact(S::F32_LANES);
        let sums = sums.chain(bias_sums.chunks_exact(S::F32_LANES));
        for (total, sums) in partial.iter_mut().zip(sums) {
            *total += sum(simd, sums);
        }
    }

    /// The gradients of one sample before activation and pooling, in the order of `layout`; those of
    /// the biases are added lane by lane.
    #[inline(always)]
    fn window_gradients<S: Simd>(
        &self,
        simd: S,
        layout: &Windows,
        sample: usize,
        gradients: &mut [f32],
        bias_sums: &mut [f32],
    ) {
        let ConvBlockKernel {
            geometry,
            activation,
            pooling,
            ..
        } = self.block;
        let map: usize = geometry.pooled.iter().product();
        let lanes = S::F32_LANES;
        let first_map = sample * geometry.shape.out_channels;
        let zero = simd.splat_f32s(0.0);
        let Some(&lane) = S::as_simd_u32s(&LANE).0.first() else {
            return;
        };
        let planes = gradients.chunks_exact_mut(4 * layout.vectors() * lanes);
        let biases = S::as_mut_simd_f32s(bias_sums).0.iter_mut();
        for ((index, planes), bias) in (first_map..).zip(planes).zip(biases) {
            let planes = S::as_mut_simd_f32s(planes).0;
            for vector in 0..layout.vectors() {
                let first = vector * lanes;
                let count = lanes.min(map - first);
                let start = index * map + first;
                let gradient = load(simd, self.pooled.output_gradient, start, count);
                // What lies beyond the last window is another map's.
                let inside = simd.less_than_u32s(lane, simd.splat_u32s(count as u32));
                let gradient = simd.select_f32s(inside, gradient, zero);
                let group = planes.iter_mut().skip(vector).step_by(layout.vectors());
                match pooling {
                    Pooling::Max => {
                        let output = load(simd, self.pooled.output, start, count);
                        let gradient = activation.scale_vector(simd, gradient, output);
                        *bias = simd.add_f32s(*bias, gradient);
                        let mut winners = [0_u32; LANES];
                        // Beyond the last window the gradient is zero, whoever wins.
                        let places = self.pooled.winners.get(start..);
                        widen(places.unwrap_or_default(), &mut winners);
                        let Some(&winner) = S::as_simd_u32s(&winners).0.first() else {
                            return;
                        };
                        for (place, to) in (0..4).zip(group) {
                            let wins = simd.equal_u32s(winner, simd.splat_u32s(place));
                            *to = simd.select_f32s(wins, gradient, zero);
                        }
                    }
                    Pooling::Average => {
                        let quarter = simd.mul_f32s(gradient, simd.splat_f32s(0.25));
                        for (place, to) in (0..4).zip(group) {
                            let start = (index * 4 + place) * map + first;
                            let kept = load(simd, self.pooled.activations, start, count);
                            *to = activation.scale_vector(simd, quarter, kept);
                            *bias = simd.add_f32s(*bias, *to);
                        }
                    }
                }
            }
        }
    }

    /// One pass over a patch of the input for each winner.
    #[inline(always)]
    fn patches<S: Simd>(
        self,
        simd: S,
        scratch: &mut PatchScratch,
        partial: &mut [f32],
        gradient: &mut [f32],
    ) {
        let ConvBlockKernel {
            geometry, patches, ..
        } = self.block;
        let input_len = geometry.input_len();
        let (weight, bias) = partial.split_at_mut(geometry.weight_len());
        let PatchScratch {
            image,
            in_gradient,
            weight_gradient,
            scaled,
            winners: all_winners,
        } = scratch;
        weight_gradient.fill(0.0);
        let mut gradients = gradient.chunks_exact_mut(input_len);
        for (sample, input) in self.input.chunks_exact(input_len).enumerate() {
            patches.interleave(input, image);
            let in_gradient_wanted = gradients.next();
            if in_gradient_wanted.is_some() {
                in_gradient.fill(0.0);
            }
            let weights = self.packed.chunks_exact(patches.channel_len());
            let mut weights = weights.map(Some).chain(std::iter::repeat(None));
            let weight_gradients = weight_gradient.chunks_exact_mut(patches.channel_len());
            for (channel, (weight_gradient, bias)) in weight_gradients.zip(&mut *bias).enumerate() {
                let index = sample * geometry.shape.out_channels + channel;
                let windows = patches.windows().len();
                let scaled = scaled.get_mut(channel * windows..(channel + 1) * windows);
                let buffers = (scaled.unwrap_or_default(), &mut **all_winners);
                let winners = winners(simd, self.block, index, self.pooled, buffers, bias);
                patches.add_weight_gradient(simd, image, winners, weight_gradient);
                if let Some(Some(weight)) = weights.next() {
                    patches.add_input_gradient(simd, weight, winners, in_gradient);
                }
            }
            if let Some(gradient) = in_gradient_wanted {
                patches.separate(in_gradient, gradient);
            }
        }
        patches.add_unpacked(weight_gradient, weight);
    }

    /// Correlations of whole planes.
    #[inline(always)]
    fn planes<S: Simd>(
        self,
        simd: S,
        scratch: &mut PlaneScratch,
        partial: &mut [f32],
        gradient: &mut [f32],
    ) {
        let ConvBlockKernel { geometry, .. } = self.block;
        let Shape {
            in_channels,
            out_channels,
            ..
        } = geometry.shape;
        // Backwards, every offset counts from the margin down.
        let offsets = &geometry.backward_offsets;
        let in_len = in_channels * geometry.in_plane;
        let out_len = out_channels * geometry.out_gradient_plane;
        let samples = self.input.len() / geometry.input_len();
        let (weight, bias) = partial.split_at_mut(geometry.weight_len());
        let PlaneScratch {
            padded: all_padded,
            out_gradient,
            in_gradient,
            zeros,
        } = scratch;

        for sample in 0..samples {
            let of = |len: usize| sample * len..(sample + 1) * len;
            let input = self.input.get(of(geometry.input_len())).unwrap_or_default();
            let padded = all_padded.get_mut(of(in_len)).unwrap_or_default();
            geometry.pad(input, padded);
            let planes = out_gradient.get_mut(of(out_len)).unwrap_or_default();
            unpool(self.block, sample, self.pooled, planes);
            for (plane, bias) in planes
                .chunks_exact(geometry.out_gradient_plane)
                .zip(bias.iter_mut())
            {
                *bias += sum(simd, plane.get(geometry.margin..).unwrap_or_default());
            }
            if !gradient.is_empty() {
                let planes = Planes {
                    values: planes,
                    len: geometry.out_gradient_plane,
                    offsets,
                };
                correlate(
                    simd,
                    planes,
                    self.packed,
                    zeros,
                    in_gradient,
                    geometry.in_gradient_plane,
                );
                let gradient = gradient.get_mut(of(geometry.input_len()));
                geometry.crop(in_gradient, gradient.unwrap_or_default());
            }
        }

        WeightGradient {
            input: Planes {
                values: all_padded.get(..samples * in_len).unwrap_or_default(),
                len: geometry.in_plane,
                offsets: &geometry.offsets,
            },
            in_channels,
            gradients: out_gradient.get(..samples * out_len).unwrap_or_default(),
            out_channels,
            plane: geometry.out_gradient_plane,
            margin: geometry.margin,
            len: geometry.out_plane,
        }
        .add_to(simd, weight);
    }
}

/// A vector from `start`, of which the first `count` values matter.
#[inline(always)]
fn load<S: Simd>(simd: S, values: &[f32], start: usize, count: usize) -> S::f32s {
    let values = values.get(start..).unwrap_or_default();
    match S::as_simd_f32s(values).0.first() {
        Some(&vector) => vector,
        None => simd.partial_load_f32s(values.get(..count).unwrap_or_default()),
    }
}

/// The numbers of the lanes.
const LANE: [u32; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[inline(always)]
fn widen(places: &[u8], to: &mut [u32; LANES]) {
    match places.first_chunk::<LANES>() {
        Some(places) => {
            for (to, &place) in to.iter_mut().zip(places) {
                *to = place.into();
            }
        }
        None => {
            for (to, &place) in to.iter_mut().zip(places) {
                *to = place.into();
            }
        }
    }
}

/// The winners of one map of one sample that carry a gradient; the sum of their gradients is added to
/// `bias`.
#[inline(always)]
fn winners<'a, S: Simd>(
    simd: S,
    block: &ConvBlockKernel,
    map: usize,
    pooled: Pooled<'_>,
    (scaled, all): (&mut [f32], &'a mut [Winner]),
    bias: &mut f32,
) -> &'a [Winner] {
    let part = map * scaled.len()..(map + 1) * scaled.len();
    let outputs = pooled.output.get(part.clone()).unwrap_or_default();
    let gradients = pooled.output_gradient.get(part.clone()).unwrap_or_default();
    block.activation.scale(gradients, outputs, scaled);
    *bias += sum(simd, scaled);

    let places = pooled.winners.get(part).unwrap_or_default();
    let windows = block.patches.windows().iter().zip(places).zip(&*scaled);
    let mut found = 0;
    for ((&window, &place), &gradient) in windows {
        // Written in any case and kept if it counts: no branch to mispredict.
        if let Some(to) = all.get_mut(found) {
            *to = Winner {
                patch: window + block.patches.place(place),
                gradient,
            };
        }
        found += usize::from(gradient != 0.0);
    }
    all.get(..found).unwrap_or_default()
}

/// The gradients of one sample before activation and average pooling, as planes after a margin.
#[inline(always)]
fn unpool(block: &ConvBlockKernel, sample: usize, pooled: Pooled<'_>, planes: &mut [f32]) {
    let Pooled {
        output_gradient,
        activations,
        ..
    } = pooled;
    let ConvBlockKernel {
        geometry,
        activation,
        ..
    } = block;
    let [pooled_height, pooled_width] = geometry.pooled;
    let pooled = pooled_height * pooled_width;
    let stride = geometry.stride;
    for (channel, plane) in planes
        .chunks_exact_mut(geometry.out_gradient_plane)
        .enumerate()
    {
        let index = sample * geometry.shape.out_channels + channel;
        let plane = plane.get_mut(geometry.margin..).unwrap_or_default();
        let kept = activations.get(index * 4 * pooled..).unwrap_or_default();
        let gradients = output_gradient.get(index * pooled..).unwrap_or_default();
        let gradients = gradients.chunks_exact(pooled_width);
        let rows = plane.chunks_mut(2 * stride).take(pooled_height);
        for (y, (rows, gradients)) in rows.zip(gradients).enumerate() {
            let kept = |place: usize| {
                let start = place * pooled + y * pooled_width;
                kept.get(start..).unwrap_or_default()
            };
            let (upper, lower) = rows.split_at_mut(stride);
            average_row_gradient(*activation, gradients, (kept(0), kept(1)), upper);
            average_row_gradient(*activation, gradients, (kept(2), kept(3)), lower);
        }
    }
}
