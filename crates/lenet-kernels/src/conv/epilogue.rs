//! What happens to the values of a window while they are still in registers.

use pulp::Simd;

use super::pooling::max;
use crate::Activation;

/// The end of a convolution.
pub(super) trait Epilogue<S: Simd> {
    /// Takes the four values of each window of a vector; `index` counts vectors in the order of the layout.
    // Not a closure, which would not be compiled for the instruction set.
    fn finish(&mut self, simd: S, index: usize, values: [S::f32s; 4]);
}

/// Activation and max pooling.
pub(super) struct MaxPool<'a, S: Simd> {
    pub(super) activation: Activation,
    /// The maxima, vector by vector.
    pub(super) pooled: &'a mut [S::f32s],
    /// Their places in the windows.
    pub(super) argmax: &'a mut [S::u32s],
}

impl<S: Simd> Epilogue<S> for MaxPool<'_, S> {
    #[inline(always)]
    fn finish(&mut self, simd: S, index: usize, mut values: [S::f32s; 4]) {
        // ReLU keeps the order, so it is enough to apply it to the maximum.
        let is_relu = self.activation == Activation::Relu;
        if !is_relu {
            for value in &mut values {
                *value = self.activation.apply_vector(simd, *value);
            }
        }
        let (mut pooled, argmax) = max(simd, values);
        if is_relu {
            // Not `max`, which would turn NaN into 0.
            let zero = simd.splat_f32s(0.0);
            pooled = simd.select_f32s(simd.less_than_f32s(pooled, zero), zero, pooled);
        }
        let (Some(to), Some(place)) = (self.pooled.get_mut(index), self.argmax.get_mut(index))
        else {
            unreachable!("more vectors than the layout has");
        };
        (*to, *place) = (pooled, argmax);
    }
}

/// Nothing: the values are kept, four vectors to an index.
pub(super) struct Keep<'a, S: Simd> {
    pub(super) values: &'a mut [[S::f32s; 4]],
}

impl<S: Simd> Epilogue<S> for Keep<'_, S> {
    #[inline(always)]
    fn finish(&mut self, _simd: S, index: usize, values: [S::f32s; 4]) {
        self.values[index] = values;
    }
}
