//! The drawing tools behind the synthetic images: random choices, shapes, a grey canvas.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Height and width of an image in pixels.
pub(super) const SIZE: usize = 28;

/// A point in the drawing plane, [-1, 1]² with y pointing down.
pub(super) type Point = [f32; 2];

/// The random choices behind one image.
pub(super) struct Pen(ChaCha8Rng);

impl Pen {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        Self(rng)
    }

    /// Uniform in [low, high).
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
        low + (high - low) * unit
    }

    /// Normal with mean 0 and standard deviation 1.
    pub(super) fn normal(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.range(0.0, 1.0) < probability
    }
}

/// A filled area of the drawing plane.
enum Shape<'a> {
    /// The inside of a closed outline.
    Polygon(&'a [Point]),
    /// All points within a radius of the line through these points.
    Stroke(&'a [Point], f32),
    /// An axis-aligned ellipse: centre and radii.
    Ellipse(Point, Point),
}

impl Shape<'_> {
    fn contains(&self, [x, y]: Point) -> bool {
        match self {
            Self::Polygon(points) => {
                let edges = points.iter().zip(points.iter().cycle().skip(1));
                let crossed = edges.filter(|&(&[x0, y0], &[x1, y1])| {
                    (y0 > y) != (y1 > y) && x < x0 + (x1 - x0) * (y - y0) / (y1 - y0)
                });
                crossed.count() % 2 == 1
            }
            Self::Stroke(points, radius) => {
                let mut segments = points.iter().zip(points.iter().skip(1));
                segments.any(|(&a, &b)| square_distance([x, y], a, b) <= radius * radius)
            }
            Self::Ellipse([cx, cy], [rx, ry]) => {
                ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) <= 1.0
            }
        }
    }

    /// Smallest and largest coordinates.
    fn bounds(&self) -> (Point, Point) {
        let around = |points: &[Point], radius: f32| {
            let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
            for [x, y] in points {
                low = [low[0].min(x - radius), low[1].min(y - radius)];
                high = [high[0].max(x + radius), high[1].max(y + radius)];
            }
            (low, high)
        };
        match self {
            Self::Polygon(points) => around(points, 0.0),
            Self::Stroke(points, radius) => around(points, *radius),
            Self::Ellipse([cx, cy], [rx, ry]) => ([cx - rx, cy - ry], [cx + rx, cy + ry]),
        }
    }
}

/// Square of the distance from `p` to the line segment from `a` to `b`.
fn square_distance(p: Point, a: Point, b: Point) -> f32 {
    let [px, py] = [p[0] - a[0], p[1] - a[1]];
    let [bx, by] = [b[0] - a[0], b[1] - a[1]];
    let length = bx * bx + by * by;
    let along = if length > 0.0 {
        ((px * bx + py * by) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (px - along * bx).powi(2) + (py - along * by).powi(2)
}

/// The affine map between the drawing plane and the pixels.
struct Placement {
    /// Pixel to plane: rows of the linear part.
    inverse: [Point; 2],
    /// Plane to pixel: rows of the linear part.
    forward: [Point; 2],
    /// Pixel coordinates of the plane's origin.
    origin: Point,
}

/// A grey image being drawn.
pub(super) struct Canvas {
    pixels: [[f32; SIZE]; SIZE],
    placement: Placement,
}

/// Positions within a pixel at which coverage is sampled.
const SAMPLES: [Point; 4] = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]];

impl Canvas {
    /// A black canvas, randomly rotated, sheared, scaled and shifted a little.
    ///
    /// `tilt` is the largest rotation in radians, `slant` the largest shear.
    pub(super) fn new(pen: &mut Pen, tilt: f32, slant: f32) -> Self {
        let angle = pen.range(-tilt, tilt);
        let shear = pen.range(-slant, slant);
        let half = SIZE as f32 / 2.0;
        let width = half * pen.range(0.74, 0.98);
        let height = half * pen.range(0.8, 0.98);
        let (sin, cos) = angle.sin_cos();
        let forward = [
            [cos * width, (cos * shear - sin) * height],
            [sin * width, (sin * shear + cos) * height],
        ];
        let [[a, b], [c, d]] = forward;
        let determinant = a * d - b * c;
        let inverse = [
            [d / determinant, -b / determinant],
            [-c / determinant, a / determinant],
        ];
        Self {
            pixels: [[0.0; SIZE]; SIZE],
            placement: Placement {
                inverse,
                forward,
                origin: [half + pen.range(-1.5, 1.5), half + pen.range(-1.5, 1.5)],
            },
        }
    }

