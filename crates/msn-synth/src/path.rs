//! Where things go: directed walkways over the plaza, and motion along them.

use crate::angle::sin;
use crate::camera::Vec3;

/// A walkway with the direction in which everybody uses it.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    points: Vec<Vec3>,
    /// Distance from the start to every point, metres.
    along: Vec<f32>,
}

/// A position on a walkway and the direction of travel there (length 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub point: Vec3,
    pub forward: Vec3,
}

/// The walkways of the plaza: near, middle, far, and one that crosses them.
pub(crate) const PATHS: usize = 4;
/// The walkway nearest to the camera, from left to right.
pub(crate) const NEAR: usize = 0;
/// The walkway across the middle of the picture, from right to left.
pub(crate) const MIDDLE: usize = 1;
/// The walkway along the building, from left to right.
pub(crate) const FAR: usize = 2;
/// The walkway from the far right to the near left.
pub(crate) const CROSSING: usize = 3;

/// All walkways, by the constants above.
pub(crate) fn paths() -> [Path; PATHS] {
    let ground = |x: f32, z: f32| Vec3::new(x, 0.0, z);
    [
        Path::new([
            ground(-10.0, 9.2),
            ground(-4.0, 9.5),
            ground(4.0, 9.8),
            ground(10.0, 9.4),
        ]),
        Path::new([
            ground(13.0, 15.2),
            ground(5.0, 14.9),
            ground(-4.0, 14.5),
            ground(-13.0, 15.0),
        ]),
        Path::new([
            ground(-17.0, 22.3),
            ground(-5.0, 22.0),
            ground(5.0, 21.6),
            ground(17.0, 22.0),
        ]),
        Path::new([
            ground(18.0, 26.5),
            ground(7.0, 22.0),
            ground(0.0, 13.0),
            ground(-9.5, 6.5),
        ]),
    ]
}

impl Path {
    /// The Bézier curve with these control points.
    fn new(control: [Vec3; 4]) -> Self {
        let points: Vec<Vec3> = (0u16..=64)
            .map(|i| {
                let t = f32::from(i) / 64.0;
                let r = 1.0 - t;
                control[0] * (r * r * r)
                    + control[1] * (3.0 * r * r * t)
                    + control[2] * (3.0 * r * t * t)
                    + control[3] * (t * t * t)
            })
            .collect();
        let mut along = vec![0.0];
        for pair in points.windows(2) {
            along.push(along[along.len() - 1] + (pair[1] - pair[0]).length());
        }
        Self { points, along }
    }

    pub(crate) fn length(&self) -> f32 {
        self.along[self.along.len() - 1]
    }

    /// The position `distance` metres from the start; the ends go on straight.
    pub(crate) fn at(&self, distance: f32) -> Position {
        let last = self.points.len() - 2;
        let piece = self
            .along
            .partition_point(|start| *start <= distance)
            .saturating_sub(1)
            .min(last);
        let (from, to) = (self.points[piece], self.points[piece + 1]);
        let length = self.along[piece + 1] - self.along[piece];
        let forward = (to - from) * (1.0 / length);
        Position {
            point: from + forward * (distance - self.along[piece]),
            forward,
        }
    }

    /// Distance of a point of the ground from the walkway's axis, metres.
    pub(crate) fn distance_to(&self, point: Vec3) -> f32 {
        // Every fourth point is enough for walkways that bend so gently.
        let coarse = || self.points.iter().step_by(4);
        let nearest = coarse()
            .zip(coarse().skip(1))
            .map(|(from, to)| {
                let (axis, offset) = (*to - *from, point - *from);
                let t = (offset.dot(axis) / axis.dot(axis)).clamp(0.0, 1.0);
                let gap = offset - axis * t;
                gap.dot(gap)
            })
            .fold(f32::INFINITY, f32::min);
        nearest.sqrt()
    }
}

/// Speed at a time, metres per second; linear between two of them, constant outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpeedPoint {
    pub seconds: f32,
    pub speed: f32,
}

/// How one actor moves along a walkway.
#[derive(Clone, Debug)]
pub(crate) struct Motion {
    pub path: usize,
    /// Against the direction in which everybody else uses the walkway.
    pub reversed: bool,
    /// Distance to the right of the axis, as the actor sees it, metres.
    pub offset: f32,
    /// Distance from the start at the first pace's time, metres.
    pub start: f32,
    /// In order of time; at least one.
    pub paces: Vec<SpeedPoint>,
    /// Where in its slow drift from side to side it starts, radians.
    pub drift: f32,
}

