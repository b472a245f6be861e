use crate::aligned::Aligned;
use crate::channels::Channels;
use crate::columns::Columns;
use crate::geometry::Geometry;
use crate::level::Vectors;

/// What lies side by side in the vectors of a convolution.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// Neighbouring pooling windows: for wide maps of few channels.
    Columns(Columns),
    /// Output channels: for narrow maps of many channels.
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
        let columns = Columns::new(geometry, vectors.lanes);
        let channels = Channels::new(geometry, vectors.lanes);
        if columns.cost() <= channels.cost() {
            Self::Columns(columns)
        } else {
            Self::Channels(channels)
        }
    }

    /// Values of the padded input of one sample.
    pub(crate) fn image_len(&self, geometry: &Geometry) -> usize {
        match self {
            Self::Columns(columns) => columns.image_len(),
            Self::Channels(_) => geometry.shape.in_channels * geometry.in_plane,
        }
    }

    /// Values before the pooling of one sample, filled up to whole vectors.
    pub(crate) fn values_len(&self) -> usize {
        match self {
            Self::Columns(columns) => columns.values_len(),
            Self::Channels(channels) => channels.values_len(),
        }
    }

    pub(crate) fn pack(&self, weight: &[f32], bias: &[f32], vectors: Vectors) -> Packed {
        match self {
            Self::Columns(columns) => Packed {
                weight: columns.pack(weight, vectors.registers),
                bias: Aligned::from(bias),
            },
            Self::Channels(channels) => Packed {
                weight: channels.pack(weight),
                bias: channels.pack_bias(bias),
            },
        }
    }
}
