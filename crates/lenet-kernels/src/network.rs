//! A whole network: its logits, or its loss and the gradients of all parameters.
//!
//! Layer by layer, every pass ends with all threads waiting for the slowest, and its results travel through memory
//! to the next one. Here a task takes a group of samples through the network and back, with everything that only
//! the group needs in buffers of its thread. What needs all samples comes after that:
//!
//! ```text
//! parallel over groups of samples                        parallel over layers and rows
//!   images → blocks → dense layers → logits                weight gradient of a dense layer
//!                                      ↓                     = inputᵀ · gradient, over the batch
//!   partial sums ← blocks ← dense layers ← loss            gradients of a block
//!                                                            = partial sums, group by group
//! ```
//!
//! Logits alone need the first pass as far as they go. Each layer computes the very bits that it computes alone.

#![expect(
    clippy::indexing_slicing,
    reason = "lengths are checked at the entrance, so an index out of bounds is a bug that must panic"
)]

use rayon::prelude::*;

use crate::conv::{
    BackwardGroup, BackwardScratch, ConvPlan, ForwardGroup, ForwardScratch, GROUP, Packed,
};
use crate::cross_entropy::{check_labels, loss_of_group};
use crate::dense::{DensePlan, Panels, ROWS};
use crate::error::check_len;
use crate::simd::{Aligned, Part, Unfilled};
use crate::spare::Spare;
use crate::{Gradients, KernelError, Parameters};

/// Convolution blocks, then dense layers, the last of which returns the logits.
///
/// ```
/// use lenet_kernels::{Activation, ConvPlan, DensePlan, NetworkPlan, Parameters, Pooling, Shape};
///
/// let shape = Shape {
///     in_channels: 1,
///     out_channels: 1,
///     height: 2,
///     width: 2,
///     kernel_size: 1,
///     padding: 0,
/// };
/// let block = ConvPlan::new(shape, Activation::Relu, Pooling::Max)?;
/// let plan = NetworkPlan::new(vec![block], vec![DensePlan::new([1, 2], None)])?;
/// let parameters = [
///     Parameters { weight: &[1.0], bias: &[0.0] },
///     Parameters { weight: &[0.0, 0.0], bias: &[0.0, 0.0] },
/// ];
/// // One image of class 1, whose largest pixel is 4.
/// let (loss, gradients) = plan.gradients(&[1.0, 4.0, 2.0, 3.0], &[1], &parameters)?;
/// assert!((loss - 2.0_f32.ln()).abs() < 1e-6);
/// assert_eq!(gradients[1].weight, [2.0, -2.0]);
/// # Ok::<(), lenet_kernels::KernelError>(())
/// ```
pub struct NetworkPlan {
    blocks: Vec<ConvPlan>,
    dense: Vec<DensePlan>,
    scratch: Spare<Scratch>,
    inference: Spare<InferenceScratch>,
}

impl NetworkPlan {
    /// A plan for these layers.
    ///
    /// # Errors
    ///
    /// [`KernelError::Layers`] if the outputs of a layer are not the inputs of the next one, or there is no dense
    /// layer.
    pub fn new(blocks: Vec<ConvPlan>, dense: Vec<DensePlan>) -> Result<Self, KernelError> {
        let blocks_lens = blocks
            .iter()
            .map(|block| [block.input_len(), block.output_len()]);
        let dense_lens = dense.iter().map(|dense| [dense.inputs(), dense.outputs()]);
        let lens: Vec<[usize; 2]> = blocks_lens.chain(dense_lens).collect();
        for (index, pair) in lens.windows(2).enumerate() {
            if let [[_, outputs], [inputs, _]] = *pair
                && inputs != outputs
            {
                return Err(KernelError::Layers {
                    layer: index + 2,
                    inputs,
                    outputs,
                });
            }
        }
        if dense.is_empty() {
            return Err(KernelError::Layers {
                layer: lens.len() + 1,
                inputs: 0,
                outputs: lens.last().map_or(0, |&[_, outputs]| outputs),
            });
        }
        Ok(Self {
            blocks,
            dense,
            scratch: Spare::new(),
            inference: Spare::new(),
        })
    }

