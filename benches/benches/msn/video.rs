//! Decoding and resizing, batching, and scoring a video from file to score.

use anyhow::Result;
use benches::Harness;
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{Color, LoadOptions, LoadedVideo, Size, Video, clips, segments};
use msn_eval::{AnomalyScore, Scorer, SourceStep};
use msn_model::{Algorithm, Clips, CpuNet, Predictor};
use msn_synth::{ClipFormat, SynthOptions};
use msn_train::{Feed, Preset, Settings};
use msn_video::{Item, Options, open, open_ahead};

use crate::{assert_close, network::fresh};

/// A short video of people on a plaza, 320 x 240 pixels.
fn sample(harness: &Harness, folder: &Utf8Path) -> Result<Utf8PathBuf> {
    let output = if cfg!(feature = "ffmpeg") {
        ClipFormat::Videos
    } else {
        ClipFormat::Frames
    };
    let options = SynthOptions {
        train_clips: 1,
        test_clips: 1,
        seconds: if harness.options.short { 10.0 } else { 60.0 },
        output,
        ..SynthOptions::default()
    };
    let scene = folder.join("scene");
    msn_synth::write(&scene, &options, &mut |_, _| ())?;
    let clip = scene.join("train/1.mp4");
    Ok([clip, scene.join("train/01.mp4"), scene.join("train/01")]
        .into_iter()
        .find(|p| p.exists())
        .expect("the scene has a training clip"))
}

fn temporary() -> Result<(tempfile::TempDir, Utf8PathBuf)> {
    let dir = tempfile::tempdir()?;
    let path = Utf8PathBuf::try_from(dir.path().to_owned())?;
    Ok((dir, path))
}

const SIZE: Size = Size {
    width: 128,
    height: 128,
};

fn pixels(path: &Utf8Path, threads: usize) -> Result<Vec<u8>> {
    let options = Options {
        size: Some(SIZE),
        color: Color::Grey,
        threads,
        ..Options::default()
    };
    let mut all = Vec::new();
    for item in open(path, &options)? {
        if let Item::Frame(frame) = item? {
            all.extend_from_slice(&frame.picture.pixels);
        }
    }
    Ok(all)
}

/// Decoding and resizing to 128 px grey, beside the `ffmpeg` program.
pub fn decode(harness: &mut Harness) -> Result<()> {
    let subject = "decode and resize, 320 x 240 to 128 px grey";
    if !harness.wants(subject) {
        return Ok(());
    }
    let (_guard, folder) = temporary()?;
    let video = sample(harness, &folder)?;
    let threads = rayon::current_num_threads();
    let ours = pixels(&video, threads)?;
    let frames = ours.len() / (128 * 128);
    let per_run = Some((frames as f64, "frames"));
    let ffmpeg = || {
        std::process::Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-threads",
                &threads.to_string(),
                "-i",
                video.as_str(),
            ])
            .args(["-vf", "scale=128:128:flags=area,format=gray"])
            .args(["-f", "rawvideo", "-"])
            .output()
    };
    match ffmpeg() {
        Ok(output) if output.status.success() && video.is_file() => {
            assert_eq!(output.stdout.len(), ours.len(), "frames of ffmpeg");
            let difference = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
            let total: f64 = ours.iter().zip(&output.stdout).map(difference).sum();
            assert!(
                total / (ours.len() as f64) < 3.0,
                "pictures differ from ffmpeg's"
            );
            harness.time_per(subject, "ffmpeg program", per_run, || {
                let _ = ffmpeg();
            });
        }
        _ => harness.skip(subject, "no ffmpeg program to compare with"),
    }
    harness.time_per(subject, "msn-video", per_run, || {
        let _ = pixels(&video, threads);
    });
    Ok(())
}

