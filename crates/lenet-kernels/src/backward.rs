use pulp::{Simd, WithSimd};

use crate::correlate::{Planes, WeightGradient, correlate, sum};
use crate::geometry::{Geometry, Shape};
use crate::kernel::{ConvBlockKernel, GROUP};
use crate::pooling::{Pooling, average_row_gradient, max_row_gradient};

/// What a thread needs for a group of samples; zero where nothing is written.
pub(crate) struct Scratch {
    padded: Vec<f32>,
    out_gradient: Vec<f32>,
    in_gradient: Vec<f32>,
    zeros: Vec<f32>,
}

impl Scratch {
    pub(crate) fn new(geometry: &Geometry, input_gradient: bool) -> Self {
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

/// The backward pass of one group of samples.
pub(crate) struct Backward<'a> {
    pub(crate) block: &'a ConvBlockKernel,
    pub(crate) offsets: &'a [usize],
    pub(crate) packed: &'a [f32],
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) input: &'a [f32],
    pub(crate) output: &'a [f32],
    pub(crate) output_gradient: &'a [f32],
    pub(crate) winners: &'a [u8],
    pub(crate) activations: &'a [f32],
    pub(crate) partial: &'a mut [f32],
    pub(crate) gradient: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ConvBlockKernel { geometry, .. } = self.block;
        let Shape {
            in_channels,
            out_channels,
            ..
        } = geometry.shape;
        let in_len = in_channels * geometry.in_plane;
        let out_len = out_channels * geometry.out_gradient_plane;
        let samples = self.input.len() / geometry.input_len();
        let (weight, bias) = self.partial.split_at_mut(geometry.weight_len());
        let Scratch {
            padded: all_padded,
            out_gradient,
            in_gradient,
            zeros,
        } = self.scratch;

        for sample in 0..samples {
            let of = |len: usize| sample * len..(sample + 1) * len;
            let input = self.input.get(of(geometry.input_len())).unwrap_or_default();
            let padded = all_padded.get_mut(of(in_len)).unwrap_or_default();
            geometry.pad(input, padded);
            let planes = out_gradient.get_mut(of(out_len)).unwrap_or_default();
            unpool(
                self.block,
                sample,
                self.output,
                self.output_gradient,
                self.winners,
                self.activations,
                planes,
            );
            for (plane, bias) in planes
                .chunks_exact(geometry.out_gradient_plane)
                .zip(bias.iter_mut())
            {
                *bias += sum(simd, plane.get(geometry.margin..).unwrap_or_default());
            }
            if !self.gradient.is_empty() {
                let planes = Planes {
                    values: planes,
                    len: geometry.out_gradient_plane,
                    offsets: self.offsets,
                };
                correlate(
                    simd,
                    planes,
                    self.packed,
                    zeros,
                    in_gradient,
                    geometry.in_gradient_plane,
                );
                let gradient = self
                    .gradient
                    .get_mut(of(geometry.input_len()))
                    .unwrap_or_default();
                geometry.crop(in_gradient, gradient);
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

/// The gradients of one sample before activation and pooling, as planes after a margin.
#[inline(always)]
fn unpool(
    block: &ConvBlockKernel,
    sample: usize,
    output: &[f32],
    output_gradient: &[f32],
    winners: &[u8],
    activations: &[f32],
    planes: &mut [f32],
) {
    let ConvBlockKernel {
        geometry,
        activation,
        pooling,
        ..
    } = block;
    let [height, width] = geometry.convolved;
    let [pooled_height, pooled_width] = geometry.pooled;
    let pooled = pooled_height * pooled_width;
    let stride = geometry.stride;
    for (channel, plane) in planes
        .chunks_exact_mut(geometry.out_gradient_plane)
        .enumerate()
    {
        let index = sample * geometry.shape.out_channels + channel;
        let plane = plane.get_mut(geometry.margin..).unwrap_or_default();
        let gradients = output_gradient
            .get(index * pooled..)
            .unwrap_or_default()
            .chunks_exact(pooled_width);
        match pooling {
            Pooling::Max => {
                let outputs = output
                    .get(index * pooled..)
                    .unwrap_or_default()
                    .chunks_exact(pooled_width);
                let winners = winners
                    .get(index * pooled..)
                    .unwrap_or_default()
                    .chunks_exact(pooled_width);
                let rows = plane.chunks_mut(2 * stride).take(pooled_height);
                for (((rows, gradients), outputs), winners) in
                    rows.zip(gradients).zip(outputs).zip(winners)
                {
                    let (upper, lower) = rows.split_at_mut(stride);
                    max_row_gradient(*activation, outputs, gradients, winners, upper, lower);
                }
            }
            Pooling::Average => {
                let kept = activations
                    .get(index * height * width..)
                    .unwrap_or_default();
                let mut pairs = kept.chunks_exact(2 * width);
                let rows = plane.chunks_mut(2 * stride).take(pooled_height);
                for (rows, gradients) in rows.zip(gradients) {
                    let Some(kept) = pairs.next() else { break };
                    let (upper_kept, lower_kept) = kept.split_at(width);
                    let (upper, lower) = rows.split_at_mut(stride);
                    average_row_gradient(*activation, gradients, upper_kept, upper);
                    average_row_gradient(*activation, gradients, lower_kept, lower);
                }
            }
        }
    }
}
