//! Decoding picture files, within bounds that are checked before memory is allocated.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, Luma};

use super::PictureError;

/// Largest file, in bytes.
pub(super) const MAX_BYTES: u64 = 64 << 20;
/// Largest width and height, in pixels.
pub(super) const MAX_SIDE: u32 = 16_384;
/// Largest picture, in pixels.
pub(super) const MAX_PIXELS: u64 = 100_000_000;
/// Memory for decoding and converting, on top of the file, in bytes: enough for `MAX_PIXELS` of
/// 8-bit RGBA as PNG, and for a 50-megapixel JPEG from a phone.
const MAX_MEMORY: u64 = 640_000_000;
/// Memory for anything read before the size is known, such as a colour profile, in bytes.
const MAX_METADATA: u64 = 64 << 20;

/// Decodes a picture to grey, upright, on white where it is transparent.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<GrayImage, PictureError> {
    let failed = |reason: String| PictureError::Decode {
        path: path.to_owned(),
        reason,
    };
    let image_error = |error: image::ImageError| failed(error.to_string());
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| failed(error.to_string()))?;
    let format = reader.format();
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_METADATA);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(image_error)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(PictureError::TooManyPixels {
            path: path.to_owned(),
            width,
            height,
        });
    }
    let found = memory(format, decoder.total_bytes(), pixels);
    if found > MAX_MEMORY {
        return Err(PictureError::Memory {
            path: path.to_owned(),
            found,
            allowed: MAX_MEMORY,
        });
    }
    // What is left for the decoder beside the picture; not all decoders respect it.
    limits.max_alloc = Some(MAX_MEMORY - decoder.total_bytes());
    decoder.set_limits(limits).map_err(image_error)?;
    // An unreadable orientation is treated as none.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(image_error)?;
    // Turning makes a copy, so convert to grey first.
    let mut picture = DynamicImage::ImageLuma8(grey(picture));
    picture.apply_orientation(orientation);
    Ok(picture.into_luma8())
}

/// Peak memory in bytes, from decoding (`decoded` bytes of pixels) to the grey image.
fn memory(format: Option<ImageFormat>, decoded: u64, pixels: u64) -> u64 {
    let decoding = match format {
        // A progressive file keeps its coefficients too: two bytes each, for up to four colours.
        Some(ImageFormat::Jpeg) => 4,
        // An animation keeps its first frame as YUV and as RGBA too, and its canvas.
        Some(ImageFormat::WebP) => 4,
        _ => 1,
    };
    // Grey and alpha, two bytes per pixel, exist beside the decoded picture.
    let converting = decoded.saturating_add(2 * pixels);
    decoded.saturating_mul(decoding).max(converting)
}

/// Converts to grey, on white where it is transparent.
fn grey(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let picture = picture.into_luma_alpha8();
    let mut grey = GrayImage::new(picture.width(), picture.height());
    for (to, from) in grey.pixels_mut().zip(picture.pixels()) {
        let [luma, alpha] = from.0.map(u32::from);
        *to = Luma([((luma * alpha + 255 * (255 - alpha)) / 255) as u8]);
    }
    grey
}
