//! What the shape of a block decides, and nothing that a pass computes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::geometry::Geometry;
use super::layout::{Layout, Packed, SavedOrder};
use super::patches::{GradientPlaces, Patches};
use super::pooling::Pooling;
use crate::error::check_len;
use crate::{Activation, KernelError, Parameters, Shape, SimdLevel};

/// Samples in a task. Weight gradients are added up within a group, then group by group, so that results do not
/// depend on which thread computed which group.
pub(crate) const GROUP: usize = 8;

/// Everything about a convolution block that its shape decides: convolution (stride 1), bias, activation and
/// 2×2 pooling (stride 2; an odd last row or column is dropped).
///
/// Make it once for each layer and keep it: clones share one set of tables, and what only the backward pass
/// needs is computed when it first runs. The [crate documentation](crate) has an example of the forward pass;
/// the backward pass takes what the forward pass saved:
///
/// ```
/// use lenet_kernels::{Activation, ConvBackward, ConvPlan, Parameters, Pooling, Shape};
///
/// let shape = Shape {
///     in_channels: 1,
///     out_channels: 1,
///     height: 2,
///     width: 2,
///     kernel_size: 1,
///     padding: 0,
/// };
/// let plan = ConvPlan::new(shape, Activation::Relu, Pooling::Max)?;
/// let (input, weight) = ([1.0, 4.0, 2.0, 3.0], [0.5]);
/// let parameters = Parameters { weight: &weight, bias: &[0.0] };
/// let (output, saved) = plan.forward(1, &input, parameters)?;
/// assert_eq!(output, [2.0]);
///
/// let gradients = plan.backward(ConvBackward {
///     batch: 1,
///     input: &input,
///     weight: &weight,
///     output: &output,
///     saved: &saved,
///     output_gradient: &[1.0],
///     input_gradient: true,
/// })?;
/// assert_eq!(gradients.input, [0.0, 0.5, 0.0, 0.0]);
/// assert_eq!((gradients.weight, gradients.bias), (vec![4.0], vec![1.0]));
/// # Ok::<(), lenet_kernels::KernelError>(())
/// ```
#[derive(Clone)]
pub struct ConvPlan {
    pub(super) tables: Arc<Tables>,
}

/// What all clones of a plan share.
pub(super) struct Tables {
    pub(super) geometry: Geometry,
    pub(super) layout: Layout,
    pub(super) activation: Activation,
    pub(super) pooling: Pooling,
    pub(super) level: SimdLevel,
    backward: OnceLock<BackwardTables>,
}

/// What only the backward pass reads.
pub(super) struct BackwardTables {
    pub(super) patches: Patches,
    pub(super) places: GradientPlaces,
}

/// What a forward pass leaves for the backward pass.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The order of what follows; `None` if nothing is saved.
    pub(super) order: Option<SavedOrder>,
    /// For max pooling: the argmax of each window, 0 to 3, in the order of the plan's layout.
    pub(super) argmax: Vec<u8>,
    /// For average pooling: the values before the pooling, in the order of the plan's layout.
    pub(super) activations: Vec<f32>,
}

impl ConvPlan {
    /// A plan for these shapes.
    ///
    /// # Errors
    ///
    /// [`KernelError::Shape`] if nothing is left after the pooling, or the shape exceeds the address space.
    pub fn new(
        shape: Shape,
        activation: Activation,
        pooling: Pooling,
    ) -> Result<Self, KernelError> {
        let geometry = Geometry::new(shape)?;
        let level = SimdLevel::best();
        Ok(Self::build(geometry, activation, pooling, level))
    }

    /// Uses this SIMD level instead of the fastest one. The backward pass of a plan takes what a forward pass on the
    /// same level saved.
    #[must_use]
    pub fn with_level(self, level: SimdLevel) -> Self {
        let Tables {
            geometry,
            activation,
            pooling,
            ..
        } = *self.tables;
        Self::build(geometry, activation, pooling, level)
    }

    fn build(
        geometry: Geometry,
        activation: Activation,
        pooling: Pooling,
        level: SimdLevel,
    ) -> Self {
        let tables = Tables {
            layout: Layout::new(&geometry, level.vectors()),
            geometry,
            activation,
            pooling,
            level,
            backward: OnceLock::new(),
        };
        Self {
            tables: Arc::new(tables),
        }
    }

    /// The shapes of the block.
    pub fn shape(&self) -> Shape {
        self.tables.geometry.shape
    }

    /// The activation of the block.
    pub fn activation(&self) -> Activation {
        self.tables.activation
    }

    /// The pooling of the block.
    pub fn pooling(&self) -> Pooling {
        self.tables.pooling
    }

    /// Height and width of an output map.
    pub fn output_size(&self) -> [usize; 2] {
        self.tables.geometry.pooled
    }

    /// Values of one sample's input.
    pub(crate) fn input_len(&self) -> usize {
        self.tables.geometry.input_len()
    }

    /// Values of one sample's output.
    pub(crate) fn output_len(&self) -> usize {
        self.tables.geometry.output_len()
    }

    /// Checks the lengths of weights and biases.
    pub(crate) fn check(&self, parameters: Parameters<'_>) -> Result<(), KernelError> {
        let geometry = &self.tables.geometry;
        check_len("weight", Some(geometry.weight_len()), parameters.weight)?;
        check_len("bias", Some(geometry.shape.out_channels), parameters.bias)
    }

    /// Values that one sample saves for the backward pass: argmax and activations.
    pub(crate) fn saved_len(&self) -> [usize; 2] {
        self.tables.saved_len()
    }

    /// The parameters as the forward pass reads them.
    pub(crate) fn pack(&self, parameters: Parameters<'_>) -> Packed {
        self.tables.layout.pack(parameters)
    }
}

impl fmt::Debug for ConvPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConvPlan")
            .field("shape", &self.shape())
            .field("activation", &self.activation())
            .field("pooling", &self.pooling())
            .finish_non_exhaustive()
    }
}

impl Tables {
    /// Values that one sample saves for the backward pass: argmax and activations.
    pub(super) fn saved_len(&self) -> [usize; 2] {
        match self.pooling {
            Pooling::Max => [self.layout.values_len() / 4, 0],
            Pooling::Average => [0, self.layout.values_len()],
        }
    }

    pub(super) fn backward(&self) -> &BackwardTables {
        self.backward.get_or_init(|| BackwardTables {
            patches: Patches::new(&self.geometry, self.level.vectors()),
            places: self.layout.gradient_places(&self.geometry),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConvBackward, Parameters};

    #[test]
    fn clones_share_the_backward_tables_that_inference_never_computes() {
        let shape = Shape {
            in_channels: 1,
            out_channels: 1,
            height: 2,
            width: 2,
            kernel_size: 1,
            padding: 0,
        };
        let plan = ConvPlan::new(shape, Activation::Tanh, Pooling::Max).unwrap();
        let (input, weight, bias) = (&[1.0; 4], &[1.0], &[0.0]);
        let (output, saved) = plan.forward(1, input, Parameters { weight, bias }).unwrap();
        assert!(plan.tables.backward.get().is_none());
        let arguments = ConvBackward {
            batch: 1,
            input,
            weight,
            output: &output,
            saved: &saved,
            output_gradient: &[1.0],
            input_gradient: true,
        };
        plan.clone().backward(arguments).unwrap();
        assert!(plan.tables.backward.get().is_some());
    }
}
