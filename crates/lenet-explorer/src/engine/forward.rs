//! The forward pass of a few images, with the output of every layer in host memory.

use burn::tensor::{Device, Tensor};
use lenet_core::{LayerRow, LayerTable, LeNet, StageActivation, read_back};
use lenet_data::Picture;

use super::EngineError;

/// Every layer's output for one image, one after another in the order of the layer table.
pub(super) struct Outputs(Vec<f32>);

impl Outputs {
    /// Each layer with its output.
    pub(super) fn rows<'a>(
        &'a self,
        table: &'a LayerTable,
    ) -> impl Iterator<Item = (&'a LayerRow, &'a [f32])> {
        let mut rest = self.0.as_slice();
        table.rows().iter().map(move |row| {
            let values;
            (values, rest) = rest.split_at(len(&row.output_shape));
            (row, values)
        })
    }
}

/// Computes every layer's output for each of the pictures. All values are finite.
pub(super) fn forward(
    lenet: &LeNet,
    table: &LayerTable,
    pictures: &[&Picture],
    device: &Device,
) -> Result<Vec<Outputs>, EngineError> {
    let images = images(lenet, pictures, device)?;
    let stages = match lenet.forward_with_activations(images) {
        Ok(stages) => stages,
        Err(error) => unreachable!("expected images that were checked: {error}"),
    };
    // One read-back for all: on a GPU each waits for the device.
    let rows = stages.into_iter().map(|stage| match stage {
        StageActivation::Maps { values, .. } => values.flatten::<2>(1, 3),
        StageActivation::Features { values, .. } => values,
        _ => unreachable!("expected maps or features"),
    });
    let values = read_back::<f32>(Tensor::cat(rows.collect(), 1))?;
    let total: usize = table.rows().iter().map(|row| len(&row.output_shape)).sum();
    let outputs = values.chunks_exact(total).map(|values| {
        let outputs = Outputs(values.to_vec());
        for (row, values) in outputs.rows(table) {
            check_finite(&row.name, values)?;
        }
        Ok(outputs)
    });
    outputs.collect()
}

/// The pictures as a batch `[picture, 1, height, width]`, if the network takes such images.
pub(super) fn images(
    lenet: &LeNet,
    pictures: &[&Picture],
    device: &Device,
) -> Result<Tensor<4>, EngineError> {
    for picture in pictures {
        check_fit(lenet, picture)?;
    }
    match Picture::stack(pictures.iter().copied(), device) {
        Ok(images) => Ok(images),
        Err(error) => unreachable!("expected pictures of the same size: {error}"),
    }
}

/// Checks that the network takes images like this one.
pub(super) fn check_fit(lenet: &LeNet, picture: &Picture) -> Result<(), EngineError> {
    let config = lenet.config();
    if config.in_channels != 1 {
        return Err(EngineError::Channels {
            found: config.in_channels,
        });
    }
    if picture.image_size() != config.image_size {
        return Err(EngineError::ImageSize {
            expected: config.image_size,
            found: picture.image_size(),
        });
    }
    Ok(())
}

/// The pixels as the network takes them, from 0 (black) to 1 (white).
pub(super) fn scaled(picture: &Picture) -> Vec<f32> {
    let pixels = picture.pixels().iter();
    pixels.map(|&pixel| f32::from(pixel) / 255.0).collect()
}

/// Number of values of a shape.
pub(super) fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

pub(super) fn check_finite(stage: &str, values: &[f32]) -> Result<(), EngineError> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(EngineError::NotFinite {
        stage: stage.to_owned(),
    })
}

/// The smallest and the largest of some finite values, at least one.
pub(super) fn range(values: &[f32]) -> [f32; 2] {
    let ends = [f32::INFINITY, f32::NEG_INFINITY];
    values
        .iter()
        .fold(ends, |[min, max], &value| [min.min(value), max.max(value)])
}
