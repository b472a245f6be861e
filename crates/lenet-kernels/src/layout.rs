use crate::aligned::Aligned;
use crate::channels::Channels;
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
        let windows = Windows::new(geometry, vectors.lanes);
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

    /// Values of a buffer for the rows of one map of the input.
    pub(crate) fn rows_len(&self) -> usize {
        match self {
            Self::Windows(windows) => windows.rows_len(),
            Self::Channels(_) => 0,
        }
    }

    /// Values before the pooling of one sample, filled up to whole vectors.
    pub(crate) fn values_len(&self) -> usize {
        match self {
            Self::Windows(windows) => windows.values_len(),
            Self::Channels(channels) => channels.values_len(),
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
