//! A data set on the device, and the batches that are gathered from it.

use cubecl::client::Client;
use cubecl::prelude::*;

use crate::buffer::check_size;
use crate::cross_entropy::NO_IMAGE;
use crate::launch::per_value;
use crate::schedule::{CURRENT, HEADER, Schedule};
use crate::step::{CONTROLS, IMAGES, START};
use crate::{Buffer, GpuError};

/// Labelled grey images on a device, one byte a pixel.
#[derive(Clone, Debug)]
pub struct DeviceImages {
    /// Four pixels a value, the first in the lowest bits.
    pixels: Buffer,
    labels: Buffer,
    len: usize,
    height: usize,
    width: usize,
}

/// An image of an epoch, and how it is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Index of the image.
    pub image: usize,
    /// Whether it is mirrored left to right.
    pub flip: bool,
    /// Rows by which it then moves down, from -255 to 255; what becomes free is black.
    pub down: i16,
    /// Columns by which it then moves right, from -255 to 255.
    pub right: i16,
}

/// Values of a place in a buffer: the image, and the changes.
pub(crate) const PLACE: usize = 2;
/// Added to a shift, so that it is not negative.
const SHIFT: i16 = 255;
/// Bits of a shift.
const BITS: u32 = 9;

impl Place {
    pub(crate) fn values(&self) -> [u32; PLACE] {
        let shift = |pixels: i16| pixels.clamp(-SHIFT, SHIFT).abs_diff(-SHIFT);
        let changes = u32::from(self.flip)
            | u32::from(shift(self.down)) << 1
            | u32::from(shift(self.right)) << (1 + BITS);
        [self.image as u32, changes]
    }
}

impl DeviceImages {
    /// Uploads images `[image, height, width]` and the label of each.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if the pixels are not those of that many images, [`GpuError::TooLarge`] if they are more
    /// than a buffer of the device holds.
    pub fn new(
        client: &Client,
        pixels: &[u8],
        labels: &[u8],
        [height, width]: [usize; 2],
    ) -> Result<Self, GpuError> {
        let expected = labels.len() * height * width;
        if pixels.len() != expected {
            return Err(GpuError::Length {
                what: "the data set",
                expected,
                found: pixels.len(),
            });
        }
        // Kernels index pixels with 32 bits.
        if u32::try_from(pixels.len()).is_err() {
            return Err(GpuError::TooLarge {
                what: "pixels",
                found: pixels.len() as u64,
                limit: u32::MAX.into(),
            });
        }
        check_size(client, pixels.len().div_ceil(4))?;
        let labels: Vec<u32> = labels.iter().map(|&label| label.into()).collect();
        Ok(Self {
            pixels: Buffer::from_bytes(client, pixels),
            len: labels.len(),
            labels: Buffer::from_integers(client, &labels),
            height,
            width,
        })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All buffers.
    pub(crate) fn buffers(&self) -> [Buffer; 2] {
        [self.pixels.clone(), self.labels.clone()]
    }

    /// Writes the images from `first` on to `batch`, `[images, 1, height, width]` in [0, 1].
    pub(crate) fn read(&self, first: usize, batch: &Buffer) {
        let (count, dim) = per_value(batch.client(), batch.len());
        read_images::launch(
            batch.client(),
            count,
            dim,
            self.pixels.arg(),
            batch.arg(),
            first * self.image_len(),
        );
    }

    pub(crate) fn labels(&self) -> &Buffer {
        &self.labels
    }

    /// Values of one image.
    pub(crate) fn image_len(&self) -> usize {
        self.height * self.width
    }

    /// Writes the batch of each network: images `[networks, images, 1, height, width]` in [0, 1], and their labels.
    /// `orders` is `[networks, order_len, PLACE]`.
    pub(crate) fn gather(
        &self,
        orders: &Buffer,
        order_len: usize,
        schedule: &Schedule,
        [networks, images]: [usize; 2],
        (batch, labels): (&Buffer, &Buffer),
    ) {
        let (count, dim) = per_value(batch.client(), batch.len());
        gather::launch(
            batch.client(),
            count,
            dim,
            self.pixels.arg(),
            self.labels.arg(),
            orders.arg(),
            schedule.table.arg(),
            schedule.controls.arg(),
            batch.arg(),
            labels.arg(),
            networks,
            images,
            order_len,
            [self.height, self.width],
        );
    }
}

#[cube(launch)]
fn gather(
    pixels: &[u32],
    labels: &[u32],
    orders: &[u32],
    table: &[u32],
    controls: &mut [u32],
    batch: &mut [f32],
    batch_labels: &mut [u32],
    networks: usize,
    images: usize,
    order_len: usize,
    #[comptime] size: [usize; 2],
) {
    let [height, width] = comptime!(size);
    if ABSOLUTE_POS >= batch.len() {
        terminate!();
    }
    let column = ABSOLUTE_POS % width;
    let row = ABSOLUTE_POS / width % height;
    let place = ABSOLUTE_POS / comptime!(height * width);
    let network = place / images;
    let within = place % images;
    let control = HEADER + (table[CURRENT] as usize * networks + network) * CONTROLS;
    if within == 0 && row == 0 && column == 0 {
        for i in 0..CONTROLS {
            controls[network * CONTROLS + i] = table[control + i];
        }
    }

    let mut value = 0.0f32;
    let mut label = NO_IMAGE.runtime();
    if within < table[control + IMAGES] as usize {
        let position = table[control + START] as usize + within;
        let entry = (network * order_len + position) * PLACE;
        let image = orders[entry] as usize;
        let changes = orders[entry + 1];
        let mask = comptime!((1u32 << BITS) - 1);
        let down = (changes >> 1) & mask;
        let right = (changes >> comptime!(1 + BITS)) & mask;
        // Wraps around to a row or column outside of the image.
        let row = row + comptime!(SHIFT as usize) - down as usize;
        let column = column + comptime!(SHIFT as usize) - right as usize;
        if row < height && column < width {
            let column = select((changes & 1) == 1, width - 1 - column, column);
            let index = image * comptime!(height * width) + row * width + column;
            value = pixel(pixels, index);
        }
        label = labels[image];
    }
    batch[ABSOLUTE_POS] = value;
    if row == 0 && column == 0 {
        batch_labels[place] = label;
    }
}

#[cube(launch)]
fn read_images(pixels: &[u32], batch: &mut [f32], first: usize) {
    if ABSOLUTE_POS < batch.len() {
        batch[ABSOLUTE_POS] = pixel(pixels, first + ABSOLUTE_POS);
    }
}

/// A byte, scaled to [0, 1].
#[cube]
fn pixel(pixels: &[u32], index: usize) -> f32 {
    let byte = (pixels[index / 4] >> (8 * (index % 4) as u32)) & 255;
    // A 255th in two parts, so that the sum is correctly rounded without a division.
    let byte = f32::cast_from(byte);
    byte * comptime!(1.0f32 / 256.0) + byte * comptime!(1.0f32 / 255.0 / 256.0)
}
