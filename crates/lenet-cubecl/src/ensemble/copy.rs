//! Copies between buffers, and within one.

use cubecl::prelude::*;

use crate::Buffer;
use crate::launch::per_value;

/// Copies `len` values.
pub(crate) fn copy(from: &Buffer, from_start: usize, to: &Buffer, to_start: usize, len: usize) {
    let (count, dim) = per_value(from.client(), len);
    copy_values::launch(
        from.client(),
        count,
        dim,
        from.arg(),
        to.arg(),
        from_start,
        to_start,
        len,
    );
}

/// Copies `len` values to another place of a buffer, which they must not overlap.
pub(super) fn copy_within(buffer: &Buffer, from: usize, to: usize, len: usize) {
    let (count, dim) = per_value(buffer.client(), len);
    move_values::launch(buffer.client(), count, dim, buffer.arg(), from, to, len);
}

// As integers, because devices may change the bits of floats that are not normal numbers.
#[cube(launch)]
fn copy_values(from: &[u32], to: &mut [u32], from_start: usize, to_start: usize, len: usize) {
    if ABSOLUTE_POS < len {
        to[to_start + ABSOLUTE_POS] = from[from_start + ABSOLUTE_POS];
    }
}

#[cube(launch)]
fn move_values(values: &mut [u32], from: usize, to: usize, len: usize) {
    if ABSOLUTE_POS < len {
        values[to + ABSOLUTE_POS] = values[from + ABSOLUTE_POS];
    }
}
