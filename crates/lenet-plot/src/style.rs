use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, IntoFont, RGBColor, Text, WHITE};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, TextStyle};

use crate::PlotError;
use crate::canvas::{FONT, failed};

// Okabe and Ito's palette, told apart by colour-blind readers too.
pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(crate) const VERMILION: RGBColor = RGBColor(213, 94, 0);
const PALETTE: [RGBColor; 7] = [
    BLUE,
    VERMILION,
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

pub(crate) const GREY: RGBColor = RGBColor(150, 150, 150);
pub(crate) const TEXT: RGBColor = RGBColor(40, 40, 40);
pub(crate) const GRID: RGBColor = RGBColor(225, 225, 225);
pub(crate) const WARNING: RGBColor = RGBColor(176, 0, 32);

/// The colour of the line with this index; they repeat after the seventh.
pub(crate) fn line_color(index: usize) -> RGBColor {
    let color = PALETTE.iter().cycle().nth(index % PALETTE.len());
    color.copied().unwrap_or(BLUE)
}

/// Text of this height in pixels.
pub(crate) fn text(size: u32, style: FontStyle, color: &'static RGBColor) -> TextStyle<'static> {
    let font = (FONT, size).into_font().style(style);
    TextStyle::from(font).color(color)
}

/// Text of this height that hangs below the middle of its position.
pub(crate) fn centered(
    size: u32,
    style: FontStyle,
    color: &'static RGBColor,
) -> TextStyle<'static> {
    text(size, style, color).pos(Pos::new(HPos::Center, VPos::Top))
}

/// What stands above every picture.
pub(crate) struct Heading<'a> {
    pub(crate) title: &'a str,
    /// In red under the title, for what nobody may overlook.
    pub(crate) warning: Option<&'a str>,
}

impl Heading<'_> {
    /// Clears the picture and writes the heading; gives its height in pixels.
    pub(crate) fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<u32, PlotError> {
        area.fill(&WHITE).map_err(failed)?;
        let (width, _) = area.dim_in_pixel();
        let write = |line: &str, y: u32, size: u32, color: &'static RGBColor| {
            // A long line is written smaller rather than cut off.
            let fits = |size: &u32| {
                let style = text(size * scale, FontStyle::Bold, color);
                let line = area.estimate_text_size(line, &style);
                line.is_ok_and(|(line, _)| line < width * 24 / 25)
            };
            let size = (7..=size).rev().find(fits).unwrap_or(7);
            let position = ((width / 2) as i32, (y * scale) as i32);
            let style = centered(size * scale, FontStyle::Bold, color);
            area.draw(&Text::new(line.to_owned(), position, style))
                .map_err(failed)
        };
        write(self.title, 14, 19, &TEXT)?;
        if let Some(warning) = self.warning {
            write(warning, 40, 14, &WARNING)?;
        }
        Ok(if self.warning.is_some() { 66 } else { 46 } * scale)
    }
}
