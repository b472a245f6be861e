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
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Relu => {
                for v in values {
                    // Not `max`, which would turn NaN into 0.
                    *v = if *v < 0.0 { 0.0 } else { *v };
                }
            }
            Self::Sigmoid => {
                for v in values {
                    *v = 1.0 / (1.0 + exp(-*v));
                }
            }
            Self::Tanh => {
                for v in values {
                    *v = 2.0 / (1.0 + exp(-2.0 * *v)) - 1.0;
                }
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

/// `exp(x)` within about two units in the last place. Without branches, so that loops over it are vectorised:
/// `exp(x) = 2^n · exp(r)`, where `n` is the integer nearest to `x / ln 2` and `exp(r)` a polynomial, as in
/// Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5.000_000_3e-1;
    let p = p * r * r + r + 1.0;
    // `n` stands in the low bits of `shifted`'s mantissa; here it becomes an exponent.
    let power = f32::from_bits(
        shifted
            .to_bits()
            .wrapping_sub(MAGIC.to_bits())
            .wrapping_add(127)
            << 23,
    );
    p * power
}
