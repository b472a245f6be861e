use pulp::Simd;

use crate::aligned::Aligned;
use crate::channels::Channels;
use crate::epilogue::{Epilogue, Keep};
use crate::geometry::Geometry;
use crate::level::Vectors;
use crate::windows::Windows;

/// What lies side by side in the vectors of a convolution.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// Neighbouring pooling windows: for large maps of few channels.
    Windows(Windows),
    /// Output channels: for small maps of many channels.
    Channels(Channels),
}

/// Weights and biases in the order in which a layout reads them.
pub(crate) struct Packed {
    pub(crate) weight: Aligned,
    pub(crate) bias: Aligned,
}

impl Layout {
    /// The one that fills the vectors better.
    pub(crate) fn new(geometry: &Geometry, vectors: Vectors) -> Self {
        let windows = Windows::new(geometry, vectors);
        let channels = Channels::new(geometry, vectors.lanes);
        if windows.cost() <= channels.cost() {
            Self::Windows(windows)
        } else {
            Self::Channels(channels)
        }
    }

    /// Values of the padded input of one sample.
    pub(crate) fn image_len(&self, geometry: &Geometry) -> usize {
        match self {
            Self::Windows(windows) => windows.image_len(),
            Self::Channels(_) => geometry.shape.in_channels * geometry.in_plane,
        }
    }

    /// Values before the pooling of one sample, filled up to whole vectors.
    pub(crate) fn values_len(&self) -> usize {
        match self {
            Self::Windows(windows) => windows.values_len(),
            Self::Channels(channels) => channels.values_len(),
        }
    }

    /// Hands the values before the pooling of one sample to `epilogue`; the border of `image` is zero, and
    /// `values` is a buffer.
    #[inline(always)]
    pub(crate) fn convolve_into<S: Simd>(
        &self,
        simd: S,
        geometry: &Geometry,
        packed: &Packed,
        (input, image, values): (&[f32], &mut [f32], &mut [f32]),
        epilogue: &mut impl Epilogue<S>,
    ) {
        let Packed { weight, bias } = packed;
        match self {
            Self::Windows(windows) => {
                windows.split(input, image);
                windows.convolve(simd, image, weight, bias, epilogue);
            }
            Self::Channels(channels) => {
                geometry.pad(input, image);
                channels.convolve(simd, image, weight, bias, values);
                let (groups, _) = S::as_simd_f32s(values).0.as_chunks();
                for (index, &group) in groups.iter().enumerate() {
                    epilogue.finish(simd, index, group);
                }
            }
        }
    }

    /// Computes the values before the pooling of one sample; the border of `image` is zero.
    #[inline(always)]
    pub(crate) fn convolve<S: Simd>(
        &self,
        simd: S,
        geometry: &Geometry,
        packed: &Packed,
        (input, image, values): (&[f32], &mut [f32], &mut [f32]),
    ) {
        let Packed { weight, bias } = packed;
        match self {
            Self::Windows(windows) => {
                windows.split(input, image);
                let (values, _) = S::as_mut_simd_f32s(values).0.as_chunks_mut();
                windows.convolve(simd, image, weight, bias, &mut Keep::<S> { values });
            }
            Self::Channels(channels) => {
                geometry.pad(input, image);
                channels.convolve(simd, image, weight, bias, values);
            }
        }
    }

    pub(crate) fn pack(&self, weight: &[f32], bias: &[f32], vectors: Vectors) -> Packed {
        match self {
            Self::Windows(windows) => Packed {
                weight: windows.pack(weight, vectors.registers),
                bias: Aligned::from(bias),
            },
            Self::Channels(channels) => Packed {
                weight: channels.pack(weight),
                bias: channels.pack_bias(bias),
            },
        }
    }
}
