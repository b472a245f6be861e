//! Results that several threads write, each its own part of the memory as it comes from the allocator.
//!
//! To set all of it to zero first, as `vec!` does, takes one thread about as long as the work of many.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A vector that is filled part by part.
pub(crate) struct Unfilled<T> {
    /// Empty, with room for `len` values.
    values: Vec<T>,
    len: usize,
    /// Values of the parts that have been filled.
    filled: AtomicUsize,
}

/// A part that no thread has touched yet.
pub(crate) struct Part<'a, T> {
    room: &'a mut [MaybeUninit<T>],
    filled: &'a AtomicUsize,
}

impl<T: Copy + Default> Unfilled<T> {
    pub(crate) fn new(len: usize) -> Self {
        Self {
            values: Vec::with_capacity(len),
            len,
            filled: AtomicUsize::new(0),
        }
    }

    /// All parts, of `part_len` values each but for the last; if that is 0, `count` empty ones.
    pub(crate) fn parts(&mut self, part_len: usize, count: usize) -> Vec<Part<'_, T>> {
        let Self {
            values,
            len,
            filled,
        } = self;
        // Parts of an earlier call count no more: each value counts once.
        *filled.get_mut() = 0;
        let filled = &*filled;
        let room = values.spare_capacity_mut().get_mut(..*len);
        let mut parts: Vec<_> = room
            .unwrap_or_default()
            .chunks_mut(part_len.max(1))
            .map(|room| Part { room, filled })
            .collect();
        parts.resize_with(count, || Part {
            room: &mut [],
            filled,
        });
        parts
    }

    /// The vector; parts that were left out are zero.
    #[expect(
        unsafe_code,
        reason = "the only way to hand over what parts were written in place"
    )]
    pub(crate) fn finish(mut self) -> Vec<T> {
        if *self.filled.get_mut() == self.len {
            // SAFETY: There is room for `len` values, since `parts` could cut parts from that many, or
            // `len` is 0. The parts of its last call and what `cut` makes of them lie side by side, and
            // `zeroed` and `copy_from` consume each, so that every value counts at most once, after it was
            // written: all `len` of them were.
            unsafe { self.values.set_len(self.len) };
        } else {
            self.values.resize(self.len, T::default());
        }
        self.values
    }
}

impl<'a, T: Copy + Default> Part<'a, T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.room.is_empty()
    }

    /// Cuts the first `len` values off, or all that are left: what is written bit by bit stays in a cache.
    pub(crate) fn cut(&mut self, len: usize) -> Self {
        let room = std::mem::take(&mut self.room);
        let (room, rest) = room.split_at_mut(len.min(room.len()));
        self.room = rest;
        Self {
            room,
            filled: self.filled,
        }
    }

    /// Fills the part with these values, if they are as many.
    pub(crate) fn copy_from(self, values: &[T]) {
        if self.room.len() == values.len() {
            self.room.write_copy_of_slice(values);
            self.filled.fetch_add(values.len(), Ordering::Relaxed);
        }
    }

    /// The part, full of zeros.
    #[expect(unsafe_code, reason = "every value is written before it is read")]
    pub(crate) fn zeroed(self) -> &'a mut [T] {
        for value in self.room.iter_mut() {
            value.write(T::default());
        }
        self.filled.fetch_add(self.room.len(), Ordering::Relaxed);
        // SAFETY: The loop above wrote every value of `room`.
        unsafe { self.room.assume_init_mut() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_handed_over() {
        let mut unfilled = Unfilled::new(10);
        for (index, part) in unfilled.parts(4, 3).into_iter().enumerate() {
            part.zeroed().fill(index + 1);
        }
        assert_eq!(unfilled.finish(), [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn a_part_left_out_is_zero_and_counts_no_part_twice() {
        let mut unfilled = Unfilled::new(4);
        for _ in 0..2 {
            let first = unfilled.parts(2, 2).into_iter().next();
            first.into_iter().for_each(|part| part.zeroed().fill(7));
        }
        assert_eq!(unfilled.finish(), [0, 0, 0, 0]);
    }

    #[test]
    fn a_part_is_filled_bit_by_bit() {
        let fill = |lengths: [usize; 2]| {
            let mut unfilled = Unfilled::new(6);
            for mut part in unfilled.parts(3, 2) {
                part.cut(lengths[0]).copy_from(&[5, 6]);
                part.cut(lengths[1]).zeroed().fill(7);
            }
            unfilled.finish()
        };
        assert_eq!(fill([2, 9]), [5, 6, 7, 5, 6, 7]);
        // What was not filled, or with another number of values, leaves nothing but zeros.
        assert_eq!(fill([2, 0]), [0; 6]);
        assert_eq!(fill([1, 2]), [0; 6]);
    }

    #[test]
    fn nothing_is_cut_into_empty_parts() {
        let mut unfilled = Unfilled::<u8>::new(0);
        let parts = unfilled.parts(0, 3);
        assert!(
            parts
                .into_iter()
                .map(|part| part.zeroed().len())
                .eq([0, 0, 0])
        );
        assert!(unfilled.finish().is_empty());
    }
}
