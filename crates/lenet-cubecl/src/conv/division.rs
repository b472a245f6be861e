//! How the convolutions of a pass are divided over cubes. The sums do not depend on it.

use cubecl::client::Client;

use crate::buffer::VALUE;
use crate::launch::{SHARED, UNITS, at_once};

/// Units of a plane, and banks of shared memory, of most devices.
pub(super) const PLANE: usize = 32;

/// Weights of a vector.
pub(super) const VECTOR: usize = 4;

/// Units that keep a large GPU busy.
const BUSY: usize = 1 << 15;

/// Cubes from which on each of them computes several images, for which it brings the weights to shared memory once.
const MANY_CUBES: usize = 1024;

/// A convolution whose results are 2×2 windows, as a cube computes it: a band of rows of windows of some channels, from
/// maps and weights that it brings to shared memory, a few input channels at a time. Each unit computes one window of
/// `channels` channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Division {
    pub(super) kernel_size: usize,
    /// Channels of the maps, and of the results.
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Columns of windows.
    pub(super) columns: usize,
    /// Rows of windows of a band, and bands.
    pub(super) rows: usize,
    pub(super) bands: usize,
    /// Results of a unit.
    pub(super) channels: usize,
    /// Units of a cube for each window, and cubes for all channels.
    pub(super) groups: usize,
    pub(super) tiles: usize,
    /// Maps in shared memory at once, and how often that is done.
    pub(super) maps: usize,
    pub(super) pieces: usize,
}

impl Division {
    /// For so many images, `inputs` and `outputs` channels, and `rows` × `columns` windows, with `shared` values of
    /// shared memory; `None` if a row of windows does not fit.
    pub(super) fn new(
        images: usize,
        [inputs, outputs]: [usize; 2],
        [rows, columns]: [usize; 2],
        kernel_size: usize,
        shared: usize,
    ) -> Option<Self> {
        let weights = kernel_len(kernel_size).saturating_mul(VECTOR);
        let fits = |rows: usize, outputs: usize, maps: usize| {
            let map = map_len(rows, columns, kernel_size);
            let map = map.saturating_add(outputs.saturating_mul(weights));
            rows.saturating_mul(columns) <= UNITS && maps.saturating_mul(map) <= shared
        };
        let results = images.saturating_mul(outputs.saturating_mul(rows * columns));
        let fit = |n| outputs.is_multiple_of(n) && fits(1, n, 1);
        let channels = at_once(results, BUSY, fit);
        let (bands, rows) = largest(rows, |rows| fits(rows, channels, 1))?;
        let (tiles, groups) = largest(outputs / channels, |groups| {
            groups * rows * columns <= UNITS && fits(rows, groups * channels, 1)
        })?;
        let (pieces, maps) = largest(inputs, |maps| fits(rows, groups * channels, maps))?;
        Some(Self {
            kernel_size,
            inputs,
            outputs,
            columns,
            rows,
            bands,
            channels,
            groups,
            tiles,
            maps,
            pieces,
        })
    }

    /// Cubes of an image.
    pub(super) fn cubes(&self) -> usize {
        self.bands * self.tiles
    }

    /// Images of a cube.
    pub(super) fn images_at_once(&self, [networks, images]: [usize; 2]) -> usize {
        let cubes = networks * images * self.cubes();
        if self.pieces == 1 {
            (cubes / MANY_CUBES).clamp(1, 8).min(images.max(1))
        } else {
            1
        }
    }

    /// Units of a cube, in whole planes of most devices.
    pub(super) fn units(&self) -> usize {
        (self.groups * self.windows()).next_multiple_of(PLANE)
    }

    /// Windows of a cube.
    pub(super) fn windows(&self) -> usize {
        self.rows * self.columns
    }

    /// Rows and columns of a map in shared memory.
    pub(super) fn map_size(&self) -> [usize; 2] {
        map_size(self.rows, self.columns, self.kernel_size)
    }

    /// Values of a map in shared memory.
    pub(super) fn map_len(&self) -> usize {
        map_len(self.rows, self.columns, self.kernel_size)
    }

    /// Values of all maps in shared memory.
    pub(super) fn maps_len(&self) -> usize {
        self.maps * self.map_len()
    }

    /// Vectors of all weights in shared memory.
    pub(super) fn weights_len(&self) -> usize {
        self.groups * self.channels * self.maps * self.kernel_len()
    }

    /// Values between a row of a map, its even columns before the odd ones, and the next.
    pub(super) fn row_len(&self) -> usize {
        row_len(self.columns, self.kernel_size)
    }

    /// Vectors of a row of weights.
    pub(super) fn row_vectors(&self) -> usize {
        self.kernel_size.div_ceil(VECTOR)
    }

    /// Vectors of a kernel.
    pub(super) fn kernel_len(&self) -> usize {
        kernel_len(self.kernel_size)
    }
}

/// Values of shared memory that a cube of this device may use for a convolution.
pub(super) fn shared_len(client: &Client) -> usize {
    let limit = client.properties().hardware.max_shared_memory_size;
    // More would leave a multiprocessor too few cubes.
    (limit / VALUE).clamp(SHARED, 3 * SHARED)
}

fn kernel_len(kernel_size: usize) -> usize {
    kernel_size.saturating_mul(kernel_size.div_ceil(VECTOR))
}

/// Rows and columns that kernels cover which are centred on the positions of so many windows.
pub(super) fn map_size(rows: usize, columns: usize, kernel_size: usize) -> [usize; 2] {
    [2 * rows + kernel_size - 1, 2 * columns + kernel_size - 1]
}

/// Values between a row of a map and the next: an even number, so that the rows of windows of a plane are in banks of
/// their own.
fn row_len(columns: usize, kernel_size: usize) -> usize {
    let [_, width] = map_size(1, columns, kernel_size);
    let width = width.next_multiple_of(2);
    // Two rows later begins the next row of windows.
    let banks = columns.next_power_of_two();
    let shift = (2 * PLANE + banks - 2 * width % PLANE) % PLANE;
    if banks < PLANE {
        width + shift / 2
    } else {
        width
    }
}

/// Values of a map of that size.
pub(super) fn map_len(rows: usize, columns: usize, kernel_size: usize) -> usize {
    let [rows, _] = map_size(rows, columns, kernel_size);
    rows.saturating_mul(row_len(columns, kernel_size))
}

/// Divides `all` into as few parts as possible whose size fits, and returns how many there are and the size of all but
/// the last; `None` if not even 1 fits.
pub(super) fn largest(all: usize, fits: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
    let size = (1..=all).rev().find(|&size| fits(size))?;
    let parts = all.div_ceil(size);
    Some((parts, all.div_ceil(parts)))
}
