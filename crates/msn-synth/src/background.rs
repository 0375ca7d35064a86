//! What never moves: paving, walkways, lawns, the building with its hedge, lamps, a bench.

use crate::angle::smoothstep;
use crate::camera::{Camera, Vec3};
use crate::canvas::{Canvas, Part, Rgb};
use crate::noise::{cloud, lattice, mix, value};
use crate::path::{PATHS, Path};
use crate::person::{darker, rod};
use msn_video::Size;

/// Where the building stands, metres from the camera along the ground.
const WALL: f32 = 29.0;
/// The hedge before it: place and height, metres.
const HEDGE: [f32; 2] = [28.0, 0.9];
/// Half the width of a walkway, metres.
const WALKWAY: f32 = 1.35;
/// What walkways are paved with.
pub(crate) const WALKWAY_PAVING: Rgb = [166.0, 139.0, 116.0];
/// The slabs of the rest of the plaza.
pub(crate) const SLABS: Rgb = [150.0, 148.0, 143.0];
/// Lawns: centre and half extents along x and z, metres.
const LAWNS: [[f32; 4]; 4] = [
    [-6.4, 18.3, 3.2, 1.1],
    [9.6, 18.2, 2.7, 1.2],
    [-7.6, 25.2, 4.6, 1.0],
    [5.9, 12.1, 2.6, 0.85],
];
/// Where the lamps stand, x and z in metres, and their height.
const LAMPS: [[f32; 2]; 3] = [[-3.3, 12.1], [3.9, 17.6], [-5.5, 20.0]];
const LAMP_HEIGHT: f32 = 3.6;
/// How much of the light a full shadow takes.
pub(crate) const SHADE: f32 = 0.42;

/// A standing thing and its distance from the camera, for drawing in order.
#[derive(Clone, Debug)]
pub(crate) struct Prop {
    pub depth: f32,
    pub parts: Vec<Part>,
}

/// The empty plaza as the camera sees it.
#[derive(Clone, Debug)]
pub(crate) struct Background {
    /// Ground, lawns and building, unlit.
    pub colors: Vec<Rgb>,
    /// Daylight at every pixel, about 1.
    pub daylight: Vec<f32>,
    /// Light of every lamp at every pixel, 0 to about 0.3.
    pub lamps: Vec<Vec<f32>>,
    /// What may hide a walker.
    pub props: Vec<Prop>,
}

impl Background {
    pub(crate) fn new(seed: u64, size: Size, camera: &Camera, paths: &[Path; PATHS]) -> Self {
        let pixels = size.width as usize * size.height as usize;
        let surface = Surface { seed, paths };
        let mut colors = Vec::with_capacity(pixels);
        let mut daylight = Vec::with_capacity(pixels);
        let mut lamps = vec![Vec::with_capacity(pixels); LAMPS.len()];
        let reach = 1.0 / (size.width as f32 * 0.5);
        for y in 0..size.height {
            for x in 0..size.width {
                let (u, v) = (x as f32, y as f32);
                let mut sum = [0.0; 3];
                for (du, dv) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let color = surface.seen(camera, u + du, v + dv);
                    for (sum, part) in sum.iter_mut().zip(color) {
                        *sum += part / 4.0;
                    }
                }
                colors.push(sum);
                let (cu, cv) = (u - size.width as f32 / 2.0, v - size.height as f32 / 2.0);
                daylight.push(1.0 - 0.10 * (cu * cu + cv * cv) * reach * reach);
                let (point, _) = hit(camera, u + 0.5, v + 0.5);
                for (light, [lx, lz]) in lamps.iter_mut().zip(LAMPS) {
                    let gap = point - Vec3::new(lx, LAMP_HEIGHT, lz);
                    let near = gap.dot(gap) / (LAMP_HEIGHT * LAMP_HEIGHT);
                    light.push(0.20 / (near * near));
                }
            }
        }
        let props = props(camera);
        let mut canvas = Canvas::new(size, colors, &[]);
        for part in props.iter().flat_map(|prop| &prop.parts) {
            canvas.cast(camera, part);
        }
        for (color, shade) in canvas.colors.iter_mut().zip(&canvas.shade) {
            *color = darker(*color, 1.0 - SHADE * shade);
        }
        // A lamp's own head would be infinitely bright.
        for light in lamps.iter_mut().flatten() {
            *light = light.min(0.3);
        }
        Self {
            colors: canvas.colors,
            daylight,
            lamps,
            props,
        }
    }
}

