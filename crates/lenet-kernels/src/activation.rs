//! The activations, for slices and for single vectors, and the exponential that they and the loss need.

use std::fmt;

use pulp::Simd;

/// The function applied after every convolution and every hidden dense layer.
// Exhaustive on purpose: a new function does not compile until every layer and fallback computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Activation {
    /// `1 / (1 + exp(-x))`, range (0, 1): the LeNet of *Dive into Deep Learning*, section 7.6.
    Sigmoid,
    /// `max(x, 0)`: the modern choice.
    Relu,
    /// `tanh(x)`, range (-1, 1): close to the 1998 paper's scaled tanh.
    Tanh,
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sigmoid => "sigmoid",
            Self::Relu => "relu",
            Self::Tanh => "tanh",
        })
    }
}

impl Activation {
    /// Applies the function to every value.
    // Loops, here and below: a closure would not be compiled for the instruction set of its caller.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, simd: S, values: &mut [f32]) {
        let (vectors, rest) = S::as_mut_simd_f32s(values);
        for vector in vectors {
            *vector = self.apply_vector(simd, *vector);
        }
        if !rest.is_empty() {
            let vector = simd.partial_load_f32s(rest);
            simd.partial_store_f32s(rest, self.apply_vector(simd, vector));
        }
    }

    /// [`apply`](Self::apply) to one vector.
    #[inline(always)]
    pub(crate) fn apply_vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let one = simd.splat_f32s(1.0);
        match self {
            Self::Relu => {
                // Not `max`, which would turn NaN into 0.
                let zero = simd.splat_f32s(0.0);
                simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
            }
            Self::Sigmoid => {
                let power = exp_vector(simd, simd.neg_f32s(x));
                simd.div_f32s(one, simd.add_f32s(one, power))
            }
            Self::Tanh => {
                let two = simd.splat_f32s(2.0);
                let power = exp_vector(simd, simd.mul_f32s(simd.neg_f32s(two), x));
                let quotient = simd.div_f32s(two, simd.add_f32s(one, power));
                simd.sub_f32s(quotient, one)
            }
        }
    }

    /// The gradients before the function: `scaled = gradients · f'`, where `values` are what `f` returned.
    #[inline(always)]
    pub(crate) fn scale(self, gradients: &[f32], values: &[f32], scaled: &mut [f32]) {
        let all = scaled.iter_mut().zip(gradients).zip(values);
        match self {
            Self::Relu => {
                for ((to, &gradient), &value) in all {
                    *to = if value > 0.0 { gradient } else { 0.0 };
                }
            }
            Self::Sigmoid => {
                for ((to, &gradient), &value) in all {
                    *to = gradient * (value * (1.0 - value));
                }
            }
            Self::Tanh => {
                for ((to, &gradient), &value) in all {
                    *to = gradient * (1.0 - value * value);
                }
            }
        }
    }

    /// [`scale`](Self::scale) in place.
    #[inline(always)]
    pub(crate) fn scale_in_place(self, gradients: &mut [f32], values: &[f32]) {
        let all = gradients.iter_mut().zip(values);
        match self {
            Self::Relu => {
                for (gradient, &value) in all {
                    *gradient = if value > 0.0 { *gradient } else { 0.0 };
                }
            }
            Self::Sigmoid => {
                for (gradient, &value) in all {
                    *gradient *= value * (1.0 - value);
                }
            }
            Self::Tanh => {
                for (gradient, &value) in all {
                    *gradient *= 1.0 - value * value;
                }
            }
        }
    }

    /// [`scale`](Self::scale) of one vector.
    #[inline(always)]
    pub(crate) fn scale_vector<S: Simd>(
        self,
        simd: S,
        gradient: S::f32s,
        value: S::f32s,
    ) -> S::f32s {
        let one = simd.splat_f32s(1.0);
        match self {
            Self::Relu => {
                let zero = simd.splat_f32s(0.0);
                simd.select_f32s(simd.greater_than_f32s(value, zero), gradient, zero)
            }
            Self::Sigmoid => {
                let slope = simd.mul_f32s(value, simd.sub_f32s(one, value));
                simd.mul_f32s(gradient, slope)
            }
            Self::Tanh => {
                let slope = simd.sub_f32s(one, simd.mul_f32s(value, value));
                simd.mul_f32s(gradient, slope)
            }
        }
    }
}

/// `exp(x)` of every value.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, values: &mut [f32]) {
    let (vectors, rest) = S::as_mut_simd_f32s(values);
    for vector in vectors {
        *vector = exp_vector(simd, *vector);
    }
    if !rest.is_empty() {
        let vector = simd.partial_load_f32s(rest);
        simd.partial_store_f32s(rest, exp_vector(simd, vector));
    }
}

