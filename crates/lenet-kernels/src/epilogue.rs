//! What a convolution does with the values of a window while they are in registers.

use pulp::Simd;

use crate::Activation;
use crate::geometry::LANES;
use crate::pooling::largest;

/// The end of a convolution.
pub(crate) trait Epilogue<S: Simd> {
    /// Takes the four values of a vector of windows, which is the layout's number `index`.
    // Not a closure: that would not be compiled for the instruction set.
    fn finish(&mut self, simd: S, index: usize, values: [S::f32s; 4]);
}

/// Activation and max pooling.
pub(crate) struct Largest<'a, S: Simd> {
    pub(crate) activation: Activation,
    /// The largest values and which they are, vector by vector.
    pub(crate) pooled: &'a mut [S::f32s],
    pub(crate) winners: &'a mut [S::u32s],
}

impl<S: Simd> Epilogue<S> for Largest<'_, S> {
    #[inline(always)]
    fn finish(&mut self, simd: S, index: usize, mut values: [S::f32s; 4]) {
        // The largest of a window stays the largest under ReLU, which then has less to do.
        let is_relu = self.activation == Activation::Relu;
        if !is_relu {
            values = activate(self.activation, values, simd);
        }
        let (mut best, winner) = largest(simd, values);
        if is_relu {
            // Written so that NaN stays.
            let zero = simd.splat_f32s(0.0);
            best = simd.select_f32s(simd.less_than_f32s(best, zero), zero, best);
        }
        if let (Some(to), Some(place)) = (self.pooled.get_mut(index), self.winners.get_mut(index)) {
            (*to, *place) = (best, winner);
        }
    }
}

/// The function of four vectors.
#[inline(always)]
fn activate<S: Simd>(activation: Activation, mut values: [S::f32s; 4], _simd: S) -> [S::f32s; 4] {
    let mut buffer = [0.0; 4 * LANES];
    if let Some(buffer) = S::as_mut_simd_f32s(&mut buffer).0.first_chunk_mut() {
        *buffer = values;
    }
    activation.apply(&mut buffer);
    if let Some(&results) = S::as_simd_f32s(&buffer).0.first_chunk() {
        values = results;
    }
    values
}

/// Nothing: the values are kept, four vectors to an index.
pub(crate) struct Keep<'a, S: Simd> {
    pub(crate) values: &'a mut [[S::f32s; 4]],
}

impl<S: Simd> Epilogue<S> for Keep<'_, S> {
    #[inline(always)]
    fn finish(&mut self, _simd: S, index: usize, values: [S::f32s; 4]) {
        if let Some(to) = self.values.get_mut(index) {
            *to = values;
        }
    }
}