impl Motion {
    /// Steady motion that has come `start` metres far at `seconds`.
    pub(crate) fn steady(path: usize, offset: f32, seconds: f32, start: f32, speed: f32) -> Self {
        Self {
            path,
            reversed: false,
            offset,
            start,
            paces: vec![SpeedPoint { seconds, speed }],
            drift: 0.0,
        }
    }

    /// Metres from the start at a time.
    pub(crate) fn distance(&self, seconds: f32) -> f32 {
        let first = self.paces[0];
        if seconds <= first.seconds {
            return self.start + first.speed * (seconds - first.seconds);
        }
        let mut covered = self.start;
        for pair in self.paces.windows(2) {
            let [from, to] = [pair[0], pair[1]];
            let end = seconds.min(to.seconds);
            let span = end - from.seconds;
            let slope = (to.speed - from.speed) / (to.seconds - from.seconds);
            covered += span * (from.speed + 0.5 * slope * span);
            if seconds <= to.seconds {
                return covered;
            }
        }
        let last = self.paces[self.paces.len() - 1];
        covered + last.speed * (seconds - last.seconds)
    }

    /// Metres per second at a time.
    pub(crate) fn speed(&self, seconds: f32) -> f32 {
        let after = self.paces.partition_point(|pace| pace.seconds <= seconds);
        if after == 0 {
            return self.paces[0].speed;
        }
        let from = self.paces[after - 1];
        self.paces.get(after).map_or(from.speed, |to| {
            from.speed
                + (to.speed - from.speed) * (seconds - from.seconds) / (to.seconds - from.seconds)
        })
    }

    /// Where the actor is at a time.
    pub(crate) fn position(&self, paths: &[Path; PATHS], seconds: f32) -> Position {
        let path = &paths[self.path];
        let distance = self.distance(seconds);
        let mut position = path.at(if self.reversed {
            path.length() - distance
        } else {
            distance
        });
        if self.reversed {
            position.forward = position.forward * -1.0;
        }
        let offset = self.offset + 0.07 * sin(distance * 0.55 + self.drift);
        position.point = position.point + right_of(position.forward) * offset;
        position
    }
}

/// The direction to the right of a direction on the ground.
pub(crate) fn right_of(forward: Vec3) -> Vec3 {
    Vec3::new(forward.z, 0.0, -forward.x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_continuous_and_measured() {
        for path in paths() {
            let mut before = path.at(-2.0).point;
            let mut distance = -2.0;
            while distance < path.length() + 2.0 {
                distance += 0.05;
                let here = path.at(distance);
                assert!(
                    ((here.point - before).length() - 0.05).abs() < 2e-3,
                    "{distance}"
                );
                assert!((here.forward.length() - 1.0).abs() < 1e-4);
                before = here.point;
            }
        }
    }

    #[test]
    fn the_distance_to_a_path_is_that_to_its_nearest_place() {
        for path in paths() {
            for (distance, aside) in [(3.0, 0.0), (9.0, 0.7), (12.5, -1.3)] {
                let position = path.at(distance);
                let point = position.point + right_of(position.forward) * aside;
                assert!((path.distance_to(point) - aside.abs()).abs() < 0.03);
            }
        }
    }

    #[test]
    fn distance_is_the_integral_of_speed() {
        let pace = |seconds, speed| SpeedPoint { seconds, speed };
        let motion = Motion {
            paces: vec![
                pace(2.0, 1.5),
                pace(3.0, 0.0),
                pace(5.0, 0.0),
                pace(5.5, 2.0),
            ],
            ..Motion::steady(NEAR, 0.0, 0.0, 4.0, 1.0)
        };
        let mut covered = motion.distance(0.0);
        for step in 0u16..800 {
            let seconds = f32::from(step) * 0.01;
            covered += 0.01 * motion.speed(seconds + 0.005);
            let error = (motion.distance(seconds + 0.01) - covered).abs();
            assert!(error < 2e-3, "{seconds} {error}");
        }
        assert!((motion.distance(3.0) - motion.distance(5.0)).abs() < 1e-6);
    }

    #[test]
    fn the_wrong_way_is_the_way_back() {
        let paths = paths();
        let there = Motion::steady(MIDDLE, 0.3, 0.0, 3.0, 1.4);
        let back = Motion {
            reversed: true,
            ..there.clone()
        };
        let heading = there.position(&paths, 2.0).forward.x;
        assert!(heading < 0.0 && back.position(&paths, 2.0).forward.x > 0.0);
        assert!(back.position(&paths, 4.0).point.x > back.position(&paths, 2.0).point.x);
    }
}
