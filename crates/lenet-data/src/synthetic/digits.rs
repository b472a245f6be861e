//! Digits as strokes of a round pen.

use std::f32::consts::PI;

use super::canvas::{Canvas, Pen, Point};

/// One digit from 0 to 9.
pub(super) fn draw(digit: u8, pen: &mut Pen) -> Canvas {
    let mut canvas = Canvas::new(pen, 0.35, 0.5);
    let radius = pen.range(0.06, 0.24);
    let brightness = pen.range(0.7, 1.0);
    for stroke in strokes(digit, pen) {
        canvas.stroke(&stroke, radius, brightness);
    }
    canvas.weave(pen, 0.0, 0.15);
    canvas
}

/// Points on an upright ellipse from one angle to another; 0 is right, π/2 is down.
fn arc([cx, cy]: Point, [rx, ry]: Point, from: f32, to: f32) -> impl Iterator<Item = Point> {
    (0..=8).map(move |step| {
        let (sin, cos) = (from + (to - from) * step as f32 / 8.0).sin_cos();
        [cx + rx * cos, cy + ry * sin]
    })
}

fn strokes(digit: u8, pen: &mut Pen) -> Vec<Vec<Point>> {
    let width = pen.range(0.26, 0.62);
    let middle = pen.range(-0.15, 0.15);
    let mut near = |[x, y]: Point| [x + pen.range(-0.24, 0.24), y + pen.range(-0.24, 0.24)];
    match digit {
        0 => vec![arc(near([0.0, 0.0]), [width, 0.78], 0.0, 2.0 * PI).collect()],
        1 => {
            let top = near([0.05, -0.8]);
            vec![vec![near([-0.25, -0.5]), top, near([0.0, 0.8])]]
        }
        2 => {
            let mut line: Vec<Point> =
                arc(near([0.0, -0.4]), [width, 0.4], -PI, 0.2 * PI).collect();
            line.extend([near([-width, 0.78]), near([width, 0.75])]);
            vec![line]
        }
        3 => {
            let (upper, lower) = (0.4 + middle * 0.4, 0.42 - middle * 0.4);
            let (top, bottom) = (near([-0.05, -0.8 + upper]), near([-0.05, 0.8 - lower]));
            vec![
                arc(top, [width * 0.9, upper], -0.9 * PI, 0.45 * PI).collect(),
                arc(bottom, [width, lower], -0.45 * PI, 0.9 * PI).collect(),
            ]
        }
        4 => vec![
            vec![near([-0.1, -0.8]), near([-width, 0.2]), near([width, 0.2])],
            vec![near([0.25, -0.3]), near([0.2, 0.85])],
        ],
        5 => {
            let corner = near([-width, -0.1]);
            let mut line = vec![near([width, -0.8]), near([-width * 0.9, -0.78]), corner];
            let bowl = near([-0.05, 0.33]);
            line.extend(arc(bowl, [width, 0.45], -0.6 * PI, 0.85 * PI));
            vec![line]
        }
        6 => {
            let bowl = near([0.0, 0.38]);
            let mut line = vec![near([width * 0.7, -0.8]), near([-width * 0.7, -0.15])];
            line.extend(arc(bowl, [width, 0.42], PI, 3.0 * PI));
            vec![line]
        }
        7 => {
            let (left, right) = (near([-width, -0.75]), near([width, -0.75]));
            vec![vec![left, right, near([-0.1, 0.82])]]
        }
        8 => {
            let (upper, lower) = (0.38 + middle * 0.4, 0.42 - middle * 0.4);
            let (top, bottom) = (near([0.0, -0.8 + upper]), near([0.0, 0.8 - lower]));
            vec![
                arc(top, [width * 0.8, upper], 0.0, 2.0 * PI).collect(),
                arc(bottom, [width, lower], 0.0, 2.0 * PI).collect(),
            ]
        }
        9 => {
            let bowl = near([0.0, -0.38]);
            let mut line: Vec<Point> = arc(bowl, [width, 0.42], 0.0, -2.0 * PI).collect();
            line.push(near([width * 0.5, 0.8]));
            vec![line]
        }
        _ => unreachable!("{digit} is not a digit"),
    }
}