    /// The mean softmax cross-entropy of `images` `[batch, channel, height, width]` for the label of each, in nats,
    /// and the gradients of the parameters of each layer, blocks first. The loss of no images is NaN. No layer
    /// has a gradient of its input.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length than the shapes require, [`KernelError::Label`] if a
    /// label is not below the number of classes, [`KernelError::Batch`] if the results exceed the address space.
    pub fn gradients(
        &self,
        images: &[f32],
        labels: &[usize],
        parameters: &[Parameters<'_>],
    ) -> Result<(f32, Vec<Gradients>), KernelError> {
        let batch = labels.len();
        self.check(batch, images, parameters)?;
        check_labels(labels, self.dense.last().map_or(0, DensePlan::outputs))?;

        let weights = self.read(parameters);
        let mut samples = Samples::new(self, batch);
        self.pass(images, labels, &weights, &mut samples);
        let loss: f64 = samples.losses.iter().sum();
        let gradients = self.totals(&samples.finish());
        Ok(((loss / batch as f64) as f32, gradients))
    }

    /// Computes the logits `[batch, classes]` of `images` `[batch, channel, height, width]`, as the layers do one by
    /// one.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length than the shapes require; [`KernelError::Batch`] if the
    /// results exceed the address space.
    pub fn infer(
        &self,
        batch: usize,
        images: &[f32],
        parameters: &[Parameters<'_>],
    ) -> Result<Vec<f32>, KernelError> {
        self.check(batch, images, parameters)?;
        let (blocks, dense) = parameters.split_at(self.blocks.len());
        let blocks: Vec<_> = (self.blocks.iter().zip(blocks))
            .map(|(plan, &parameters)| plan.pack(parameters))
            .collect();
        let dense: Vec<_> = (self.dense.iter().zip(dense))
            .map(|(plan, layer)| (Panels::new(layer.weight, plan.outputs()), layer.bias))
            .collect();
        let classes = self.dense.last().map_or(0, DensePlan::outputs);
        let image_len = images.len() / batch.max(1);
        let mut logits = Unfilled::new(batch * classes);
        let groups = batch.div_ceil(GROUP);
        let parts = logits.parts(GROUP * classes, groups);
        let run = |scratch: &mut InferenceScratch, (group, logits): (usize, Part<'_, f32>)| {
            let first = group * GROUP;
            let samples = GROUP.min(batch - first);
            let images = &images[first * image_len..(first + samples) * image_len];
            self.infer_group(samples, images, (&blocks, &dense), scratch, logits.zeroed());
        };
        let scratch = || self.inference.take(|| InferenceScratch::new(self));
        if groups == 1 {
            // A few images are done before another thread would wake up.
            let parts = parts.into_iter().enumerate();
            parts.for_each(|part| run(&mut scratch(), part));
        } else {
            let parts = parts.into_par_iter().enumerate();
            parts.for_each_init(scratch, |scratch, part| run(scratch, part));
        }
        Ok(logits.finish())
    }

    /// The logits of one group.
    fn infer_group(
        &self,
        samples: usize,
        images: &[f32],
        (blocks, dense): (&[Packed], &[(Panels<'_>, &[f32])]),
        scratch: &mut InferenceScratch,
        logits: &mut [f32],
    ) {
        let mut input = images;
        let layers = self.blocks.iter().zip(blocks).zip(&mut scratch.blocks);
        for ((plan, packed), (scratch, output)) in layers {
            let output = &mut output[..samples * plan.output_len()];
            let group = ForwardGroup {
                packed,
                input,
                output: Part::from(&mut *output),
                argmax: Part::from(&mut [][..]),
                activations: Part::from(&mut [][..]),
            };
            plan.forward_group(group, scratch);
            input = output;
        }
        let mut layers = self.dense.iter().zip(dense);
        for output in &mut scratch.dense {
            let Some((plan, (weight, bias))) = layers.next() else {
                unreachable!("each hidden layer has a buffer");
            };
            let output = &mut output[..samples * plan.outputs()];
            plan.forward_group(input, (weight, bias), output);
            input = output;
        }
        for (plan, (weight, bias)) in layers {
            plan.forward_group(input, (weight, bias), logits);
        }
    }

    /// Checks the lengths of all slices.
    fn check(
        &self,
        batch: usize,
        images: &[f32],
        parameters: &[Parameters<'_>],
    ) -> Result<(), KernelError> {
        let first_len = match (self.blocks.first(), self.dense.first()) {
            (Some(block), _) => block.input_len(),
            (None, Some(dense)) => dense.inputs(),
            (None, None) => 0,
        };
        check_len("images", batch.checked_mul(first_len), images)?;
        let layers = self.blocks.len() + self.dense.len();
        check_len("parameters", Some(layers), parameters)?;
        let (block_parameters, dense_parameters) = parameters.split_at(self.blocks.len());
        for (block, &parameters) in self.blocks.iter().zip(block_parameters) {
            block.check(parameters)?;
        }
        for (dense, &parameters) in self.dense.iter().zip(dense_parameters) {
            dense.check(parameters)?;
            // What is computed for each output must be addressable.
            let results = batch.checked_mul(dense.outputs().max(dense.inputs()));
            results.ok_or(KernelError::Batch { batch })?;
        }
        Ok(())
    }

    /// The parameters as the passes of a training step read them.
    fn read<'a>(&self, parameters: &[Parameters<'a>]) -> Weights<'a> {
        let (blocks, dense) = parameters.split_at(self.blocks.len());
        // On this thread, which is done before another would have fetched them.
        let blocks = self.blocks.iter().zip(blocks).enumerate();
        let blocks = blocks.map(|(index, (plan, &parameters))| BlockWeights {
            forward: plan.pack(parameters),
            backward: plan.pack_backward(parameters.weight, index > 0),
        });
        let dense = self.dense.iter().zip(dense).enumerate();
        let dense = dense.map(|(index, (plan, parameters))| DenseWeights {
            forward: Panels::new(parameters.weight, plan.outputs()),
            bias: parameters.bias,
            // Pixels have no gradient.
            backward: (index > 0 || !self.blocks.is_empty())
                .then(|| plan.transposed(parameters.weight)),
        });
        Weights {
            blocks: blocks.collect(),
            dense: dense.collect(),
        }
    }

    /// Takes all groups of samples through the network and back.
    fn pass(&self, images: &[f32], labels: &[usize], weights: &Weights<'_>, samples: &mut Samples) {
        let groups = labels.len().div_ceil(GROUP);
        let mut layers: Vec<_> = (self.dense.iter().zip(&mut samples.dense))
            .map(|(plan, samples)| {
                let inputs = samples.input.parts(GROUP * plan.inputs(), groups);
                let gradients = samples.gradient.parts(GROUP * plan.outputs(), groups);
                inputs.into_iter().zip(gradients)
            })
            .collect();
        let mut partial: Vec<_> = (self.blocks.iter().enumerate().zip(&mut samples.partial))
            .map(|((index, plan), sums)| sums.chunks_exact_mut(plan.partial_len(index > 0)))
            .collect();
        let image_len = images.len() / labels.len().max(1);
        let mut tasks: Vec<_> = (labels.chunks(GROUP).enumerate().zip(&mut samples.losses))
            .map(|((group, labels), loss)| {
                let first = group * GROUP;
                Task {
                    images: &images[first * image_len..(first + labels.len()) * image_len],
                    labels,
                    dense: layers.iter_mut().filter_map(Iterator::next).collect(),
                    partial: partial.iter_mut().filter_map(Iterator::next).collect(),
                    loss,
                }
            })
            .collect();
        let count = labels.len();
        let scratch = || self.scratch.take(|| Scratch::new(self));
        tasks
            .par_drain(..)
            .with_max_len(1)
            .for_each_init(scratch, |scratch, task| {
                self.run(task, weights, scratch, count);
            });
    }

    /// Takes one group through the network and back; `count` is the number of samples of the batch.
    fn run(&self, task: Task<'_>, weights: &Weights<'_>, scratch: &mut Scratch, count: usize) {
        let Task {
            images,
            labels,
            dense,
            partial,
            loss,
        } = task;
        let samples = labels.len();

        let mut input = images;
        for ((plan, weights), scratch) in self
            .blocks
            .iter()
            .zip(&weights.blocks)
            .zip(&mut scratch.blocks)
        {
            let [argmax, activations] = plan.saved_len();
            let group = ForwardGroup {
                packed: &weights.forward,
                input,
                output: Part::from(&mut scratch.output[..samples * plan.output_len()]),
                argmax: Part::from(&mut scratch.argmax[..samples * argmax]),
                activations: Part::from(&mut scratch.activations[..samples * activations]),
            };
            plan.forward_group(group, &mut scratch.forward);
            input = &scratch.output[..samples * plan.output_len()];
        }

        // The inputs of each dense layer, and the gradient that replaces its outputs in the end.
        let (inputs, gradients): (Vec<_>, Vec<_>) = dense.into_iter().unzip();
        let mut inputs: Vec<_> = inputs.into_iter().map(Part::zeroed).collect();
        let mut gradients: Vec<_> = gradients.into_iter().map(Part::zeroed).collect();
        inputs[0].copy_from_slice(input);
        for (index, (plan, weights)) in self.dense.iter().zip(&weights.dense).enumerate() {
            let (before, after) = inputs.split_at_mut(index + 1);
            let output = match after.first_mut() {
                Some(output) => &mut **output,
                None => &mut *gradients[index],
            };
            plan.forward_group(before[index], (&weights.forward, weights.bias), output);
        }

        let last = self.dense.len() - 1;
        *loss = loss_of_group(self.dense[last].level(), labels, gradients[last], count);

        let features = &mut scratch.gradient[..inputs[0].len()];
        for (index, (plan, weights)) in self.dense.iter().zip(&weights.dense).enumerate().rev() {
            let (before, gradient) = gradients.split_at_mut(index);
            let Some(transposed) = &weights.backward else {
                return;
            };
            match before.last_mut() {
                Some(to) => {
                    plan.input_gradient_group(gradient[0], transposed, to);
                    self.dense[index - 1].before_activation(inputs[index], to);
                }
                None => plan.input_gradient_group(gradient[0], transposed, features),
            }
        }

        let mut output_gradient = &*features;
        let mut blocks = &mut scratch.blocks[..];
        let layers = self.blocks.iter().zip(&weights.blocks).zip(partial);
        for ((plan, weights), partial) in layers.rev() {
            let Some((block, before)) = blocks.split_last_mut() else {
                unreachable!("each block has buffers");
            };
            let input = match before.last() {
                Some(before) => &before.output[..samples * plan.input_len()],
                None => images,
            };
            let group = BackwardGroup {
                packed: &weights.backward,
                input,
                output: &block.output[..samples * plan.output_len()],
                output_gradient,
                argmax: &block.argmax,
                activations: &block.activations,
            };
            let len = if before.is_empty() { 0 } else { input.len() };
            let gradient = &mut block.gradient[..len];
            plan.backward_group(
                group,
                &mut block.backward,
                partial,
                Part::from(&mut *gradient),
            );
            output_gradient = gradient;
            blocks = before;
        }
    }

    /// The gradients, from what each group left.
    fn totals(&self, samples: &Finished) -> Vec<Gradients> {
        let panels: Vec<_> = (self.dense.iter().zip(&samples.dense))
            .map(|(plan, (_, gradient))| Panels::new(gradient, plan.outputs()))
            .collect();
        let mut dense: Vec<_> = (self.dense.iter())
            .map(|plan| Unfilled::new(plan.inputs() * plan.outputs()))
            .collect();
        let mut tasks = Vec::new();
        let layers = self
            .dense
            .iter()
            .zip(&samples.dense)
            .zip(&panels)
            .zip(&mut dense);
        for (((plan, (input, _)), gradient), weight) in layers {
            let rows = plan.inputs().div_ceil(ROWS);
            let parts = weight.parts((ROWS * plan.outputs()).max(1), rows);
            tasks.extend(
                parts
                    .into_iter()
                    .enumerate()
                    .map(|(task, part)| Total::Dense {
                        plan,
                        input,
                        gradient,
                        first: task * ROWS,
                        weight: part,
                    }),
            );
        }
        let mut blocks = vec![(Vec::new(), Vec::new()); self.blocks.len()];
        let sums = self
            .blocks
            .iter()
            .enumerate()
            .zip(&samples.partial)
            .zip(&mut blocks);
        tasks.extend(sums.map(|(((index, plan), partial), to)| Total::Block {
            plan,
            partial,
            input_gradient: index > 0,
            to,
        }));
        let mut biases = vec![Vec::new(); self.dense.len()];
        let sums = self.dense.iter().zip(&samples.dense).zip(&mut biases);
        tasks.extend(sums.map(|((plan, (_, gradient)), to)| Total::Bias { plan, gradient, to }));
        tasks.into_par_iter().for_each(Total::run);
        drop(panels);

        let dense = dense.into_iter().map(Unfilled::finish).zip(biases);
        let all = blocks.into_iter().chain(dense);
        all.map(|(weight, bias)| Gradients {
            input: Vec::new(),
            weight,
            bias,
        })
        .collect()
    }
}

impl std::fmt::Debug for NetworkPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkPlan")
            .field("blocks", &self.blocks)
            .field("dense", &self.dense)
            .finish_non_exhaustive()
    }
}

/// The parameters as the passes read them.
struct Weights<'a> {
    blocks: Vec<BlockWeights>,
    dense: Vec<DenseWeights<'a>>,
}

