//! What a self-test comes to, in words.

use super::{Injected, InjectedMetrics, SelfTest};

/// Fewer insertions of a kind are too few to judge by.
const FEWEST: usize = 5;
/// Shares of a kind's insertions from which it counts as found, and up to which as missed.
const FOUND: f64 = 0.8;
const MISSED: f64 = 0.5;
/// Share of ordinary objects up to which alarms at them are put down to chance.
const ORDINARY: f64 = 0.2;

impl Injected {
    /// The things of this kind.
    const fn things(self) -> &'static str {
        match self {
            Self::Control => "ordinary things",
            Self::Larger => "large things",
            Self::Faster => "fast things",
            Self::Reversed => "things that move backwards",
            Self::Stopped => "stopped things",
            Self::Texture => "things of a foreign texture",
        }
    }
}

/// Sentences: what is found, what this camera is ready for and what not, and what to do.
pub(super) fn verdict(test: &SelfTest) -> Vec<String> {
    let judged: Vec<(&InjectedMetrics, usize)> = test
        .kinds
        .iter()
        .filter(|kind| kind.spans > 0)
        .filter_map(|kind| Some((kind, kind.detected?)))
        .collect();
    let anomalies = || {
        judged
            .iter()
            .filter(|(kind, _)| kind.kind != Injected::Control)
    };
    if anomalies().next().is_none() {
        return vec![
            "Nothing can be said of alarms: there is no threshold, or nothing could be inserted. Give more normal footage \
             and calibrate anew (`msn weights calibrate`)."
                .to_owned(),
        ];
    }
    let counts: Vec<String> = anomalies().map(|(kind, n)| count(kind, *n)).collect();
    let mut all = vec![format!("Finds {}.", listed(&counts))];
    if anomalies().any(|(kind, _)| kind.spans < FEWEST) {
        all.push(
            "That is too few to judge by: the calibration split is short. Give more normal footage."
                .to_owned(),
        );
    }
    let share = |(kind, n): &(&InjectedMetrics, usize)| *n as f64 / kind.spans as f64;
    let things = |wanted: &dyn Fn(f64) -> bool| -> Vec<String> {
        let those = anomalies().filter(|pair| wanted(share(pair)));
        those
            .map(|(kind, _)| kind.kind.things().to_owned())
            .collect()
    };
    let (found, missed) = (things(&|s| s >= FOUND), things(&|s| s < MISSED));
    if !found.is_empty() {
        all.push(format!("Ready for {}.", listed(&found)));
    }
    if !missed.is_empty() {
        all.push(format!("Not ready for {}.", listed(&missed)));
    }
    all.extend(advice(test, &judged, &missed));
    all
}

/// What to do about it.
fn advice(test: &SelfTest, judged: &[(&InjectedMetrics, usize)], missed: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    let stands = Injected::Stopped.things();
    if missed.iter().any(|things| things == stands) {
        all.push(
            "What stands still is predicted well, so that left objects and loiterers are not found: watch for them by \
             other means."
                .to_owned(),
        );
    }
    if missed.iter().any(|things| things != stands) {
        all.push(
            "To find more: train longer (epochs=N), a wider network (width=N), or on more normal footage."
                .to_owned(),
        );
    }
    let of_control = |(kind, _): &&(&InjectedMetrics, usize)| kind.kind == Injected::Control;
    if let Some((kind, n)) = judged.iter().find(of_control)
        && *n as f64 > ORDINARY * kind.spans as f64
    {
        all.push(format!(
            "Alarms were raised at {n} of {} ordinary things, too: being drawn in shows by itself, so that the counts above \
             promise too much. Train longer or on more normal footage.",
            kind.spans
        ));
    }
    if let Some(n) = test.false_alarms.filter(|n| *n > 0) {
        all.push(format!(
            "Normal footage raised {} in {} frames: give the calibration more of it.",
            false_alarms(n),
            test.frames
        ));
    }
    let most = test.brightness.iter().filter_map(|b| b.false_alarms).max();
    let before = test.false_alarms.unwrap_or(0);
    if let Some(n) = most.filter(|n| *n > before) {
        all.push(format!(
            "Not ready for changing light: {} where the picture is 6 % lighter or darker. Train with brightness=0.1, or on \
             footage of all kinds of light.",
            false_alarms(n)
        ));
    }
    all
}

/// `11 of 11 large things`, `no stopped things`.
fn count(kind: &InjectedMetrics, found: usize) -> String {
    let things = kind.kind.things();
    match found {
        0 => format!("none of {} {things}", kind.spans),
        n => format!("{n} of {} {things}", kind.spans),
    }
}

fn false_alarms(n: usize) -> String {
    match n {
        1 => "1 false alarm".to_owned(),
        n => format!("{n} false alarms"),
    }
}

/// `a, b and c`.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BrightnessMetrics;

    /// Of 11 insertions each, in the order of [`Injected::ALL`].
    fn test(found: [usize; 6], false_alarms: usize, in_other_light: usize) -> SelfTest {
        let kinds = Injected::ALL.into_iter().zip(found);
        let light = |gain| BrightnessMetrics {
            gain,
            false_alarms: Some(in_other_light),
            auc: Some(0.5),
        };
        SelfTest {
            format: super::super::SELF_TEST_FORMAT.into(),
            seed: 0,
            objects: 9,
            frames: 600,
            false_alarms: Some(false_alarms),
            brightness: vec![light(0.94), light(1.06)],
            kinds: kinds
                .map(|(kind, found)| InjectedMetrics {
                    kind,
                    spans: 11,
                    detected: Some(found),
                    auc: Some(0.9),
                    auc_to_control: Some(0.9),
                })
                .collect(),
            criterion: Some(0.9),
            prediction_error: Default::default(),
            verdict: Vec::new(),
        }
    }

    #[test]
    fn what_is_missed_is_said_with_what_to_do() {
        let said = verdict(&test([1, 11, 11, 9, 0, 11], 0, 0));
        assert_eq!(
            said[0],
            "Finds 11 of 11 large things, 11 of 11 fast things, 9 of 11 things that move backwards, none of 11 stopped \
             things and 11 of 11 things of a foreign texture."
        );
        assert_eq!(said[2], "Not ready for stopped things.");
        assert!(said[1].starts_with("Ready for large things, fast things, things that move"));
        assert!(
            said[3].contains("other means") && said.len() == 4,
            "{said:?}"
        );

        let weak = verdict(&test([6, 4, 11, 0, 0, 7], 1, 3)).join(" ");
        for part in [
            "Ready for fast things.",
            "Not ready for large things, things that move backwards and stopped things.",
            "epochs=N",
            "6 of 11 ordinary things",
            "1 false alarm in 600 frames",
            "changing light: 3 false alarms",
        ] {
            assert!(weak.contains(part), "no {part} in {weak}");
        }
    }

    #[test]
    fn too_little_is_no_verdict() {
        let mut short = test([0; 6], 0, 0);
        for kind in &mut short.kinds {
            (kind.spans, kind.detected) = (2, Some(2));
        }
        assert!(verdict(&short)[1].contains("too few to judge"));
        for kind in &mut short.kinds {
            kind.detected = None;
        }
        let said = verdict(&short);
        assert!(
            said.len() == 1 && said[0].contains("msn weights calibrate"),
            "{said:?}"
        );
    }
}
