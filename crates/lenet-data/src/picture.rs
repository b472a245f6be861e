use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use image::imageops::{FilterType, overlay, resize};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, Luma};
use thiserror::Error;

/// Largest file read, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// Largest width and height, in pixels.
const MAX_SIDE: u32 = 16_384;
/// Largest picture, in pixels.
const MAX_PIXELS: u64 = 100_000_000;
/// Most memory that decoding and converting may take beside the file, in bytes: enough for
/// `MAX_PIXELS` of 8-bit RGBA as PNG, and for the JPEG of a phone with 50 megapixels.
const MAX_MEMORY: u64 = 640_000_000;
/// Most memory that may be taken before the size is known, such as by a colour profile, in bytes.
const MAX_METADATA: u64 = 64 << 20;

/// What is brighter in a picture: the thing shown, or what is behind it.
///
/// The MNIST family shows light things on black; most pictures are the other way round.
///
/// ```
/// use lenet_data::Polarity;
///
/// assert_eq!("dark-on-light".parse(), Ok(Polarity::DarkOnLight));
/// assert!("grey".parse::<Polarity>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Polarity {
    /// Dark on light if the picture's outermost pixels are brighter than middle grey on average.
    #[default]
    Auto,
    /// The thing is brighter: grey values are taken as they are.
    LightOnDark,
    /// The thing is darker: grey values are inverted.
    DarkOnLight,
}

impl FromStr for Polarity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "auto" => Ok(Self::Auto),
            "light-on-dark" => Ok(Self::LightOnDark),
            "dark-on-light" => Ok(Self::DarkOnLight),
            _ => Err(format!(
                "no polarity is called '{name}': there are auto, light-on-dark and dark-on-light"
            )),
        }
    }
}

/// Why a file is not a usable picture.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is larger than any picture that makes sense here.
    #[error("{path} is larger than {limit} bytes: make it smaller first", path = path.display())]
    FileSize {
        /// The file.
        path: PathBuf,
        /// Most bytes that are read.
        limit: u64,
    },
    /// The picture has too many pixels; it was not decoded.
    #[error(
        "{path} has {width}×{height} pixels: at most {MAX_SIDE} to a side and {MAX_PIXELS} in all are read; \
         make it smaller first",
        path = path.display()
    )]
    TooManyPixels {
        /// The file.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The picture would take too much memory, as it has many bytes to a pixel or its format is costly to
    /// decode; it was not decoded.
    #[error(
        "{path} takes {found} bytes to decode: at most {allowed} are allowed; make it smaller first, or \
         save it as a PNG with 8 bits a channel",
        path = path.display()
    )]
    Memory {
        /// The file.
        path: PathBuf,
        /// Bytes that it would take.
        found: u64,
        /// Bytes that it may take.
        allowed: u64,
    },
    /// The file is no picture, of no known format, or broken.
    #[error("{path} is not a readable picture (PNG, JPEG, GIF, BMP, WebP or PNM): {reason}", path = path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
}

/// A picture file as an image of the MNIST family.
///
/// The rule, in this order:
/// 1. a camera's note of how it was held (EXIF) is followed, transparent pixels lie on white;
/// 2. colours become grey by Rec. 709 (0.2126 red, 0.7152 green, 0.0722 blue);
/// 3. dark on light, given or found by [`Polarity::Auto`], is inverted, so that the thing shown is
///    light;
/// 4. the whole picture is shrunk or enlarged, by linear interpolation over the area that a pixel
///    covers, until its longer side fits; it is centred, and the rest is black.
///
/// ```
/// use lenet_data::{Picture, Polarity};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("black.png");
/// image::GrayImage::new(100, 50).save(&path)?;
/// let picture = Picture::open(&path, [28, 28], Polarity::Auto)?;
/// assert_eq!(picture.pixels(), [0; 28 * 28]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pixels: Vec<u8>,
    inverted: bool,
}

impl Picture {
    /// Reads a PNG, JPEG, GIF (its first frame), BMP, WebP or PNM file; the format is told by the
    /// content, not by the name. `image_size` is height and width of the result.
    ///
    /// # Errors
    ///
    /// [`PictureError`] if the file cannot be read, is no picture, or is absurdly large: more than 64 MiB,
    /// 16,384 pixels to a side, 100 megapixels, or 640 MB to decode it. Sizes are checked before
    /// anything of that size is allocated.
    pub fn open(
        path: impl AsRef<Path>,
        image_size: [usize; 2],
        polarity: Polarity,
    ) -> Result<Self, PictureError> {
        let path = path.as_ref();
        let io = |source| PictureError::Io {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(PictureError::FileSize {
                path: path.to_owned(),
                limit: MAX_BYTES,
            });
        }
        let grey = decode(path, &bytes)?;
        Ok(fit(grey, image_size, polarity))
    }

    /// [`open`](Self::open) for a file in memory; errors call it `-`, as standard input.
    ///
    /// # Errors
    ///
    /// [`PictureError`] if it is no picture, or absurdly large.
    pub fn from_bytes(
        bytes: &[u8],
        image_size: [usize; 2],
        polarity: Polarity,
    ) -> Result<Self, PictureError> {
        let grey = decode(Path::new("-"), bytes)?;
        Ok(fit(grey, image_size, polarity))
    }

    /// The pixels, `[height, width]`, 0 is black.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Whether the picture was taken for dark on light and inverted.
    pub fn is_inverted(&self) -> bool {
        self.inverted
    }
}

/// The picture in grey, on white where it is transparent.
fn decode(path: &Path, bytes: &[u8]) -> Result<GrayImage, PictureError> {
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
    // What the decoders that respect it may take beside the picture.
    limits.max_alloc = Some(MAX_MEMORY - decoder.total_bytes());
    decoder.set_limits(limits).map_err(image_error)?;
    // A file whose orientation cannot be read is taken as it lies.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(image_error)?;
    // Turned when it is grey, as turning makes a copy.
    let mut picture = DynamicImage::ImageLuma8(grey(picture));
    picture.apply_orientation(orientation);
    Ok(picture.into_luma8())
}

/// Most bytes that are held at once, from the picture's `decoded` ones to the grey ones.
fn memory(format: Option<ImageFormat>, decoded: u64, pixels: u64) -> u64 {
    let decoding = match format {
        // Beside the picture, a progressive file's coefficients: two bytes each, of up to four colours.
        Some(ImageFormat::Jpeg) => 4,
        // Beside the picture, an animation's first frame as YUV and as RGBA, and its canvas.
        Some(ImageFormat::WebP) => 4,
        _ => 1,
    };
    // Grey and transparency, made while the decoded picture is still there, are two bytes a pixel.
    let converting = decoded.saturating_add(2 * pixels);
    decoded.saturating_mul(decoding).max(converting)
}

/// In grey, on white where it is transparent.
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
