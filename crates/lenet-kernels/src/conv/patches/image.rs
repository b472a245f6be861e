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
        let Shape {
            in_channels,
            height,
            width,
            ..
        } = self.shape;
        let map_len = height * width;
        for row in 0..height {
            let pixels = &mut image[self.first_pixel(row)..];
            if in_channels < 4 || width < 4 {
                for channel in 0..in_channels {
                    let values = &maps[channel * map_len + row * width..][..width];
                    let to = pixels[channel..].iter_mut().step_by(self.pixel);
                    to.zip(values).for_each(|(to, &value)| *to = value);
                }
                continue;
            }
            for channel in fours(in_channels) {
                let mut rows = [&maps[..0]; 4];
                for (values, map) in rows
                    .iter_mut()
                    .zip(maps[channel * map_len..].chunks(map_len))
                {
                    *values = &map[row * width..][..width];
                }
                let pixels = &mut pixels[channel..];
                let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>().0);
                let rows_of_four = a.iter().zip(b).zip(c.iter().zip(d));
                let pixels_of_four = pixels.chunks_mut(4 * self.pixel);
                for (((a, b), (c, d)), pixels) in rows_of_four.zip(pixels_of_four) {
                    self.put(pixels, transpose([a, b, c, d]));
                }
                if !width.is_multiple_of(4) {
                    let last = rows.map(|row| chunk(row, width - 4));
                    self.put(&mut pixels[(width - 4) * self.pixel..], transpose(last));
                }
            }
        }
    }

    /// Copies four values into each of four pixels.
    #[inline(always)]
    fn put(&self, pixels: &mut [f32], [a, b, c, d]: [[f32; 4]; 4]) {
        let pixel = self.pixel;
        // The last one first, which checks the bounds of the others.
        *chunk_mut(pixels, 3 * pixel) = d;
        *chunk_mut(pixels, 2 * pixel) = c;
        *chunk_mut(pixels, pixel) = b;
        *chunk_mut(pixels, 0) = a;
    }

    /// Copies an image without its border into maps.
    #[inline(always)]
    pub(in crate::conv) fn separate(&self, image: &[f32], maps: &mut [f32]) {
        let Shape {
            in_channels,
            height,
            width,
            ..
        } = self.shape;
        let map_len = height * width;
        for row in 0..height {
            let pixels = &image[self.first_pixel(row)..];
            if in_channels < 4 || width < 4 {
                for channel in 0..in_channels {
                    let values = &mut maps[channel * map_len + row * width..][..width];
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
                let maps = &mut maps[channel * map_len + row * width..];
                for column in fours(width) {
                    let pixel = column * self.pixel;
                    let values = transpose([
                        chunk(pixels, pixel),
                        chunk(pixels, pixel + self.pixel),
                        chunk(pixels, pixel + 2 * self.pixel),
                        chunk(pixels, pixel + 3 * self.pixel),
                    ]);
                    let [a, b, c, d] = values;
                    *chunk_mut(maps, column + 3 * map_len) = d;
                    *chunk_mut(maps, column + 2 * map_len) = c;
                    *chunk_mut(maps, column + map_len) = b;
                    *chunk_mut(maps, column) = a;
                }
            }
        }
    }

    /// Where the first pixel of a row lies in the image.
    fn first_pixel(&self, row: usize) -> usize {
        (row + self.shape.padding) * self.row + self.shape.padding * self.pixel
    }
}