struct BlockWeights {
    forward: Packed,
    backward: Aligned,
}

struct DenseWeights<'a> {
    forward: Panels<'a>,
    bias: &'a [f32],
    /// `None` if the input has no gradient.
    backward: Option<Panels<'a>>,
}

/// What the samples of a batch leave for [`NetworkPlan::totals`].
struct Samples {
    dense: Vec<DenseSamples>,
    /// The sums of each block, group by group.
    partial: Vec<Aligned>,
    /// The loss of each group.
    losses: Vec<f64>,
}

struct DenseSamples {
    /// `[batch, inputs]`
    input: Unfilled<f32>,
    /// Before the activation, `[batch, outputs]`.
    gradient: Unfilled<f32>,
}

/// [`Samples`] whose values are all there.
struct Finished {
    dense: Vec<(Vec<f32>, Vec<f32>)>,
    partial: Vec<Aligned>,
}

impl Samples {
    fn new(plan: &NetworkPlan, batch: usize) -> Self {
        let groups = batch.div_ceil(GROUP);
        let dense = plan.dense.iter().map(|plan| DenseSamples {
            input: Unfilled::new(batch * plan.inputs()),
            gradient: Unfilled::new(batch * plan.outputs()),
        });
        let blocks = plan.blocks.iter().enumerate();
        let partial =
            blocks.map(|(index, plan)| Aligned::zeros(groups * plan.partial_len(index > 0)));
        Self {
            dense: dense.collect(),
            partial: partial.collect(),
            losses: vec![0.0; groups],
        }
    }

