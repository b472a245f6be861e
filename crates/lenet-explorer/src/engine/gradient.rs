//! The gradient of a class's logit with respect to the pixels.
//!
//! It is not multiplied by the pixels. The product is zero wherever the image is black, but what a digit lacks speaks
//! for its class as well: the open top of a 4 is what distinguishes it from a 9.

use burn::module::Module;
use burn::tensor::Device;
use lenet_core::{LeNet, read_back};
use lenet_data::Picture;

use super::EngineError;
use super::forward::{check_finite, images};

/// The derivative of the logit with respect to each pixel, `[height, width]`, for pixels from 0 (black) to 1 (white).
pub(super) fn gradient(
    lenet: &LeNet,
    picture: &Picture,
    class: usize,
    device: &Device,
) -> Result<Vec<f32>, EngineError> {
    // Only the pixels require a gradient.
    let lenet = lenet.clone().no_grad().train();
    let pixels = images(&lenet, &[picture], &device.clone().autodiff())?.require_grad();
    let logit = lenet
        .forward(pixels.clone())
        .slice([0..1, class..class + 1]);
    let gradients = logit.backward();
    let Some(gradient) = pixels.grad(&gradients) else {
        unreachable!("expected a gradient of the pixels, which require it");
    };
    let gradient = read_back(gradient)?;
    check_finite("the gradient", &gradient)?;
    Ok(gradient)
}
