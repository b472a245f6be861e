//! What a network trained on garments has never seen: cats, cars, digits and noise.

use super::canvas::{Canvas, Pen};
use super::digits;

pub(super) const CLASSES: [&str; 5] = ["cat", "car", "digit", "uniform noise", "normal noise"];

/// One image of this class, an index into [`CLASSES`].
pub(super) fn draw(class: u8, pen: &mut Pen) -> Canvas {
    match class {
        0 => cat(pen),
        1 => car(pen),
        2 => digits::draw(pen.range(0.0, 10.0) as u8, pen),
        3 => noise(pen, |pen| pen.range(0.0, 1.0)),
        4 => noise(pen, |pen| 0.5 + 0.25 * pen.normal()),
        _ => unreachable!("class {class} of {}", CLASSES.len()),
    }
}

fn noise(pen: &mut Pen, value: fn(&mut Pen) -> f32) -> Canvas {
    let mut canvas = Canvas::new(pen, 0.0, 0.0);
    canvas.scatter(|| value(pen));
    canvas
}

/// A cat's face from the front: ears, eyes, nose, whiskers.
fn cat(pen: &mut Pen) -> Canvas {
    let mut canvas = Canvas::new(pen, 0.12, 0.05);
    let fur = pen.range(0.55, 0.8);
    let width = pen.range(0.58, 0.68);
    let ear = pen.range(0.78, 0.95);
    for side in [-1.0, 1.0] {
        let outer = [
            [side * width * 1.02, 0.0],
            [side * width * 0.98, -ear],
            [side * 0.1, -0.3],
        ];
        canvas.polygon(&outer, fur);
        let inner = [
            [side * width * 0.9, -0.25],
            [side * width * 0.88, -ear * 0.75],
            [side * 0.3, -0.35],
        ];
        canvas.polygon(&inner, fur * 0.45);
    }
    canvas.ellipse([0.0, 0.2], [width, 0.6], fur);
    for side in [-1.0, 1.0] {
        let eye = [side * 0.27, 0.02];
        canvas.ellipse(eye, [0.16, 0.13], 1.0);
        canvas.ellipse(eye, [0.055, 0.13], 0.0);
        for end in [0.18, 0.45] {
            let whisker = [[side * 0.22, 0.38], [side * 0.95, end]];
            canvas.stroke(&whisker, 0.025, 1.0);
        }
        let mouth = [[0.0, 0.36], [side * 0.16, 0.56]];
        canvas.stroke(&mouth, 0.03, 0.1);
    }
    let nose = [[-0.1, 0.24], [0.1, 0.24], [0.0, 0.38]];
    canvas.polygon(&nose, 0.1);
    canvas.weave(pen, 0.0, 0.1);
    canvas
}

/// A car from the side: body, cabin with windows, two wheels.
fn car(pen: &mut Pen) -> Canvas {
    let mut canvas = Canvas::new(pen, 0.06, 0.05);
    let paint = pen.range(0.55, 0.85);
    let roof = pen.range(-0.52, -0.42);
    let (front, back) = (pen.range(0.4, 0.5), pen.range(-0.55, -0.45));
    let cabin = [
        [back - 0.2, -0.02],
        [back, roof],
        [front - 0.15, roof],
        [front + 0.15, -0.02],
    ];
    canvas.polygon(&cabin, paint);
    for window in [
        [
            [back - 0.06, -0.06],
            [back + 0.06, roof + 0.1],
            [-0.06, roof + 0.1],
            [-0.06, -0.06],
        ],
        [
            [0.04, -0.06],
            [0.04, roof + 0.1],
            [front - 0.2, roof + 0.1],
            [front, -0.06],
        ],
    ] {
        canvas.polygon(&window, 0.15);
    }
    let body = [
        [-0.95, 0.38],
        [-0.93, 0.02],
        [-0.8, -0.06],
        [0.75, -0.04],
        [0.95, 0.1],
        [0.96, 0.38],
    ];
    canvas.polygon(&body, paint);
    canvas.ellipse([0.88, 0.12], [0.06, 0.06], 1.0);
    for x in [-0.55, 0.55] {
        canvas.ellipse([x, 0.38], [0.28, 0.28], 0.0);
        canvas.ellipse([x, 0.38], [0.23, 0.23], 0.45);
        canvas.ellipse([x, 0.38], [0.1, 0.1], 1.0);
    }
    canvas.weave(pen, 0.0, 0.1);
    canvas
}