/// What a pixel's ray meets: the place, and whether it is the building or the hedge.
fn hit(camera: &Camera, u: f32, v: f32) -> (Vec3, Hit) {
    let (from, ray) = (camera.position(), camera.ray(u, v));
    let hedge = from + ray * (HEDGE[0] / ray.z.max(0.05));
    if ray.y < 0.0 {
        let ground = from + ray * (-from.y / ray.y);
        if ground.z < HEDGE[0] && ray.z > 0.0 || ray.z <= 0.0 {
            return (ground, Hit::Ground);
        }
    }
    if hedge.y < HEDGE[1] {
        return (hedge, Hit::Hedge);
    }
    (from + ray * (WALL / ray.z.max(0.05)), Hit::Wall)
}

#[derive(Clone, Copy, PartialEq)]
enum Hit {
    Ground,
    Hedge,
    Wall,
}

struct Surface<'a> {
    seed: u64,
    paths: &'a [Path; PATHS],
}

impl Surface<'_> {
    fn seen(&self, camera: &Camera, u: f32, v: f32) -> Rgb {
        let (point, what) = hit(camera, u, v);
        match what {
            Hit::Ground => {
                // Metres of ground that one pixel shows, from top to bottom.
                let spot = camera.project(point);
                let footprint = camera.depth(point) / (spot.scale * camera.position().y);
                self.ground(point, footprint)
            }
            Hit::Hedge => self.hedge(point),
            Hit::Wall => self.wall(point),
        }
    }

    fn ground(&self, point: Vec3, footprint: f32) -> Rgb {
        let away = self
            .paths
            .iter()
            .map(|path| path.distance_to(point))
            .fold(f32::INFINITY, f32::min);
        let on_lawn = LAWNS
            .iter()
            .map(|[x, z, rx, rz]| {
                let (dx, dz) = ((point.x - x) / rx, (point.z - z) / rz);
                (1.0 - (dx * dx + dz * dz).sqrt()) * rz
            })
            .fold(f32::NEG_INFINITY, f32::max);
        let dirt = 0.88 + 0.24 * cloud(self.seed ^ 11, point.x * 0.35, point.z * 0.35);
        let grain = 0.95 + 0.1 * value(self.seed ^ 12, point.x * 9.0, point.z * 9.0);
        let color = if on_lawn > 0.12 {
            let blades = cloud(self.seed ^ 13, point.x * 3.0, point.z * 3.0);
            [
                72.0 + 40.0 * blades,
                96.0 + 44.0 * blades,
                52.0 + 24.0 * blades,
            ]
        } else if on_lawn > 0.0 || (away - WALKWAY).abs() < 0.09 {
            [176.0, 174.0, 168.0]
        } else if away < WALKWAY {
            self.paved(point, [0.45, 0.3], 0.035, footprint, WALKWAY_PAVING, 14)
        } else {
            self.paved(point, [1.2, 1.2], 0.05, footprint, SLABS, 15)
        };
        darker(color, dirt * grain)
    }

    /// Slabs of a size with joints between them; detail below a pixel fades out.
    fn paved(
        &self,
        point: Vec3,
        slab: [f32; 2],
        joint: f32,
        footprint: f32,
        color: Rgb,
        salt: u64,
    ) -> Rgb {
        let row = (point.z / slab[1]).floor();
        let shift = 0.5 * (row - 2.0 * (row / 2.0).floor());
        let across = point.x / slab[0] + shift;
        let column = across.floor();
        let (fx, fz) = ((across - column) * slab[0], point.z - row * slab[1]);
        let edge = fx.min(slab[0] - fx).min(fz).min(slab[1] - fz);
        let detail = 1.0 - smoothstep(0.15, 0.6, footprint / slab[1]);
        let gap = (1.0 - smoothstep(joint * 0.4, joint * 0.6 + 0.02, edge)) * detail;
        let tint = lattice(mix(self.seed ^ salt), column as i32, row as i32) - 0.5;
        darker(
            color,
            (1.0 + 0.14 * tint * detail.max(0.25)) * (1.0 - 0.28 * gap),
        )
    }

    fn hedge(&self, point: Vec3) -> Rgb {
        let leaves = cloud(self.seed ^ 16, point.x * 2.5, point.y * 5.0);
        let height = 0.65 + 0.35 * point.y / HEDGE[1];
        darker(
            [
                58.0 + 34.0 * leaves,
                82.0 + 44.0 * leaves,
                46.0 + 20.0 * leaves,
            ],
            height,
        )
    }

    fn wall(&self, point: Vec3) -> Rgb {
        let bay = point.x / 3.4 - (point.x / 3.4).floor();
        let storey = point.y / 3.6 - (point.y / 3.6).floor();
        let window = (0.18..0.82).contains(&bay) && (0.26..0.82).contains(&storey);
        let stone = 0.9 + 0.2 * cloud(self.seed ^ 17, point.x * 0.9, point.y * 1.5);
        if !window {
            let base = if storey < 0.06 {
                [120.0, 112.0, 104.0]
            } else {
                [156.0, 138.0, 122.0]
            };
            return darker(base, stone);
        }
        let bar = (bay - 0.5).abs() < 0.012 || !(0.2..0.8).contains(&bay) || storey > 0.79;
        if bar {
            [196.0, 194.0, 188.0]
        } else {
            let sky = cloud(self.seed ^ 18, point.x * 0.5, point.y * 0.8);
            [60.0 + 50.0 * sky, 74.0 + 52.0 * sky, 88.0 + 52.0 * sky]
        }
    }
}

