//! The fixed camera: metres on the plaza to pixels of the picture.
//!
//! World coordinates are metres: `x` to the right, `y` up from the ground, `z` away from the camera.

use std::ops::{Add, Mul, Sub};

use crate::angle::{cos, sin};
use msn_video::Size;

/// A point or direction in the world, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

impl Vec3 {
    pub(crate) const fn new(x: f32, y: f32, z: f32) -> Self {
        Self { x, y, z }
    }

    pub(crate) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(crate) fn cross(self, other: Self) -> Self {
        Self::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub(crate) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        Self::new(self.x * factor, self.y * factor, self.z * factor)
    }
}

/// A point of the picture: pixels from its upper left corner, and the distance behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub u: f32,
    pub v: f32,
    /// Pixels per metre at this depth.
    pub scale: f32,
}

/// Height of the camera above the ground, metres.
const HEIGHT: f32 = 7.0;
/// How far the camera looks down, radians.
const PITCH: f32 = 0.454;
/// Focal length in widths of the picture: 46 degrees from side to side.
const FOCAL: f32 = 1.175;
/// Nothing nearer than this is drawn, metres.
const NEAREST: f32 = 1.0;

/// A pinhole camera that stands still.
#[derive(Clone, Debug)]
pub(crate) struct Camera {
    centre_u: f32,
    centre_v: f32,
    focal: f32,
    forward: Vec3,
    up: Vec3,
}

impl Camera {
    pub(crate) fn new(size: Size) -> Self {
        let (width, height) = (size.width as f32, size.height as f32);
        Self {
            centre_u: width / 2.0,
            centre_v: height / 2.0,
            focal: FOCAL * width,
            forward: Vec3::new(0.0, -sin(PITCH), cos(PITCH)),
            up: Vec3::new(0.0, cos(PITCH), sin(PITCH)),
        }
    }

    /// Where the camera stands.
    pub(crate) fn position(&self) -> Vec3 {
        Vec3::new(0.0, HEIGHT, 0.0)
    }

    /// Distance of a point along the camera's axis, metres.
    pub(crate) fn depth(&self, point: Vec3) -> f32 {
        (point - self.position()).dot(self.forward)
    }

    /// The pixel that shows a point; points behind the camera are drawn at its nearest plane.
    pub(crate) fn project(&self, point: Vec3) -> Spot {
        let ray = point - self.position();
        let scale = self.focal / ray.dot(self.forward).max(NEAREST);
        Spot {
            u: self.centre_u + ray.x * scale,
            v: self.centre_v - ray.dot(self.up) * scale,
            scale,
        }
    }

    /// The direction in which a pixel looks, with length 1 along the camera's axis.
    pub(crate) fn ray(&self, u: f32, v: f32) -> Vec3 {
        self.forward
            + Vec3::new((u - self.centre_u) / self.focal, 0.0, 0.0)
            + self.up * ((self.centre_v - v) / self.focal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ray_meets_the_point_that_its_pixel_shows() {
        let camera = Camera::new(Size {
            width: 320,
            height: 240,
        });
        for point in [
            Vec3::new(-3.0, 0.0, 9.0),
            Vec3::new(2.0, 1.7, 20.0),
            Vec3::new(0.0, 4.0, 30.0),
        ] {
            let spot = camera.project(point);
            let met = camera.position() + camera.ray(spot.u, spot.v) * camera.depth(point);
            assert!((met - point).length() < 1e-3, "{point:?} {met:?}");
        }
    }

    #[test]
    fn things_further_away_are_smaller() {
        let camera = Camera::new(Size {
            width: 320,
            height: 240,
        });
        let near = camera.project(Vec3::new(0.0, 0.0, 9.0));
        let far = camera.project(Vec3::new(0.0, 0.0, 20.0));
        assert!(near.scale > 1.5 * far.scale && near.v > far.v);
    }
}
