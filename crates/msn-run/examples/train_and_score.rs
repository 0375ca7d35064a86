//! Trains on a folder of footage, evaluates the test videos and scores one of them, without the
//! command line.
//!
//! Run with `cargo run -p msn-run --example train_and_score`. The footage is a small synthetic scene,
//! made on the spot.
#![allow(clippy::print_stdout, missing_docs)]

use std::error::Error;

use burn::backend::{Autodiff, Flex};
use camino::Utf8Path;
use msn_data::{DataSet, OpenOptions};
use msn_run::{BurnDevice, Model, Quiet, RunLocation, ScoreRequest, TrainRequest, score, train};
use msn_train::{Preset, Settings};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let folder = Utf8Path::from_path(folder.path()).ok_or("the temporary folder is no UTF-8")?;
    let (plaza, run) = (folder.join("plaza"), folder.join("run"));
    make_footage(&plaza)?;

    let device = BurnDevice::<Autodiff<Flex>>::new("flex", Default::default());
    let data = DataSet::open(&plaza, &OpenOptions::default())?;
    let mut settings = Settings::preset(Preset::Tiny);
    for setting in ["size=32", "width=4", "crop=0", "epochs=2"] {
        settings.set(setting)?;
    }
    let request = TrainRequest::new(settings, &data, RunLocation::At(run.clone()));
    train(&request, &device, &mut Quiet)?;

    let model = Model::open(&run)?;
    let sources = msn_data::sources(&[plaza.join("test/01").to_string()])?;
    let request = ScoreRequest {
        collect: false,
        model: &model,
        sources: &sources,
        folder_hz: data.folder_hz,
        temporary: folder,
    };
    let mut table = Vec::new();
    score(&request, &mut table, &device, &mut Quiet)?;

    let table = String::from_utf8(table)?;
    println!(
        "{} frames are scored, the last one:",
        table.lines().count() - 1
    );
    for line in table.lines().take(1).chain(table.lines().last()) {
        println!("{line}");
    }
    Ok(())
}

/// Short clips of a plaza, as folders of frames.
fn make_footage(folder: &Utf8Path) -> Result<(), msn_synth::SynthError> {
    let options = msn_synth::SynthOptions {
        train_clips: 4,
        test_clips: 1,
        seconds: 10.0,
        size: msn_synth::Size::new(64, 48),
        output: msn_synth::ClipFormat::Frames,
        ..Default::default()
    };
    msn_synth::write(folder, &options, &mut |_, _| ()).map(drop)
}
