//! Garments as polygons, ellipses and strokes, one function per class.

use super::canvas::{Canvas, Pen, Point};

/// One garment of this class; classes are numbered as in Fashion-MNIST.
pub(super) fn draw(class: u8, pen: &mut Pen) -> Canvas {
    let mut canvas = Canvas::new(pen, 0.12, 0.1);
    let brightness = pen.range(0.35, 0.95);
    match class {
        0 => t_shirt(&mut canvas, pen, brightness),
        1 => trouser(&mut canvas, pen, brightness),
        2 => pullover(&mut canvas, pen, brightness),
        3 => dress(&mut canvas, pen, brightness),
        4 => coat(&mut canvas, pen, brightness),
        5 => sandal(&mut canvas, pen, brightness),
        6 => shirt(&mut canvas, pen, brightness),
        7 => sneaker(&mut canvas, pen, brightness),
        8 => bag(&mut canvas, pen, brightness),
        9 => ankle_boot(&mut canvas, pen, brightness),
        _ => unreachable!("Fashion-MNIST has ten classes, not a class {class}"),
    }
    let stripes = if pen.chance(0.3) {
        pen.range(0.1, 0.4)
    } else {
        0.0
    };
    canvas.weave(pen, stripes, 0.25);
    canvas
}

/// The outline of a garment for the upper body, symmetric about the vertical axis.
struct Top {
    shoulder: f32,
    waist: f32,
    hem: f32,
    bottom: f32,
    /// Length of the sleeves from 0 (none) to 1 (down to the hem).
    sleeve: f32,
    neck: f32,
}

impl Top {
    fn fill(&self, canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
        let Self {
            shoulder,
            waist,
            hem,
            bottom,
            sleeve,
            neck,
        } = *self;
        let left = [[-shoulder, -0.75], [-waist, 0.0], [-hem, bottom]];
        let right = left.iter().rev().map(|&[x, y]| [-x, y]);
        let collar = [[neck, -0.9], [-neck, -0.9]];
        let outline: Vec<Point> = left.into_iter().chain(right).chain(collar).collect();
        canvas.polygon(&outline, brightness);

        if sleeve > 0.0 {
            let reach = pen.range(0.18, 0.5) * sleeve.max(0.4);
            let end = [shoulder + reach, -0.7 + 1.45 * sleeve];
            let radius = pen.range(0.11, 0.17);
            for side in [-1.0, 1.0] {
                let arm = [[side * (shoulder - 0.1), -0.66], [side * end[0], end[1]]];
                canvas.stroke(&arm, radius, brightness * pen.range(0.85, 1.0));
            }
        }
        canvas.ellipse([0.0, -0.92], [neck, pen.range(0.06, 0.2)], 0.0);
    }
}

fn t_shirt(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let top = Top {
        shoulder: pen.range(0.42, 0.6),
        waist: pen.range(0.38, 0.52),
        hem: pen.range(0.38, 0.55),
        bottom: pen.range(0.65, 0.92),
        sleeve: pen.range(0.12, 0.42),
        neck: pen.range(0.14, 0.28),
    };
    top.fill(canvas, pen, brightness);
    if pen.chance(0.25) {
        let (centre, radii) = ([0.0, pen.range(-0.3, 0.1)], [pen.range(0.1, 0.25), 0.2]);
        canvas.ellipse(centre, radii, pen.range(0.1, 1.0));
    }
}

fn pullover(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let top = Top {
        shoulder: pen.range(0.4, 0.58),
        waist: pen.range(0.38, 0.52),
        hem: pen.range(0.36, 0.54),
        bottom: pen.range(0.62, 0.92),
        sleeve: pen.range(0.7, 1.0),
        neck: pen.range(0.12, 0.24),
    };
    top.fill(canvas, pen, brightness);
    if pen.chance(0.7) {
        let rib = [[-top.hem, top.bottom - 0.06], [top.hem, top.bottom - 0.06]];
        canvas.stroke(&rib, 0.05, brightness * 0.6);
    }
}

fn coat(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let top = Top {
        shoulder: pen.range(0.4, 0.56),
        waist: pen.range(0.34, 0.5),
        hem: pen.range(0.4, 0.58),
        bottom: pen.range(0.78, 1.0),
        sleeve: pen.range(0.7, 1.0),
        neck: pen.range(0.12, 0.24),
    };
    top.fill(canvas, pen, brightness);
    let opening = if pen.chance(0.88) {
        pen.range(0.0, 0.5)
    } else {
        0.85
    };
    let front = [[0.0, -0.8], [pen.range(-0.05, 0.05), top.bottom]];
    canvas.stroke(&front, 0.045, brightness * opening);
    if pen.chance(0.6) {
        let lapel = [[-0.2, -0.85], [0.0, pen.range(-0.4, 0.0)], [0.2, -0.85]];
        canvas.stroke(&lapel, 0.035, brightness * 0.5);
    }
}

fn shirt(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let short = pen.chance(0.2);
    let top = Top {
        shoulder: pen.range(0.4, 0.58),
        waist: pen.range(0.34, 0.5),
        hem: pen.range(0.36, 0.54),
        bottom: pen.range(0.68, 0.96),
        sleeve: if short {
            pen.range(0.2, 0.45)
        } else {
            pen.range(0.65, 1.0)
        },
        neck: pen.range(0.12, 0.22),
    };
    top.fill(canvas, pen, brightness);
    let collar = brightness * pen.range(1.1, 1.5);
    for side in [-1.0, 1.0] {
        let wing = [
            [side * 0.04, -0.68],
            [side * 0.24, -0.92],
            [side * 0.26, -0.7],
        ];
        canvas.polygon(&wing, collar.min(1.0));
    }
    if pen.chance(0.95) {
        for button in 0..4 {
            let y = -0.5 + 0.32 * button as f32;
            canvas.ellipse([0.0, y], [0.06, 0.07], brightness * 0.2);
        }
    }
}

