use std::path::Path;

use burn::tensor::Tensor;
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, RGBColor, Rectangle, Text};
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, ShapeStyle};

use crate::PlotError;
use crate::canvas::{self, Drawing, failed};
use crate::style::{GREY, GRID, Heading, TEXT, centered, text};

/// Images beside the feature maps that a layer makes of them.
///
/// One row for each image: its label, the image in grey, then every channel's map. All maps share
/// one colour scale, from the smallest to the largest activation of the picture; the bar below
/// tells it.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lenet_core::LeNetConfig;
/// use lenet_plot::ActivationGrid;
///
/// let device = Device::flex();
/// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
/// let images = Tensor::<4>::ones([2, 1, 28, 28], &device);
/// let activations = lenet.forward_with_activations(images.clone())?;
/// let first = activations.iter().find(|stage| stage.name() == "conv1.activation");
/// let maps = first.and_then(|stage| stage.maps()).ok_or("no such layer")?;
///
/// let grid = ActivationGrid::new("First layer", ["a", "b"], images, maps.clone())?;
/// assert!(grid.to_png()?.starts_with(b"\x89PNG"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ActivationGrid {
    title: String,
    rows: Vec<Row>,
    /// Smallest and largest activation.
    range: (f32, f32),
    warning: Option<String>,
}

#[derive(Clone, Debug)]
struct Row {
    label: String,
    image: Map,
    channels: Vec<Map>,
}

/// Values of a rectangle, row by row.
#[derive(Clone, Debug)]
struct Map {
    width: usize,
    values: Vec<f32>,
}

/// Side of a map, space between two, width of the labels, height of the legend; in units.
const CELL: u32 = 64;
const GAP: u32 = 6;
const LABELS: u32 = 150;
const LEGEND: u32 = 64;
/// Height of the line of channel numbers.
const NUMBERS: u32 = 20;
const MARGIN: u32 = 18;
/// Maps to a line; a row of images takes as many lines as it needs.
const PER_LINE: usize = 8;

impl ActivationGrid {
    /// A grid of `images` `[image, 1, height, width]`, from 0 to 1, and their `maps`
    /// `[image, channel, height, width]`.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if there are no images or no channels, the numbers of labels, images and maps
    /// differ, or a device fails.
    pub fn new<S: Into<String>>(
        title: impl Into<String>,
        labels: impl IntoIterator<Item = S>,
        images: Tensor<4>,
        maps: Tensor<4>,
    ) -> Result<Self, PlotError> {
        let labels: Vec<String> = labels.into_iter().map(Into::into).collect();
        let ([count, _, height, width], [found, channels, map_height, map_width]) =
            (images.dims(), maps.dims());
        if count == 0 || channels == 0 || height * width == 0 || map_height * map_width == 0 {
            return Err(PlotError::Empty);
        }
        if labels.len() != count || found != count {
            return Err(PlotError::Counts {
                labels: labels.len(),
                images: count,
                maps: found,
            });
        }
        let (images, maps) = (to_vec(images)?, to_vec(maps)?);
        let finite = maps.iter().copied().filter(|value| value.is_finite());
        let range = finite.fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(v), b.max(v)));
        let split = |values: &[f32], width: usize, size: usize| -> Vec<Map> {
            let maps = values.chunks_exact(size);
            maps.map(|values| Map {
                width,
                values: values.to_vec(),
            })
            .collect()
        };
        let images = split(&images, width, height * width);
        let area = map_height * map_width;
        let rows = labels
            .into_iter()
            .zip(images)
            .zip(maps.chunks_exact(channels * area))
            .map(|((label, image), maps)| Row {
                label,
                image,
                channels: split(maps, map_width, area),
            });
        Ok(Self {
            title: title.into(),
            rows: rows.collect(),
            range: if range.0 > range.1 { (0.0, 0.0) } else { range },
            warning: None,
        })
    }

    /// Sets a line in red under the title, for what nobody may overlook.
    #[must_use]
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warning = Some(warning.into());
        self
    }

    /// Writes a PNG or an SVG, as the name's ending says; the SVG of many maps is large.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the ending is another, or the file cannot be written; an existing file is
    /// then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        canvas::save(self, path.as_ref())
    }

    /// The bytes of a PNG.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the drawing library fails.
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        canvas::to_png(self)
    }

    /// An SVG.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the drawing library fails.
    pub fn to_svg(&self) -> Result<String, PlotError> {
        canvas::to_svg(self)
    }

    fn channels(&self) -> usize {
        self.rows.first().map_or(0, |row| row.channels.len())
    }

    fn columns(&self) -> usize {
        self.channels().min(PER_LINE)
    }

    fn row_height(&self) -> u32 {
        let lines = self.channels().div_ceil(PER_LINE) as u32;
        // A little more space between two images than between two lines of one.
        lines * (CELL + NUMBERS + GAP) + 6
    }

    fn color(&self, value: f32) -> RGBColor {
        if !value.is_finite() {
            return GREY;
        }
        // In f64, where the difference of two f32 is finite.
        let [low, high, value] = [self.range.0, self.range.1, value].map(f64::from);
        let part = (value - low) / (high - low).max(f64::MIN_POSITIVE);
        ViridisRGB.get_color(part.clamp(0.0, 1.0))
    }
}

