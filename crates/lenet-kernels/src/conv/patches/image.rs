//! Between maps `[channel, row, column]` and an image `[row, column, channel]` with a border.
//!
//! Four columns of four maps at a time: a transpose of 4×4 values in registers. Where the
//! last four overlap the ones before them, the same values are copied twice.

use super::Patches;
use crate::Shape;
use crate::simd::{chunk, chunk_mut, fours, transpose};

impl Patches {
    /// Copies maps into an image whose border is zero already.
    #[inline(always)]
    pub(in crate::conv) fn interleave(&self, maps: &[f32], image: &mut [f32]) {
        let (in_channels, map_len) = (self.shape.in_channels, self.map_len());
        let [rows, columns] = self.runs();
        for row in 0..rows {
            let pixels = &mut image[self.first_pixel(row)..];
            if in_channels < 4 || columns < 4 {
                for channel in 0..in_channels {
                    let values = &maps[channel * map_len + row * columns..][..columns];
                    let to = pixels[channel..].iter_mut().step_by(self.pixel);
                    to.zip(values).for_each(|(to, &value)| *to = value);
                }
                continue;
            }
            for channel in fours(in_channels) {
                let pixels = &mut pixels[channel..];
                let maps = &maps[channel * map_len + row * columns..];
                for column in fours(columns) {
                    let [a, b, c, d] = transpose([
                        chunk(maps, column),
                        chunk(maps, column + map_len),
                        chunk(maps, column + 2 * map_len),
                        chunk(maps, column + 3 * map_len),
                    ]);
                    let pixel = column * self.pixel;
                    *chunk_mut(pixels, pixel + 3 * self.pixel) = d;
                    *chunk_mut(pixels, pixel + 2 * self.pixel) = c;
                    *chunk_mut(pixels, pixel + self.pixel) = b;
                    *chunk_mut(pixels, pixel) = a;
                }
            }
        }
    }

    /// Copies an image without its border into maps.
    #[inline(always)]
    pub(in crate::conv) fn separate(&self, image: &[f32], maps: &mut [f32]) {
        let (in_channels, map_len) = (self.shape.in_channels, self.map_len());
        let [rows, columns] = self.runs();
        for row in 0..rows {
            let pixels = &image[self.first_pixel(row)..];
            if in_channels < 4 || columns < 4 {
                for channel in 0..in_channels {
                    let values = &mut maps[channel * map_len + row * columns..][..columns];
                    let from = pixels[channel..].iter().step_by(self.pixel);
                    values
                        .iter_mut()
                        .zip(from)
                        .for_each(|(to, &from)| *to = from);
                }
                continue;
            }
            for channel in fours(in_channels) {
                let pixels = &pixels[channel..];
                let maps = &mut maps[channel * map_len + row * columns..];
                for column in fours(columns) {
                    let pixel = column * self.pixel;
                    let [a, b, c, d] = transpose([
                        chunk(pixels, pixel),
                        chunk(pixels, pixel + self.pixel),
                        chunk(pixels, pixel + 2 * self.pixel),
                        chunk(pixels, pixel + 3 * self.pixel),
                    ]);
                    *chunk_mut(maps, column + 3 * map_len) = d;
                    *chunk_mut(maps, column + 2 * map_len) = c;
                    *chunk_mut(maps, column + map_len) = b;
                    *chunk_mut(maps, column) = a;
                }
            }
        }
    }

    fn map_len(&self) -> usize {
        self.shape.height * self.shape.width
    }

    /// Rows and columns of a map, or one long row if no border separates them.
    fn runs(&self) -> [usize; 2] {
        let Shape {
            height,
            width,
            padding,
            ..
        } = self.shape;
        if padding == 0 {
            [1, height * width]
        } else {
            [height, width]
        }
    }

    /// Where the first pixel of a row lies in the image.
    fn first_pixel(&self, row: usize) -> usize {
        (row + self.shape.padding) * self.row + self.shape.padding * self.pixel
    }
}
