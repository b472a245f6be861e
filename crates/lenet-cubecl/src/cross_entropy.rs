//! The mean softmax cross-entropy of each network and its gradient, in one launch.

use cubecl::prelude::*;

use crate::Buffer;
use crate::launch::{UNITS, sum_of_cube};
use crate::schedule::{CURRENT, Schedule};
use crate::step::{CONTROLS, LOSS};

/// In place of a label: the image fills up a batch, and has neither loss nor gradient.
pub(crate) const NO_IMAGE: u32 = u32::MAX;

/// Writes the gradient of the logits `[networks, images, classes]` and the loss in nats: `[networks]`, or where the
/// schedule says, whose next step then becomes the current one. A label that is not a class makes the loss NaN.
pub(crate) fn cross_entropy(
    [networks, images]: [usize; 2],
    classes: usize,
    logits: &Buffer,
    labels: &Buffer,
    loss: &Buffer,
    schedule: Option<&Schedule>,
    gradient: &Buffer,
) {
    cross_entropy_with_gradient::launch(
        logits.client(),
        CubeCount::Static(networks as u32, 1, 1),
        CubeDim::new_1d(UNITS as u32),
        logits.arg(),
        labels.arg(),
        loss.arg(),
        gradient.arg(),
        schedule.map(|schedule| schedule.controls.arg()).into(),
        schedule.map(|schedule| schedule.table.arg()).into(),
        images,
        f32::NAN,
        classes,
    );
}

/// A cube for each network, a unit for every 256th image.
#[cube(launch)]
fn cross_entropy_with_gradient(
    logits: &[f32],
    labels: &[u32],
    loss: &mut [f32],
    gradient: &mut [f32],
    controls: ComptimeOption<&[u32]>,
    table: ComptimeOption<&mut [u32]>,
    images: usize,
    // WGSL has no literal for it.
    not_a_number: f32,
    #[comptime] classes: usize,
) {
    let units = comptime!(UNITS);
    let unit = UNIT_POS as usize;
    let network = CUBE_POS_X as usize;

    // The mean is over the images, without what fills up the batch.
    let mut own = 0.0f32;
    let mut image = unit;
    while image < images {
        own += f32::cast_from(labels[network * images + image] != NO_IMAGE);
        image += units;
    }
    let scale = 1.0 / sum_of_cube(own);

    let mut sum = 0.0f32;
    let mut image = unit;
    while image < images {
        let row = (network * images + image) * classes;
        let label = labels[network * images + image];
        let mut largest = logits[row];
        for class in 1..classes {
            largest = max(largest, logits[row + class]);
        }
        let mut total = 0.0f32;
        for class in 0..classes {
            total += (logits[row + class] - largest).exp();
        }
        for class in 0..classes {
            let probability = (logits[row + class] - largest).exp() / total;
            let target = select(class == label as usize, 1.0f32, 0.0f32);
            let value = (probability - target) * scale;
            gradient[row + class] = select(label == NO_IMAGE, 0.0f32, value);
        }
        if (label as usize) < classes {
            sum += total.ln() + largest - logits[row + label as usize];
        } else if label != NO_IMAGE {
            sum = not_a_number;
        }
        image += units;
    }

    let total = sum_of_cube(sum);
    if unit == 0 {
        let mut place = network;
        #[comptime]
        if let ComptimeOption::Some(controls) = controls {
            place = controls[network * CONTROLS + LOSS] as usize;
        }
        loss[place] = total * scale;
    }
    if unit == 0 && network == 0 {
        #[comptime]
        if let ComptimeOption::Some(table) = table {
            table[CURRENT] += 1;
        }
    }
}
