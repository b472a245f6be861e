//! Results that several threads write in place, each its own part of freshly allocated memory.
//!
//! Zeroing up front, as `vec!` does, costs one thread about as much as the parallel work itself.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A vector that is filled part by part.
pub(crate) struct Unfilled<T> {
    /// Empty, with a capacity of at least `len`.
    values: Vec<T>,
    len: usize,
    /// Number of values in the parts filled so far.
    filled: AtomicUsize,
}

/// A part that has not been written yet, or a slice that is to be overwritten.
pub(crate) struct Part<'a, T> {
    room: &'a mut [MaybeUninit<T>],
    /// `None` for a slice.
    filled: Option<&'a AtomicUsize>,
}

impl<T: Copy + Default> Unfilled<T> {
    pub(crate) fn new(len: usize) -> Self {
        Self {
            values: Vec::with_capacity(len),
            len,
            filled: AtomicUsize::new(0),
        }
    }

    /// All parts, of `part_len` values each except for the last; if `part_len` is 0, `count` empty ones.
    pub(crate) fn parts(&mut self, part_len: usize, count: usize) -> Vec<Part<'_, T>> {
        // Parts of an earlier call no longer count: each value counts once.
        *self.filled.get_mut() = 0;
        let filled = Some(&self.filled);
        let room = &mut self.values.spare_capacity_mut()[..self.len];
        let rooms = room.chunks_mut(part_len.max(1));
        let mut parts: Vec<_> = rooms.map(|room| Part { room, filled }).collect();
        parts.resize_with(count, || Part {
            room: &mut [],
            filled,
        });
        parts
    }

    /// The vector.
    ///
    /// # Panics
    ///
    /// If a part was left out.
    #[expect(
        unsafe_code,
        reason = "the only way to hand over what parts were written in place"
    )]
    pub(crate) fn finish(mut self) -> Vec<T> {
        let filled = *self.filled.get_mut();
        assert_eq!(filled, self.len, "values filled, of all");
        // SAFETY: There is room for `len` values, since `parts` cut parts from that many, or `len` is 0. The
        // parts of its last call, and what `cut` makes of them, are disjoint, and `zeroed` and `copy_from`
        // consume each, so every value counts at most once, after it was written: all `len` of them were.
        unsafe { self.values.set_len(self.len) };
        self.values
    }
}

impl<'a, T: Copy + Default> Part<'a, T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.room.is_empty()
    }

    /// Cuts off the first `len` values: what is written in small steps stays in a cache.
    ///
    /// # Panics
    ///
    /// If fewer are left.
    pub(crate) fn cut(&mut self, len: usize) -> Self {
        let (room, rest) = std::mem::take(&mut self.room).split_at_mut(len);
        self.room = rest;
        Self {
            room,
            filled: self.filled,
        }
    }

    /// Fills the part with these values.
    ///
    /// # Panics
    ///
    /// If it has another length.
    pub(crate) fn copy_from(self, values: &[T]) {
        self.room.write_copy_of_slice(values);
        self.count();
    }

    /// The part, full of zeros.
    #[expect(unsafe_code, reason = "every value is written before it is read")]
    pub(crate) fn zeroed(self) -> &'a mut [T] {
        for value in self.room.iter_mut() {
            value.write(T::default());
        }
        self.count();
        // SAFETY: The loop above wrote every value of `room`.
        unsafe { self.room.assume_init_mut() }
    }

    fn count(&self) {
        if let Some(filled) = self.filled {
            filled.fetch_add(self.room.len(), Ordering::Relaxed);
        }
    }
}

impl<'a, T: Copy + Default> From<&'a mut [T]> for Part<'a, T> {
    #[expect(unsafe_code, reason = "a slice is written like a part")]
    fn from(values: &'a mut [T]) -> Self {
        // SAFETY: `MaybeUninit<T>` has the layout of `T`, and a part writes only whole values, so the slice
        // stays initialised.
        let room = unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<T>]) };
        Self { room, filled: None }
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
    #[should_panic(expected = "values filled")]
    fn a_part_left_out_panics_and_no_part_counts_twice() {
        let mut unfilled = Unfilled::new(4);
        for _ in 0..2 {
            let first = unfilled.parts(2, 2).into_iter().next();
            first.into_iter().for_each(|part| part.zeroed().fill(7));
        }
        unfilled.finish();
    }

    /// Two parts of three values: the first `lengths[0]` copied from two values, then `lengths[1]` set.
    fn fill(lengths: [usize; 2]) -> Vec<u8> {
        let mut unfilled = Unfilled::new(6);
        for mut part in unfilled.parts(3, 2) {
            part.cut(lengths[0]).copy_from(&[5, 6]);
            part.cut(lengths[1]).zeroed().fill(7);
        }
        unfilled.finish()
    }

    #[test]
    fn a_part_is_filled_in_steps() {
        assert_eq!(fill([2, 1]), [5, 6, 7, 5, 6, 7]);
    }

    #[test]
    fn a_part_filled_incompletely_panics() {
        for lengths in [[2, 0], [1, 2], [2, 2]] {
            assert!(std::panic::catch_unwind(|| fill(lengths)).is_err());
        }
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