fn props(camera: &Camera) -> Vec<Prop> {
    const IRON: Rgb = [62.0, 66.0, 68.0];
    let mut props = Vec::new();
    for [x, z] in LAMPS {
        let at = |y: f32| Vec3::new(x, y, z);
        props.push(Prop {
            depth: camera.depth(at(0.0)),
            parts: vec![
                rod(at(0.0), at(0.5), 0.11, 0.08, IRON),
                rod(at(0.5), at(LAMP_HEIGHT - 0.2), 0.055, 0.045, IRON),
                rod(
                    at(LAMP_HEIGHT - 0.1),
                    at(LAMP_HEIGHT + 0.1),
                    0.17,
                    0.17,
                    [244.0, 236.0, 206.0],
                ),
                rod(
                    at(LAMP_HEIGHT + 0.28),
                    at(LAMP_HEIGHT + 0.28),
                    0.13,
                    0.05,
                    IRON,
                ),
            ],
        });
    }
    let (x, z) = (1.6, 11.9);
    let wood = [124.0, 92.0, 64.0];
    let slat = |y: f32, dz: f32| {
        rod(
            Vec3::new(x - 0.85, y, z + dz),
            Vec3::new(x + 0.85, y, z + dz),
            0.055,
            0.055,
            wood,
        )
    };
    let leg = |dx: f32, dz: f32| {
        rod(
            Vec3::new(x + dx, 0.0, z + dz),
            Vec3::new(x + dx, 0.42, z + dz),
            0.04,
            0.04,
            IRON,
        )
    };
    props.push(Prop {
        depth: camera.depth(Vec3::new(x, 0.0, z)),
        parts: vec![
            leg(-0.7, 0.3),
            leg(0.7, 0.3),
            slat(0.85, 0.36),
            slat(0.68, 0.33),
            slat(0.46, 0.22),
            slat(0.46, 0.1),
            slat(0.46, -0.02),
            leg(-0.7, 0.0),
            leg(0.7, 0.0),
        ],
    });
    props
}
