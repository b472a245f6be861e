//! Between maps `[channel, row, column]` and an image `[row, column, channel]` with a border.

use super::Patches;
use crate::Shape;
use crate::simd::{chunk, chunk_mut, parts};

/// Calls a method that takes the number of maps as a constant, up to eight.
macro_rules! for_maps {
    ($count:expr, $self:ident.$method:ident $arguments:tt) => {
        match $count {
            8 => $self.$method::<8> $arguments,
            7 => $self.$method::<7> $arguments,
            6 => $self.$method::<6> $arguments,
            5 => $self.$method::<5> $arguments,
            4 => $self.$method::<4> $arguments,
            3 => $self.$method::<3> $arguments,
            2 => $self.$method::<2> $arguments,
            1 => $self.$method::<1> $arguments,
            _ => unreachable!("at most eight maps are copied at once"),
        }
    };
}

impl Patches {
    /// Copies maps into an image whose border is zero already.
    #[inline(always)]
    pub(in crate::conv) fn interleave(&self, maps: &[f32], image: &mut [f32]) {
        self.for_each_row(|channels, from, to| {
            let (maps, image) = (&maps[from..], &mut image[to..]);
            for_maps!(channels, self.interleave_row(maps, image));
        });
    }

    /// Copies a row of `C` maps.
    #[inline(always)]
    fn interleave_row<const C: usize>(&self, maps: &[f32], image: &mut [f32]) {
        let Shape { height, width, .. } = self.shape;
        // All of one length, so that the loop over it checks no bounds.
        let mut rows = [&maps[..width]; C];
        for (channel, row) in rows.iter_mut().enumerate() {
            *row = &maps[channel * height * width..][..width];
        }
        for (column, pixel) in (0..width).zip(image.chunks_mut(self.pixel)) {
            for (to, row) in chunk_mut::<_, C>(pixel, 0).iter_mut().zip(&rows) {
                *to = row[column];
            }
        }
    }

    /// Copies an image without its border into maps.
    #[inline(always)]
    pub(in crate::conv) fn separate(&self, image: &[f32], maps: &mut [f32]) {
        self.for_each_row(|channels, to, from| {
            let (image, maps) = (&image[from..], &mut maps[to..]);
            for_maps!(channels, self.separate_row(image, maps));
        });
    }

    /// Copies a row of `C` maps.
    #[inline(always)]
    fn separate_row<const C: usize>(&self, image: &[f32], maps: &mut [f32]) {
        let Shape { height, width, .. } = self.shape;
        let mut rows: [&mut [f32]; C] = std::array::from_fn(|_| [].as_mut_slice());
        for (row, map) in rows.iter_mut().zip(maps.chunks_mut(height * width)) {
            *row = &mut map[..width];
        }
        assert!(rows.iter().all(|row| row.len() == width), "{C} maps");
        for (column, pixel) in (0..width).zip(image.chunks(self.pixel)) {
            for (row, &from) in rows.iter_mut().zip(chunk::<_, C>(pixel, 0)) {
                row[column] = from;
            }
        }
    }

    /// Calls with each row of up to eight maps: the number of maps, where the row begins in the first of them,
    /// and where in the image.
    #[inline(always)]
    fn for_each_row(&self, mut call: impl FnMut(usize, usize, usize)) {
        let Shape {
            in_channels,
            height,
            width,
            padding,
            ..
        } = self.shape;
        for channels in parts(in_channels, 8) {
            for row in 0..height {
                let map_row = (channels.start * height + row) * width;
                let pixel = (row + padding) * self.row + padding * self.pixel;
                call(channels.len(), map_row, pixel + channels.start);
            }
        }
    }
}
