//! What a data set holds, and what is wrong with it.

mod text;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::{Color, Item, Options, Size};
use rayon::prelude::*;
use serde::Serialize;

use crate::labels::Timing;
use crate::labels::masks::Masks;
use crate::loading::loss_text;
use crate::{
    Annotation, DataError, DataSet, DatasetLayout, FrameLabels, Labels, OpenOptions, PassedOver,
    RegionSource, Sheet, Video,
};

/// What was found in a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The folder that was checked.
    pub root: Utf8PathBuf,
    /// The folder's name.
    pub name: String,
    /// The layout it was read in.
    pub layout: DatasetLayout,
    /// The name in its sheet.
    pub sheet: Option<String>,
    /// Training videos.
    pub train: SplitCheck,
    /// Test videos.
    pub test: SplitCheck,
    /// Frame labels.
    pub labels: Option<LabelCheck>,
    /// Counts, compared with those of the sheet.
    pub counts: Vec<CountCheck>,
    /// Files and folders that were found and are not used.
    pub passed_over: Vec<PassedOver>,
    /// What is wrong, errors first.
    pub problems: Vec<Problem>,
    /// Known traps of this data set, from its sheet.
    pub traps: Vec<String>,
}

/// Videos of one part of a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SplitCheck {
    /// Videos.
    pub videos: usize,
    /// Frames, lost ones included.
    pub frames: usize,
    /// Frames that can't be decoded.
    pub lost: usize,
    /// Frames of the shortest video.
    pub shortest: usize,
    /// Frames of the longest video.
    pub longest: usize,
    /// Sizes of the pictures, with the number of videos of each.
    pub sizes: Vec<SizeCount>,
    /// Frames a second, with the number of videos of each.
    pub rates: Vec<RateCount>,
}

/// How many videos have a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SizeCount {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Videos of this size.
    pub videos: usize,
}

/// How many videos have a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RateCount {
    /// Frames a second; none where the source has no rate.
    pub rate_hz: Option<f64>,
    /// Videos of this rate.
    pub videos: usize,
}

/// Frame labels of the test videos.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelCheck {
    /// The format, in words.
    pub format: String,
    /// Files or folder that are used.
    pub paths: Vec<Utf8PathBuf>,
    /// Blake3 of what is used: the first 16 hexadecimal digits.
    pub hash: String,
    /// Labels that were found and are not used.
    pub unused: Vec<Utf8PathBuf>,
    /// Anomalous frames.
    pub anomalous: usize,
    /// Anomalous spans.
    pub spans: usize,
    /// Videos without an anomalous frame.
    pub normal_throughout: Vec<String>,
    /// Videos without a normal frame.
    pub anomalous_throughout: Vec<String>,
    /// The sheet's note on the version with this count.
    pub version: Option<String>,
}

/// A count and that of the sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountCheck {
    /// What is counted.
    pub what: String,
    /// The count in the sheet.
    pub expected: usize,
    /// What is there.
    pub found: usize,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Training or evaluation will refuse.
    Error,
    /// Worth knowing.
    Warning,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file or folder, where it is about one.
    pub path: Option<Utf8PathBuf>,
    /// What is wrong, in a sentence.
    pub reason: String,
}

impl Check {
    /// Whether nothing will be refused.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.problems.iter().any(|p| p.severity == Severity::Error)
    }
}

/// Opens a data set, decodes every frame, fits the labels and lists what is wrong.
///
/// # Errors
/// Those of [`DataSet::open`] where no videos are found; everything else is a problem in the
/// result.
pub fn check(root: &Utf8Path, options: &OpenOptions) -> Result<Check, DataError> {
    let (mut set, label_error) = DataSet::open_leniently(root, options)?;
    let mut problems = Vec::new();
    problems.extend(
        label_error
            .as_ref()
            .map(|e| problem(Severity::Error, None, e)),
    );
    let warnings = std::mem::take(&mut set.warnings);
    problems.extend(warnings.iter().map(|w| problem(Severity::Warning, None, w)));
    let train = look_at_all(&set.train);
    let test = look_at_all(&set.test);
    for look in train.iter().chain(&test) {
        problems.extend(look.problems.iter().cloned());
    }
    for video in &set.test {
        let long = video.name_too_long();
        problems.extend(long.map(|why| problem(Severity::Error, Some(&video.source), &why)));
    }
    let fitted = fit_all(&set, &test, &mut problems);
    let train = summary(&train);
    let test = summary(&test);
    if let (Some(ours), Some(theirs)) = (one_rate(&train), one_rate(&test))
        && (ours - theirs).abs() > 0.01
    {
        let reason = format!(
            "training videos have {ours} frames a second, test videos {theirs}: \
             what a frame ahead means differs"
        );
        problems.push(problem(Severity::Warning, None, &reason));
    }
    let labels = label_check(&set, &fitted);
    let counts = counts(&set, &train, &test, labels.as_ref());
    for count in counts.iter().filter(|c| c.expected != c.found) {
        let reason = format!(
            "{}: {} are here, the sheet of {} has {}",
            count.what,
            count.found,
            set.sheet.as_ref().map_or("", |s| s.name.as_str()),
            count.expected
        );
        problems.push(problem(Severity::Warning, None, &reason));
    }
    problems.sort_by_key(|p| p.severity);
    Ok(Check {
        root: set.root,
        name: set.name,
        layout: set.layout,
        sheet: set.sheet.as_ref().map(|sheet| sheet.name.clone()),
        train,
        test,
        labels,
        counts,
        passed_over: set.passed_over,
        problems,
        traps: set.sheet.map_or_else(Vec::new, |sheet| sheet.traps),
    })
}

