//! The self-test of a run: anomalies put into its calibration split.

use msn_data::{DataSet, FrameStore, LoadedVideo, Segment, calibration_split, segments};
use msn_eval::SelfTest;

use crate::{Devices, Model, Observer, RunError, Work, footage};

/// Puts anomalies into the normal footage that the training of a model did not see, and scores them
/// ([`msn_eval::self_test`]). `data` is the data set that was trained on; `seed` decides what is put
/// where.
///
/// # Errors
/// [`RunError::Uncalibrated`], [`RunError::OtherVideos`] where the data set is not that of the run,
/// and those of reading and scoring videos.
pub fn self_test(
    model: &Model,
    data: &DataSet,
    store: &FrameStore,
    seed: u64,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<SelfTest, RunError> {
    let calibration = model.calibration_for("the self-test")?;
    let load = model.load_options(data.folder_hz);
    let videos = footage::load(&data.train, &load, store, observer)?;
    let (split, donors) = parts(model, data, &videos)?;
    let predictor = devices.predictor(model).map_err(RunError::Device)?;
    let scorer = model.scorer(predictor.as_ref());
    let parts = (&split[..], &donors[..]);
    let mut progress = |done, all| observer.progress(&Work::SelfTest, done, Some(all));
    let test =
        msn_eval::self_test_watched(&scorer, calibration, &videos, parts, seed, &mut progress)?;
    Ok(test)
}

/// The segments of the run's calibration split, and the others.
fn parts(
    model: &Model,
    data: &DataSet,
    videos: &[LoadedVideo],
) -> Result<(Vec<Segment>, Vec<Segment>), RunError> {
    let meta = &model.weights.meta;
    let card = model.run.as_ref().map(|run| run.card()).transpose()?;
    let seed = model.seed().unwrap_or(0);
    let drawn = calibration_split(videos, meta.config.frames, meta.input.stride, seed);
    let Some(card) = card else {
        return Ok((drawn.calibration, drawn.train));
    };
    let names = card.data.calibration_split;
    let name = |s: &Segment| s.label(&videos[s.video]);
    if drawn.calibration.iter().map(name).eq(names.iter().cloned()) {
        return Ok((drawn.calibration, drawn.train));
    }
    // A manifest chose them.
    let all = segments(videos).into_iter();
    let (split, donors): (Vec<_>, Vec<_>) = all.partition(|s| names.contains(&name(s)));
    match split.len() == names.len() {
        true => Ok((split, donors)),
        false => Err(RunError::OtherVideos {
            root: data.root.clone(),
            calibration_split: names,
        }),
    }
}
