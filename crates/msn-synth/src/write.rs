//! From plans to files.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::sync::mpsc;

use camino::Utf8Path;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use msn_video::Picture;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::io;
use crate::labels::{runs, table};
use crate::plan::{ClipPlan, Plan};
use crate::render::{Renderer, Scene};
use crate::target::{MARKER, Target};
use crate::{AnomalyKind, ClipFormat, LabelledAnomaly, SynthError, SynthOptions};

/// JPEG quality of frames, of 100.
const QUALITY: u8 = 92;

/// What was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Training clips.
    pub train_clips: usize,
    /// Test clips.
    pub test_clips: usize,
    /// Frames of all clips.
    pub frames: usize,
    /// The labels, in the order of `events.csv`.
    pub anomalies: Vec<LabelledAnomaly>,
}

/// Writes a synthetic scene to the folder `root`, which must be missing, empty, or a synthetic
/// scene written before, which it then replaces.
///
/// Everything is written to a folder next to `root` first and moved there when it is complete. `progress` is
/// called with the number of finished clips and of all clips.
///
/// # Errors
/// Options outside their ranges, a target that holds anything else, videos without FFmpeg, and
/// whatever the system or an encoder refuses. Nothing half-written stays.
pub fn write(
    root: &Utf8Path,
    options: &SynthOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Summary, SynthError> {
    options.check()?;
    if options.output == ClipFormat::Videos && !cfg!(feature = "ffmpeg") {
        return Err(SynthError::NoFfmpeg {
            path: root.to_owned(),
        });
    }
    let target = Target::new(root)?;
    let plan = Plan::new(options);
    let scene = Scene::new(options.seed, options.size);
    for half in ["train", "test"] {
        let folder = target.building.join(half);
        fs::create_dir(&folder).map_err(io("create", &folder))?;
    }
    let jobs: Vec<(&str, usize, &ClipPlan)> = plan
        .train
        .iter()
        .enumerate()
        .map(|(i, clip)| ("train", i, clip))
        .chain(
            plan.test
                .iter()
                .enumerate()
                .map(|(i, clip)| ("test", i, clip)),
        )
        .collect();
    let digits = options
        .train_clips
        .max(options.test_clips)
        .to_string()
        .len()
        .max(2);
    let (sender, receiver) = mpsc::channel();
    let anomalies = std::thread::scope(|scope| {
        let folder = &target.building;
        let (jobs, scene) = (&jobs, &scene);
        let work = scope.spawn(move || {
            jobs.par_iter()
                .map_with(sender, |sender, (half, i, clip)| {
                    let extension = if options.output == ClipFormat::Videos {
                        ".mp4"
                    } else {
                        ""
                    };
                    let name = format!("{:0digits$}{extension}", i + 1);
                    let path = folder.join(half).join(&name);
                    let seen = write_clip(&path, &Renderer::new(scene, clip), clip, options)?;
                    // Nobody listens when the caller's progress has panicked.
                    let _ = sender.send(());
                    Ok(runs(&name, &seen))
                })
                .collect::<Result<Vec<Vec<LabelledAnomaly>>, SynthError>>()
        });
        for (done, ()) in receiver.iter().enumerate() {
            progress(done + 1, jobs.len());
        }
        match work.join() {
            Ok(anomalies) => anomalies,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let anomalies: Vec<LabelledAnomaly> = anomalies.into_iter().flatten().collect();
    let file = target.building.join("events.csv");
    let labels = table(&anomalies, options).map_err(|e| io("write", &file)(e.into()))?;
    save(&file, &labels)?;
    let file = target.building.join(MARKER);
    let header = header(options).map_err(|source| SynthError::Options {
        path: file.clone(),
        source,
    })?;
    save(&file, header.as_bytes())?;
    target.finish()?;
    Ok(Summary {
        train_clips: plan.train.len(),
        test_clips: plan.test.len(),
        frames: jobs.iter().map(|(_, _, clip)| clip.frames()).sum(),
        anomalies,
    })
}

/// Writes one clip and returns the anomalies that each frame shows.
fn write_clip(
    path: &Utf8Path,
    renderer: &Renderer<'_>,
    clip: &ClipPlan,
    options: &SynthOptions,
) -> Result<Vec<Vec<AnomalyKind>>, SynthError> {
    let mut seen = Vec::with_capacity(clip.frames());
    match options.output {
        ClipFormat::Frames => {
            fs::create_dir(path).map_err(io("create", path))?;
            let digits = clip.frames().to_string().len().max(4);
            for index in 0..clip.frames() {
                let shot = renderer.shot(index);
                save_frame(&path.join(format!("{index:0digits$}.jpg")), &shot.picture)?;
                seen.push(shot.anomalies);
            }
        }
        #[cfg(feature = "ffmpeg")]
        ClipFormat::Videos => {
            let failed = |source| SynthError::Video {
                path: path.to_owned(),
                source,
            };
            let mut writer = msn_video::VideoWriter::create(path, options.size, options.rate_hz)
                .map_err(failed)?;
            for index in 0..clip.frames() {
                let shot = renderer.shot(index);
                writer.write(&shot.picture).map_err(failed)?;
                seen.push(shot.anomalies);
            }
            writer.finish().map_err(failed)?;
        }
        #[cfg(not(feature = "ffmpeg"))]
        ClipFormat::Videos => {
            return Err(SynthError::NoFfmpeg {
                path: path.to_owned(),
            });
        }
    }
    Ok(seen)
}

fn save_frame(path: &Utf8Path, picture: &Picture) -> Result<(), SynthError> {
    let file = fs::File::create(path).map_err(io("create", path))?;
    let mut file = BufWriter::new(file);
    JpegEncoder::new_with_quality(&mut file, QUALITY)
        .encode(
            &picture.pixels,
            picture.size.width,
            picture.size.height,
            ExtendedColorType::Rgb8,
        )
        .map_err(|source| SynthError::Frame {
            path: path.to_owned(),
            source,
        })?;
    file.flush().map_err(io("write", path))
}

fn save(path: &Utf8Path, bytes: &[u8]) -> Result<(), SynthError> {
    fs::write(path, bytes).map_err(io("write", path))
}

/// The options as they are written to the file that marks a synthetic scene.
#[derive(Serialize)]
struct Header {
    version: u32,
    /// As text: TOML has no numbers above 2^63.
    seed: String,
    train_clips: usize,
    test_clips: usize,
    seconds: f64,
    rate_hz: u32,
    width: u32,
    height: u32,
    output: ClipFormat,
}

/// The text of the file that marks a synthetic scene.
fn header(options: &SynthOptions) -> Result<String, toml::ser::Error> {
    let text = toml::to_string(&Header {
        version: 1,
        seed: options.seed.to_string(),
        train_clips: options.train_clips,
        test_clips: options.test_clips,
        seconds: options.seconds,
        rate_hz: options.rate_hz,
        width: options.size.width,
        height: options.size.height,
        output: options.output,
    })?;
    Ok(format!(
        "# A synthetic scene. It is replaced as a whole when it is made again.\n{text}"
    ))
}
