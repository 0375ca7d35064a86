use msn_data::{FrameLabels, FrameSpan};
use msn_metrics::Bootstrap;
use msn_model::{Input, NetConfig};

use super::*;
use crate::{
    Alarm, AlarmThreshold, Baseline, DataCard, EvalOptions, FrameScore, LabelCard, PixelBox,
    evaluate,
};

fn calibration() -> Calibration {
    Calibration {
        window: 16,
        window_stride: 4,
        history: 8,
        baseline: Baseline::default(),
        median: -7.0,
        mad: 0.2,
        frames: 412,
        map_threshold: 3.25,
        alarm: Some(AlarmThreshold {
            threshold: 2.5,
            per_hour: Some(1.0),
            per_thousand_frames: None,
            counted: false,
            hours: None,
        }),
    }
}

fn meta() -> Meta {
    Meta {
        format: "msn-weights-1".into(),
        config: NetConfig::default(),
        input: Input {
            height: 128,
            width: 128,
            stride: 1,
            rate_hz: 0.0,
            stretch: Default::default(),
        },
        calibration: None,
        origin: [("made_by".to_owned(), "<b>somebody</b>".to_owned())].into(),
    }
}

/// A wave with a bump where the labels are; the same for the same numbers.
fn video(
    name: &str,
    frames: usize,
    kinds: &[(&str, usize, usize)],
    seconds: bool,
    calibrated: bool,
) -> VideoScores {
    let spans: Vec<FrameSpan> = kinds
        .iter()
        .map(|&(kind, start, end)| FrameSpan {
            start,
            end,
            kind: Some(kind.to_owned()),
        })
        .collect();
    let anomalous: Vec<bool> = (0..frames)
        .map(|f| spans.iter().any(|s| (s.start..s.end).contains(&f)))
        .collect();
    let mut noise = 12345u32;
    let score = |frame: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let t = frame as f64;
        let jitter = f64::from(noise >> 8) / f64::from(1 << 24);
        let bump = if anomalous[frame] { 2.2 } else { 0.0 };
        let excess = -7.0 + 0.25 * (t / 9.0).sin() + 0.3 * jitter + bump;
        let seconds = seconds.then_some(t / 25.0);
        FrameScore {
            frame,
            seconds,
            psnr: 30.0 - excess,
            patch: 0.01,
            distances: vec![0.1 * jitter],
            excess,
        }
    };
    // The first four frames of both runs have no score.
    let gap = frames / 2..frames / 2 + 12;
    let scores = (4..frames)
        .filter(|f| !gap.contains(f))
        .map(score)
        .collect();
    let calibration = calibrated.then(calibration);
    VideoScores::new(
        name,
        frames,
        scores,
        Some(FrameLabels { anomalous, spans }),
        calibration.as_ref(),
    )
}

fn evaluation(videos: &[VideoScores], smooth: Option<f64>) -> Evaluation {
    let data = DataCard {
        name: "plaza & <co>".into(),
        hash: "0123456789abcdef0123456789abcdef".into(),
        videos: videos.len(),
        frames: videos.iter().map(|v| v.frames).sum(),
        scored_frames: videos.iter().map(|v| v.scores.len()).sum(),
        anomalous_scored_frames: 321,
        labels: Some(LabelCard {
            format: "spans (CSV)".into(),
            files: (0..9).map(|i| format!("labels/{i:02}.csv")).collect(),
            hash: "fedcba9876543210fedcba9876543210".into(),
            anomalous_frames: 1648,
        }),
    };
    let options = EvalOptions {
        smooth,
        bootstrap: Bootstrap {
            resamples: 60,
            seed: 0,
        },
        groups: vec![vec!["cart".into(), "cyclist".into()]],
        command: "msn eval runs/one/weights.safetensors --data 'plaza & <co>' --smooth 3".into(),
        seed: Some(7),
        calibration: Some(calibration()),
    };
    evaluate(videos, Vec::new(), data, &options).unwrap()
}

fn some(calibrated: bool) -> Vec<VideoScores> {
    vec![
        video(
            "01 <script>alert(1)</script>",
            200,
            &[("cyclist", 60, 90), ("cart", 150, 200)],
            true,
            calibrated,
        ),
        video(
            "02",
            180,
            &[("cart", 20, 50), ("running & jumping", 52, 70)],
            false,
            calibrated,
        ),
        video("03", 160, &[], true, calibrated),
    ]
}

