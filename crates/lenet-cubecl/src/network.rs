//! The layers of a network, and passes through several networks of that geometry side by side.

use cubecl::client::Client;
use lenet_kernels::{Activation, Pooling, Shape};

use crate::buffer::{ALIGNMENT, check_size};
use crate::conv::{ConvBlock, ConvPass, PartialSums, partials_len, sum_partials};
use crate::cross_entropy::cross_entropy;
use crate::dense::{DenseLayer, DensePass};
use crate::schedule::Schedule;
use crate::{Buffer, GpuError};

/// The layers of a network, as callers describe them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layers {
    /// The convolution blocks, first to last.
    pub blocks: Vec<Shape>,
    /// Inputs and outputs of each dense layer, first to last; the last one outputs the logits.
    pub dense: Vec<[usize; 2]>,
    /// Applied after every convolution and every hidden dense layer.
    pub activation: Activation,
    /// Applied to every 2×2 window of a convolution's activations.
    pub pooling: Pooling,
}

/// The parameters of a layer, or their gradients, of one network or of several.
#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    /// `[out_channels, in_channels, kernel_size, kernel_size]` of a convolution block, `[inputs, outputs]` of a dense
    /// layer.
    pub(crate) weight: Buffer,
    pub(crate) bias: Buffer,
    /// Values between those of one network and of the next.
    pub(crate) stride: usize,
}

/// The layers of a network, checked.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    blocks: Vec<ConvBlock>,
    dense: Vec<DenseLayer>,
}

impl Network {
    pub(crate) fn new(layers: &Layers) -> Result<Self, GpuError> {
        let (activation, pooling) = (layers.activation, layers.pooling);
        let blocks = layers.blocks.iter();
        let blocks = blocks.map(|&shape| ConvBlock::new(shape, activation, pooling));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        let last = layers.dense.len().saturating_sub(1);
        let dense = layers.dense.iter().enumerate();
        let dense: Vec<_> = dense
            .map(|(index, &[inputs, outputs])| DenseLayer {
                inputs,
                outputs,
                activation: (index < last).then_some(activation),
            })
            .collect();
        let network = Self { blocks, dense };
        network.check_layers()?;
        Ok(network)
    }

    fn check_layers(&self) -> Result<(), GpuError> {
        let lens = self.layer_lens();
        for (index, pair) in lens.windows(2).enumerate() {
            if let [[_, outputs], [inputs, _]] = *pair
                && inputs != outputs
            {
                return Err(GpuError::Layers {
                    layer: index + 2,
                    inputs,
                    outputs,
                });
            }
        }
        if self.dense.is_empty() {
            return Err(GpuError::Layers {
                layer: lens.len() + 1,
                inputs: 0,
                outputs: lens.last().map_or(0, |&[_, outputs]| outputs),
            });
        }
        Ok(())
    }

    /// Inputs and outputs of each layer.
    pub(crate) fn layer_lens(&self) -> Vec<[usize; 2]> {
        let blocks = self.blocks.iter();
        let blocks = blocks.map(|block| [block.input_len(), block.output_len()]);
        let dense = self.dense.iter().map(|dense| [dense.inputs, dense.outputs]);
        blocks.chain(dense).collect()
    }

    /// Values of one image.
    pub(crate) fn input_len(&self) -> usize {
        self.layer_lens().first().map_or(0, |&[inputs, _]| inputs)
    }

    /// Values of one image's logits.
    pub(crate) fn classes(&self) -> usize {
        self.layer_lens().last().map_or(0, |&[_, outputs]| outputs)
    }

    /// Weights and biases of each layer, blocks first.
    pub(crate) fn parameter_lens(&self) -> Vec<[usize; 2]> {
        let blocks = self.blocks.iter();
        let blocks = blocks.map(|block| [block.weight_len(), block.bias_len()]);
        let dense = self.dense.iter();
        let dense = dense.map(|dense| [dense.weight_len(), dense.outputs]);
        blocks.chain(dense).collect()
    }

    /// Values between one network's parameters and the next one's, where all parameters are in one buffer.
    pub(crate) fn stride(&self) -> usize {
        let lens = self.parameter_lens();
        let lens = lens.iter().flatten();
        lens.map(|len| len.next_multiple_of(ALIGNMENT)).sum()
    }

