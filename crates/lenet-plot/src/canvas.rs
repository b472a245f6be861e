use std::fmt::Display;
use std::io::Cursor;
use std::path::Path;
use std::sync::OnceLock;

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::{BitMapBackend, DrawingArea, DrawingBackend, IntoDrawingArea, SVGBackend};
use plotters::style::{FontStyle, register_font};

use crate::PlotError;

/// The one font family of all pictures; viewers of an SVG that lack DejaVu fall back to their own.
pub(crate) const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// Pixels of a PNG for each unit of the drawing, for sharp text on dense screens.
const PNG_SCALE: u32 = 2;

/// Something that can be drawn on any backend.
pub(crate) trait Drawing {
    /// Width and height in units; one unit is one pixel of an SVG.
    fn size(&self) -> (u32, u32);

    /// Draws onto `area`, every length multiplied by `scale`.
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), PlotError>;
}

/// A drawing library's error as ours.
pub(crate) fn failed(error: impl Display) -> PlotError {
    PlotError::Draw {
        message: error.to_string(),
    }
}

fn register_fonts() -> Result<(), PlotError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FONT, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    match registered {
        true => Ok(()),
        false => Err(failed("the built-in font is unusable")),
    }
}

pub(crate) fn to_png(drawing: &impl Drawing) -> Result<Vec<u8>, PlotError> {
    register_fonts()?;
    let (width, height) = drawing.size();
    let (width, height) = (width * PNG_SCALE, height * PNG_SCALE);
    let mut pixels = vec![255; width as usize * height as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        drawing.draw(&area, PNG_SCALE)?;
        area.present().map_err(failed)?;
    }
    let image = RgbImage::from_raw(width, height, pixels).ok_or_else(|| failed("wrong size"))?;
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).map_err(failed)?;
    Ok(png.into_inner())
}

pub(crate) fn to_svg(drawing: &impl Drawing) -> Result<String, PlotError> {
    register_fonts()?;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, drawing.size()).into_drawing_area();
        drawing.draw(&area, 1)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

/// Writes a PNG or an SVG, as the name says; an older file is replaced only by a whole one.
pub(crate) fn save(drawing: &impl Drawing, path: &Path) -> Result<(), PlotError> {
    let bytes = match path.extension().and_then(|extension| extension.to_str()) {
        Some("png") => to_png(drawing)?,
        Some("svg") => to_svg(drawing)?.into_bytes(),
        _ => {
            return Err(PlotError::Format {
                path: path.to_owned(),
            });
        }
    };
    write(&bytes, path)
}

/// Writes a file; an older one is replaced only by a whole one.
pub(crate) fn write(bytes: &[u8], path: &Path) -> Result<(), PlotError> {
    let io = |source| PlotError::Io {
        path: path.to_owned(),
        source,
    };
    lenet_core::file::write_file(path, bytes).map_err(io)
}
