//! Images and feature maps as a table. Computing the maps is up to the caller.

use burn::tensor::Tensor;
use lenet_core::read_back;
use plotters::prelude::{DrawingBackend, RGBColor};
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use plotters::style::text_anchor::HPos;

use crate::PlotError;
use crate::axes::{decimals, extent};
use crate::canvas::{Canvas, Drawn, GREY, Point};
use crate::figure::sealed::Draw;
use crate::text::Style;

/// Images beside the feature maps that a layer computes from them.
///
/// A table with a row for each image and a column for each channel. Layers with more than 16 channels
/// continue in further blocks of rows below the first. All maps share one colour scale, from the smallest to
/// the largest activation in the figure. Each image and map is stretched to a square.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lenet_core::LeNetConfig;
/// use lenet_plot::{ActivationGrid, Figure};
///
/// let device = Device::flex();
/// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
/// let images = Tensor::<4>::ones([2, 1, 28, 28], &device);
/// let activations = lenet.forward_with_activations(images.clone())?;
/// let first = activations.iter().find(|stage| stage.name() == "conv1.activation");
/// let maps = first.and_then(|stage| stage.maps()).ok_or("no such layer")?;
///
/// let grid = ActivationGrid::new(["a", "b"], images, maps.clone())?;
/// assert!(Figure::new("First layer", grid).to_png()?.starts_with(b"\x89PNG"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ActivationGrid {
    labels: Vec<String>,
    images: Maps,
    maps: Maps,
    channels: usize,
    /// Smallest and largest finite activation.
    range: (f32, f32),
}

/// Maps of one size, one after the other, row by row.
#[derive(Clone, Debug)]
struct Maps {
    height: usize,
    width: usize,
    values: Vec<f32>,
}

// Lengths in units.
const MARGIN: f64 = 18.0;
/// Space between two maps.
const GAP: f64 = 4.0;
/// Space between the labels, the images and the maps, and between two blocks.
const WIDE_GAP: f64 = 10.0;
/// Height of the line of channel numbers.
const NUMBERS: f64 = 18.0;
/// Height of the colour scale.
const SCALE: f64 = 40.0;
/// Most maps in a line.
const MOST: usize = 16;
/// Distance between the lines of a label.
const LINE: f64 = 15.0;

const LABEL: Style = Style::of_size(11.0);
const NUMBER: Style = Style::of_size(10.0);

impl ActivationGrid {
    /// A grid of `images` `[image, 1, height, width]` with values from 0 to 1, and of their `maps`
    /// `[image, channel, height, width]`. A label may have several lines.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if there are no images or no channels, the numbers of labels, images and maps
    /// differ, or a device fails.
    pub fn new<S: Into<String>>(
        labels: impl IntoIterator<Item = S>,
        images: Tensor<4>,
        maps: Tensor<4>,
    ) -> Result<Self, PlotError> {
        let labels: Vec<String> = labels.into_iter().map(Into::into).collect();
        let ([count, ..], [found, channels, ..]) = (images.dims(), maps.dims());
        if [images.dims(), maps.dims()].as_flattened().contains(&0) {
            return Err(PlotError::Empty);
        }
        if labels.len() != count || found != count {
            return Err(PlotError::Counts {
                labels: labels.len(),
                images: count,
                maps: found,
            });
        }
        // The first channel of each image.
        let images = Maps::read(images.narrow(1, 0, 1))?;
        let maps = Maps::read(maps)?;
        let finite = maps.values.iter().filter(|value| value.is_finite());
        let (low, high) = extent(finite.map(|value| f64::from(*value)));
        let (low, high) = if low > high { (0.0, 0.0) } else { (low, high) };
        Ok(Self {
            labels,
            images,
            maps,
            channels,
            range: (low as f32, high as f32),
        })
    }

    /// Maps in a line; all blocks but the last have as many.
    fn columns(&self) -> usize {
        self.channels.div_ceil(self.channels.div_ceil(MOST))
    }

    /// Side of an image or a map: a whole number of units for each value, unless there are too many.
    fn cell(&self) -> f64 {
        let wanted = (720.0 / (self.columns() + 1) as f64).clamp(42.0, 84.0);
        let values = self.maps.width.max(self.maps.height) as f64;
        let side = values * (wanted / values).round();
        if side > 0.0 { side } else { wanted }
    }

    /// Width of the column of labels.
    fn label_width(&self) -> f64 {
        let lines = self.labels.iter().flat_map(|label| label.lines());
        lines.map(|line| LABEL.width(line)).fold(0.0, f64::max)
    }

    /// Height of one image's line.
    fn row(&self, label: &str) -> f64 {
        self.cell().max(label.lines().count() as f64 * LINE) + GAP
    }