    /// Where each parameter starts and how many values it has, in a buffer of all parameters.
    pub(crate) fn places(&self) -> Vec<[usize; 2]> {
        let mut start = 0;
        let lens = self.parameter_lens();
        let places = lens.iter().flatten().map(|&len| {
            let place = [start, len];
            start += len.next_multiple_of(ALIGNMENT);
            place
        });
        places.collect()
    }

    /// The parameters one after the other, each at its place.
    pub(crate) fn flatten(&self, parameters: &[Vec<f32>]) -> Result<Vec<f32>, GpuError> {
        let places = self.places();
        let mismatch = |what, expected, found| GpuError::Length {
            what,
            expected,
            found,
        };
        if places.len() != parameters.len() {
            return Err(mismatch(
                "the list of parameters",
                places.len(),
                parameters.len(),
            ));
        }
        let mut flat = Vec::with_capacity(self.stride());
        for ([start, len], values) in places.into_iter().zip(parameters) {
            if len != values.len() {
                return Err(mismatch("a parameter", len, values.len()));
            }
            flat.resize(start, 0.0);
            flat.extend(values);
        }
        flat.resize(self.stride(), 0.0);
        Ok(flat)
    }

    /// Values of the parameters of the blocks, which come first.
    fn blocks_len(&self) -> usize {
        let dense = self.places().get(2 * self.blocks.len()).copied();
        dense.map_or(0, |[start, _]| start)
    }

    /// Where the gradients of each block are, chunk by chunk.
    fn partial_sums(&self) -> Vec<PartialSums> {
        let stride = self.blocks_len();
        let places = self.places();
        let blocks = places.chunks_exact(2).take(self.blocks.len());
        let sums = blocks.map(|pair| PartialSums {
            stride,
            weight: pair[0][0],
            bias: pair[1][0],
        });
        sums.collect()
    }

    /// The parameters of each layer within a buffer of those of all networks, one network after the other.
    pub(crate) fn parts(&self, flat: &Buffer) -> Vec<Parameters> {
        let stride = self.stride();
        let part = |[start, len]: [usize; 2]| {
            let networks = flat.len() / stride;
            flat.part(start, (networks - 1) * stride + len)
        };
        let places = self.places();
        let parts = places.chunks_exact(2).map(|pair| {
            let [weight, bias] = [pair[0], pair[1]].map(part);
            Parameters {
                weight,
                bias,
                stride,
            }
        });
        parts.collect()
    }

    /// Writes the outputs of all layers, and what the backward pass of the blocks needs if there are buffers for it;
    /// returns the logits.
    pub(crate) fn forward<'a>(
        &self,
        sizes: [usize; 2],
        input: &'a Buffer,
        parameters: &[Parameters],
        outputs: &'a [Buffer],
        saved: &[Buffer],
    ) -> &'a Buffer {
        let mut values = input;
        let (block_outputs, dense_outputs) = outputs.split_at(self.blocks.len());
        let (block_parameters, dense_parameters) = parameters.split_at(self.blocks.len());
        for (index, block) in self.blocks.iter().enumerate() {
            let output = &block_outputs[index];
            let saved = saved.get(index);
            block.forward(sizes, values, &block_parameters[index], output, saved);
            values = output;
        }
        for (index, layer) in self.dense.iter().enumerate() {
            let output = &dense_outputs[index];
            layer.forward(sizes, values, &dense_parameters[index], output);
            values = output;
        }
        values
    }

    /// Writes the mean softmax cross-entropy of each network for `labels` `[networks, images]` to `loss`, where the
    /// schedule says, and the gradients of all parameters to `gradients`.
    pub(crate) fn gradients(
        &self,
        input: &Buffer,
        labels: &Buffer,
        parameters: &[Parameters],
        gradients: &Buffer,
        workspace: &Workspace,
        (loss, schedule): (&Buffer, &Schedule),
    ) {
        let sizes = workspace.sizes;
        let split = self.blocks.len();
        let values = self.forward(
            sizes,
            input,
            parameters,
            &workspace.outputs,
            &workspace.saved,
        );

        let gradient = &workspace.output_gradients[split + self.dense.len() - 1];
        cross_entropy(
            sizes,
            self.classes(),
            values,
            labels,
            loss,
            Some(schedule),
            gradient,
        );

        let before = |layer: usize| match layer.checked_sub(1) {
            Some(before) => (
                &workspace.outputs[before],
                Some(&workspace.output_gradients[before]),
            ),
            None => (input, None),
        };
        let parts = self.parts(gradients);
        for (index, layer) in self.dense.iter().enumerate().rev() {
            let index = split + index;
            let (input, input_gradient) = before(index);
            let pass = DensePass {
                input,
                parameters: &parameters[index],
                output: &workspace.outputs[index],
                output_gradient: &workspace.output_gradients[index],
            };
            layer.backward(sizes, pass, &parts[index], input_gradient);
        }
        let sums = self.partial_sums();
        for (index, block) in self.blocks.iter().enumerate().rev() {
            let (input, input_gradient) = before(index);
            let pass = ConvPass {
                input,
                parameters: &parameters[index],
                output: &workspace.outputs[index],
                saved: &workspace.saved[index],
                output_gradient: &workspace.output_gradients[index],
                partials: &workspace.partials,
            };
            block.backward(sizes, pass, sums[index], input_gradient);
        }
        if !self.blocks.is_empty() {
            let strides = [self.blocks_len(), self.stride()];
            sum_partials(sizes, &workspace.partials, gradients, strides);
        }
    }
}

