//! The choice between the two layouts, behind one face.

use pulp::Simd;

use super::channels::Channels;
use super::epilogue::{Epilogue, Keep};
use super::geometry::Geometry;
use super::patches::GradientPlaces;
use super::windows::Windows;
use crate::Parameters;
use crate::simd::{Aligned, Vectors};

/// What lies side by side in the vectors of a convolution.
pub(super) enum Layout {
    /// Neighbouring pooling windows: for large maps of few channels.
    Windows(Windows),
    /// Output channels: for small maps of many channels.
    Channels(Channels),
}

/// The order in which a layout saves values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SavedOrder {
    by_channels: bool,
    lanes: usize,
}

/// Weights and biases in the order in which a layout reads them.
pub(crate) struct Packed {
    weight: Aligned,
    bias: Aligned,
}

/// The buffers of one sample.
pub(super) struct Buffers<'a> {
    /// The sample, `[in channel, row, column]`.
    pub(super) input: &'a [f32],
    /// The sample as the layout reads it, with a border that is zero already.
    pub(super) image: &'a mut [f32],
    /// The values before the pooling.
    pub(super) values: &'a mut [f32],
}

impl Layout {
    /// The one that leaves fewer lanes idle.
    pub(super) fn new(geometry: &Geometry, vectors: Vectors) -> Self {
        let windows = Windows::new(geometry, vectors);
        let channels = Channels::new(geometry, vectors);
        if windows.cost() <= channels.cost() {
            Self::Windows(windows)
        } else {
            Self::Channels(channels)
        }
    }

    /// The order in which values are saved.
    pub(super) fn saved_order(&self) -> SavedOrder {
        match self {
            Self::Windows(windows) => SavedOrder {
                by_channels: false,
                lanes: windows.lanes(),
            },
            Self::Channels(channels) => SavedOrder {
                by_channels: true,
                lanes: channels.lanes(),
            },
        }
    }

    /// Values of the image of one sample.
    pub(super) fn image_len(&self) -> usize {
        match self {
            Self::Windows(windows) => windows.image_len(),
            Self::Channels(channels) => channels.image_len(),
        }
    }

    /// Values before the pooling of one sample, filled up to whole vectors.
    pub(super) fn values_len(&self) -> usize {
        match self {
            Self::Windows(windows) => windows.values_len(),
            Self::Channels(channels) => channels.values_len(),
        }
    }

    /// Values of the sums of the gradients of weights and of biases.
    pub(super) fn sums_len(&self) -> [usize; 2] {
        match self {
            Self::Windows(windows) => windows.sums_len(),
            Self::Channels(channels) => channels.sums_len(),
        }
    }

    /// Where the gradients of the values before the pooling lie.
    pub(super) fn gradient_places(&self, geometry: &Geometry) -> GradientPlaces {
        match self {
            Self::Windows(windows) => windows.gradient_places(geometry),
            Self::Channels(channels) => channels.gradient_places(),
        }
    }

    pub(super) fn pack(&self, parameters: Parameters<'_>) -> Packed {
        let Parameters { weight, bias } = parameters;
        match self {
            Self::Windows(windows) => Packed {
                weight: windows.pack(weight),
                bias: Aligned::from(bias),
            },
            Self::Channels(channels) => Packed {
                weight: channels.pack(weight),
                bias: channels.pack_bias(bias),
            },
        }
    }

    /// Hands the values before the pooling of one sample to `epilogue`; `values` is scratch space.
    #[inline(always)]
    pub(super) fn convolve_into<S: Simd>(
        &self,
        simd: S,
        packed: &Packed,
        buffers: Buffers<'_>,
        epilogue: &mut impl Epilogue<S>,
    ) {
        let Buffers {
            input,
            image,
            values,
        } = buffers;
        let parameters = (&*packed.weight, &*packed.bias);
        match self {
            Self::Windows(windows) => {
                windows.split(input, image);
                windows.convolve(simd, image, parameters, epilogue);
            }
            Self::Channels(channels) => {
                channels.pad(input, image);
                channels.convolve(simd, image, parameters, values);
                let (groups, _) = S::as_simd_f32s(values).0.as_chunks();
                for (index, &group) in groups.iter().enumerate() {
                    epilogue.finish(simd, index, group);
                }
            }
        }
    }

    /// Computes the values before the pooling of one sample.
    #[inline(always)]
    pub(super) fn convolve<S: Simd>(&self, simd: S, packed: &Packed, buffers: Buffers<'_>) {
        let Buffers {
            input,
            image,
            values,
        } = buffers;
        let parameters = (&*packed.weight, &*packed.bias);
        match self {
            Self::Windows(windows) => {
                windows.split(input, image);
                let (values, _) = S::as_mut_simd_f32s(values).0.as_chunks_mut();
                windows.convolve(simd, image, parameters, &mut Keep::<S> { values });
            }
            Self::Channels(channels) => {
                channels.pad(input, image);
                channels.convolve(simd, image, parameters, values);
            }
        }
    }
}
