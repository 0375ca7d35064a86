//! The rasteriser: antialiased limbs and faces over a picture of floats, and the record of which
//! pixels show an anomaly.

use crate::SeenBox;
use crate::camera::{Camera, Spot, Vec3};
use msn_video::Size;

/// Red, green, blue, 0 to 255.
pub(crate) type Rgb = [f32; 3];

/// A share of a pixel from which on the pixel counts as showing an anomaly.
pub(crate) const VISIBLE: f32 = 0.25;

/// A piece of a figure, in world coordinates.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// A rod with round ends from `a` to `b` with the radii there, metres.
    Limb {
        a: Vec3,
        b: Vec3,
        ra: f32,
        rb: f32,
        color: Rgb,
    },
    /// A flat convex face. It is drawn from both sides.
    Face { corners: Vec<Vec3>, color: Rgb },
}

impl Part {
    /// Distance by which the parts of one figure are drawn from back to front.
    pub(crate) fn depth(&self, camera: &Camera) -> f32 {
        match self {
            Self::Limb { a, b, .. } => camera.depth((*a + *b) * 0.5),
            Self::Face { corners, .. } => {
                let sum: f32 = corners.iter().map(|corner| camera.depth(*corner)).sum();
                sum / corners.len().max(1) as f32
            }
        }
    }
}

/// How much of every pixel shows one anomaly.
#[derive(Clone, Debug)]
struct Coverage {
    owner: usize,
    share: Vec<f32>,
}

/// A picture in the making.
#[derive(Clone, Debug)]
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    pub colors: Vec<Rgb>,
    /// How much of the sun is taken from every pixel, 0 to 1.
    pub shade: Vec<f32>,
    tracks: Vec<Coverage>,
}

/// The pixels that a shape may touch.
struct Window {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Canvas {
    /// A canvas over a background; `owners` are the anomalies whose visible share is followed.
    pub(crate) fn new(size: Size, background: Vec<Rgb>, owners: &[usize]) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        let pixels = width * height;
        debug_assert_eq!(background.len(), pixels);
        Self {
            width,
            height,
            colors: background,
            shade: vec![0.0; pixels],
            tracks: owners
                .iter()
                .map(|owner| Coverage {
                    owner: *owner,
                    share: vec![0.0; pixels],
                })
                .collect(),
        }
    }

    /// The followed anomalies that some pixel shows, and the box around all such pixels.
    pub(crate) fn visible(&self) -> Vec<(usize, SeenBox)> {
        let seen = |track: &Coverage| {
            let shares = track.share.iter().enumerate();
            let pixels = shares.filter(|(_, share)| **share >= VISIBLE);
            let places = pixels.map(|(i, _)| (i % self.width, i / self.width));
            let boxes = places.map(|(x, y)| [x, y, x, y]);
            let around = boxes.reduce(|a, b| {
                [
                    a[0].min(b[0]),
                    a[1].min(b[1]),
                    a[2].max(b[2]),
                    a[3].max(b[3]),
                ]
            });
            let [left, top, right, bottom] = around?;
            Some((
                track.owner,
                SeenBox {
                    left,
                    top,
                    right,
                    bottom,
                },
            ))
        };
        self.tracks.iter().filter_map(seen).collect()
    }

    /// Draws a part. `owner` is the anomaly that it belongs to, if it belongs to one.
    pub(crate) fn draw(&mut self, camera: &Camera, part: &Part, owner: Option<usize>) {
        match part {
            Part::Limb {
                a,
                b,
                ra,
                rb,
                color,
            } => {
                let (a, b) = (camera.project(*a), camera.project(*b));
                self.limb(a, b, ra * a.scale, rb * b.scale, *color, owner);
            }
            Part::Face { corners, color } => {
                let corners: Vec<Spot> = corners.iter().map(|c| camera.project(*c)).collect();
                self.face(&corners, *color, owner);
            }
        }
    }

    /// Darkens the ground where a part takes the sun from it.
    pub(crate) fn cast(&mut self, camera: &Camera, part: &Part) {
        match part {
            Part::Limb { a, b, ra, rb, .. } => {
                let (ga, gb) = (on_ground(*a), on_ground(*b));
                let (pa, pb) = (camera.project(ga), camera.project(gb));
                // Blur grows with the height of what casts the shadow, and a circle on the ground
                // is seen about half as high as wide.
                let blur = 0.6 + 0.03 * pa.scale * (0.5 + a.y.max(b.y));
                self.soft_limb(pa, pb, 0.75 * ra * pa.scale, 0.75 * rb * pb.scale, blur);
            }
            Part::Face { corners, .. } => {
                let spots: Vec<Spot> = corners
                    .iter()
                    .map(|corner| camera.project(on_ground(*corner)))
                    .collect();
                self.soft_face(&spots);
            }
        }
    }