/// What a training step writes on its way, allocated once.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    sizes: [usize; 2],
    outputs: Vec<Buffer>,
    output_gradients: Vec<Buffer>,
    /// Of each block.
    saved: Vec<Buffer>,
    partials: Buffer,
}

impl Workspace {
    /// # Errors
    ///
    /// [`GpuError::TooLarge`] if a buffer is larger than the device allows.
    pub(crate) fn new(
        client: &Client,
        network: &Network,
        sizes: [usize; 2],
    ) -> Result<Self, GpuError> {
        let lens = Lens::new(network, sizes);
        let buffer = |len: usize| {
            check_size(client, len)?;
            Ok(Buffer::empty(client, len))
        };
        let buffers = |lens: &[usize]| -> Result<Vec<_>, GpuError> {
            lens.iter().map(|&len| buffer(len)).collect()
        };
        Ok(Self {
            sizes,
            outputs: buffers(&lens.outputs)?,
            output_gradients: buffers(&lens.outputs)?,
            saved: buffers(&lens.saved)?,
            partials: buffer(lens.partials)?,
        })
    }

    /// Lengths of its buffers.
    pub(crate) fn lens(network: &Network, sizes: [usize; 2]) -> Vec<usize> {
        let lens = Lens::new(network, sizes);
        let outputs = lens.outputs.iter().flat_map(|&len| [len, len]);
        outputs.chain(lens.saved).chain([lens.partials]).collect()
    }

    /// All buffers.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = Buffer> {
        let buffers = self.outputs.iter().chain(&self.output_gradients);
        buffers.chain(&self.saved).chain([&self.partials]).cloned()
    }

    /// The beginning of each buffer, as large as smaller sizes require.
    pub(crate) fn part(&self, network: &Network, sizes: [usize; 2]) -> Self {
        let lens = Lens::new(network, sizes);
        let parts = |buffers: &[Buffer], lens: &[usize]| {
            let parts = buffers.iter().zip(lens);
            parts.map(|(buffer, &len)| buffer.part(0, len)).collect()
        };
        Self {
            sizes,
            outputs: parts(&self.outputs, &lens.outputs),
            output_gradients: parts(&self.output_gradients, &lens.outputs),
            saved: parts(&self.saved, &lens.saved),
            partials: self.partials.part(0, lens.partials),
        }
    }
}

/// Lengths of the buffers of a workspace.
struct Lens {
    outputs: Vec<usize>,
    saved: Vec<usize>,
    partials: usize,
}

impl Lens {
    fn new(network: &Network, sizes: [usize; 2]) -> Self {
        let samples = sizes[0].saturating_mul(sizes[1]);
        let outputs = network.layer_lens().into_iter();
        let saved = network.blocks.iter();
        Self {
            outputs: outputs
                .map(|[_, outputs]| samples.saturating_mul(outputs))
                .collect(),
            saved: saved
                .map(|block| samples.saturating_mul(block.saved_len()))
                .collect(),
            partials: partials_len(sizes, network.blocks_len()).max(1),
        }
    }
}
