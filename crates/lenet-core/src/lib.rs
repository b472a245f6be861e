#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # Map of the crate
//!
//! | task | items |
//! |---|---|
//! | describe a network | [`LeNetConfig`] with its `with_*` methods, [`Preset`] |
//! | see the shape and cost of every layer | [`LeNetConfig::layer_table`], [`LayerTable`] |
//! | create a network | [`LeNetConfig::init`], [`Initializer`], [`BiasInitializer`] |
//! | load a trained network | [`LeNet::from_weights`], `LeNet::pretrained` with the feature `pretrained` |
//! | classify images | [`LeNet::predict`], [`Prediction`] |
//! | compute logits, or the output of every layer | [`LeNet::forward`], [`LeNet::forward_with_activations`] |
//! | write a training loop | [`cross_entropy`], [`read_back`] |
//! | train with burn's `Learner` | `TrainStep` of [`LeNet`], with the feature `learner` |
//! | save weights | [`LeNet::save_safetensors`], [`LeNet::save_record`] |
//! | read weights of burn, PyTorch and safetensors | [`Weights`], [`LeNet::load_weights`] |
//! | get and set single parameters | [`LeNet::state_dict`], [`LeNet::load_state_dict`] |
//! | write files that survive a crash | [`file`](mod@file) |
//! | choose a device by name | [`DeviceChoice`], [`device_kind`] |

mod config;
mod conv_block;
mod dense;
mod device;
mod device_kind;
mod error;
pub mod file;
#[cfg(feature = "flex")]
mod fused;
#[cfg(feature = "gpu")]
mod gpu;
mod initializer;
mod layer_table;
#[cfg(feature = "learner")]
mod learner;
mod loss;
mod model;
mod per_layer;
mod prediction;
mod preset;
#[cfg(feature = "pretrained")]
mod pretrained;
mod read_back;
mod remote;
mod state_dict;
mod weights;

pub use config::{Activation, LeNetConfig, Pooling};
pub use conv_block::{ConvBlock, conv_block};
pub use dense::{Dense, dense};
pub use device::{DeviceChoice, DeviceError, SelectedDevice};
pub use device_kind::{device_kind, uses_rayon_pool};
pub use error::{ConfigError, InputError, TensorDifference, WeightsError};
pub use initializer::{BiasInitializer, Initializer};
pub use layer_table::{LayerKind, LayerRow, LayerTable};
pub use loss::cross_entropy;
pub use model::{LeNet, StageActivation};
pub use per_layer::PerLayer;
pub use prediction::{ClassProbability, PredictError, Prediction};
pub use preset::{Preset, UnknownPreset};
#[cfg(feature = "pretrained")]
pub use pretrained::{Pretrained, UnknownPretrained};
pub use read_back::{ReadBackError, read_back};
pub use remote::{InvalidRemoteAddress, REMOTE_TOKEN, RemoteAddress};
pub use state_dict::NamedTensor;
pub use weights::Weights;
