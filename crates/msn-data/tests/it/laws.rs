//! Laws of clips and of the calibration split.

use std::collections::BTreeSet;
use std::ops::Range;

use msn_data::{LoadedVideo, Segment, calibration_split, clips, segments};
use proptest::prelude::*;

use crate::tiny::blank;

/// Videos with runs of frames between lost ones.
fn videos() -> impl Strategy<Value = Vec<LoadedVideo>> {
    let video = proptest::collection::vec((0usize..4, 1usize..40), 1..4);
    proptest::collection::vec(video, 0..20).prop_map(|videos| {
        videos
            .iter()
            .enumerate()
            .map(|(index, parts)| {
                let mut runs: Vec<Range<usize>> = Vec::new();
                let mut end = 0;
                for (lost, frames) in parts {
                    // The first run may begin at once; between two runs something is lost.
                    let lost = if runs.is_empty() { *lost } else { lost + 1 };
                    runs.push(end + lost..end + lost + frames);
                    end += lost + frames;
                }
                blank(&format!("v{index}"), end, runs)
            })
            .collect()
    })
}

fn frames(segments: &[Segment]) -> Vec<(usize, usize)> {
    segments
        .iter()
        .flat_map(|segment| segment.frames.clone().map(|frame| (segment.video, frame)))
        .collect()
}

proptest! {
    #[test]
    fn no_clip_crosses_a_video_or_a_gap(
        videos in videos(), past in 1usize..6, stride in 1usize..4,
    ) {
        let all = clips(&segments(&videos), past, stride);
        for clip in &all {
            let video = &videos[clip.video];
            let run = video.runs.iter().find(|run| run.contains(&clip.first)).unwrap();
            prop_assert!(run.contains(&clip.target(past, stride)));
            for frame in clip.past(past, stride) {
                prop_assert!(run.contains(&frame) && frame < clip.target(past, stride));
            }
        }
        // And none is missing: a run of n frames has n - past * stride.
        let expected: usize = videos
            .iter()
            .flat_map(|video| &video.runs)
            .map(|run| run.len().saturating_sub(past * stride))
            .sum();
        prop_assert_eq!(all.len(), expected);
        let targets: BTreeSet<_> = all.iter().map(|c| (c.video, c.target(past, stride))).collect();
        prop_assert_eq!(targets.len(), expected);
    }

    #[test]
    fn calibration_and_training_frames_share_nothing(
        videos in videos(), past in 1usize..6, stride in 1usize..4, seed in any::<u64>(),
    ) {
        let parts = calibration_split(&videos, past, stride, seed);
        prop_assert_eq!(&parts, &calibration_split(&videos, past, stride, seed));
        let train: BTreeSet<_> = frames(&parts.train).into_iter().collect();
        let calibration: BTreeSet<_> = frames(&parts.calibration).into_iter().collect();
        prop_assert_eq!(train.len(), frames(&parts.train).len());
        prop_assert!(train.is_disjoint(&calibration));
        let all: BTreeSet<_> = frames(&segments(&videos)).into_iter().collect();
        prop_assert!(train.is_subset(&all) && calibration.is_subset(&all));

        let reach = past * stride;
        let usable: Vec<usize> = (0..videos.len())
            .filter(|&v| videos[v].runs.iter().any(|run| run.len() > reach))
            .collect();
        let calibration_videos: BTreeSet<usize> = calibration.iter().map(|&(video, _)| video).collect();
        if usable.len() >= 4 {
            // Whole videos, and as many as the method says.
            prop_assert_eq!(train.len() + calibration.len(), all.len());
            prop_assert!(train.iter().all(|(video, _)| !calibration_videos.contains(video)));
            let eighth = (usable.len() as f64 / 8.0).round() as usize;
            prop_assert_eq!(calibration_videos.len(), eighth.max(1));
            prop_assert!(calibration_videos.iter().all(|video| usable.contains(video)));
        } else {
            // A gap of past * stride frames lies between the parts, and no clip crosses it.
            for &(video, frame) in &calibration {
                prop_assert!(!train.iter().any(|&(v, f)| v == video && f + reach >= frame));
            }
        }
        // No clip of one part sees a frame of the other.
        for clip in clips(&parts.train, past, stride) {
            for frame in clip.past(past, stride).chain([clip.target(past, stride)]) {
                prop_assert!(!calibration.contains(&(clip.video, frame)));
            }
        }
    }
}

#[test]
fn few_videos_give_their_last_part() {
    let videos = [blank("a", 100, vec![0..100])];
    let parts = calibration_split(&videos, 4, 1, 0);
    assert_eq!(parts.calibration[0].frames, 85..100);
    assert_eq!(parts.train[0].frames, 0..81);
    // A short video still gives one clip.
    let videos = [blank("a", 20, vec![0..20])];
    let parts = calibration_split(&videos, 4, 1, 0);
    assert_eq!(parts.calibration[0].frames, 15..20);
    assert_eq!(parts.train[0].frames, 0..11);
}

#[test]
fn seeds_calibration_split_other_videos() {
    let videos: Vec<_> = (0..16)
        .map(|i| blank(&format!("v{i}"), 20, vec![0..20]))
        .collect();
    let calibration: BTreeSet<Vec<usize>> = (0..20)
        .map(|seed| {
            calibration_split(&videos, 4, 1, seed)
                .calibration
                .iter()
                .map(|s| s.video)
                .collect()
        })
        .collect();
    assert!(calibration.iter().all(|videos| videos.len() == 2));
    assert!(calibration.len() > 10);
}