/// The alarms that a video's scores give, each in the same place.
fn alarms(video: &VideoScores) -> VideoAlarms {
    let events = video.events().unwrap_or_default();
    let alarm = |(i, e): (usize, &msn_events::Event)| Alarm {
        event: i + 1,
        start_frame: e.start,
        end_frame: e.end,
        peak_frame: e.peak,
        start: e.start_seconds,
        end: e.end_seconds,
        peak: e.peak_seconds,
        score: e.score,
        place: PixelBox {
            x: 10,
            y: 20,
            width: 30,
            height: 40,
        },
    };
    VideoAlarms {
        video: video.name.clone(),
        source: video.name.clone().into(),
        size: [320, 240],
        resampled_hz: None,
        frames: video.frames,
        scored: video.scores.len(),
        seconds: Some(video.frames as f64 / 25.0),
        threshold: video.threshold,
        scores: None,
        alarms: events.iter().enumerate().map(alarm).collect(),
    }
}

fn drawn(
    evaluation: &Evaluation,
    videos: &[VideoScores],
    calibration: Option<&Calibration>,
    images: &[ReportImage],
) -> Result<String, EvalError> {
    let alarms: Vec<VideoAlarms> = videos.iter().map(alarms).collect();
    report(&Report {
        name: &evaluation.data.name,
        videos,
        alarms: &alarms,
        pictures: &[],
        evaluation: Some(evaluation),
        meta: &meta(),
        calibration,
        images,
        memory: None,
        command: &evaluation.command,
    })
}

#[test]
fn strings_are_escaped() {
    let videos = some(true);
    let page = drawn(
        &evaluation(&videos, None),
        &videos,
        Some(&calibration()),
        &[],
    )
    .unwrap();
    assert!(!page.contains("<script") && page.contains("01 &lt;script&gt;"));
    assert!(page.contains("plaza &amp; &lt;co&gt;") && !page.contains("& <co>"));
    assert!(!page.contains("<b>somebody"));
    assert!(!page.contains("& jumping"));
    let svg = curve_svg(&videos[0], None);
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
    let named = VideoScores {
        name: "a\u{1}b".into(),
        ..videos[1].clone()
    };
    assert!(!curve_svg(&named, None).contains('\u{1}'));
}

#[test]
fn the_page_holds_every_video_and_metric() {
    let videos = some(true);
    let evaluation = evaluation(&videos, Some(3.0));
    let page = drawn(&evaluation, &videos, Some(&calibration()), &[]).unwrap();
    for video in ["01 &lt;script", "<b>02</b>", "<b>03</b>"] {
        assert!(page.contains(video), "{video}");
    }
    for protocol in [&evaluation.legacy, evaluation.fair.as_ref().unwrap()] {
        let p = protocol;
        for figure in [
            p.micro_auc,
            p.macro_auc_skip,
            p.macro_auc_pad,
            p.average_precision,
            p.equal_error_rate,
        ] {
            let f = figure.unwrap();
            let shown = format!("{:.3}<small>[{:.3}, {:.3}]</small>", f.value, f.low, f.high);
            assert!(page.contains(&shown), "{shown}");
        }
    }
    for kind in evaluation.kinds.values() {
        let shown = kind
            .fair_micro_auc
            .map(|f| format!("<td>{:.3}<small>[{:.3}", f.value, f.low))
            .unwrap();
        assert!(page.contains(&shown), "{shown}");
    }
    for part in [
        "σ = 3 frames",
        "1,648 anomalous frames (fedcba987654)",
        "one seed: 7",
        ">end distance<",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("Macro AUC (skip) leaves out 1 of 3"));
    assert!(page.contains("--data 'plaza &amp; &lt;co&gt;'"));
    assert!(page.contains("labels/05.csv and 3 more"));
    assert!(!page.contains("NaN") && !page.contains("inf"));
    // Nothing is loaded from elsewhere.
    assert!(!page.contains("src=") && !page.contains("url(") && !page.contains("@import"));
}

