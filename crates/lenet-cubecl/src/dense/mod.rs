//! The dense layer with its activation: three products of matrices. A cube computes a tile of the results, from factors
//! that it brings to shared memory piece by piece, and reads the next piece while it multiplies; a unit computes a few
//! rows of one or two columns. Each sum is added up in order, so it does not depend on the division into tiles.

mod backward;
mod forward;
mod tile;

use lenet_kernels::Activation;

use self::backward::dense_backward;
use self::forward::dense_forward;
use self::tile::Results;
use crate::launch::cubes;
use crate::{Buffer, Parameters};

/// A dense layer of several networks side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DenseLayer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: Option<Activation>,
}

impl DenseLayer {
    pub(crate) fn weight_len(&self) -> usize {
        self.inputs * self.outputs
    }

    pub(crate) fn forward(
        &self,
        [networks, images]: [usize; 2],
        input: &Buffer,
        parameters: &Parameters,
        output: &Buffer,
    ) {
        let client = input.client();
        let results = Results::new(networks, images, self.outputs);
        let (count, dim) = cubes(client, results.tiles(networks, images, self.outputs));
        dense_forward::launch(
            client,
            count,
            dim,
            input.arg(),
            parameters.weight.arg(),
            parameters.bias.arg(),
            output.arg(),
            images,
            networks,
            *self,
            parameters.stride,
            results,
        );
    }

    /// Writes the gradients of the parameters and, if there is a buffer for it, that of the input, in one launch.
    pub(crate) fn backward(
        &self,
        [networks, images]: [usize; 2],
        pass: DensePass<'_>,
        gradients: &Parameters,
        input_gradient: Option<&Buffer>,
    ) {
        let client = pass.input.client();
        let of_weights = Results::new(networks, self.inputs + 1, self.outputs);
        let weight_tiles = of_weights.tiles(networks, self.inputs + 1, self.outputs);
        let of_input = Results::new(networks, images, self.inputs);
        let input_tiles = of_input.tiles(networks, images, self.inputs);
        let tiles = weight_tiles + input_gradient.map_or(0, |_| input_tiles);
        let (count, dim) = cubes(client, tiles);
        dense_backward::launch(
            client,
            count,
            dim,
            pass.input.arg(),
            pass.parameters.weight.arg(),
            pass.output.arg(),
            pass.output_gradient.arg(),
            gradients.weight.arg(),
            gradients.bias.arg(),
            input_gradient.map(Buffer::arg).into(),
            images,
            networks,
            weight_tiles,
            *self,
            [pass.parameters.stride, gradients.stride],
            [of_weights, of_input],
        );
    }
}

/// What the backward pass of a layer reads.
#[derive(Clone, Copy)]
pub(crate) struct DensePass<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) parameters: &'a Parameters,
    pub(crate) output: &'a Buffer,
    pub(crate) output_gradient: &'a Buffer,
}
