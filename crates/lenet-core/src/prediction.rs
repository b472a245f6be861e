//! From logits to classes and their probabilities. Pictures are decoded and class names kept elsewhere.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use thiserror::Error;

use crate::{InputError, LeNet, ReadBackError, read_back};

/// What a network recognises in one image: every class with its probability, the most likely first.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// At least one, since every network has at least one class.
    ranking: Vec<ClassProbability>,
}

/// A class and how likely it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassProbability {
    /// Index of the class, from 0.
    pub class: usize,
    /// Probability in [0, 1]; those of all classes sum to 1, up to rounding.
    pub probability: f32,
}

/// Why there are no predictions for a batch of images.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The images do not fit the network.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The network's output is not a number, because its parameters or the image are not finite or too large.
    #[error("image {image}: the network's output is not a number; are all pixels finite?")]
    NotANumber {
        /// Index of the image in the batch, from 0.
        image: usize,
    },
    /// The result could not be read from the device.
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
}

impl Prediction {
    fn new(probabilities: &[f32]) -> Self {
        let classes = probabilities.iter().enumerate();
        let mut ranking: Vec<_> = classes
            .map(|(class, &probability)| ClassProbability { class, probability })
            .collect();
        // Stable: of equally likely classes the lower one stays first.
        ranking.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        Self { ranking }
    }

    /// The most likely class; the lower one if two are equally likely.
    pub fn class(&self) -> usize {
        self.first().class
    }

    /// The probability of the most likely class, in [0, 1].
    pub fn probability(&self) -> f32 {
        self.first().probability
    }

    /// The `k` most likely classes, or all of them if there are fewer. They are sorted from most to least
    /// likely; equally likely classes are in ascending order.
    pub fn top(&self, k: usize) -> &[ClassProbability] {
        self.ranking.get(..k).unwrap_or(&self.ranking)
    }

    #[expect(clippy::indexing_slicing, reason = "a network has at least one class")]
    fn first(&self) -> ClassProbability {
        self.ranking[0]
    }
}

impl LeNet {
    /// Classifies `images` `[batch, channel, height, width]`, scaled like the images it was trained on (here
    /// [0, 1]): one [`Prediction`] for each image, with the softmax of its logits.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use lenet_core::LeNetConfig;
    ///
    /// let device = Device::flex();
    /// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
    /// for prediction in lenet.predict(Tensor::zeros([2, 1, 28, 28], &device))? {
    ///     println!("class {}, probability {}", prediction.class(), prediction.probability());
    ///     for alternative in &prediction.top(3)[1..] {
    ///         println!("or {} ({})", alternative.class, alternative.probability);
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PredictError`] if the images do not fit the network, an output is not a number, or the device fails.
    pub fn predict(&self, images: Tensor<4>) -> Result<Vec<Prediction>, PredictError> {
        self.check_input(images.dims())?;
        if images.dims()[0] == 0 {
            return Ok(Vec::new());
        }
        let probabilities = softmax(self.forward(images), 1);
        let [_, classes] = probabilities.dims();
        let probabilities = read_back::<f32>(probabilities)?;
        let rows = probabilities.chunks_exact(classes).enumerate();
        rows.map(|(image, row)| {
            if row.iter().any(|probability| probability.is_nan()) {
                return Err(PredictError::NotANumber { image });
            }
            Ok(Prediction::new(row))
        })
        .collect()
    }
}
