//! Shapes and text on a PNG or an SVG, in units common to both. What to draw is up to the charts.

use plotters::coord::Shift;
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle, Text};
use plotters::prelude::{DrawingArea, DrawingBackend, RGBColor, WHITE};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, FontTransform, ShapeStyle, TextStyle,
};

use crate::PlotError;
use crate::error::failed;
use crate::text::{FAMILY, Style};

// Okabe and Ito's palette, which colour-blind readers can distinguish too.
pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(crate) const VERMILION: RGBColor = RGBColor(213, 94, 0);
pub(crate) const PALETTE: [RGBColor; 7] = [
    BLUE,
    VERMILION,
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];
pub(crate) const GREY: RGBColor = RGBColor(150, 150, 150);
pub(crate) const GRID: RGBColor = RGBColor(225, 225, 225);
pub(crate) const INK: RGBColor = RGBColor(40, 40, 40);
pub(crate) const WARNING: RGBColor = RGBColor(176, 0, 32);

/// A position in units, from the top left.
pub(crate) type Point = (f64, f64);

/// Several positions.
pub(crate) trait Points: IntoIterator<Item = Point> {}

impl<T: IntoIterator<Item = Point>> Points for T {}

/// What drawing returns.
pub(crate) type Drawn = Result<(), PlotError>;

/// Where the drawing ends up.
#[derive(Clone, Copy)]
pub(crate) enum Medium {
    Png,
    Svg,
}

impl Medium {
    /// Pixels per unit; a PNG has two, for sharp text on dense screens.
    pub(crate) fn scale(self) -> u32 {
        match self {
            Self::Png => 2,
            Self::Svg => 1,
        }
    }
}

/// A PNG or an SVG in the making, or a part of it.
pub struct Canvas<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    medium: Medium,
}

impl<B: DrawingBackend> Canvas<B> {
    /// An empty white canvas.
    pub(crate) fn new(area: DrawingArea<B, Shift>, medium: Medium) -> Result<Self, PlotError> {
        area.fill(&WHITE).map_err(failed)?;
        Ok(Self { area, medium })
    }

    /// The part that lies at least `height` below the upper edge.
    pub(crate) fn below(&self, height: u32) -> Self {
        let (_, area) = self.area.split_vertically(height * self.medium.scale());
        Self { area, ..*self }
    }

    /// Width and height in units.
    pub(crate) fn size(&self) -> Point {
        let (width, height) = self.area.dim_in_pixel();
        let units = |pixels: u32| f64::from(pixels / self.medium.scale());
        (units(width), units(height))
    }

    /// Completes the drawing.
    pub(crate) fn present(&self) -> Drawn {
        self.area.present().map_err(failed)
    }

    /// A text that begins, is centred or ends at `at`, with its capitals centred across the line.
    pub(crate) fn text(&self, words: &str, at: Point, align: HPos, style: Style) -> Drawn {
        // An SVG positions the top of a line, 0.76 of its size above the baseline.
        let down = match self.medium {
            Medium::Png => 0.36 * style.size,
            Medium::Svg => (0.36 - 0.76) * style.size,
        };
        let (at, transform) = if style.upward {
            ((at.0 + down, at.1), FontTransform::Rotate270)
        } else {
            ((at.0, at.1 + down), FontTransform::None)
        };
        let (left, top) = self.pixel(at);
        if let Medium::Svg = self.medium {
            let bold = if style.bold {
                FontStyle::Bold
            } else {
                FontStyle::Normal
            };
            // Plotters divides the size by 1.24.
            let font = FontDesc::new(FontFamily::Name(FAMILY), style.size * 1.24, bold);
            let text = TextStyle::from(font.transform(transform)).color(&style.color);
            let text = text.pos(Pos::new(align, VPos::Top));
            return self.draw(&Text::new(words.to_owned(), (left, top), text));
        }
        let scale = f64::from(self.medium.scale());
        let start = match align {
            HPos::Left => 0.0,
            HPos::Center => -style.width(words) / 2.0,
            HPos::Right => -style.width(words),
        };
        for ((x, y), covered) in style.pixels(words, scale, start * scale) {
            let (at, color) = ((left + x, top + y), style.color.mix(covered));
            self.area.draw_pixel(at, &color).map_err(failed)?;
        }
        Ok(())
    }

    /// A line through these points, of this width in units, and of one pixel at least.
    pub(crate) fn line(&self, points: impl Points, width: f64, color: impl Color) -> Drawn {
        let width = (width * f64::from(self.medium.scale())) as u32;
        let style = ShapeStyle::from(&color).stroke_width(width.max(1));
        self.draw(&PathElement::new(self.pixels(points), style))
    }

    /// A filled circle.
    pub(crate) fn dot(&self, at: Point, radius: u32, color: impl Color) -> Drawn {
        let radius = radius * self.medium.scale();
        self.draw(&Circle::new(self.pixel(at), radius, color.filled()))
    }

    /// A filled polygon.
    pub(crate) fn polygon(&self, points: impl Points, color: impl Color) -> Drawn {
        self.draw(&Polygon::new(self.pixels(points), color.filled()))
    }

    /// A filled rectangle between two opposite corners.
    pub(crate) fn rectangle(&self, corners: [Point; 2], color: impl Color) -> Drawn {
        let corners = corners.map(|corner| self.pixel(corner));
        self.draw(&Rectangle::new(corners, color.filled()))
    }

    fn pixel(&self, (x, y): Point) -> (i32, i32) {
        let pixels = |units: f64| (units * f64::from(self.medium.scale())).round() as i32;
        (pixels(x), pixels(y))
    }

    fn pixels(&self, points: impl Points) -> Vec<(i32, i32)> {
        points.into_iter().map(|point| self.pixel(point)).collect()
    }

    fn draw<E>(&self, element: &E) -> Drawn
    where
        E: Drawable<B>,
        for<'a> &'a E: PointCollection<'a, (i32, i32)>,
    {
        self.area.draw(element).map_err(failed)
    }
}
