//! The recipe of a training run.

use lenet_data::Augmentation;
use serde::{Deserialize, Serialize};

use crate::TrainingConfigError;

/// How the learning rate changes during a run, as a pure function of the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Schedule {
    /// A constant rate.
    #[default]
    Constant,
    /// Half a cosine from the learning rate down to this final rate (Loshchilov and Hutter, 2017,
    /// without restarts).
    Cosine {
        /// Learning rate at the end of the run.
        final_rate: f64,
    },
    /// Linear from the learning rate to this final rate.
    Linear {
        /// Learning rate at the end of the run.
        final_rate: f64,
    },
    /// Multiplied by `factor` after every `epochs` epochs.
    Step {
        /// Epochs between two changes, at least 1.
        epochs: usize,
        /// The factor, above 0.
        factor: f64,
    },
}

impl Schedule {
    /// The learning rate of a step (from 0) in a run of `total` steps with `per_epoch` steps per epoch.
    ///
    /// ```
    /// use lenet_train::Schedule;
    ///
    /// let cosine = Schedule::Cosine { final_rate: 0.0 };
    /// assert_eq!(cosine.learning_rate(0.1, 0, 469, 4690), 0.1);
    /// assert!((cosine.learning_rate(0.1, 2345, 469, 4690) - 0.05).abs() < 1e-12);
    /// ```
    pub fn learning_rate(&self, base: f64, step: usize, per_epoch: usize, total: usize) -> f64 {
        let progress = step as f64 / total.max(1) as f64;
        match *self {
            Self::Constant => base,
            Self::Cosine { final_rate } => {
                final_rate
                    + (base - final_rate) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Self::Linear { final_rate } => base + (final_rate - base) * progress,
            Self::Step { epochs, factor } => {
                let changes = step / per_epoch.max(1) / epochs.max(1);
                base * factor.powi(i32::try_from(changes).unwrap_or(i32::MAX))
            }
        }
    }

    fn is_valid(&self) -> bool {
        match *self {
            Self::Constant => true,
            Self::Cosine { final_rate } | Self::Linear { final_rate } => {
                final_rate.is_finite() && final_rate >= 0.0
            }
            Self::Step { epochs, factor } => epochs > 0 && factor.is_finite() && factor > 0.0,
        }
    }
}

/// Everything that determines a training run, apart from the network and the data.
///
/// The default is the recipe of *Dive into Deep Learning*, section 7.6: plain SGD with batches of 128, a learning
/// rate of 0.1 and 15 epochs.
///
/// ```
/// use lenet_train::TrainingConfig;
///
/// let config = TrainingConfig::default().with_epochs(5).with_seed(1);
/// config.validate()?;
/// assert!(config.with_learning_rate(f64::NAN).validate().is_err());
/// # Ok::<(), lenet_train::TrainingConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TrainingConfig {
    /// Passes over the training data, at least 1.
    pub epochs: usize,
    /// Images per step, at least 1; the last step of an epoch takes the remainder.
    pub batch_size: usize,
    /// Initial learning rate of SGD, above 0.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Momentum of SGD, from 0 (none) to below 1; without dampening, like PyTorch's default.
    pub momentum: f64,
    /// Weight decay (L2 penalty added to the gradient), at least 0.
    pub weight_decay: f32,
    /// Largest L2 norm of each parameter's gradient, or `None` for no clipping.
    pub gradient_clipping: Option<f32>,
    /// Random changes to the training images; none by default.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// Seed of the initial weights, the order of the images and their augmentation.
    pub seed: u64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 15,
            batch_size: 128,
            learning_rate: 0.1,
            schedule: Schedule::Constant,
            momentum: 0.0,
            weight_decay: 0.0,
            gradient_clipping: None,
            augmentation: Augmentation::default(),
            seed: 0,
        }
    }
}

impl TrainingConfig {
    /// Sets the number of passes over the training data.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the number of images per step.
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Sets the initial learning rate.
    #[must_use]
    pub fn with_learning_rate(mut self, learning_rate: f64) -> Self {
        self.learning_rate = learning_rate;
        self
    }

    /// Sets how the learning rate changes.
    #[must_use]
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the momentum.
    #[must_use]
    pub fn with_momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets the weight decay.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Sets the largest L2 norm of each parameter's gradient.
    #[must_use]
    pub fn with_gradient_clipping(mut self, norm: f32) -> Self {
        self.gradient_clipping = Some(norm);
        self
    }

    /// Sets the random changes to the training images.
    #[must_use]
    pub fn with_augmentation(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = augmentation;
        self
    }

    /// Sets the seed of the initial weights, the order of the images and their augmentation.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`TrainingConfigError`] for the first invalid value.
    pub fn validate(&self) -> Result<(), TrainingConfigError> {
        if self.epochs == 0 {
            return Err(TrainingConfigError::Zero { what: "epochs" });
        }
        if self.batch_size == 0 {
            return Err(TrainingConfigError::Zero { what: "batch_size" });
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let checks = [
            (
                "learning_rate",
                self.learning_rate,
                positive(self.learning_rate),
                "finite and above 0",
            ),
            (
                "momentum",
                self.momentum,
                (0.0..1.0).contains(&self.momentum),
                "at least 0 and below 1",
            ),
            (
                "weight_decay",
                f64::from(self.weight_decay),
                self.weight_decay.is_finite() && self.weight_decay >= 0.0,
                "finite and at least 0",
            ),
            (
                "gradient_clipping",
                self.gradient_clipping.map_or(1.0, f64::from),
                self.gradient_clipping
                    .is_none_or(|norm| positive(norm.into())),
                "finite and above 0",
            ),
        ];
        for (what, found, valid, expected) in checks {
            if !valid {
                return Err(TrainingConfigError::Value {
                    what,
                    found,
                    expected,
                });
            }
        }
        if !self.schedule.is_valid() {
            return Err(TrainingConfigError::Schedule {
                found: self.schedule,
            });
        }
        Ok(())
    }
}