fn to_vec(tensor: Tensor<4>) -> Result<Vec<f32>, PlotError> {
    let data = tensor
        .try_into_data_as::<f32>()
        .map_err(|error| failed(format!("{error:?}")))?;
    data.try_into_vec()
        .map_err(|error| failed(format!("{error:?}")))
}

impl Drawing for ActivationGrid {
    fn size(&self) -> (u32, u32) {
        let maps = (self.columns() as u32 + 1) * (CELL + GAP) + GAP;
        let heading = if self.warning.is_some() { 66 } else { 46 };
        let width = (MARGIN + LABELS + maps + MARGIN).max(560);
        (
            width,
            heading + self.rows.len() as u32 * self.row_height() + LEGEND,
        )
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        let heading = Heading {
            title: &self.title,
            warning: self.warning.as_deref(),
        };
        let mut y = heading.draw(area, scale)? as i32;
        let units = |units: u32| (units * scale) as i32;
        let write = |line: String, position, style| {
            area.draw(&Text::new(line, position, style)).map_err(failed)
        };
        let small = centered(11 * scale, FontStyle::Normal, &TEXT);
        for row in &self.rows {
            let style =
                text(13 * scale, FontStyle::Normal, &TEXT).pos(Pos::new(HPos::Left, VPos::Top));
            let top = y + units(NUMBERS);
            for (index, line) in row.label.lines().enumerate() {
                let position = (units(MARGIN), top + units(20 * index as u32 + CELL / 2 - 8));
                write(line.to_owned(), position, style.clone())?;
            }
            let x = units(MARGIN + LABELS);
            let grey = |value: f32| {
                let level = (value.clamp(0.0, 1.0) * 255.0) as u8;
                RGBColor(level, level, level)
            };
            write(
                "image".to_owned(),
                (x + units(CELL / 2), y + units(3)),
                small.clone(),
            )?;
            draw_map(area, &row.image, (x, top), units(CELL), grey)?;
            for (index, map) in row.channels.iter().enumerate() {
                let column = (index % PER_LINE) as u32;
                let line = (index / PER_LINE) as u32;
                let x = x + units((column + 1) * (CELL + GAP) + GAP);
                let number = y + units(line * (CELL + NUMBERS + GAP));
                let position = (x + units(CELL / 2), number + units(3));
                write((index + 1).to_string(), position, small.clone())?;
                let top = number + units(NUMBERS);
                draw_map(area, map, (x, top), units(CELL), |value| self.color(value))?;
            }
            y += units(self.row_height());
        }

        // The legend: a bar from the smallest to the largest activation.
        let (low, high) = self.range;
        let (x, width) = (units(MARGIN + LABELS), units(240));
        let top = y + units(8);
        const STEPS: i32 = 120;
        for step in 0..STEPS {
            let part = step as f32 / (STEPS - 1) as f32;
            let (left, right) = (x + width * step / STEPS, x + width * (step + 1) / STEPS);
            let color = self.color(low * (1.0 - part) + high * part);
            let corners = [(left, top), (right, top + units(14))];
            area.draw(&Rectangle::new(corners, color.filled()))
                .map_err(failed)?;
        }
        write(
            format!("{low:.2}"),
            (x, top + units(18)),
            centered(12 * scale, FontStyle::Normal, &TEXT),
        )?;
        write(
            format!("{high:.2}"),
            (x + width, top + units(18)),
            centered(12 * scale, FontStyle::Normal, &TEXT),
        )?;
        let style = text(13 * scale, FontStyle::Normal, &TEXT);
        write("activation".to_owned(), (units(MARGIN), top), style)
    }
}

/// Draws a map as a square of `side` pixels; a map that is not square is stretched.
fn draw_map<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    map: &Map,
    (x, y): (i32, i32),
    side: i32,
    color: impl Fn(f32) -> RGBColor,
) -> Result<(), PlotError> {
    let (width, height) = (map.width as i32, (map.values.len() / map.width) as i32);
    for (row, values) in map.values.chunks_exact(map.width).enumerate() {
        let row = row as i32;
        for (column, &value) in values.iter().enumerate() {
            let column = column as i32;
            let corners = [
                (x + side * column / width, y + side * row / height),
                (
                    x + side * (column + 1) / width,
                    y + side * (row + 1) / height,
                ),
            ];
            area.draw(&Rectangle::new(corners, color(value).filled()))
                .map_err(failed)?;
        }
    }
    let frame = [(x, y), (x + side, y + side)];
    area.draw(&Rectangle::new(frame, ShapeStyle::from(GRID)))
        .map_err(failed)
}