    /// Width of labels, images and maps.
    fn width(&self) -> f64 {
        let maps = self.columns() as f64 * (self.cell() + GAP) - GAP;
        self.label_width() + WIDE_GAP + self.cell() + WIDE_GAP + maps
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

    /// Draws the channels of a block for all images; returns where the block ends.
    fn draw_block<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        channels: &[usize],
        (left, top): Point,
    ) -> Result<f64, PlotError> {
        let cell = self.cell();
        let image_x = left + self.label_width() + WIDE_GAP;
        let map_x = |column: usize| image_x + cell + WIDE_GAP + column as f64 * (cell + GAP);
        let number_y = top + NUMBERS / 2.0;
        let at = (image_x + cell / 2.0, number_y);
        canvas.text("image", at, HPos::Center, NUMBER)?;
        for (column, channel) in channels.iter().enumerate() {
            let at = (map_x(column) + cell / 2.0, number_y);
            canvas.text(&(channel + 1).to_string(), at, HPos::Center, NUMBER)?;
        }
        let mut y = top + NUMBERS;
        for (image, label) in self.labels.iter().enumerate() {
            let first = y + cell / 2.0 - (label.lines().count() as f64 - 1.0) * LINE / 2.0;
            for (index, line) in label.lines().enumerate() {
                let at = (image_x - WIDE_GAP, first + index as f64 * LINE);
                canvas.text(line, at, HPos::Right, LABEL)?;
            }
            let grey = |value: f32| {
                let level = (value.clamp(0.0, 1.0) * 255.0) as u8;
                RGBColor(level, level, level)
            };
            self.images.draw(canvas, image, (image_x, y), cell, grey)?;
            for (column, channel) in channels.iter().enumerate() {
                let (map, at) = (image * self.channels + channel, (map_x(column), y));
                self.maps
                    .draw(canvas, map, at, cell, |value| self.color(value))?;
            }
            y += self.row(label);
        }
        Ok(y - GAP)
    }

    /// Draws the colour scale, centred in a line whose middle is at `y`.
    fn draw_scale<B: DrawingBackend>(&self, canvas: &Canvas<B>, y: f64) -> Drawn {
        const STEPS: u16 = 120;
        const WIDTH: f64 = 240.0;
        let (low, high) = (f64::from(self.range.0), f64::from(self.range.1));
        // All activations may be equal.
        let decimals = if high > low {
            decimals((high - low) / 100.0).clamp(2, 9)
        } else {
            2
        };
        let left = (canvas.size().0 - WIDTH) / 2.0;
        for step in 0..STEPS {
            let part = f64::from(step) / f64::from(STEPS - 1);
            let x = |step: u16| left + WIDTH * f64::from(step) / f64::from(STEPS);
            let color = self.color((low + part * (high - low)) as f32);
            let corners = [(x(step), y - 6.0), (x(step + 1), y + 6.0)];
            canvas.rectangle(corners, color)?;
        }
        let (low, high) = (
            format!("activation  {low:.decimals$}"),
            format!("{high:.decimals$}"),
        );
        canvas.text(&low, (left - 8.0, y), HPos::Right, LABEL)?;
        canvas.text(&high, (left + WIDTH + 8.0, y), HPos::Left, LABEL)
    }
}

impl Maps {
    fn read(maps: Tensor<4>) -> Result<Self, PlotError> {
        let [_, _, height, width] = maps.dims();
        let values = read_back(maps)?;
        Ok(Self {
            height,
            width,
            values,
        })
    }

    /// Draws a map as a square of this side.
    fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        index: usize,
        (x, y): Point,
        side: f64,
        color: impl Fn(f32) -> RGBColor,
    ) -> Drawn {
        let area = self.height * self.width;
        let values = self.values.iter().skip(index * area).take(area);
        let (height, width) = (side / self.height as f64, side / self.width as f64);
        for (index, value) in values.enumerate() {
            let left = x + width * (index % self.width) as f64;
            let top = y + height * (index / self.width) as f64;
            canvas.rectangle([(left, top), (left + width, top + height)], color(*value))?;
        }
        Ok(())
    }
}

impl Draw for ActivationGrid {
    fn size(&self) -> (u32, u32) {
        let rows: f64 = self.labels.iter().map(|label| self.row(label)).sum();
        let blocks = self.channels.div_ceil(self.columns()) as f64;
        let height = blocks * (NUMBERS + rows - GAP + WIDE_GAP) + SCALE;
        let width = (self.width() + 2.0 * MARGIN).max(480.0);
        (width.ceil() as u32, height.ceil() as u32)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn {
        let left = (canvas.size().0 - self.width()) / 2.0;
        let channels: Vec<usize> = (0..self.channels).collect();
        let mut y = 0.0;
        for block in channels.chunks(self.columns()) {
            y = self.draw_block(canvas, block, (left, y))? + WIDE_GAP;
        }
        self.draw_scale(canvas, y + SCALE / 2.0 - 4.0)
    }
}