/// Batches of clips for training.
pub fn batches(harness: &mut Harness) -> Result<()> {
    let subject = "batch of 8 clips, 64 px crops of 128 px";
    if !harness.wants(subject) {
        return Ok(());
    }
    let (_guard, folder) = temporary()?;
    let path = sample(harness, &folder)?;
    let options = LoadOptions::new(SIZE, Color::Grey);
    let videos = [LoadedVideo::load(&Video::new("clip", path), &options)?];
    let settings = Settings::preset(Preset::Cpu);
    let all = clips(&segments(&videos), settings.net.frames, 1);
    let chosen = &all[..8];
    let feed = Feed {
        videos: &videos,
        net: &settings.net,
        stride: 1,
        crop: 0,
        flip: false,
        brightness: 0.0,
        seed: 0,
    };
    // Pixel by pixel, as it is defined.
    let plain = || {
        let mut frames = Vec::new();
        for clip in chosen {
            for frame in clip.past(settings.net.frames, 1) {
                let Ok(pixels) = videos[0].frame(frame) else {
                    continue;
                };
                frames.extend((0..pixels.len()).map(|i| f32::from(pixels[i]) / 127.5 - 1.0));
            }
        }
        frames
    };
    assert_close("batch", &feed.batch(chosen, 0)?.frames, &plain(), 1e-6);
    harness.time(subject, "whole frames, plain", || {
        let _ = plain();
    });
    harness.time(subject, "whole frames", || {
        let _ = feed.batch(chosen, 0);
    });
    let crops = Feed { crop: 64, ..feed };
    let batch = crops.batch(chosen, 0)?;
    assert_eq!(batch.frames.len(), 8 * 4 * 64 * 64, "a crop of each frame");
    harness.time(subject, "crops", || {
        let _ = crops.batch(chosen, 0);
    });
    Ok(())
}

/// From a file to its scores, beside the network alone.
pub fn scoring(harness: &mut Harness) -> Result<()> {
    let preset = if harness.options.short {
        Preset::Tiny
    } else {
        Preset::Cpu
    };
    let settings = Settings::preset(preset);
    let (height, width) = (
        settings.input.height as usize,
        settings.input.width as usize,
    );
    let subject = format!("scoring a video, {preset}, {width} px");
    if !harness.wants(&subject) {
        return Ok(());
    }
    let (_guard, folder) = temporary()?;
    let path = sample(harness, &folder)?;
    let size = Size {
        width: settings.input.width,
        height: settings.input.height,
    };
    let options = LoadOptions::new(size, Color::Grey);
    let loaded = LoadedVideo::load(&Video::new("clip", path.clone()), &options)?;
    let net = CpuNet::new(&settings.net, &fresh(&settings), Algorithm::Fastest)?;
    let scorer = Scorer {
        predictor: &net,
        stride: 1,
        score: AnomalyScore::for_size(height, width),
    };
    let per_run = Some((loaded.frames() as f64, "frames"));
    // The network alone, on clips that lie ready, in the batches of a stream.
    let batches: Vec<Clips> = {
        let feed = Feed {
            videos: std::slice::from_ref(&loaded),
            net: &settings.net,
            stride: 1,
            crop: 0,
            flip: false,
            brightness: 0.0,
            seed: 0,
        };
        let all = clips(
            &segments(std::slice::from_ref(&loaded)),
            settings.net.frames,
            1,
        );
        all.chunks(8)
            .map(|c| feed.batch(c, 0))
            .collect::<Result<_, _>>()?
    };
    harness.time_per(&subject, "network alone", per_run, || {
        for batch in &batches {
            let _ = net.predict(batch);
        }
    });
    let expected = scorer.video(&loaded)?;
    let from_file = || -> Result<Vec<f64>> {
        let reader = open_ahead(
            &path,
            &Options {
                size: Some(options.size),
                color: Color::Grey,
                threads: rayon::current_num_threads(),
                ..Options::default()
            },
            None,
            16,
        )?;
        let mut scores = Vec::new();
        scorer.source("clip", reader, (height, width), None, &mut |seen| {
            if let SourceStep::Scored(scored) = seen {
                scores.push(scored.score.excess);
            }
            Ok(())
        })?;
        Ok(scores)
    };
    let ours = from_file()?;
    let whole: Vec<f64> = expected.iter().map(|s| s.excess).collect();
    assert_eq!(ours, whole, "scores of a stream and of a loaded video");
    harness.time_per(&subject, "from the file", per_run, || {
        let _ = from_file();
    });
    Ok(())
}