#[test]
fn without_a_calibration_fair_is_described_in_words() {
    let videos = some(false);
    let page = drawn(&evaluation(&videos, None), &videos, None, &[]).unwrap();
    assert!(page.contains("no fair metrics") && page.contains("msn weights calibrate"));
    assert!(page.contains("not calibrated"));
    assert!(!page.contains("fair: robust") && !page.contains(r#"class="fair""#));
    assert!(!page.contains("0.000<"));
}

#[test]
fn what_priors_explain_is_marked() {
    let videos = some(true);
    let mut evaluation = evaluation(&videos, None);
    let marks = |e: &Evaluation| {
        drawn(e, &videos, None, &[])
            .unwrap()
            .matches("does not clear its priors")
            .count()
    };
    let fair = evaluation.fair.clone().unwrap();
    let before = marks(&evaluation);
    evaluation
        .priors
        .get_mut("fair")
        .unwrap()
        .insert("position".into(), fair);
    evaluation.priors.get_mut("legacy").unwrap().clear();
    // Each fair figure is now its own prior, and legacy has none to be held against.
    assert_eq!(marks(&evaluation), 5, "before: {before}");
}

#[test]
fn undefined_metrics_are_described_in_words() {
    let videos = vec![
        video("a", 60, &[], true, true),
        video("b", 3, &[], true, true),
    ];
    let page = drawn(&evaluation(&videos, None), &videos, None, &[]).unwrap();
    assert!(page.contains("<small>undefined</small>") && page.contains("No curves"));
    assert!(page.contains("Too short to be scored."));
    let unlabelled = vec![VideoScores {
        labels: None,
        ..videos[0].clone()
    }];
    let page = drawn(&evaluation(&unlabelled, None), &unlabelled, None, &[]).unwrap();
    assert!(page.contains("No curves") && !page.contains("frames labelled anomalous"));
    assert!(drawn(&evaluation(&[], None), &[], None, &[]).is_ok());
}

#[test]
fn scores_that_are_not_finite_are_an_error() {
    let mut videos = some(true);
    let evaluation = evaluation(&videos, None);
    videos[1].legacy[3] = f64::NAN;
    assert!(matches!(
        drawn(&evaluation, &videos, None, &[]),
        Err(EvalError::Metrics(_))
    ));
}

#[test]
fn the_fair_scores_difference_to_the_error_alone_is_shown() {
    let evaluation = evaluation(&some(true), None);
    for error in evaluation.prediction_error.values() {
        let (fair, alone) = (evaluation.fair.as_ref().unwrap(), &error.metrics);
        let [fair, alone] = [fair, alone].map(|p| p.micro_auc.unwrap().value);
        assert!((error.fair_difference.unwrap().value - (fair - alone)).abs() < 1e-12);
    }
    let page = drawn(&evaluation, &some(true), None, &[]).unwrap();
    assert!(page.contains("difference of fair to it") && page.contains(">patch<"));
    let uncalibrated = super::tests::evaluation(&some(false), None);
    assert!(
        uncalibrated
            .prediction_error
            .values()
            .all(|e| e.fair_difference.is_none())
    );
}

#[test]
fn curves_show_spans_gaps_and_units() {
    let svg = curve_svg(&some(true)[0], None);
    // Two spans in two panels; one gap in either line.
    assert_eq!(svg.matches(r#"class="span""#).count(), 4);
    for line in svg.split("<path").skip(1) {
        let d = line
            .split("d=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(d.matches('M').count(), 2, "{d}");
    }
    assert!(svg.contains(">cyclist<") && svg.contains(">cart<"));
    assert!(svg.contains(">seconds<") && svg.contains("robust standard deviations"));
    assert!(curve_svg(&some(true)[1], None).contains(">frames<"));
    // Frames 60 to 90 of 200.
    assert!(
        svg.contains(r#"x="30%""#) && svg.contains(r#"width="15%""#),
        "{svg}"
    );
    assert!(curve_svg(&video("none", 0, &[], true, true), None).contains("none"));
}

#[test]
fn large_reports_stay_small() {
    let videos: Vec<_> = (0..12)
        .map(|i| video(&i.to_string(), 200, &[("cart", 90, 130)], true, true))
        .collect();
    let page = drawn(&evaluation(&videos, None), &videos, None, &[]).unwrap();
    assert!(page.len() < 200_000, "{}", page.len());
    let one = video("long", 10_000, &[("cart", 3000, 4500)], true, true);
    assert!(
        curve_svg(&one, None).len() < 45_000,
        "{}",
        curve_svg(&one, None).len()
    );
}

#[test]
fn images_lie_within_the_page() {
    let videos = some(true);
    let image = ReportImage {
        title: "Look".into(),
        caption: "a <b> & c".into(),
        png: b"\x89PNG".into(),
    };
    let page = drawn(&evaluation(&videos, None), &videos, None, &[image]).unwrap();
    assert!(
        page.contains("data:image/png;base64,iVBORw==") && page.contains("a &lt;b&gt; &amp; c")
    );
    let without = drawn(&evaluation(&videos, None), &videos, None, &[]).unwrap();
    assert!(!without.contains("<img"));
}

#[test]
fn missed_spans_are_named_by_kind() {
    let videos = some(true);
    let mut evaluation = evaluation(&videos, None);
    let page = |e: &Evaluation| drawn(e, &videos, None, &[]).unwrap();
    let row = |page: &str, kind: &str| {
        let table = page.split("What was missed").nth(1).unwrap();
        let from = table.find(&format!("<th scope=\"row\">{kind}</th>"));
        let row = &table[from.unwrap_or_else(|| panic!("no {kind}"))..];
        row[..row.find("</tr>").unwrap()].to_owned()
    };
    let found = page(&evaluation);
    assert!(row(&found, "cart").contains("<td>2 of 2</td>"));
    assert!(
        row(&found, "cyclist").contains("<td>1 of 1</td>")
            && row(&found, "cyclist").contains("none")
    );
    // Nothing reaches a threshold this high.
    evaluation.events.as_mut().unwrap().alarm.threshold = 1e3;
    let missed = page(&evaluation);
    let cart = row(&missed, "cart");
    assert!(cart.contains("<td>0 of 2</td>"), "{cart}");
    assert!(
        cart.contains("&gt;, frames 150 to 199, peak ") && cart.contains("02, frames 20 to 49"),
        "{cart}"
    );
    evaluation.events = None;
    assert!(!page(&evaluation).contains("What was missed"));
}

#[test]
fn the_threshold_is_drawn_where_it_flattens_nothing() {
    let videos = some(true);
    let near = curve_svg(&videos[0], Some(2.5));
    assert!(near.contains("<title>alarm at 2.500</title>"));
    assert!(!curve_svg(&videos[0], None).contains("alarm at"));
    let far = curve_svg(&videos[0], Some(500.0));
    assert!(far.contains("alarm at 500.0, above this axis") && !far.contains("<title>alarm at"));
    let page = drawn(&evaluation(&videos, None), &videos, None, &[]).unwrap();
    // One line for each video's fair panel.
    assert_eq!(page.matches(r#"class="alarm""#).count(), 3);
}

#[test]
fn the_answer_comes_first() {
    let videos = some(true);
    let evaluation = evaluation(&videos, None);
    let page = drawn(&evaluation, &videos, Some(&calibration()), &[]).unwrap();
    let count: usize = videos.iter().map(|v| v.events().unwrap().len()).sum();
    assert!(count >= 3, "{count}");
    let headline = format!("<h1>{count} alarms in 22 s of footage</h1>");
    assert!(page.contains(&headline), "{headline}");
    // Then the alarms, the curves, the metrics, and folded the rest.
    let parts = [
        headline.as_str(),
        "id=\"alarms\"",
        "id=\"videos\"",
        "id=\"metrics\"",
        "<details id=\"terms\"",
        "<details id=\"weights\"",
        "<details id=\"command\"",
    ];
    let places: Vec<usize> = parts
        .iter()
        .map(|part| page.find(part).expect(part))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    // A card an alarm, with what its frames are labelled, and a bar an alarm that leads to it.
    assert_eq!(page.matches("<article").count(), count);
    assert_eq!(page.matches("class=\"on bar\"").count(), count);
    assert!(page.contains("labelled cart") && page.contains("href=\"#alarm-1-1\""));
    // Each link within the page leads somewhere.
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
    }
    // An estimated threshold is said to be one.
    assert!(page.contains("the alarm threshold is an estimate"));
}

#[test]
fn without_labels_the_report_has_alarms_and_no_metrics() {
    let videos: Vec<VideoScores> = some(true)
        .into_iter()
        .map(|video| VideoScores {
            labels: None,
            ..video
        })
        .collect();
    let alarms: Vec<VideoAlarms> = videos.iter().map(alarms).collect();
    let pictures = [AlarmPicture {
        video: 0,
        alarm: 0,
        jpeg: b"\xff\xd8\xff".into(),
    }];
    let unlabelled = Report {
        name: "yard",
        videos: &videos,
        alarms: &alarms,
        pictures: &pictures,
        evaluation: None,
        meta: &meta(),
        calibration: Some(&calibration()),
        images: &[],
        memory: None,
        command: "msn score run yard --report out",
    };
    let page = report(&unlabelled).unwrap();
    assert!(
        page.contains("alarms in 22 s of footage") && page.contains("data:image/jpeg;base64,/9j/")
    );
    assert!(page.contains("viewBox=\"0 0 320 240\"") && page.contains("x=\"10\""));
    // Terms of research stand where metrics are.
    let text = page.split("</style>").nth(1).unwrap().to_lowercase();
    for word in [
        "legacy", "micro", "(skip)", "prior", "auc", "labelled", "fair ",
    ] {
        assert!(!text.contains(word), "{word}");
    }

    let nothing = Report {
        videos: &[],
        alarms: &[],
        pictures: &[],
        ..unlabelled
    };
    let page = report(&nothing).unwrap();
    assert!(page.contains("Nothing scored yet") && page.contains("no test videos"));
    let calm: Vec<VideoAlarms> = alarms
        .iter()
        .map(|video| VideoAlarms {
            alarms: Vec::new(),
            scores: Some([5.0, 8.0, 12.0]),
            ..video.clone()
        })
        .collect();
    let quiet = Report {
        alarms: &calm,
        pictures: &[],
        ..unlabelled
    };
    let page = report(&quiet).unwrap();
    assert!(page.contains("No alarm in 22 s") && page.contains("if it is another camera"));
}