    fn limb(&mut self, a: Spot, b: Spot, ra: f32, rb: f32, color: Rgb, owner: Option<usize>) {
        let Some(window) = self.window(&[a, b], ra.max(rb) + 1.0) else {
            return;
        };
        let rod = Rod::new(a, b, ra, rb);
        for y in window.top..window.bottom {
            for x in window.left..window.right {
                let (distance, radius, side) = rod.at(x as f32 + 0.5, y as f32 + 0.5);
                let cover = (radius + 0.5 - distance).clamp(0.0, 1.0) * (2.0 * radius).min(1.0);
                if cover > 0.0 {
                    // Round things are lighter towards the sun, which stands to the upper left.
                    let light = 1.0 + 0.2 * side.clamp(-1.0, 1.0);
                    self.blend(y * self.width + x, color.map(|c| c * light), cover, owner);
                }
            }
        }
    }

    fn soft_limb(&mut self, a: Spot, b: Spot, ra: f32, rb: f32, blur: f32) {
        let Some(window) = self.window(&[a, b], ra.max(rb) + blur + 1.0) else {
            return;
        };
        let rod = Rod::new(a, b, ra, rb);
        for y in window.top..window.bottom {
            for x in window.left..window.right {
                let (distance, radius, _) = rod.at(x as f32 + 0.5, y as f32 + 0.5);
                let cover = (0.5 + (radius - distance) / (2.0 * blur)).clamp(0.0, 1.0)
                    * (2.0 * radius).min(1.0);
                let shade = &mut self.shade[y * self.width + x];
                *shade = shade.max(cover);
            }
        }
    }

    fn face(&mut self, corners: &[Spot], color: Rgb, owner: Option<usize>) {
        let Some(window) = self.window(corners, 1.0) else {
            return;
        };
        let edges = edges(corners);
        for y in window.top..window.bottom {
            for x in window.left..window.right {
                let inside = depth_inside(&edges, x as f32 + 0.5, y as f32 + 0.5);
                let cover = (inside + 0.5).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(y * self.width + x, color, cover, owner);
                }
            }
        }
    }

    fn soft_face(&mut self, corners: &[Spot]) {
        let Some(window) = self.window(corners, 3.0) else {
            return;
        };
        let edges = edges(corners);
        for y in window.top..window.bottom {
            for x in window.left..window.right {
                let inside = depth_inside(&edges, x as f32 + 0.5, y as f32 + 0.5);
                let cover = (0.5 + inside / 3.0).clamp(0.0, 1.0);
                let shade = &mut self.shade[y * self.width + x];
                *shade = shade.max(cover);
            }
        }
    }

    fn blend(&mut self, pixel: usize, color: Rgb, cover: f32, owner: Option<usize>) {
        let under = &mut self.colors[pixel];
        for (under, over) in under.iter_mut().zip(color) {
            *under += (over - *under) * cover;
        }
        // What stands on the ground is not in the shadows that lie on it.
        self.shade[pixel] *= 1.0 - cover;
        for track in &mut self.tracks {
            let own = if Some(track.owner) == owner {
                cover
            } else {
                0.0
            };
            let share = &mut track.share[pixel];
            *share = *share * (1.0 - cover) + own;
        }
    }

    fn window(&self, spots: &[Spot], margin: f32) -> Option<Window> {
        let (mut left, mut right) = (f32::INFINITY, f32::NEG_INFINITY);
        let (mut top, mut bottom) = (f32::INFINITY, f32::NEG_INFINITY);
        for spot in spots {
            left = left.min(spot.u - margin);
            right = right.max(spot.u + margin);
            top = top.min(spot.v - margin);
            bottom = bottom.max(spot.v + margin);
        }
        // Casts from floats saturate, so that a place far outside the picture is no trouble.
        let window = Window {
            left: left.max(0.0) as usize,
            right: (right.max(0.0) as usize).saturating_add(1).min(self.width),
            top: top.max(0.0) as usize,
            bottom: (bottom.max(0.0) as usize)
                .saturating_add(1)
                .min(self.height),
        };
        let touches = right > 0.0 && bottom > 0.0;
        (touches && window.left < window.right && window.top < window.bottom).then_some(window)
    }
}

/// Where the sun's ray through a point meets the ground.
fn on_ground(point: Vec3) -> Vec3 {
    Vec3::new(point.x + 0.55 * point.y, 0.0, point.z + 0.15 * point.y)
}