/// `exp(x)`, with `x` clamped to [-87, 88], within 1.03 units in the last place; sigmoids from -87 on are within 2.5.
///
/// `exp(x) = 2^n · exp(r)`, where `n` is the integer nearest to `x / ln 2`, and `exp(r) = 1 + r + r² · q(r)` on
/// [-½ ln 2, ½ ln 2]. The coefficients of `q` are those of the smallest relative error, 3.1e-9, found by Remez'
/// algorithm.
#[inline(always)]
fn exp_vector<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const MAGIC: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer
    let (least, most) = (simd.splat_f32s(-87.0), simd.splat_f32s(88.0));
    // Not `min` and `max`, which would lose NaN.
    let x = simd.select_f32s(simd.less_than_f32s(x, least), least, x);
    let x = simd.select_f32s(simd.greater_than_f32s(x, most), most, x);
    let shifted = simd.mul_add_e_f32s(
        x,
        simd.splat_f32s(std::f32::consts::LOG2_E),
        simd.splat_f32s(MAGIC),
    );
    let n = simd.sub_f32s(shifted, simd.splat_f32s(MAGIC));
    // ln 2 in two parts, of which the first has so few digits that its product with `n` is exact.
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(2.121_944_4e-4), r);
    let q = simd.splat_f32s(1.381_454e-3);
    let q = simd.mul_add_e_f32s(q, r, simd.splat_f32s(8.368_745e-3));
    let q = simd.mul_add_e_f32s(q, r, simd.splat_f32s(4.166_839e-2));
    let q = simd.mul_add_e_f32s(q, r, simd.splat_f32s(1.666_652_1e-1));
    let q = simd.mul_add_e_f32s(q, r, simd.splat_f32s(4.999_999_4e-1));
    let p = simd.mul_add_e_f32s(simd.mul_f32s(q, r), r, r);
    let p = simd.add_f32s(p, simd.splat_f32s(1.0));
    // `n` stands in the low bits of `shifted`'s mantissa; here it becomes an exponent.
    let n = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.wrapping_dyn_shl_u32s(n, simd.splat_u32s(23));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(power))
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::SimdLevel;

    /// Bits between two floats that are tested; 1 tests all.
    const STEP: usize = 1009;

    struct Apply<'a>(Option<Activation>, &'a mut [f32]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            match self.0 {
                Some(activation) => activation.apply(simd, self.1),
                None => exp(simd, self.1),
            }
        }
    }

    /// The largest error in units in the last place of the result, over floats from `range`, and where it is.
    fn worst(
        level: SimdLevel,
        activation: Option<Activation>,
        range: std::ops::Range<f32>,
        exact: fn(f64) -> f64,
    ) -> (f64, f32) {
        let mut worst = (0.0, 0.0);
        let mut bits = (0..=u32::MAX).step_by(STEP).map(f32::from_bits);
        loop {
            let inputs: Vec<f32> = bits.by_ref().take(1 << 12).collect();
            if inputs.is_empty() {
                return worst;
            }
            let mut values = inputs.clone();
            level.run(Apply(activation, &mut values));
            for (&x, &found) in inputs.iter().zip(&values) {
                if !range.contains(&x) {
                    continue;
                }
                let expected = exact(f64::from(x));
                let rounded = expected as f32;
                let unit = f64::from(f32::from_bits(rounded.to_bits() + 1)) - f64::from(rounded);
                let error = (f64::from(found) - expected).abs() / unit;
                if error > worst.0 {
                    worst = (error, x);
                }
            }
        }
    }

    #[test]
    fn exponentials_are_exact_to_the_last_digits() {
        for level in SimdLevel::all() {
            let (error, x) = worst(level, None, -87.0..88.0, f64::exp);
            assert!(error <= 1.03, "{level}: {error} units at {x}");
        }
    }

    #[test]
    fn sigmoids_are_exact_to_the_last_digits() {
        for level in SimdLevel::all() {
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let (error, x) = worst(level, Some(Activation::Sigmoid), -87.0..f32::MAX, sigmoid);
            assert!(error <= 2.5, "{level}: {error} units at {x}");
        }
    }

    #[test]
    fn not_a_number_stays_one() {
        for level in SimdLevel::all() {
            for activation in [Activation::Sigmoid, Activation::Tanh, Activation::Relu] {
                // All three lengths of a vector, and both kinds of payload.
                let mut values = vec![f32::NAN; 19];
                values.push(f32::from_bits(0x7fc0_0001));
                level.run(Apply(Some(activation), &mut values));
                assert!(
                    values.iter().all(|value| value.is_nan()),
                    "{level}, {activation}"
                );
            }
        }
    }
}
