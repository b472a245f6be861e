#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # Map of the crate
//!
//! | to do this | use |
//! |---|---|
//! | describe a network | [`LeNetConfig`] with its presets and `with_*` methods |
//! | see every layer's shape and cost | [`LeNetConfig::layer_table`], [`LayerTable`] |
//! | create it with known weights | [`LeNetConfig::init`], [`Initializer`], [`BiasInitializer`] |
//! | run it | [`LeNet::forward`], [`LeNet::forward_with_activations`] |
//! | train it in a loop of one's own | [`cross_entropy`] |
//! | keep weights | [`LeNet::save_safetensors`], [`LeNet::save_record`] |
//! | read weights of burn, PyTorch and safetensors | [`Weights`], [`LeNet::from_weights`], [`LeNet::load_weights`] |
//! | have one that is trained already | `LeNet::pretrained`, with the feature `pretrained` |
//! | train it in burn's `Learner` | its `TrainStep`, with the feature `learner` |
//! | take weights out and put them in | [`LeNet::state_dict`], [`LeNet::load_state_dict`] |
//! | write files that survive a crash | [`file`](mod@file) |
//! | choose a device by name | [`DeviceChoice`], [`device_kind`] |

mod config;
mod conv_block;
mod dense;
mod device;
mod error;
pub mod file;
#[cfg(feature = "flex")]
mod fused;
mod initializer;
mod layer_table;
#[cfg(feature = "learner")]
mod learner;
mod loss;
mod model;
mod per_layer;
mod prediction;
#[cfg(feature = "pretrained")]
mod pretrained;
mod read_back;
mod state_dict;
mod weights;

pub use config::{Activation, LeNetConfig, Pooling};
pub use conv_block::{ConvBlock, conv_block};
pub use dense::{Dense, dense};
pub use device::{DeviceChoice, DeviceError, SelectedDevice, device_kind, uses_rayon_pool};
pub use error::{ConfigError, InputError, TensorDifference, WeightsError};
pub use initializer::{BiasInitializer, Initializer};
pub use layer_table::{LayerKind, LayerRow, LayerTable};
pub use loss::cross_entropy;
pub use model::{LeNet, StageActivation};
pub use per_layer::PerLayer;
pub use prediction::{ClassProbability, PredictError, Prediction};
#[cfg(feature = "pretrained")]
pub use pretrained::{Pretrained, UnknownPretrained};
pub use read_back::{ReadBackError, read_back};
pub use state_dict::NamedTensor;
pub use weights::Weights;