fn dress(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let top = Top {
        shoulder: pen.range(0.22, 0.36),
        waist: pen.range(0.16, 0.3),
        hem: pen.range(0.28, 0.62),
        bottom: pen.range(0.86, 1.0),
        sleeve: if pen.chance(0.4) {
            pen.range(0.1, 0.6)
        } else {
            0.0
        },
        neck: pen.range(0.08, 0.2),
    };
    top.fill(canvas, pen, brightness);
}

fn trouser(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let waist = pen.range(0.2, 0.38);
    let crotch = pen.range(-0.55, -0.2);
    let foot = pen.range(0.1, 0.5);
    let width = pen.range(0.1, 0.24);
    let bottom = pen.range(0.85, 1.0);
    for side in [-1.0, 1.0] {
        let leg = [
            [0.0, -0.95],
            [waist, -0.95],
            [foot + width, bottom],
            [foot - width * 0.4, bottom],
            [0.0, crotch],
        ];
        let leg = leg.map(|[x, y]| [side * x, y]);
        canvas.polygon(&leg, brightness * pen.range(0.85, 1.0));
    }
}

fn sandal(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let heel = pen.range(0.0, 0.5);
    let sole = [
        [-0.9, 0.5],
        [-0.2, 0.5],
        [0.75, 0.5 - heel],
        [0.92, 0.5 - heel],
    ];
    canvas.stroke(&sole, pen.range(0.06, 0.13), brightness);
    if heel > 0.2 {
        let pole = [[0.8, 0.5 - heel], [0.78, 0.6]];
        canvas.stroke(&pole, 0.07, brightness);
    }
    let straps = if pen.chance(0.5) { 2 } else { 3 };
    for strap in 0..straps {
        let x = -0.75 + 0.55 * strap as f32 + pen.range(-0.1, 0.1);
        let rise = pen.range(0.3, 0.6);
        let band = [
            [x, 0.45],
            [x + 0.2, 0.45 - rise],
            [x + 0.5, 0.3 - heel * 0.5],
        ];
        let radius = pen.range(0.05, 0.1);
        canvas.stroke(&band, radius, brightness * pen.range(0.7, 1.0));
    }
}

fn sneaker(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let ankle = pen.range(-0.3, 0.05);
    let toe = pen.range(0.1, 0.3);
    let body = [
        [-0.95, 0.5],
        [-0.9, toe],
        [-0.4, toe - 0.1],
        [0.2, ankle],
        [0.75, ankle - 0.08],
        [0.92, ankle],
        [0.95, 0.5],
    ];
    canvas.polygon(&body, brightness);
    let sole = [[-0.92, 0.5], [0.92, 0.5]];
    canvas.stroke(&sole, pen.range(0.05, 0.1), pen.range(0.5, 1.0));
    if pen.chance(0.6) {
        for lace in 0..3 {
            let x = -0.3 + 0.18 * lace as f32;
            let line = [[x, 0.0], [x + 0.12, 0.2]];
            canvas.stroke(&line, 0.03, brightness * 0.4);
        }
    }
}

fn ankle_boot(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let shaft = pen.range(-0.95, -0.3);
    let front = pen.range(0.0, 0.2);
    let toe = pen.range(0.05, 0.3);
    let body = [
        [-0.92, 0.55],
        [-0.88, toe],
        [-0.35, toe - 0.15],
        [front, -0.1],
        [front, shaft],
        [0.85, shaft],
        [0.92, 0.55],
    ];
    canvas.polygon(&body, brightness);
    if pen.chance(0.6) {
        let heel = [
            [0.6, 0.55],
            [0.92, 0.55],
            [0.88, pen.range(0.65, 0.9)],
            [0.66, 0.8],
        ];
        canvas.polygon(&heel, brightness * 0.8);
    }
    if pen.chance(0.4) {
        let zip = [[front + 0.3, shaft], [front + 0.25, 0.3]];
        canvas.stroke(&zip, 0.04, brightness * 0.4);
    }
}

fn bag(canvas: &mut Canvas, pen: &mut Pen, brightness: f32) {
    let top = pen.range(-0.45, 0.0);
    let (upper, lower) = (pen.range(0.55, 0.95), pen.range(0.65, 0.98));
    let bottom = pen.range(0.6, 0.9);
    let arch = pen.range(0.2, 0.5);
    let rise = pen.range(0.15, 0.55);
    if pen.chance(0.85) {
        let handle = [
            [-arch, top],
            [-arch * 0.8, top - rise],
            [arch * 0.8, top - rise],
            [arch, top],
        ];
        canvas.stroke(&handle, pen.range(0.04, 0.09), brightness * 0.9);
    }
    let body = [
        [-upper, top],
        [upper, top],
        [lower, bottom],
        [-lower, bottom],
    ];
    canvas.polygon(&body, brightness);
    if pen.chance(0.6) {
        let y = top + pen.range(0.15, 0.35);
        canvas.stroke(&[[-upper, y], [upper, y]], 0.04, brightness * 0.5);
    }
}