    fn finish(self) -> Finished {
        let dense = self.dense.into_iter();
        Finished {
            dense: dense
                .map(|samples| (samples.input.finish(), samples.gradient.finish()))
                .collect(),
            partial: self.partial,
        }
    }
}

/// A group of samples.
struct Task<'a> {
    images: &'a [f32],
    labels: &'a [usize],
    /// Inputs and gradients of each dense layer.
    dense: Vec<(Part<'a, f32>, Part<'a, f32>)>,
    /// The sums of each block.
    partial: Vec<&'a mut [f32]>,
    loss: &'a mut f64,
}

/// A part of the gradients.
enum Total<'a> {
    Dense {
        plan: &'a DensePlan,
        input: &'a [f32],
        gradient: &'a Panels<'a>,
        first: usize,
        weight: Part<'a, f32>,
    },
    Block {
        plan: &'a ConvPlan,
        partial: &'a [f32],
        input_gradient: bool,
        to: &'a mut (Vec<f32>, Vec<f32>),
    },
    Bias {
        plan: &'a DensePlan,
        gradient: &'a [f32],
        to: &'a mut Vec<f32>,
    },
}

impl Total<'_> {
    fn run(self) {
        match self {
            Self::Dense {
                plan,
                input,
                gradient,
                first,
                weight,
            } => plan.weight_gradient_rows(input, gradient, first, weight.zeroed()),
            Self::Block {
                plan,
                partial,
                input_gradient,
                to,
            } => *to = plan.total(partial, input_gradient),
            Self::Bias { plan, gradient, to } => *to = plan.bias_gradient(gradient),
        }
    }
}