    /// Paints the inside of a closed outline; brightness from 0 to 1.
    pub(super) fn polygon(&mut self, points: &[Point], brightness: f32) {
        self.fill(&Shape::Polygon(points), brightness);
    }

    /// Paints the line through these points with a round pen.
    pub(super) fn stroke(&mut self, points: &[Point], radius: f32, brightness: f32) {
        self.fill(&Shape::Stroke(points, radius), brightness);
    }

    /// Paints an axis-aligned ellipse.
    pub(super) fn ellipse(&mut self, centre: Point, radii: Point, brightness: f32) {
        self.fill(&Shape::Ellipse(centre, radii), brightness);
    }

    fn fill(&mut self, shape: &Shape<'_>, brightness: f32) {
        let Placement {
            inverse: [[a, b], [c, d]],
            forward: [[fa, fb], [fc, fd]],
            origin: [ox, oy],
        } = self.placement;
        let ([x0, y0], [x1, y1]) = shape.bounds();
        let corners = [[x0, y0], [x1, y0], [x0, y1], [x1, y1]]
            .map(|[x, y]| [fa * x + fb * y + ox, fc * x + fd * y + oy]);
        let range = |axis: fn(&Point) -> f32| {
            let ends = corners.iter().map(axis);
            let (low, high) = (
                ends.clone().fold(f32::MAX, f32::min),
                ends.fold(f32::MIN, f32::max),
            );
            (low.max(0.0) as usize, high.max(0.0) as usize)
        };
        let ((left, right), (top, bottom)) = (range(|&[x, _]| x), range(|&[_, y]| y));

        let rows = self.pixels.iter_mut().enumerate();
        for (row, pixels) in rows.take(bottom + 1).skip(top) {
            for (column, pixel) in pixels.iter_mut().enumerate().take(right + 1).skip(left) {
                let covered = SAMPLES.iter().filter(|[sx, sy]| {
                    let (x, y) = (column as f32 + sx - ox, row as f32 + sy - oy);
                    shape.contains([a * x + b * y, c * x + d * y])
                });
                let coverage = covered.count() as f32 / SAMPLES.len() as f32;
                *pixel += (brightness - *pixel) * coverage;
            }
        }
    }

    /// Modulates everything drawn so far with stripes and noise.
    pub(super) fn weave(&mut self, pen: &mut Pen, stripes: f32, noise: f32) {
        let (sin, cos) = pen.range(0.0, std::f32::consts::PI).sin_cos();
        let frequency = pen.range(0.5, 2.0);
        let phase = pen.range(0.0, std::f32::consts::TAU);
        for (row, pixels) in self.pixels.iter_mut().enumerate() {
            for (column, pixel) in pixels.iter_mut().enumerate() {
                if *pixel > 0.0 {
                    let along = (column as f32 * cos + row as f32 * sin) * frequency + phase;
                    *pixel *= 1.0 + stripes * along.sin() + pen.range(-noise, noise);
                }
            }
        }
    }

    /// Sets every pixel to a value of its own.
    pub(super) fn scatter(&mut self, mut value: impl FnMut() -> f32) {
        self.pixels
            .iter_mut()
            .flatten()
            .for_each(|pixel| *pixel = value());
    }

    /// Writes one byte for each pixel.
    pub(super) fn to_bytes(&self, out: &mut [u8]) {
        for (byte, pixel) in out.iter_mut().zip(self.pixels.iter().flatten()) {
            *byte = (pixel.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    }
}
