//! What the memory pools of a run have learned, for reports and by itself.

use msn_data::{DataSet, FrameStore, LoadedVideo, OpenOptions, Segment, data_hash, segments};
use msn_eval::{EvalError, MemoryCard, SurveyOptions, survey};
use msn_model::fingerprint;

use crate::{
    Devices, Model, Notice, Observer, RunCard, RunError, RunFolder, files::write_json, footage,
};

/// What a report shows: enough to see what was learned, in a page of a sane size.
const IN_REPORTS: SurveyOptions = SurveyOptions {
    clips: 120,
    patches: 5,
};

/// The survey of a run's weights, for its reports.
const FILE: &str = "memory.json";

/// How a model's memory is used by the training part of a data set: what is not of the run's
/// calibration split.
///
/// # Errors
/// [`RunError::NoTrainingVideos`], those of reading the videos, or [`RunError::Eval`] for a network
/// without pools and footage without a clip.
pub fn survey_memory(
    model: &Model,
    data: &DataSet,
    store: &FrameStore,
    options: SurveyOptions,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<MemoryCard, RunError> {
    // Known without a look at the footage.
    if model.weights.meta.config.pools.is_empty() {
        return Err(EvalError::NoPools.into());
    }
    if data.train.is_empty() {
        return Err(RunError::NoTrainingVideos {
            root: data.root.clone(),
            layout: data.layout,
        });
    }
    observer.notice(&Notice::ReadingTraining {
        videos: data.train.len(),
        data: data.name.clone(),
    });
    let load = model.load_options(data.folder_hz);
    let videos = footage::load(&data.train, &load, store, observer)?;
    let card = model.run.as_ref().and_then(|run| run.card().ok());
    let origin = model.weights.meta.origin.get("data_hash");
    if let Some(trained) = card.as_ref().map(|c| &c.data.hash).or(origin)
        && *trained != data_hash(&videos)?
    {
        observer.notice(&Notice::OtherFootage {
            weights: model.path.clone(),
            data: data.root.clone(),
        });
    }
    let calibration_split = card.map_or_else(Vec::new, |card| card.data.calibration_split);
    let trained = trained_on(&videos, &calibration_split);
    look_up(model, &data.name, (&videos, &trained), options, devices)
}

/// What of the videos is not of the calibration split, whose parts are named as in a run's card.
fn trained_on(videos: &[LoadedVideo], calibration_split: &[String]) -> Vec<Segment> {
    let mut trained = Vec::new();
    for segment in segments(videos) {
        let name = &videos[segment.video].name;
        if calibration_split.contains(name) {
            continue;
        }
        let from = calibration_split.iter().find_map(|part| {
            let frames = part.strip_prefix(name.as_str())?.strip_prefix(" frames ")?;
            frames.split_once(" to ")?.0.parse::<usize>().ok()
        });
        // Such a part is the last one of its video.
        let end = segment.frames.end.min(from.unwrap_or(usize::MAX));
        if segment.frames.start < end {
            trained.push(Segment {
                frames: segment.frames.start..end,
                ..segment
            });
        }
    }
    trained
}

/// Looks footage up in the pools.
fn look_up(
    model: &Model,
    data: &str,
    footage: (&[LoadedVideo], &[Segment]),
    options: SurveyOptions,
    devices: &dyn Devices,
) -> Result<MemoryCard, RunError> {
    let network = devices.pools(model).map_err(RunError::Device)?;
    let weights = &model.weights;
    let stride = weights.meta.input.stride;
    Ok(survey(
        network.as_ref(),
        &weights.tensors,
        data,
        footage,
        stride,
        options,
    )?)
}

/// Surveys a fresh run's weights on what they were trained on, and keeps the card in the run folder.
/// `None` without pools.
pub(crate) fn of_training(
    run: &RunFolder,
    model: &Model,
    data: &str,
    footage: (&[LoadedVideo], &[Segment]),
    devices: &dyn Devices,
) -> Result<Option<MemoryCard>, RunError> {
    if model.weights.meta.config.pools.is_empty() {
        return Ok(None);
    }
    let card = look_up(model, data, footage, IN_REPORTS, devices)?;
    write_json(&run.path().join(FILE), &card)?;
    Ok(Some(card))
}

/// The memory of a run's weights for a report: as the run keeps it, else surveyed anew. `None`, with
/// a notice, where neither can be.
pub fn run_memory(
    model: &Model,
    store: &FrameStore,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Option<MemoryCard> {
    let run = model.run.as_ref()?;
    if model.weights.meta.config.pools.is_empty() {
        return None;
    }
    let kept = std::fs::read(run.path().join(FILE)).ok();
    let kept = kept.and_then(|bytes| MemoryCard::from_json(&bytes).ok());
    let ours = |c: &MemoryCard| c.weights == fingerprint(&model.weights.tensors);
    if let Some(kept) = kept.filter(ours) {
        return Some(kept);
    }
    let surveyed = survey_anew(model, &run.card().ok()?, store, devices, observer);
    surveyed
        .map_err(|error| observer.notice(&Notice::NoMemoryReport(Box::new(error))))
        .ok()
}

fn survey_anew(
    model: &Model,
    card: &RunCard,
    store: &FrameStore,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<MemoryCard, RunError> {
    let set = DataSet::open(&card.data.path, &OpenOptions::default())?;
    survey_memory(model, &set, store, IN_REPORTS, devices, observer)
}

#[cfg(test)]
mod tests {
    use msn_data::{Color, Size};

    use super::*;

    #[test]
    fn the_calibration_split_is_not_surveyed() {
        let video = |name: &str, frames| {
            LoadedVideo::from_pixels(name, Size::new(1, 1), Color::Grey, &vec![0; frames]).unwrap()
        };
        let videos = [video("a", 10), video("a b", 20), video("c", 30)];
        let split = ["a", "c frames 25 to 30"].map(str::to_owned);
        let found = trained_on(&videos, &split);
        let found: Vec<_> = found.iter().map(|s| (s.video, s.frames.clone())).collect();
        assert_eq!(found, [(1, 0..20), (2, 0..25)]);
    }
}
