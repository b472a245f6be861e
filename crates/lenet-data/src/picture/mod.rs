//! Picture files as images of the MNIST family: bounded decoding, then the conversion. Drawings are converted in
//! `drawing`.

mod decode;
mod error;
mod polarity;

use std::path::Path;

use burn::tensor::{Device, Tensor};
use image::GrayImage;
use image::imageops::{FilterType, overlay, resize};

use crate::batch::{scale, upload};
use crate::{drawing, file};
use decode::{MAX_BYTES, MAX_SIDE, decode};
pub use error::PictureError;
pub use polarity::{Polarity, UnknownPolarity};

/// A picture or a drawing as an image of the MNIST family.
///
/// [`from_drawing`](Self::from_drawing) and [`from_pixels`](Self::from_pixels) have rules of their own. The conversion
/// of a file, in this order:
/// 1. turn the picture as its EXIF orientation says, and lay transparent pixels on white;
/// 2. convert colours to grey by Rec. 709 (0.2126 red, 0.7152 green, 0.0722 blue);
/// 3. invert dark on light, chosen or detected (see [`Polarity`]), so that the subject is light;
/// 4. scale the whole picture until its longer side fits, averaging linearly over the area that a
///    pixel covers, and centre it on black.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_data::{Picture, Polarity};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("black.png");
/// image::GrayImage::new(100, 50).save(&path)?;
/// let picture = Picture::open(&path, [28, 28], Polarity::Auto)?;
/// assert_eq!(picture.pixels(), [0; 28 * 28]);
/// assert_eq!(picture.to_tensor(&Device::flex()).dims(), [1, 1, 28, 28]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pixels: Vec<u8>,
    image_size: [usize; 2],
    inverted: bool,
}

impl Picture {
    /// Reads a PNG, JPEG, GIF (first frame), BMP, WebP or PNM file, recognised by its content.
    ///
    /// `image_size` is the height and width of the result in pixels.
    ///
    /// # Errors
    ///
    /// [`PictureError`] if the file cannot be read, is not a picture, or is too large: more than
    /// 64 MiB, 16,384 pixels per side, 100 megapixels, or 640 MB to decode. All sizes are checked
    /// before memory of that size is allocated.
    pub fn open(
        path: impl AsRef<Path>,
        image_size: [usize; 2],
        polarity: Polarity,
    ) -> Result<Self, PictureError> {
        let path = path.as_ref();
        let bytes = file::read(path, MAX_BYTES)?;
        Ok(fit(decode(path, &bytes)?, image_size, polarity))
    }

    /// Decodes a picture file in memory; errors name it `-`, as for standard input.
    ///
    /// # Errors
    ///
    /// [`PictureError`] as for [`open`](Self::open).
    pub fn from_bytes(
        bytes: &[u8],
        image_size: [usize; 2],
        polarity: Polarity,
    ) -> Result<Self, PictureError> {
        Ok(fit(decode(Path::new("-"), bytes)?, image_size, polarity))
    }

    /// Scales and centres a drawing of light strokes on black as the authors of MNIST did with their digits.
    ///
    /// `grey` is `[height, width]` in row-major order, `size` its height and width, and `image_size` the height and
    /// width of the result. The rule, in this order:
    /// 1. crop to the ink, which is every pixel above 0;
    /// 2. scale it, without changing its proportions, until it just fits a box of 20/28 of the image's height and
    ///    width (20×20 of 28×28 pixels), averaging over the area that a pixel covers; a small drawing is enlarged in
    ///    the same way;
    /// 3. brighten it until the brightest pixel is as bright as that of the drawing, so that thin lines stay visible;
    /// 4. place it, at whole pixels, so that the pixel that contains its centre of mass is in row and column 14 of
    ///    28×28, counted from 0 (half the height and half the width), or as close as it can be without cutting off
    ///    ink.
    ///
    /// A drawing without ink becomes a black image. MNIST's own images were made in this way: the rule leaves 9,997 of
    /// its 10,000 test images as they are, and enlarges the other three, which are smaller than the box.
    ///
    /// ```
    /// use lenet_data::Picture;
    ///
    /// // A vertical line near the left edge of a canvas.
    /// let mut canvas = vec![0; 280 * 280];
    /// for row in 40..140 {
    ///     canvas[row * 280 + 20..row * 280 + 30].fill(255);
    /// }
    /// let picture = Picture::from_drawing(&canvas, [280, 280], [28, 28])?;
    /// let ink: Vec<usize> = (0..28 * 28).filter(|&at| picture.pixels()[at] > 0).collect();
    /// // 20 rows of 2 pixels, around the middle.
    /// assert_eq!((ink.len(), ink[0], ink[39]), (40, 4 * 28 + 13, 23 * 28 + 14));
    /// # Ok::<(), lenet_data::PictureError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PictureError::ImageSize`] if a side of the drawing or of the result is 0 or above 16,384 pixels,
    /// [`PictureError::PixelCount`] if `grey` does not have the number of pixels that `size` says.
    pub fn from_drawing(
        grey: &[u8],
        size: [usize; 2],
        image_size: [usize; 2],
    ) -> Result<Self, PictureError> {
        check(grey, size, image_size)?;
        let [_, width] = size;
        Ok(Self {
            pixels: drawing::normalise(grey, width, image_size),
            image_size,
            inverted: false,
        })
    }

