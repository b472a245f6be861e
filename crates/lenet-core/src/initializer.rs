//! Initial weights and biases, drawn on the host from numbered random streams.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// The distribution of the initial weights of convolutions and dense layers.
///
/// `fan_in` is the number of inputs of an output, `in_channels · kernel_size²` for a convolution. `fan_out` is
/// the number of outputs of an input, `out_channels · kernel_size²` for a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Initializer {
    /// Uniform in ±√(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010), the default of all presets and of *Dive
    /// into Deep Learning*.
    XavierUniform,
    /// Normal with standard deviation √(2 / (fan_in + fan_out)).
    XavierNormal,
    /// Uniform in ±√(6 / fan_in) (He et al., 2015), for ReLU.
    KaimingUniform,
    /// Normal with standard deviation √(2 / fan_in), for ReLU.
    KaimingNormal,
    /// Normal with this standard deviation, which must be finite and above 0.
    Normal(f64),
    /// Uniform in ±1/√fan_in, the default of PyTorch's `Conv2d` and `Linear`.
    PyTorch,
}

/// The distribution of the initial biases of convolutions and dense layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BiasInitializer {
    /// Uniform in ±1/√fan_in, the default of PyTorch's layers and of all presets.
    FanInUniform,
    /// All zero.
    Zeros,
}

/// Draws `len` weights for a layer with these fans.
pub(crate) fn weights(
    initializer: Initializer,
    fan_in: usize,
    fan_out: usize,
    len: usize,
    stream: ParameterStream,
) -> Vec<f32> {
    let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
    match initializer {
        Initializer::XavierUniform => stream.uniform(len, (6.0 / (fan_in + fan_out)).sqrt()),
        Initializer::XavierNormal => stream.normal(len, (2.0 / (fan_in + fan_out)).sqrt()),
        Initializer::KaimingUniform => stream.uniform(len, (6.0 / fan_in).sqrt()),
        Initializer::KaimingNormal => stream.normal(len, (2.0 / fan_in).sqrt()),
        Initializer::Normal(standard_deviation) => stream.normal(len, standard_deviation),
        Initializer::PyTorch => stream.uniform(len, fan_in.sqrt().recip()),
    }
}

/// Draws `len` biases for a layer with this fan.
pub(crate) fn biases(
    initializer: BiasInitializer,
    fan_in: usize,
    len: usize,
    stream: ParameterStream,
) -> Vec<f32> {
    match initializer {
        BiasInitializer::FanInUniform => stream.uniform(len, (fan_in as f64).sqrt().recip()),
        BiasInitializer::Zeros => vec![0.0; len],
    }
}

/// The random numbers of one parameter.
///
/// ChaCha is counter-based: every `(seed, index)` is an independent stream. A parameter's values therefore do
/// not depend on how many values other parameters draw.
pub(crate) struct ParameterStream(ChaCha8Rng);

impl ParameterStream {
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index);
        Self(rng)
    }

    /// Uniform in [-bound, bound). The upper 24 bits of each word are exact in f32.
    fn uniform(mut self, len: usize, bound: f64) -> Vec<f32> {
        let bound = bound as f32;
        let step = 1.0 / (1_u32 << 23) as f32;
        (0..len)
            .map(|_| ((self.0.next_u32() >> 8) as f32 * step - 1.0) * bound)
            .collect()
    }

    fn normal(mut self, len: usize, standard_deviation: f64) -> Vec<f32> {
        (0..len)
            .map(|_| {
                let z: f64 = StandardNormal.sample(&mut self.0);
                (z * standard_deviation) as f32
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        (mean, variance.sqrt())
    }

    /// Bounds and standard deviations as documented by `torch.nn.init`, for fans 150 and 400.
    #[test]
    fn distributions_have_the_documented_deviation() {
        let (fan_in, fan_out, len) = (150, 400, 100_000);
        let cases = [
            (Initializer::XavierUniform, (2.0_f64 / 550.0).sqrt()),
            (Initializer::XavierNormal, (2.0_f64 / 550.0).sqrt()),
            (Initializer::KaimingUniform, (2.0_f64 / 150.0).sqrt()),
            (Initializer::KaimingNormal, (2.0_f64 / 150.0).sqrt()),
            (Initializer::Normal(0.01), 0.01),
            (Initializer::PyTorch, (1.0_f64 / 150.0 / 3.0).sqrt()),
        ];
        for (initializer, deviation) in cases {
            let values = weights(
                initializer,
                fan_in,
                fan_out,
                len,
                ParameterStream::new(1, 0),
            );
            let (mean, found) = moments(&values);
            assert!(
                mean.abs() < 0.02 * deviation,
                "{initializer:?}: mean {mean}"
            );
            assert!(
                (found / deviation - 1.0).abs() < 0.02,
                "{initializer:?}: expected deviation {deviation}, found {found}"
            );
        }
    }

    #[test]
    fn uniform_fills_its_interval_and_stays_inside() {
        let values = ParameterStream::new(3, 0).uniform(100_000, 0.5);
        let (low, high) = values.iter().fold((0.0_f32, 0.0_f32), |(low, high), &v| {
            (low.min(v), high.max(v))
        });
        assert!((-0.5..-0.4999).contains(&low), "{low}");
        assert!((0.4999..0.5).contains(&high), "{high}");
    }

    /// The streams are part of the contract: another generator would change every published result.
    #[test]
    fn streams_do_not_change_between_versions() {
        let values = ParameterStream::new(0, 0).uniform(3, 1.0);
        insta::assert_debug_snapshot!(values);
        assert_ne!(values, ParameterStream::new(0, 1).uniform(3, 1.0));
        assert_ne!(values, ParameterStream::new(1, 0).uniform(3, 1.0));
    }
}
