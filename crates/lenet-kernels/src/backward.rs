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
    /// Gradients of one map's windows before the activation.
    windows: Vec<f32>,
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
            windows: vec![0.0; geometry.pooled.iter().product()],
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
    pub(crate) offsets: &'a [usize],
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
            windows,
            zeros,
        } = self.scratch;

        for sample in 0..samples {
            let of = |len: usize| sample * len..(sample + 1) * len;
            let input = self.input.get(of(geometry.input_len())).unwrap_or_default();
            let padded = all_padded.get_mut(of(in_len)).unwrap_or_default();
            geometry.pad(input, padded);
            let planes = out_gradient.get_mut(of(out_len)).unwrap_or_default();
            unpool(self.block, sample, self.pooled, windows, planes);
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
    pooled: Pooled<'_>,
    windows: &mut [f32],
    planes: &mut [f32],
) {
    let Pooled {
        output,
        output_gradient,
        winners,
        activations,
    } = pooled;
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
        match pooling {
            Pooling::Max => {
                let from = index * pooled;
                let outputs = output.get(from..).unwrap_or_default();
                let gradients = output_gradient.get(from..).unwrap_or_default();
                for ((window, &output), &gradient) in windows.iter_mut().zip(outputs).zip(gradients)
                {
                    *window = gradient * activation.slope(output);
                }
                let winners = winners.get(from..).unwrap_or_default();
                let winners = winners.chunks_exact(pooled_width);
                plane.fill(0.0);
                let rows = windows.chunks_exact(pooled_width).zip(winners).enumerate();
                for (y, (gradients, winners)) in rows {
                    let rows = plane.get_mut(2 * y * stride..).unwrap_or_default();
                    max_row_gradient(gradients, winners, rows, stride);
                }
            }
            Pooling::Average => {
                let kept = activations
                    .get(index * height * width..)
                    .unwrap_or_default();
                let gradients = output_gradient.get(index * pooled..).unwrap_or_default();
                let gradients = gradients.chunks_exact(pooled_width);
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
