//! How the gradients of the parameters are divided over cubes. The sums depend on it, but it depends on the block alone.

use lenet_kernels::Pooling;

use super::ConvBlock;
use super::division::{PLANE, largest, map_size};
use crate::launch::{SHARED, UNITS};

/// How the sums over all places are divided: a cube takes some channels of the input and of the output, and has a unit for
/// each row of their kernels and for each bias, or several, which share the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reduction {
    kernel_size: usize,
    columns: usize,
    /// Channels of the input of a cube, and cubes for all of them.
    pub(super) inputs: usize,
    pub(super) input_tiles: usize,
    /// Channels of the output of a cube, and cubes for all of them.
    pub(super) outputs: usize,
    pub(super) output_tiles: usize,
    /// Rows of windows in shared memory at once, and how often that is done.
    pub(super) rows: usize,
    pub(super) bands: usize,
    /// Parts of the places, each of which has its own units.
    pub(super) shares: usize,
    /// Places of a window that have gradients of their own.
    pub(super) of_window: usize,
}

impl Reduction {
    /// `None` if a row of windows does not fit.
    pub(super) fn new(block: &ConvBlock) -> Option<Self> {
        let [rows, columns] = block.pooled;
        let kernel_size = block.kernel_size;
        let of_window = match block.pooling {
            Pooling::Max => 1,
            Pooling::Average => 4,
        };
        let lines = |inputs: usize, outputs: usize| outputs * lines_of_channel(inputs, kernel_size);
        let fits = |inputs: usize, outputs: usize, rows: usize| {
            let gradients = outputs.saturating_mul(rows * columns * of_window);
            let maps = inputs.saturating_mul(map_stride(rows, columns, kernel_size));
            let lines = lines(inputs, outputs);
            // Beside the gradients are the places where they belong.
            let with_places = |len: usize| len.saturating_add(gradients) <= SHARED;
            let sums = lines.saturating_mul(kernel_size);
            lines <= UNITS && with_places(maps.saturating_add(gradients)) && with_places(sums)
        };
        let (bands, rows) = largest(rows, |rows| fits(1, 1, rows))?;
        // Leaves room for the gradients of a few channels.
        let (input_tiles, inputs) = largest(block.in_channels, |inputs| {
            let map = map_stride(rows, columns, kernel_size);
            fits(inputs, 1, rows) && (inputs == 1 || inputs * map <= SHARED / 2)
        })?;
        let (output_tiles, outputs) =
            largest(block.out_channels, |outputs| fits(inputs, outputs, rows))?;
        let lines = lines(inputs, outputs);
        let for_sums = SHARED - outputs * rows * columns * of_window;
        Some(Self {
            kernel_size,
            columns,
            inputs,
            input_tiles,
            outputs,
            output_tiles,
            rows,
            bands,
            shares: (UNITS / lines).min(for_sums / (lines * kernel_size)),
            of_window,
        })
    }

    /// Cubes of a chunk.
    pub(super) fn cubes(&self) -> usize {
        self.input_tiles * self.output_tiles
    }

    /// Units of a cube, in whole planes of most devices.
    pub(super) fn units(&self) -> usize {
        (self.shares * self.lines()).next_multiple_of(PLANE)
    }

    /// Rows of kernels of a channel of the output.
    pub(super) fn rows_of_channel(&self) -> usize {
        self.inputs * self.kernel_size
    }

    /// The same, with the bias and what fills up a plane.
    pub(super) fn lines_of_channel(&self) -> usize {
        lines_of_channel(self.inputs, self.kernel_size)
    }

    /// Rows of kernels, and biases, of a cube.
    pub(super) fn lines(&self) -> usize {
        self.outputs * self.lines_of_channel()
    }

    /// Weights of the lines.
    pub(super) fn weights(&self) -> usize {
        self.lines() * self.kernel_size
    }

    /// Rows and columns of a map in shared memory.
    pub(super) fn map_size(&self) -> [usize; 2] {
        map_size(self.rows, self.columns, self.kernel_size)
    }

    /// Values between a map and the next, in shared memory.
    pub(super) fn map_stride(&self) -> usize {
        map_stride(self.rows, self.columns, self.kernel_size)
    }

    /// Values of the maps in shared memory, behind which the gradients are.
    pub(super) fn maps_len(&self) -> usize {
        self.inputs * self.map_stride()
    }

    /// Gradients of a channel of the output.
    pub(super) fn places(&self) -> usize {
        self.rows * self.columns * self.of_window
    }

    /// Gradients in shared memory.
    pub(super) fn gradients_len(&self) -> usize {
        self.outputs * self.places()
    }

    /// Values of shared memory: maps and gradients and, once they are not needed any more, the sums of all units.
    pub(super) fn shared_len(&self) -> usize {
        let sums = self.shares * self.weights();
        sums.max(self.maps_len() + self.gradients_len())
    }
}

/// Rows of the kernels of so many channels of the input, and a bias, in whole planes if that idles few units: then the
/// gradients of a plane are those of one channel of the output, and it can skip those that are zero.
fn lines_of_channel(inputs: usize, kernel_size: usize) -> usize {
    let lines = inputs * kernel_size + 1;
    let whole = lines.next_multiple_of(PLANE);
    if whole - lines <= lines / 4 {
        whole
    } else {
        lines
    }
}

/// Values between a map and the next, in shared memory.
fn map_stride(rows: usize, columns: usize, kernel_size: usize) -> usize {
    let [rows, columns] = map_size(rows, columns, kernel_size);
    let len = rows.saturating_mul(columns);
    len.saturating_add((kernel_size + PLANE - len % PLANE) % PLANE)
}
