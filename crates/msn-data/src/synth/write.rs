//! From plans to files.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::sync::mpsc;

use camino::{Utf8Path, Utf8PathBuf};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use msn_video::Picture;
use rayon::prelude::*;

use super::plan::{ClipPlan, Plan};
use super::render::{Renderer, Scene};
use super::{Kind, Output, SynthError, SynthOptions};

/// The file by which a synthetic scene is known.
const MARK: &str = "synth.toml";
/// Everything that lies in the folder of a synthetic scene.
const CONTENTS: [&str; 4] = [MARK, "events.csv", "test", "train"];
/// JPEG quality of frames, of 100.
const QUALITY: u8 = 92;

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Training clips.
    pub train_clips: usize,
    /// Test clips.
    pub test_clips: usize,
    /// Frames of all clips.
    pub frames: usize,
    /// The labels, in the order of `events.csv`.
    pub events: Vec<Event>,
}

/// An unbroken run of frames that show an anomaly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The clip's path under `test/`: `03.mp4`, or `03` for a frame folder.
    pub video: String,
    /// The first frame, 0-based.
    pub start_frame: usize,
    /// One past the last frame.
    pub end_frame: usize,
    /// What is odd.
    pub kind: Kind,
}

/// Writes a synthetic scene to the folder `root`, which must be missing, empty, or a synthetic
/// scene written before, which it then replaces.
///
/// Everything is written beside `root` first and moved there when it is complete. `progress` is
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
    if options.output == Output::Videos && !cfg!(feature = "ffmpeg") {
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
    let events = std::thread::scope(|scope| {
        let folder = &target.building;
        let (jobs, scene) = (&jobs, &scene);
        let work = scope.spawn(move || {
            jobs.par_iter()
                .map_with(sender, |sender, (half, i, clip)| {
                    let extension = if options.output == Output::Videos {
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
                .collect::<Result<Vec<Vec<Event>>, SynthError>>()
        });
        for (done, ()) in receiver.iter().enumerate() {
            progress(done + 1, jobs.len());
        }
        match work.join() {
            Ok(events) => events,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let events: Vec<Event> = events.into_iter().flatten().collect();
    let file = target.building.join("events.csv");
    save(&file, &table(&events, options))?;
    save(&target.building.join(MARK), &options_text(options))?;
    target.finish()?;
    Ok(Summary {
        train_clips: plan.train.len(),
        test_clips: plan.test.len(),
        frames: jobs.iter().map(|(_, _, clip)| clip.frames()).sum(),
        events,
    })
}

/// Writes one clip and returns what is odd in every frame.
fn write_clip(
    path: &Utf8Path,
    renderer: &Renderer<'_>,
    clip: &ClipPlan,
    options: &SynthOptions,
) -> Result<Vec<Vec<Kind>>, SynthError> {
    let mut seen = Vec::with_capacity(clip.frames());
    match options.output {
        Output::Frames => {
            fs::create_dir(path).map_err(io("create", path))?;
            let digits = clip.frames().to_string().len().max(4);
            for index in 0..clip.frames() {
                let shot = renderer.shot(index);
                save_frame(&path.join(format!("{index:0digits$}.jpg")), &shot.picture)?;
                seen.push(shot.anomalies);
            }
        }
        #[cfg(feature = "ffmpeg")]
        Output::Videos => {
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
        Output::Videos => {
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

fn save(path: &Utf8Path, text: &str) -> Result<(), SynthError> {
    fs::write(path, text).map_err(io("write", path))
}

/// Unbroken runs of every kind, in order of their first frame.
fn runs(video: &str, seen: &[Vec<Kind>]) -> Vec<Event> {
    let mut events = Vec::new();
    for kind in Kind::ALL {
        let mut start_frame = None;
        for (index, kinds) in seen.iter().map(Vec::as_slice).chain([&[][..]]).enumerate() {
            match (start_frame, kinds.contains(&kind)) {
                (None, true) => start_frame = Some(index),
                (Some(first), false) => {
                    let video = video.to_owned();
                    events.push(Event {
                        video,
                        start_frame: first,
                        end_frame: index,
                        kind,
                    });
                    start_frame = None;
                }
                _ => {}
            }
        }
    }
    events.sort_by_key(|event| (event.start_frame, event.end_frame, event.kind));
    events
}

/// The text of `events.csv`.
fn table(events: &[Event], options: &SynthOptions) -> String {
    let mut text = match options.output {
        Output::Videos => "video,start,end,kind\n",
        Output::Frames => "video,start_frame,end_frame,kind\n",
    }
    .to_owned();
    for Event {
        video,
        start_frame,
        end_frame,
        kind,
    } in events
    {
        text += &match options.output {
            Output::Videos => {
                let seconds =
                    |frame: usize| ((frame as f64 - 0.5) / f64::from(options.rate_hz)).max(0.0);
                format!(
                    "{video},{:.4},{:.4},{kind}\n",
                    seconds(*start_frame),
                    seconds(*end_frame)
                )
            }
            Output::Frames => format!("{video},{start_frame},{end_frame},{kind}\n"),
        };
    }
    text
}

/// The text of the file that marks a synthetic scene.
fn options_text(options: &SynthOptions) -> String {
    let SynthOptions {
        seed,
        train_clips,
        test_clips,
        seconds,
        rate_hz,
        size,
        output,
    } = options;
    let output = match output {
        Output::Videos => "videos",
        Output::Frames => "frames",
    };
    format!(
        "# A synthetic scene. It is replaced as a whole when it is made again.\n\
         version = 1\nseed = \"{seed}\"\ntrain_clips = {train_clips}\ntest_clips = {test_clips}\n\
         seconds = {seconds:?}\nrate_hz = {rate_hz}\nwidth = {}\nheight = {}\noutput = \"{output}\"\n",
        size.width, size.height
    )
}

fn io<'a>(
    action: &'static str,
    path: &'a Utf8Path,
) -> impl FnOnce(std::io::Error) -> SynthError + 'a {
    move |source| SynthError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The folder to be, built beside its place.
struct Target {
    root: Utf8PathBuf,
    building: Utf8PathBuf,
    /// Whether a former scene has to make room.
    replaces: bool,
}

impl Target {
    fn new(root: &Utf8Path) -> Result<Self, SynthError> {
        let (root, replaces) = match fs::symlink_metadata(root) {
            Ok(_) => {
                // The folder itself is renamed: not a link to it, and by its name, not as `.`.
                let root = root.canonicalize_utf8().map_err(io("find", root))?;
                let replaces = is_former_scene(&root)?;
                (root, replaces)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (root.to_owned(), false),
            Err(error) => return Err(io("look at", root)(error)),
        };
        let parent = match root.parent() {
            Some(parent) if !parent.as_str().is_empty() => parent.to_owned(),
            Some(_) => Utf8PathBuf::from("."),
            None => {
                return Err(SynthError::NotOurs {
                    path: root,
                    found: "the whole file system".into(),
                });
            }
        };
        fs::create_dir_all(&parent).map_err(io("create", &parent))?;
        let name = root.file_name().unwrap_or_default();
        let building = parent.join(format!(".{name}.{}.partial", std::process::id()));
        // The folder that was asked for is what a user knows.
        fs::create_dir(&building).map_err(io("create", &root))?;
        Ok(Self {
            root,
            building,
            replaces,
        })
    }

    fn finish(self) -> Result<(), SynthError> {
        let old = self.building.with_extension("old");
        if self.replaces {
            fs::rename(&self.root, &old).map_err(io("move away", &self.root))?;
        } else if self.root.exists() {
            fs::remove_dir(&self.root).map_err(io("replace", &self.root))?;
        }
        if let Err(error) = fs::rename(&self.building, &self.root) {
            if self.replaces {
                // Best effort: the first error is the one to report.
                let _ = fs::rename(&old, &self.root);
            }
            return Err(io("create", &self.root)(error));
        }
        if self.replaces {
            fs::remove_dir_all(&old).map_err(io("remove", &old))?;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // After `finish` there is nothing left to remove.
        let _ = fs::remove_dir_all(&self.building);
    }
}

/// Whether a path that exists is a synthetic scene (true) or an empty folder (false).
fn is_former_scene(root: &Utf8Path) -> Result<bool, SynthError> {
    let not_ours = |found: String| SynthError::NotOurs {
        path: root.to_owned(),
        found,
    };
    if !root.is_dir() {
        return Err(not_ours("a file".into()));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(io("read", root))? {
        names.push(entry.map_err(io("read", root))?.file_name());
    }
    names.sort();
    if let Some(other) = names
        .iter()
        .find(|name| !CONTENTS.iter().any(|own| *name == own))
    {
        return Err(not_ours(other.to_string_lossy().into_owned()));
    }
    if !names.is_empty() && !names.iter().any(|name| name == MARK) {
        return Err(not_ours(format!(
            "{} but no {MARK}",
            names[0].to_string_lossy()
        )));
    }
    Ok(!names.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: [&[Kind]; 6] = [
        &[],
        &[Kind::Runner],
        &[Kind::Cart, Kind::Runner],
        &[Kind::Cart],
        &[],
        &[Kind::Runner],
    ];

    #[test]
    fn runs_are_unbroken_and_half_open() {
        let events = runs("03.mp4", &SEEN.map(<[Kind]>::to_vec));
        let short: Vec<_> = events
            .iter()
            .map(|event| (event.start_frame, event.end_frame, event.kind))
            .collect();
        assert_eq!(
            short,
            [
                (1, 3, Kind::Runner),
                (2, 4, Kind::Cart),
                (5, 6, Kind::Runner)
            ]
        );
    }

    #[test]
    fn seconds_lie_between_frames_and_frames_are_exact() {
        let events = runs("03", &[vec![Kind::Cart], vec![], vec![Kind::WrongWay]]);
        let mut options = SynthOptions {
            output: Output::Frames,
            ..SynthOptions::default()
        };
        assert_eq!(
            table(&events, &options),
            "video,start_frame,end_frame,kind\n03,0,1,cart\n03,2,3,wrong-way\n"
        );
        options.output = Output::Videos;
        assert_eq!(
            table(&events, &options),
            "video,start,end,kind\n03,0.0000,0.0500,cart\n03,0.1500,0.2500,wrong-way\n"
        );
    }
}
