//! Draws a contact sheet of the anomalies: a row for each kind, four frames from its clip.
//!
//! ```text
//! cargo run -p msn-synth --example anomalies -- anomalies.png
//! ```
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::error::Error;

use image::{RgbImage, imageops};
use msn_synth::{AnomalyKind, Plan, Renderer, Scene, Size, SynthOptions};

const COLUMNS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args()
        .nth(1)
        .unwrap_or("anomalies.png".to_owned());
    let size = Size::new(320, 240);
    let options = SynthOptions {
        size,
        ..SynthOptions::default()
    };
    let (plan, scene) = (Plan::new(&options), Scene::new(options.seed, size));
    let mut sheet = RgbImage::new(
        size.width * u32::try_from(COLUMNS)?,
        size.height * u32::try_from(AnomalyKind::ALL.len())?,
    );
    let mut top = 0;
    for kind in AnomalyKind::ALL {
        let Some(clip) = plan.test.iter().find(|clip| clip.kinds().contains(&kind)) else {
            continue;
        };
        let renderer = Renderer::new(&scene, clip);
        let shots: Vec<_> = (0..clip.frames())
            .step_by(4)
            .map(|index| renderer.shot(index))
            .filter(|shot| shot.anomalies.contains(&kind))
            .collect();
        let mut left = 0;
        for shot in shots
            .iter()
            .step_by((shots.len() / COLUMNS).max(1))
            .take(COLUMNS)
        {
            let pixels = shot.picture.pixels.clone();
            let frame = RgbImage::from_raw(size.width, size.height, pixels)
                .ok_or("a frame of another size")?;
            imageops::replace(&mut sheet, &frame, left, top);
            left += i64::from(size.width);
        }
        println!("{kind}: seen in about {} frames", 4 * shots.len());
        top += i64::from(size.height);
    }
    sheet.save(&file)?;
    println!("wrote {file}");
    Ok(())
}
