//! Events from the scores of something that is no video model: the loudness of a hall, a value a
//! second. A quiet night calibrates the threshold; the next night is watched as it comes.
#![allow(clippy::print_stdout)]

use msn_events::{
    Budget, Clock, Detector, EventsError, FrameRange, LabelledEvents, Rules, ScoreSequence,
    Smoothing, TimedScore, calibrate_threshold, detect, event_metrics,
};

/// Seconds of a night.
const NIGHT: usize = 8 * 3600;

fn main() -> Result<(), EventsError> {
    let clock = Clock::Hz(1.0);
    let rules = Rules {
        smoothing: Smoothing::Mean(3),
        hysteresis: 1.0,
        min_frames: 4,
        merge_gap: 10,
    };

    let quiet: Vec<Option<f64>> = (0..NIGHT).map(|second| Some(murmur(second, 1))).collect();
    let quiet = ScoreSequence::from_options("quiet night", &quiet, clock.clone())?;
    for budget in [Budget::PerHour(0.5), Budget::PerHour(0.01)] {
        let calibration = calibrate_threshold(std::slice::from_ref(&quiet), &rules, budget)?;
        let found = &calibration.rate;
        println!(
            "{budget:?}: threshold {:.2}, {} false in {} hours [{:.2}, {:.2}] per hour",
            calibration.threshold,
            calibration.events,
            NIGHT / 3600,
            found.low,
            found.high
        );
        if let Some(caveat) = calibration.caveat() {
            println!("  {caveat}");
        }
    }

    // Somebody is in the hall at three o'clock; the microphone fails for a minute at five.
    let visit = FrameRange {
        start: 10_800,
        end: 10_860,
    };
    let score = |second: usize| {
        let louder = if visit.contains(second) { 8.0 } else { 0.0 };
        (!(18_000..18_060).contains(&second)).then(|| murmur(second, 2) + louder)
    };
    let threshold = calibrate_threshold(&[quiet], &rules, Budget::PerHour(0.5))?.threshold;
    let mut detector = Detector::new(rules, threshold)?;
    for index in 0..NIGHT {
        let frame = TimedScore {
            index,
            seconds: Some(index as f64),
            score: score(index),
        };
        let step = detector.push(frame)?;
        if step.raised {
            println!("alarm at second {index}");
        }
        if let Some(event) = step.ended {
            println!(
                "  it lasted from {} to {}, up to {:.2}",
                event.start, event.end, event.score
            );
        }
    }

    // The same night from a file, judged.
    let scores: Vec<Option<f64>> = (0..NIGHT).map(score).collect();
    let sequence = ScoreSequence::from_options("next night", &scores, clock)?;
    let events = detect(&sequence, &rules, threshold)?;
    let night = LabelledEvents {
        sequence: &sequence,
        events: &events,
        spans: &[visit],
    };
    let metrics = event_metrics(&[night])?;
    println!(
        "{} of {} found, {} false",
        metrics.spans_found, metrics.spans, metrics.false_alarms
    );
    if let Some(delay) = metrics.delay {
        println!("found after {} frames", delay.median_frames);
    }
    if let Some(rate) = metrics.false_alarms_per_hour {
        println!(
            "{:.3} [{:.3}, {:.3}] false alarms per hour",
            rate.value, rate.low, rate.high
        );
    }
    Ok(())
}

/// Noise with a rare long tail, the same for one second of one night.
fn murmur(second: usize, night: u64) -> f64 {
    let hash = |x: u64| {
        let x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        ((x ^ (x >> 33)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let noise = |step: usize, weight: f64| {
        weight * -(1.0 - hash((second / step) as u64 * 1009 + night * 31 + step as u64)).ln()
    };
    // A murmur of single seconds, and one that lasts ten.
    noise(1, 0.3) + noise(10, 0.6)
}