/// A rod in the picture, ready for many questions.
struct Rod {
    a: Spot,
    du: f32,
    dv: f32,
    inverse: f32,
    ra: f32,
    dr: f32,
}

impl Rod {
    fn new(a: Spot, b: Spot, ra: f32, rb: f32) -> Self {
        let (du, dv) = (b.u - a.u, b.v - a.v);
        let square = du * du + dv * dv;
        Self {
            a,
            du,
            dv,
            inverse: if square > 1e-6 { 1.0 / square } else { 0.0 },
            ra,
            dr: rb - ra,
        }
    }

    /// For a place in the picture: its distance from the axis, the radius there, and how far it
    /// lies on the sunny side, in radii.
    fn at(&self, u: f32, v: f32) -> (f32, f32, f32) {
        let (pu, pv) = (u - self.a.u, v - self.a.v);
        let t = ((pu * self.du + pv * self.dv) * self.inverse).clamp(0.0, 1.0);
        let (nu, nv) = (pu - t * self.du, pv - t * self.dv);
        let radius = self.ra + t * self.dr;
        let side = (-0.7 * nu - 0.7 * nv) / radius.max(0.5);
        ((nu * nu + nv * nv).sqrt(), radius, side)
    }
}

/// Lines of a convex outline as (a, b, c) with a·u + b·v + c the distance to the inside.
fn edges(corners: &[Spot]) -> Vec<(f32, f32, f32)> {
    let pairs = || corners.iter().zip(corners.iter().cycle().skip(1));
    let area: f32 = pairs().map(|(p, q)| p.u * q.v - q.u * p.v).sum();
    let turn = if area < 0.0 { -1.0 } else { 1.0 };
    pairs()
        .filter_map(|(p, q)| {
            let (du, dv) = (q.u - p.u, q.v - p.v);
            let length = (du * du + dv * dv).sqrt();
            (length > 1e-4).then(|| {
                let (a, b) = (-dv / length * turn, du / length * turn);
                (a, b, -(a * p.u + b * p.v))
            })
        })
        .collect()
}

fn depth_inside(edges: &[(f32, f32, f32)], u: f32, v: f32) -> f32 {
    if edges.len() < 3 {
        return f32::NEG_INFINITY;
    }
    edges
        .iter()
        .map(|(a, b, c)| a * u + b * v + c)
        .fold(f32::INFINITY, f32::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 40,
        height: 30,
    };

    fn spot(u: f32, v: f32) -> Spot {
        Spot { u, v, scale: 1.0 }
    }

    fn blank(owners: &[usize]) -> Canvas {
        Canvas::new(SIZE, vec![[0.0; 3]; 1200], owners)
    }

    #[test]
    fn a_face_covers_its_area() {
        let mut canvas = blank(&[]);
        let square = [
            spot(5.0, 5.0),
            spot(15.0, 5.0),
            spot(15.0, 12.0),
            spot(5.0, 12.0),
        ];
        canvas.face(&square, [100.0; 3], None);
        let sum: f32 = canvas.colors.iter().map(|c| c[0]).sum();
        assert!((sum - 7000.0).abs() < 1.0, "{sum}");
    }

    #[test]
    fn a_covered_anomaly_is_not_visible() {
        let mut canvas = blank(&[3]);
        canvas.limb(
            spot(10.0, 10.0),
            spot(14.0, 10.0),
            2.0,
            2.0,
            [200.0; 3],
            Some(3),
        );
        // A limb from 10 to 14 that is 2 thick to all sides.
        let around = SeenBox {
            left: 8,
            top: 8,
            right: 15,
            bottom: 11,
        };
        assert_eq!(canvas.visible(), [(3, around)]);
        canvas.limb(spot(8.0, 10.0), spot(16.0, 10.0), 4.0, 4.0, [50.0; 3], None);
        assert!(canvas.visible().is_empty());
    }

    #[test]
    fn shapes_outside_the_picture_leave_it_alone() {
        let mut canvas = blank(&[0]);
        for (u, v) in [(-50.0, 10.0), (90.0, 10.0), (10.0, -50.0), (10.0, 1e9)] {
            canvas.limb(spot(u, v), spot(u + 3.0, v), 2.0, 2.0, [9.0; 3], Some(0));
            canvas.face(
                &[spot(u, v), spot(u + 5.0, v), spot(u, v + 5.0)],
                [9.0; 3],
                Some(0),
            );
        }
        assert!(canvas.visible().is_empty());
        assert!(canvas.colors.iter().all(|color| *color == [0.0; 3]));
    }
}
