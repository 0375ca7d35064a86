//! Frames: the background, what moves before it, light, and the camera's noise.

use std::f32::consts::TAU;

use msn_video::{Color, Picture};

use crate::AnomalyKind;
use crate::angle::sin;
use crate::background::{Background, SHADE};
use crate::camera::Camera;
use crate::canvas::Canvas;
use crate::noise::{mix, unit};
use crate::path::{PATHS, Path, paths};
use crate::plan::ClipPlan;
use msn_video::Size;

/// The empty plaza and the camera before it, shared by all clips of a data set.
#[derive(Clone, Debug)]
pub struct Scene {
    size: Size,
    camera: Camera,
    paths: [Path; PATHS],
    background: Background,
}

impl Scene {
    /// Lays out the plaza of a seed as a camera of this picture size sees it.
    pub fn new(seed: u64, size: Size) -> Self {
        let camera = Camera::new(size);
        let paths = paths();
        let background = Background::new(seed, size, &camera, &paths);
        Self {
            size,
            camera,
            paths,
            background,
        }
    }

    /// The size of its pictures.
    pub fn size(&self) -> Size {
        self.size
    }
}

/// One rendered frame with the anomalies that it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    /// The frame, in colour.
    pub picture: Picture,
    /// The anomalies of which at least a quarter of some pixel is seen, in the order of the plan.
    /// An anomaly's shadow does not count.
    pub anomalies: Vec<AnomalyKind>,
    /// Where each of them is seen.
    pub boxes: Vec<SeenBox>,
}

/// The smallest rectangle around what is seen of something; pixels, all inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenBox {
    /// Leftmost column.
    pub left: usize,
    /// Topmost row.
    pub top: usize,
    /// Rightmost column.
    pub right: usize,
    /// Lowest row.
    pub bottom: usize,
}

/// Renders the frames of one clip, in any order: a frame depends on nothing but scene, plan and
/// index.
#[derive(Clone, Copy, Debug)]
pub struct Renderer<'a> {
    scene: &'a Scene,
    plan: &'a ClipPlan,
}

/// What to leave out of a frame; for tests of the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Without {
    /// An actor, by its number, while it is an anomaly.
    anomaly: Option<usize>,
    shadows: bool,
}

impl<'a> Renderer<'a> {
    /// A renderer of a clip in a scene of the same size as the plan was made for.
    pub fn new(scene: &'a Scene, plan: &'a ClipPlan) -> Self {
        Self { scene, plan }
    }

    /// Frame `index`, 0-based, with the anomalies that it shows.
    pub fn shot(&self, index: usize) -> Shot {
        self.shot_without(index, Without::default())
    }

    /// Frame `index`, 0-based.
    pub fn frame(&self, index: usize) -> Picture {
        self.shot(index).picture
    }

    /// Everybody and everything that moves or was brought and of which at least a quarter of some
    /// pixel is seen in frame `index`, anomalous or not.
    pub fn boxes(&self, index: usize) -> Vec<SeenBox> {
        let canvas = self.canvas(index, Without::default(), |_| true);
        canvas
            .visible()
            .into_iter()
            .map(|(_, around)| around)
            .collect()
    }

    fn shot_without(&self, index: usize, without: Without) -> Shot {
        let canvas = self.canvas(index, without, |anomalous| anomalous);
        let mut visible = canvas.visible();
        visible.sort_unstable();
        let kinds = visible.iter().filter_map(|(number, around)| {
            let (kind, _) = self.plan.actors[*number].anomaly.as_ref()?;
            Some((*kind, *around))
        });
        let (anomalies, boxes) = kinds.unzip();
        Shot {
            picture: Picture {
                size: self.scene.size,
                color: Color::Rgb,
                pixels: self.expose(&canvas, index),
            },
            anomalies,
            boxes,
        }
    }