fn problem(severity: Severity, path: Option<&Utf8Path>, reason: &impl ToString) -> Problem {
    Problem {
        severity,
        path: path.map(Utf8Path::to_owned),
        reason: reason.to_string(),
    }
}

/// What one look through a video finds.
#[derive(Debug, Default)]
struct Look {
    seconds: Vec<Option<f64>>,
    lost: usize,
    size: Option<Size>,
    rate_hz: Option<f64>,
    problems: Vec<Problem>,
}

fn look_at_all(videos: &[Video]) -> Vec<Look> {
    videos.par_iter().map(look_at).collect()
}

fn look_at(video: &Video) -> Look {
    let mut look = Look::default();
    if let Err(error) = look.decode(&video.source) {
        look.problems
            .push(problem(Severity::Error, Some(&video.source), &error));
    } else if look.seconds.len() == look.lost {
        let reason = "no frame of it decodes";
        look.problems
            .push(problem(Severity::Error, Some(&video.source), &reason));
    }
    look.numbering(&video.source);
    look
}

impl Look {
    fn decode(&mut self, source: &Utf8Path) -> Result<(), DataError> {
        // Decoded pictures are thrown away, so they are made small.
        let options = Options {
            size: Some(Size {
                width: 8,
                height: 8,
            }),
            color: Color::Grey,
            threads: 1,
            ..Options::default()
        };
        let mut reader = msn_video::open(source, &options)?;
        let mut first_reason = None;
        for item in &mut reader {
            match item? {
                Item::Frame(frame) => {
                    self.seconds.resize(frame.index, None);
                    self.seconds.push(frame.seconds);
                }
                Item::Lost(lost) => {
                    self.seconds.resize(lost.index + 1, None);
                    first_reason.get_or_insert(lost.reason);
                }
            }
        }
        let (info, errors) = (reader.info(), reader.decode_errors());
        self.size = Some(info.size);
        let pace = msn_video::pace(&info.source).ok().flatten();
        let own = pace.map(|pace| pace.rate_near(info.rate_hz));
        self.rate_hz = own.or(info.rate_hz);
        self.lost = errors.lost;
        for note in &info.notes {
            self.problems
                .push(problem(Severity::Warning, Some(source), note));
        }
        if !errors.is_empty() {
            let frames = self.seconds.len();
            let too_many = matches!(info.kind, msn_video::SourceKind::Folder)
                && errors.lost.saturating_mul(20) > frames;
            let severity = if too_many {
                Severity::Error
            } else {
                Severity::Warning
            };
            let reason = first_reason.or_else(|| errors.reasons.first().cloned());
            let reason = reason.as_deref().unwrap_or("no reason given");
            let reason = loss_text(errors, frames, reason);
            self.problems.push(problem(severity, Some(source), &reason));
        }
        Ok(())
    }

    /// Frames of a folder are numbered without gaps, or some are missing.
    fn numbering(&mut self, source: &Utf8Path) {
        if !source.is_dir() {
            return;
        }
        let Ok(listing) = msn_video::frame_listing(source) else {
            return;
        };
        if !listing.is_numbered() {
            return;
        }
        let files = listing.frames.into_iter().map(|frame| frame.path);
        let number = |file: &Utf8PathBuf| -> Option<u64> {
            let stem = file.file_stem()?;
            let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            stem[stem.len() - digits..].parse().ok()
        };
        let numbers: Option<Vec<u64>> = files.map(|file| number(&file)).collect();
        let Some(numbers) = numbers else { return };
        for pair in numbers.windows(2) {
            if let &[before, after] = pair
                && after != before + 1
            {
                let reason = format!(
                    "frame {after} follows frame {before}: frames are missing or twice there, \
                     and clips run across"
                );
                self.problems
                    .push(problem(Severity::Warning, Some(source), &reason));
                return;
            }
        }
    }
}

fn summary(looks: &[Look]) -> SplitCheck {
    let mut sizes: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    let mut rates: Vec<RateCount> = Vec::new();
    for look in looks {
        if let Some(size) = look.size {
            *sizes.entry((size.width, size.height)).or_default() += 1;
            match rates.iter_mut().find(|r| r.rate_hz == look.rate_hz) {
                Some(rate) => rate.videos += 1,
                None => rates.push(RateCount {
                    rate_hz: look.rate_hz,
                    videos: 1,
                }),
            }
        }
    }
    let lengths = || looks.iter().map(|look| look.seconds.len());
    SplitCheck {
        videos: looks.len(),
        frames: lengths().sum(),
        lost: looks.iter().map(|look| look.lost).sum(),
        shortest: lengths().min().unwrap_or(0),
        longest: lengths().max().unwrap_or(0),
        sizes: sizes
            .into_iter()
            .map(|((width, height), videos)| SizeCount {
                width,
                height,
                videos,
            })
            .collect(),
        rates,
    }
}