/// The buffers of a thread, for a group of samples.
struct Scratch {
    blocks: Vec<BlockScratch>,
    /// Gradient of the first dense layer's input.
    gradient: Vec<f32>,
}

struct BlockScratch {
    forward: ForwardScratch,
    backward: BackwardScratch,
    output: Vec<f32>,
    argmax: Vec<u8>,
    activations: Vec<f32>,
    /// Of the input; empty for the first block.
    gradient: Vec<f32>,
}

impl Scratch {
    fn new(plan: &NetworkPlan) -> Self {
        let blocks = plan.blocks.iter().enumerate().map(|(index, plan)| {
            let [argmax, activations] = plan.saved_len();
            let gradient = if index > 0 { plan.input_len() } else { 0 };
            BlockScratch {
                forward: ForwardScratch::new(plan),
                backward: BackwardScratch::new(plan, index > 0),
                output: vec![0.0; GROUP * plan.output_len()],
                argmax: vec![0; GROUP * argmax],
                activations: vec![0.0; GROUP * activations],
                gradient: vec![0.0; GROUP * gradient],
            }
        });
        Self {
            blocks: blocks.collect(),
            gradient: vec![0.0; GROUP * plan.dense.first().map_or(0, DensePlan::inputs)],
        }
    }
}

/// The buffers of a thread that computes logits.
struct InferenceScratch {
    blocks: Vec<(ForwardScratch, Vec<f32>)>,
    /// Outputs of the hidden layers.
    dense: Vec<Vec<f32>>,
}

impl InferenceScratch {
    fn new(plan: &NetworkPlan) -> Self {
        let blocks = plan.blocks.iter();
        let blocks = blocks.map(|plan| {
            let output = vec![0.0; GROUP * plan.output_len()];
            (ForwardScratch::new(plan), output)
        });
        let hidden = plan.dense.iter().take(plan.dense.len() - 1);
        Self {
            blocks: blocks.collect(),
            dense: hidden
                .map(|plan| vec![0.0; GROUP * plan.outputs()])
                .collect(),
        }
    }
}