    /// What is drawn of a frame; `followed` says of which actors it is kept where they are seen, given
    /// whether they are an anomaly.
    fn canvas(&self, index: usize, without: Without, followed: fn(bool) -> bool) -> Canvas {
        let Scene {
            size,
            camera,
            paths,
            background,
        } = self.scene;
        let seconds = self.plan.seconds(index);
        let mut cast: Vec<(f32, Option<usize>, &_)> = Vec::new();
        for (number, actor) in self.plan.actors.iter().enumerate() {
            let anomalous = actor
                .anomaly
                .as_ref()
                .is_some_and(|(_, during)| during.contains(&seconds));
            let left_out = anomalous && without.anomaly == Some(number);
            if actor.present.contains(&seconds) && !left_out {
                let depth = actor.depth(camera, paths, seconds);
                cast.push((depth, followed(anomalous).then_some(number), actor));
            }
        }
        cast.sort_by(|a, b| b.0.total_cmp(&a.0));
        let owners: Vec<usize> = cast.iter().filter_map(|(_, owner, _)| *owner).collect();
        let mut canvas = Canvas::new(*size, background.colors.clone(), &owners);
        let models: Vec<_> = cast
            .iter()
            .map(|(depth, owner, actor)| (*depth, *owner, actor.parts(camera, paths, seconds)))
            .collect();
        if !without.shadows {
            for part in models.iter().flat_map(|(_, _, parts)| parts) {
                canvas.cast(camera, part);
            }
        }
        let props = background
            .props
            .iter()
            .map(|prop| (prop.depth, None, &prop.parts));
        let mut bodies: Vec<_> = models
            .iter()
            .map(|(depth, owner, parts)| (*depth, *owner, parts))
            .chain(props)
            .collect();
        bodies.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, owner, parts) in bodies {
            for part in parts {
                canvas.draw(camera, part, owner);
            }
        }
        canvas
    }

    /// Lights the canvas and adds the noise of the sensor.
    fn expose(&self, canvas: &Canvas, index: usize) -> Vec<u8> {
        let background = &self.scene.background;
        let seconds = self.plan.seconds(index);
        let lamps: Vec<f32> = (0..background.lamps.len() as u64)
            .map(|lamp| self.flicker(lamp, index, seconds))
            .collect();
        let phase = TAU * unit(self.plan.seed ^ 71);
        let clouds =
            1.0 + 0.02 * sin(0.21 * seconds + phase) + 0.012 * sin(0.53 * seconds + 2.0 * phase);
        let stream = mix(self.plan.seed ^ mix(index as u64));
        let mut pixels = Vec::with_capacity(canvas.colors.len() * 3);
        for (i, color) in canvas.colors.iter().enumerate() {
            let sun = background.daylight[i] * clouds * (1.0 - SHADE * canvas.shade[i]) * 0.93;
            let light = lamps
                .iter()
                .zip(&background.lamps)
                .fold(sun, |light, (strength, map)| light + strength * map[i]);
            let bits = mix(stream.wrapping_add(i as u64)).to_le_bytes();
            // Four bytes together are close to a normal number with a deviation of 148.
            let common =
                (f32::from(bits[0]) + f32::from(bits[1]) + f32::from(bits[2]) + f32::from(bits[3])
                    - 510.0)
                    * (1.0 / 148.0);
            for (channel, value) in color.iter().enumerate() {
                let own = (f32::from(bits[4 + channel]) - 127.5) * (1.0 / 74.0);
                let lit = value * light;
                // Sensors are noisier where there is more light.
                let noise = (1.1 + 0.006 * lit) * common + 0.8 * own;
                pixels.push((lit + noise + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
        pixels
    }

    /// The strength of a lamp, about 1: a slow beat, jitter from frame to frame, rare dropouts.
    fn flicker(&self, lamp: u64, index: usize, seconds: f32) -> f32 {
        let key = self.plan.seed ^ mix(lamp + 1);
        let beat = sin(seconds * (2.6 + 0.7 * lamp as f32) + TAU * unit(key));
        let jitter = unit(key ^ mix(index as u64 + 1)) - 0.5;
        let dropout = unit(key ^ mix((index / 2) as u64 + (1 << 40))) < 0.015;
        let strength = 0.9 + 0.1 * beat + 0.16 * jitter;
        if dropout { 0.45 * strength } else { strength }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::actor::Look;
    use crate::canvas::{Rgb, VISIBLE};
    use crate::person::Load;
    use crate::{Plan, SynthOptions};

    /// A colour that the scene has nowhere else: without green, which all grounds have.
    const MAGENTA: Rgb = [255.0, 0.0, 255.0];

    fn repaint(look: &mut Look) {
        let body = match look {
            Look::OnFoot { body, luggage, .. } => {
                *luggage = None;
                body
            }
            Look::Bicycle { body, frame } => {
                *frame = MAGENTA;
                body
            }
            Look::Cart { body, paint } => {
                *paint = MAGENTA;
                body
            }
            Look::Suitcase { color } => {
                *color = MAGENTA;
                return;
            }
        };
        body.load = Load::Nothing;
        let parts = [
            &mut body.shirt,
            &mut body.trousers,
            &mut body.skin,
            &mut body.hair,
        ];
        for color in parts.into_iter().chain([&mut body.shoes]) {
            *color = MAGENTA;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        /// An anomaly is labelled where leaving it out changes the picture, and nowhere else.
        #[test]
        fn labels_are_visibility(seed: u64) {
            let options = SynthOptions {
                seed,
                train_clips: 1,
                test_clips: 3,
                seconds: 10.0,
                rate_hz: 5,
                size: Size { width: 96, height: 72 },
                ..SynthOptions::default()
            };
            let scene = Scene::new(seed, options.size);
            for mut plan in Plan::new(&options).test {
                let anomalous: Vec<usize> =
                    (0..plan.actors.len()).filter(|i| plan.actors[*i].anomaly.is_some()).collect();
                prop_assert_eq!(anomalous.len(), 2);
                for number in &anomalous {
                    repaint(&mut plan.actors[*number].look);
                }
                let renderer = Renderer::new(&scene, &plan);
                let frames = (0..plan.frames()).flat_map(|i| anomalous.iter().map(move |n| (i, *n)));
                for (index, number) in frames {
                    let kind = plan.actors[number].anomaly.as_ref().expect("an anomaly").0;
                    let whole = Without { anomaly: None, shadows: true };
                    let shot = renderer.shot_without(index, whole);
                    let other = renderer
                        .shot_without(index, Without { anomaly: Some(number), ..whole });
                    let differs = |step: usize, least: u8| {
                        let pixels = shot.picture.pixels.iter().zip(&other.picture.pixels);
                        pixels.skip(1).step_by(step).any(|(a, b)| a.abs_diff(*b) > least)
                    };
                    if shot.anomalies.contains(&kind) {
                        prop_assert!(differs(1, 3), "{kind} labelled but unseen in {index}");
                    } else {
                        // Green alone: what the anomaly hides of it is at most 255.
                        let least = (VISIBLE * 255.0) as u8;
                        prop_assert!(!differs(3, least), "{kind} seen, not labelled in {index}");
                    }
                    prop_assert!(!other.anomalies.contains(&kind));
                }
            }
        }
    }

    #[test]
    fn a_frame_depends_on_nothing_but_its_index() {
        let size = Size {
            width: 64,
            height: 48,
        };
        let options = SynthOptions {
            size,
            ..SynthOptions::default()
        };
        let (scene, plan) = (Scene::new(0, size), Plan::new(&options));
        let renderer = Renderer::new(&scene, &plan.test[1]);
        let later = renderer.shot(40);
        let earlier = renderer.shot(3);
        assert_eq!(renderer.shot(40), later);
        assert_eq!(renderer.shot(3), earlier);
        assert_ne!(earlier.picture.pixels, later.picture.pixels);
    }
}