/// The rate of a part whose videos all have the same.
fn one_rate(split: &SplitCheck) -> Option<f64> {
    match split.rates[..] {
        [RateCount { rate_hz, .. }] => rate_hz,
        _ => None,
    }
}

/// Fits labels and region masks to their videos.
fn fit_all(set: &DataSet, looks: &[Look], problems: &mut Vec<Problem>) -> Vec<Option<FrameLabels>> {
    let fit = |labels: &Labels, video: &Video, look: &Look| {
        labels.fit(&Timing {
            source: &video.source,
            seconds: &look.seconds,
            rate_hz: look.rate_hz.or(labels.fallback_rate_hz),
        })
    };
    let mut fitted = Vec::new();
    for (index, (video, look)) in set.test.iter().zip(looks).enumerate() {
        if look.size.is_none() {
            fitted.push(None);
            continue;
        }
        let labels = match video.labels.as_ref().map(|labels| fit(labels, video, look)) {
            Some(Ok(labels)) => Some(labels),
            Some(Err(error)) => {
                problems.push(problem(Severity::Error, Some(&video.source), &error));
                None
            }
            None => None,
        };
        let masks = set.regions.get(index).and_then(Option::as_ref);
        if let (Some(labels), Some(RegionSource::Masks(masks))) = (&labels, masks) {
            problems.extend(compare_masks(video, labels, masks));
        }
        fitted.push(labels);
    }
    fitted
}

/// Compares frame labels with pixel masks of the same data set.
fn compare_masks(video: &Video, labels: &FrameLabels, masks: &Masks) -> Option<Problem> {
    if matches!(&video.labels, Some(labels) if matches!(labels.annotation, Annotation::Masks(_))) {
        return None;
    }
    let path = Some(masks.path());
    let frames = match masks.frames() {
        Ok(frames) => frames,
        Err(error) => return Some(problem(Severity::Warning, path, &error)),
    };
    if frames == labels.anomalous {
        return None;
    }
    let marked = frames.iter().filter(|&&f| f).count();
    let reason = format!(
        "the masks mark {marked} of {} frames of `{}`, the labels {} of {}",
        frames.len(),
        video.name,
        labels.count(),
        labels.anomalous.len()
    );
    Some(problem(Severity::Warning, path, &reason))
}

fn label_check(set: &DataSet, fitted: &[Option<FrameLabels>]) -> Option<LabelCheck> {
    let source = set.labels.as_ref()?;
    let of = |wanted: fn(&FrameLabels) -> bool| {
        set.test
            .iter()
            .zip(fitted)
            .filter(|(_, labels)| labels.as_ref().is_some_and(wanted))
            .map(|(video, _)| video.name.clone())
            .collect()
    };
    let anomalous = fitted.iter().flatten().map(FrameLabels::count).sum();
    let versions = set.sheet.iter().flat_map(|sheet| &sheet.labels);
    Some(LabelCheck {
        format: source.format.clone(),
        paths: source.paths.clone(),
        hash: source.hash.clone(),
        unused: source.unused.clone(),
        anomalous,
        spans: fitted
            .iter()
            .flatten()
            .map(|labels| labels.spans.len())
            .sum(),
        normal_throughout: of(|labels| labels.count() == 0),
        anomalous_throughout: of(|labels| labels.count() == labels.anomalous.len()),
        version: versions
            .into_iter()
            .find(|version| version.anomalous == anomalous)
            .map(|version| version.note.clone()),
    })
}

fn counts(
    set: &DataSet,
    train: &SplitCheck,
    test: &SplitCheck,
    labels: Option<&LabelCheck>,
) -> Vec<CountCheck> {
    let Some(sheet) = &set.sheet else {
        return Vec::new();
    };
    let mut counts = Vec::new();
    let mut add = |what: &str, expected: Option<usize>, found: usize| {
        counts.extend(expected.map(|expected| CountCheck {
            what: what.to_owned(),
            expected,
            found,
        }));
    };
    add("training videos", sheet.train.videos, train.videos);
    add("training frames", sheet.train.frames, train.frames);
    add("test videos", sheet.test.videos, test.videos);
    add("test frames", sheet.test.frames, test.frames);
    if let Some(labels) = labels {
        let expected = expected_anomalous(sheet, labels.anomalous);
        add("anomalous test frames", expected, labels.anomalous);
    }
    counts
}

/// The count of the label version that is there, else that of the first.
fn expected_anomalous(sheet: &Sheet, found: usize) -> Option<usize> {
    let mut versions = sheet.labels.iter().map(|version| version.anomalous);
    versions
        .find(|&count| count == found)
        .or_else(|| sheet.labels.first().map(|version| version.anomalous))
}
