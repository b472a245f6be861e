//! How far a class's logit falls when a part of the image is made black.
//!
//! Black is the background of these images: it removes what is there and adds nothing, as grey would. The logit is
//! compared and not the probability, which stays close to 1 as long as the network is certain.

use burn::tensor::{Device, Tensor, TensorData};
use lenet_core::{LeNet, read_back};
use lenet_data::Picture;

use super::EngineError;
use super::forward::{check_finite, check_fit, scaled};

/// Windows side by side across the image.
const WINDOWS_PER_SIDE: usize = 7;

/// Largest number of pixels in a batch.
const BATCH_PIXELS: usize = 1 << 20;

/// How far the logit falls when a window around a pixel is black, `[height, width]`: the mean over the four windows
/// that contain the pixel.
///
/// A window is a seventh of the image high and wide (4×4 pixels of 28×28), and neighbours overlap by half.
pub(super) fn occlusion(
    lenet: &LeNet,
    picture: &Picture,
    class: usize,
    device: &Device,
) -> Result<Vec<f32>, EngineError> {
    check_fit(lenet, picture)?;
    let image = scaled(picture);
    let [height, width] = picture.image_size();
    let windows = Window::all(picture);

    // The first window is empty, for the logit of the image itself.
    let nothing = Window::default();
    let all: Vec<&Window> = [&nothing].into_iter().chain(&windows).collect();
    let mut logits = Vec::with_capacity(all.len());
    for batch in all.chunks((BATCH_PIXELS / image.len()).max(1)) {
        let mut pixels = image.repeat(batch.len());
        for (window, image) in batch.iter().zip(pixels.chunks_exact_mut(image.len())) {
            window.for_each(image, width, |pixel| *pixel = 0.0);
        }
        let shape = [batch.len(), 1, height, width];
        let images = Tensor::from_data(TensorData::new(pixels, shape), device);
        let of_class = [0..batch.len(), class..class + 1];
        logits.extend(read_back::<f32>(lenet.forward(images).slice(of_class))?);
    }
    check_finite("the output", &logits)?;

    let Some((&whole, occluded)) = logits.split_first() else {
        unreachable!("expected the logit of the image itself");
    };
    let mut falls = vec![0.0; image.len()];
    for (window, logit) in windows.iter().zip(occluded) {
        window.for_each(&mut falls, width, |fall| *fall += (whole - logit) / 4.0);
    }
    Ok(falls)
}

/// A part of an image: the first row or column, and the one after the last. By default it is empty.
#[derive(Clone, Debug, Default)]
struct Window {
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Window {
    /// The windows of an image, without those that are black already and so change nothing.
    fn all(picture: &Picture) -> Vec<Self> {
        let [height, width] = picture.image_size();
        let windows = intervals(height).flat_map(|rows| {
            let columns = intervals(width);
            columns.map(move |columns| Self { rows, columns })
        });
        windows
            .filter(|window| !window.is_black(picture.pixels(), width))
            .collect()
    }

    fn is_black(&self, pixels: &[u8], width: usize) -> bool {
        let ([top, bottom], [left, right]) = (self.rows, self.columns);
        let mut rows = pixels.chunks_exact(width).take(bottom).skip(top);
        rows.all(|row| {
            let mut pixels = row.iter().take(right).skip(left);
            pixels.all(|&pixel| pixel == 0)
        })
    }

    /// Calls `change` with each value in the window.
    fn for_each(&self, values: &mut [f32], width: usize, change: impl Fn(&mut f32)) {
        let ([top, bottom], [left, right]) = (self.rows, self.columns);
        for row in values.chunks_exact_mut(width).take(bottom).skip(top) {
            row.iter_mut().take(right).skip(left).for_each(&change);
        }
    }
}

/// Intervals of a side such that each place is in exactly two.
fn intervals(side: usize) -> impl Iterator<Item = [usize; 2]> {
    let step = side.div_ceil(2 * WINDOWS_PER_SIDE);
    (0..=side.div_ceil(step)).map(move |index| {
        let end = ((index + 1) * step).min(side);
        [(index * step).saturating_sub(step), end]
    })
}

#[cfg(test)]
mod tests {
    use lenet_core::LeNetConfig;

    use super::*;

    #[test]
    fn every_pixel_is_in_four_windows() {
        for [height, width] in [[28, 28], [1, 1], [13, 29], [32, 50], [7, 100]] {
            let white = vec![255; height * width];
            let picture = Picture::from_pixels(&white, [height, width], [height, width]).unwrap();
            let mut count = vec![0.0; height * width];
            for window in Window::all(&picture) {
                window.for_each(&mut count, width, |count| *count += 1.0);
            }
            assert!(count.iter().all(|&count| count == 4.0), "{height}×{width}");
        }
    }

    /// A map of one value would come of a batch that is cut wrongly.
    #[test]
    fn large_images_are_computed_in_several_batches() {
        let device = Device::flex();
        let size = [96, 80];
        let config = LeNetConfig::modern(3).with_image_size(size);
        let lenet = config.init(&device, 0).unwrap();
        let pixels: Vec<u8> = (0..96 * 80).map(|at| (at % 251) as u8).collect();
        let picture = Picture::from_pixels(&pixels, size, size).unwrap();
        assert!(Window::all(&picture).len() > BATCH_PIXELS / pixels.len());
        let falls = occlusion(&lenet, &picture, 2, &device).unwrap();

        // The last window, by itself.
        let logit = |pixels: &[u8]| {
            let picture = Picture::from_pixels(pixels, size, size).unwrap();
            let logits = lenet.forward(picture.to_tensor(&device));
            read_back::<f32>(logits).unwrap()[2]
        };
        let mut expected = 0.0;
        for window in Window::all(&picture) {
            let [[_, bottom], [_, right]] = [window.rows, window.columns];
            if bottom < 96 || right < 80 {
                continue;
            }
            let mut values: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel)).collect();
            window.for_each(&mut values, 80, |value| *value = 0.0);
            let occluded: Vec<u8> = values.iter().map(|&value| value as u8).collect();
            expected += (logit(&pixels) - logit(&occluded)) / 4.0;
        }
        let found = falls.last().unwrap();
        assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
    }

    #[test]
    fn a_black_image_has_nothing_to_remove() {
        let device = Device::flex();
        let lenet = LeNetConfig::classic(10).init(&device, 0).unwrap();
        let black = Picture::from_pixels(&[0; 784], [28, 28], [28, 28]).unwrap();
        let falls = occlusion(&lenet, &black, 0, &device).unwrap();
        assert_eq!(falls, [0.0; 784]);
    }
}