    /// Takes pixels that are an image of the family already, light on dark: `[height, width]` in row-major order.
    ///
    /// If `size` is `image_size`, they are kept. Otherwise they are scaled and centred like the picture in a file.
    ///
    /// ```
    /// use lenet_data::Picture;
    ///
    /// let pixels: Vec<u8> = (0..=255).cycle().take(28 * 28).collect();
    /// let picture = Picture::from_pixels(&pixels, [28, 28], [28, 28])?;
    /// assert_eq!(picture.pixels(), pixels);
    /// # Ok::<(), lenet_data::PictureError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PictureError`] as for [`from_drawing`](Self::from_drawing).
    pub fn from_pixels(
        grey: &[u8],
        size: [usize; 2],
        image_size: [usize; 2],
    ) -> Result<Self, PictureError> {
        check(grey, size, image_size)?;
        if size == image_size {
            return Ok(Self {
                pixels: grey.to_vec(),
                image_size,
                inverted: false,
            });
        }
        let [height, width] = size;
        match GrayImage::from_raw(width as u32, height as u32, grey.to_vec()) {
            Some(grey) => Ok(fit(grey, image_size, Polarity::LightOnDark)),
            None => unreachable!("expected {height}×{width} pixels, as checked"),
        }
    }

    /// The pixels, `[height, width]`, from 0 (black) to 255 (white).
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Height and width in pixels.
    pub fn image_size(&self) -> [usize; 2] {
        self.image_size
    }

    /// Whether the picture was dark on light, and so was inverted.
    pub fn is_inverted(&self) -> bool {
        self.inverted
    }

    /// The picture as a batch of one: `[1, 1, height, width]`, from 0 (black) to 1 (white).
    pub fn to_tensor(&self, device: &Device) -> Tensor<4> {
        let pixels = self.pixels.iter().map(|&pixel| scale(pixel));
        upload(pixels.collect(), 1, self.image_size, device)
    }

    /// Several pictures as one batch: `[picture, 1, height, width]`, from 0 (black) to 1 (white).
    ///
    /// # Errors
    ///
    /// [`PictureError::SizeMismatch`] if the sizes differ, [`PictureError::Empty`] if there are no
    /// pictures.
    pub fn stack<'a>(
        pictures: impl IntoIterator<Item = &'a Self>,
        device: &Device,
    ) -> Result<Tensor<4>, PictureError> {
        let mut pictures = pictures.into_iter().peekable();
        let expected = pictures.peek().ok_or(PictureError::Empty)?.image_size;
        let (mut pixels, mut len) = (Vec::new(), 0);
        for picture in pictures {
            if picture.image_size != expected {
                return Err(PictureError::SizeMismatch {
                    expected,
                    found: picture.image_size,
                });
            }
            pixels.extend(picture.pixels.iter().map(|&pixel| scale(pixel)));
            len += 1;
        }
        Ok(upload(pixels, len, expected, device))
    }
}

/// Checks the sizes of an image in memory and of the result.
fn check(grey: &[u8], size: [usize; 2], image_size: [usize; 2]) -> Result<(), PictureError> {
    for found in [size, image_size] {
        if found
            .iter()
            .any(|side| !(1..=MAX_SIDE as usize).contains(side))
        {
            return Err(PictureError::ImageSize { found });
        }
    }
    let (expected, found) = (size.iter().product(), grey.len());
    if found != expected {
        return Err(PictureError::PixelCount {
            size,
            expected,
            found,
        });
    }
    Ok(())
}

/// Inverts if necessary, scales and centres.
fn fit(mut grey: GrayImage, [height, width]: [usize; 2], polarity: Polarity) -> Picture {
    let inverted = match polarity {
        Polarity::LightOnDark => false,
        Polarity::DarkOnLight => true,
        Polarity::Auto => border_mean(&grey) > 127.5,
    };
    if inverted {
        image::imageops::invert(&mut grey);
    }
    let (to_width, to_height) = (width as f64, height as f64);
    let (from_width, from_height) = (f64::from(grey.width()), f64::from(grey.height()));
    let scale = (to_width / from_width).min(to_height / from_height);
    let side = |from: f64, to: f64| (from * scale).round().clamp(1.0, to.max(1.0)) as u32;
    let (inner_width, inner_height) = (side(from_width, to_width), side(from_height, to_height));
    let inner = resize(&grey, inner_width, inner_height, FilterType::Triangle);
    let mut whole = GrayImage::new(width as u32, height as u32);
    let left = (width as i64 - i64::from(inner_width)) / 2;
    let top = (height as i64 - i64::from(inner_height)) / 2;
    overlay(&mut whole, &inner, left, top);
    Picture {
        pixels: whole.into_raw(),
        image_size: [height, width],
        inverted,
    }
}

/// Mean of the outermost pixels.
fn border_mean(grey: &GrayImage) -> f64 {
    let (width, height) = grey.dimensions();
    let border = grey
        .enumerate_pixels()
        .filter(|&(x, y, _)| x == 0 || y == 0 || x + 1 == width || y + 1 == height);
    let (sum, count) = border.fold((0.0, 0.0), |(sum, count), (.., pixel)| {
        let [value] = pixel.0;
        (sum + f64::from(value), count + 1.0)
    });
    sum / f64::max(count, 1.0)
}
