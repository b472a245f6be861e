//! Text in the built-in font: styles, widths and the outlines of letters. The canvas places them.
//!
//! Plotters rasterizes text too, but it ignores the space to the left of each letter, which makes words look
//! uneven. Here each letter is placed as the font specifies, at fractions of a pixel.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, ScaleFont, point};
use plotters::prelude::RGBColor;

use crate::canvas::INK;

/// Names of the font for an SVG. A viewer without DejaVu uses the next one.
pub(crate) const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

static NORMAL: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(dejavu::sans::regular()));
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(dejavu::sans::bold()));

/// DejaVu's height from descent to ascent, which is what `ab_glyph` scales by, for letters of size 1.
const HEIGHT: f64 = 1.164;

fn parse(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes)
        .unwrap_or_else(|error| unreachable!("the built-in font must be valid: {error}"))
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Font size in units.
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) color: RGBColor,
    /// Reads from bottom to top.
    pub(crate) upward: bool,
}

impl Style {
    /// Plain text of this size.
    pub(crate) const fn of_size(size: f64) -> Self {
        Self {
            size,
            bold: false,
            color: INK,
            upward: false,
        }
    }

    /// Width of this text in units.
    pub(crate) fn width(self, words: &str) -> f64 {
        self.layout(words, 1.0).1
    }

    /// The pixels of the text, and the part of each that it covers. The text begins at `start`, in pixels from
    /// the origin along the baseline, and there are `scale` pixels per unit.
    pub(crate) fn pixels(self, words: &str, scale: f64, start: f64) -> Vec<((i32, i32), f64)> {
        let mut pixels = Vec::new();
        for mut glyph in self.layout(words, scale).0 {
            glyph.position.x += start as f32;
            // A space has no outline.
            let Some(outline) = self.font().outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, covered| {
                let (x, y) = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
                let position = if self.upward { (y, -x) } else { (x, y) };
                pixels.push((position, f64::from(covered.min(1.0))));
            });
        }
        pixels
    }

    /// The letters along the baseline, and the width of all of them, at `scale` pixels per unit.
    fn layout(self, words: &str, scale: f64) -> (Vec<Glyph>, f64) {
        let font = self.font().as_scaled((self.size * scale * HEIGHT) as f32);
        let mut x = 0.0;
        let mut glyphs: Vec<Glyph> = Vec::new();
        for letter in words.chars() {
            let mut glyph = font.scaled_glyph(letter);
            if let Some(previous) = glyphs.last() {
                x += font.kern(previous.id, glyph.id);
            }
            glyph.position = point(x, 0.0);
            x += font.h_advance(glyph.id);
            glyphs.push(glyph);
        }
        (glyphs, f64::from(x))
    }

    fn font(self) -> &'static FontRef<'static> {
        if self.bold { &BOLD } else { &NORMAL }
    }
}
