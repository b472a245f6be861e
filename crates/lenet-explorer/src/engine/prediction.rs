//! From logits to what the page says about them.

use serde::Serialize;

/// What the network makes of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Prediction {
    /// The most likely class; the lower one if two are equally likely.
    pub(crate) class: usize,
    /// Its name; its number until [`with_names`](Self::with_names).
    pub(crate) name: String,
    /// Its probability.
    pub(crate) probability: f32,
    /// Entropy of the probabilities in nats: 0 if one class has them all, ln(classes) if all have the same.
    pub(crate) entropy: f32,
    /// The softmax of the logits.
    pub(crate) probabilities: Vec<f32>,
}

impl Prediction {
    /// From finite logits, at least one.
    pub(crate) fn new(logits: &[f32]) -> Self {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights = logits
            .iter()
            .map(|&logit| (f64::from(logit) - f64::from(largest)).exp());
        let sum: f64 = weights.clone().sum();
        // -Σ p ln p, where p = weight / sum and 0 ln 0 = 0.
        let weighted: f64 = weights
            .clone()
            .filter(|&weight| weight > 0.0)
            .map(|weight| weight * weight.ln())
            .sum();
        let entropy = sum.ln() - weighted / sum;
        let probabilities: Vec<f32> = weights.map(|weight| (weight / sum) as f32).collect();
        let Some(class) = logits.iter().position(|&logit| logit == largest) else {
            unreachable!("expected at least one finite logit, found {logits:?}");
        };
        Self {
            class,
            name: class.to_string(),
            probability: (1.0 / sum) as f32,
            entropy: entropy.max(0.0) as f32,
            probabilities,
        }
    }

    /// Sets the name of the class. There must be a name for each class.
    pub(crate) fn with_names(mut self, names: &[String]) -> Self {
        let Some(name) = names.get(self.class) else {
            unreachable!("expected a name for class {}, found {names:?}", self.class);
        };
        self.name.clone_from(name);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn certainty_and_a_guess_are_the_ends_of_the_entropy() {
        let certain = Prediction::new(&[0.0, 1000.0, -1000.0]);
        assert_eq!((certain.class, certain.probability), (1, 1.0));
        assert_eq!(certain.entropy, 0.0);
        assert_eq!(certain.probabilities, [0.0, 1.0, 0.0]);
        let guess = Prediction::new(&[3.0; 10]);
        assert_eq!(guess.class, 0);
        assert!((guess.entropy - 10_f32.ln()).abs() < 1e-6);
        assert_eq!(Prediction::new(&[f32::MAX, f32::MIN]).probability, 1.0);
    }

    #[test]
    fn a_class_has_its_name() {
        let names = ["coat", "pullover"].map(str::to_owned);
        let prediction = Prediction::new(&[0.0, 1.0]);
        assert_eq!(prediction.name, "1");
        assert_eq!(prediction.with_names(&names).name, "pullover");
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one(logits in prop::collection::vec(-50.0_f32..50.0, 1..20)) {
            let prediction = Prediction::new(&logits);
            let sum: f32 = prediction.probabilities.iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-5);
            let largest = prediction.probabilities.iter().copied().fold(0.0, f32::max);
            prop_assert_eq!(prediction.probability, largest);
            let direct: f64 = prediction
                .probabilities
                .iter()
                .map(|&p| f64::from(p))
                .filter(|&p| p > 0.0)
                .map(|p| -p * p.ln())
                .sum();
            prop_assert!((f64::from(prediction.entropy) - direct).abs() < 1e-5);
        }
    }
}
