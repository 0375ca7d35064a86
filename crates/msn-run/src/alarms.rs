//! What scored videos leave to look at, with labels or without: `report.html`, `alarms.csv`,
//! `alarms.json`.

use camino::Utf8Path;
use msn_eval::{
    AlarmList, AlarmPicture, Evaluation, MemoryCard, Report, ReportImage, VideoAlarms, VideoScores,
    alarm_pictures, alarms_csv, report,
};

use crate::{
    Model, Notice, Observer, RunError,
    files::{write_file, write_json},
    strip,
};

/// Alarms with a picture.
const PICTURES: usize = 24;

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct ReportRequest<'a> {
    /// The network that scored.
    pub model: &'a Model,
    /// Name of what was scored.
    pub name: &'a str,
    /// The scored videos.
    pub videos: &'a [VideoScores],
    /// Their alarms, in the same order.
    pub alarms: &'a [VideoAlarms],
    /// Metrics, where there are labels.
    pub evaluation: Option<&'a Evaluation>,
    /// Images to be shown.
    pub images: &'a [ReportImage],
    /// What the memory has learned.
    pub memory: Option<&'a MemoryCard>,
    /// The command, to be noted.
    pub command: &'a str,
}

/// Writes `report.html`, `alarms.csv` and `alarms.json` into a folder. Sources are read again for the
/// pictures of the highest alarms; one that can't be read is a notice.
///
/// # Errors
/// [`RunError::Write`], [`RunError::Eval`] for scores that are not finite.
pub fn write_report(
    request: &ReportRequest<'_>,
    out: &Utf8Path,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let calibration = request.model.calibration.as_ref();
    write_file(
        &out.join("alarms.csv"),
        alarms_csv(request.alarms).as_bytes(),
    )?;
    let list = AlarmList::new(request.alarms, calibration);
    write_json(&out.join("alarms.json"), &list)?;
    let pictures = pictures(request.alarms, observer)?;
    let mut images = request.images.to_vec();
    let strip = request.model.run.as_ref().and_then(strip::newest);
    images.extend(strip.map(|(png, caption)| ReportImage {
        title: "What the network predicts".to_owned(),
        caption,
        png,
    }));
    let page = report(&Report {
        name: request.name,
        videos: request.videos,
        alarms: request.alarms,
        pictures: &pictures,
        evaluation: request.evaluation,
        meta: &request.model.weights.meta,
        calibration,
        images: &images,
        memory: request.memory,
        command: request.command,
    })?;
    write_file(&out.join("report.html"), page.as_bytes())
}

fn pictures(
    alarms: &[VideoAlarms],
    observer: &mut dyn Observer,
) -> Result<Vec<AlarmPicture>, RunError> {
    let pictures = alarm_pictures(alarms, PICTURES, &mut |video, error| {
        observer.notice(&Notice::NoPicture {
            video: video.video.clone(),
            reason: error.to_string(),
        });
    })?;
    Ok(pictures)
}

/// Says where the alarm threshold is an estimate.
pub(crate) fn note_threshold(model: &Model, observer: &mut dyn Observer) {
    let calibration = model.calibration.as_ref();
    let caveat = calibration.and_then(|c| c.alarm?.caveat(c.frames));
    if let Some(caveat) = caveat {
        observer.notice(&Notice::EstimatedThreshold(caveat));
    }
}

/// Says where a video's scores lie far from those of the calibration.
pub(crate) fn note_foreign(alarms: &VideoAlarms, observer: &mut dyn Observer) {
    if let Some(text) = alarms.foreign_text() {
        observer.notice(&Notice::Foreign {
            video: alarms.video.clone(),
            text,
        });
    }
}
