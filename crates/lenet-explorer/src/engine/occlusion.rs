//! How far a class's logit falls when a part of the image is made black.
//!
//! Black is the background of these images: it removes what is there and adds nothing, as grey would. The logit is
//! measured and not the probability, which stays close to 1 as long as the network is certain.

use burn::tensor::{Device, Tensor, TensorData};
use lenet_core::{LeNet, read_back};
use lenet_data::Picture;

use super::EngineError;
use super::forward::{check_finite, images};

/// A window is about this fraction of the image's side, twice the distance between windows.
const WINDOWS_PER_SIDE: usize = 7;

/// Largest number of pixels in a batch.
const BATCH_PIXELS: usize = 1 << 20;

/// How far the logit falls when a window around a pixel is black, `[height, width]`: the mean over the four windows
/// that cover the pixel.
///
/// Windows are a seventh of the image's sides (4×4 for 28×28) and overlap by half, also at the edges.
pub(super) fn occlusion(
    lenet: &LeNet,
    picture: &Picture,
    class: usize,
    device: &Device,
) -> Result<Vec<f32>, EngineError> {
    let image: Vec<f32> = {
        // Checks the size too.
        let image = images(lenet, &[picture], device)?;
        read_back(image)?
    };
    let [height, width] = picture.image_size();
    let windows = Window::all(picture);

    // The image itself is the first of the batch.
    let mut logits = Vec::with_capacity(windows.len() + 1);
    let everything: Vec<Option<&Window>> =
        [None].into_iter().chain(windows.iter().map(Some)).collect();
    for batch in everything.chunks((BATCH_PIXELS / image.len()).max(1)) {
        let mut pixels = Vec::with_capacity(batch.len() * image.len());
        for window in batch {
            let start = pixels.len();
            pixels.extend_from_slice(&image);
            if let (Some(window), Some(pixels)) = (window, pixels.get_mut(start..)) {
                window.each(pixels, width, |pixel| *pixel = 0.0);
            }
        }
        let shape = [batch.len(), 1, height, width];
        let images = Tensor::from_data(TensorData::new(pixels, shape), device);
        let column = lenet
            .forward(images)
            .slice([0..batch.len(), class..class + 1]);
        logits.extend(read_back::<f32>(column)?);
    }
    check_finite("the output", &logits)?;

    let Some((&whole, occluded)) = logits.split_first() else {
        unreachable!("expected the logit of the image itself");
    };
    let mut falls = vec![0.0; image.len()];
    for (window, logit) in windows.iter().zip(occluded) {
        // Each pixel is in four windows; those that are not listed change nothing.
        window.each(&mut falls, width, |fall| *fall += (whole - logit) / 4.0);
    }
    Ok(falls)
}

/// A part of an image.
struct Window {
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Window {
    /// The windows of an image that are not black already.
    fn all(picture: &Picture) -> Vec<Self> {
        let [height, width] = picture.image_size();
        let mut windows = Vec::new();
        for rows in intervals(height) {
            for columns in intervals(width) {
                let window = Self { rows, columns };
                let mut pixels = picture.pixels().to_vec();
                let mut is_black = true;
                window.each(&mut pixels, width, |pixel| is_black &= *pixel == 0);
                if !is_black {
                    windows.push(window);
                }
            }
        }
        windows
    }

    /// Calls `change` with each value of the window.
    fn each<T>(&self, values: &mut [T], width: usize, mut change: impl FnMut(&mut T)) {
        let [top, bottom] = self.rows;
        let [left, right] = self.columns;
        let rows = values.chunks_exact_mut(width).take(bottom).skip(top);
        for row in rows {
            row.iter_mut().take(right).skip(left).for_each(&mut change);
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
