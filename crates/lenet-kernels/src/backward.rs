use pulp::{Simd, WithSimd};

use crate::aligned::Aligned;
use crate::correlate::{Planes, WeightGradient, correlate, sum};
use crate::geometry::{Geometry, Shape};
use crate::kernel::{ConvBlockKernel, GROUP};
use crate::patches::Winner;
use crate::pooling::{Pooling, average_row_gradient};

/// What a thread needs for a group of samples.
pub(crate) enum Scratch {
    /// Where every value before the pooling carries a gradient.
    Planes(PlaneScratch),
    /// Where the winner of each window does.
    Patches(PatchScratch),
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

impl Scratch {
    pub(crate) fn new(block: &ConvBlockKernel, input_gradient: bool) -> Self {
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
