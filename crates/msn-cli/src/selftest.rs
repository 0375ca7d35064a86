//! `msn selftest`: synthetic anomalies in normal footage.

use anyhow::{Result, anyhow};
use msn_data::{DataSet, LoadedVideo, OpenOptions, Segment, hold_out, load_within};
use msn_eval::{Injected, SelfTest, self_test};

use crate::{
    Usage,
    args::SelftestArgs,
    data,
    run::{self, Found, RunCard},
};

pub(crate) fn selftest(args: &SelftestArgs) -> Result<()> {
    let found = run::find_with(&args.weights, args.calibration.calibration.as_deref())?;
    let meta = &found.weights.meta;
    let Some(calibration) = &found.calibration else {
        return Err(anyhow!(
            "{} has no calibration, so nothing says what is normal: `msn weights calibrate {0} NORMAL_VIDEOS` adds one",
            found.path
        ));
    };
    let card = found.run.as_deref().map(RunCard::read).transpose()?;
    let path = match (&args.data, &card) {
        (Some(data), _) => data.clone(),
        (None, Some(card)) => card.data.path.clone(),
        (None, None) => {
            return Err(Usage(format!(
                "{} does not say where its training videos are: give their data set folder as DATA",
                found.path
            ))
            .into());
        }
    };
    let options = OpenOptions {
        folder_hz: args.fps.fps,
        ..run::with_layout(&args.layout)?
    };
    let set = DataSet::open(&path, &options)?;
    let load = run::load_options(meta, set.folder_hz);
    let videos = load_within(&set.train, &load, &run::keep(&args.keep))?;
    data::warn(&videos);
    let (normal, donors) = parts(&found, card.as_ref(), &videos)?;
    let predictor = run::predictor(&found, &args.place, args.precision.precision)?;
    let scorer = run::scorer(predictor.as_ref(), meta, Some(calibration));
    let test = self_test(&scorer, calibration, &videos, &normal, &donors, args.seed)?;
    if args.json {
        print!("{}", run::json(&test)?);
    } else {
        print(&test);
    }
    Ok(())
}

/// The calibration split of the training, and the other segments.
fn parts(
    found: &Found,
    card: Option<&RunCard>,
    videos: &[LoadedVideo],
) -> Result<(Vec<Segment>, Vec<Segment>)> {
    let meta = &found.weights.meta;
    let seed = match (card, meta.origin.get("seed")) {
        (Some(card), _) => card.seed,
        (None, Some(seed)) => seed.parse()?,
        (None, None) => 0,
    };
    let drawn = hold_out(videos, meta.config.frames, meta.input.stride, seed);
    let Some(card) = card else {
        return Ok((drawn.held, drawn.train));
    };
    let name = |s: &Segment| s.label(&videos[s.video]);
    if drawn
        .held
        .iter()
        .map(name)
        .eq(card.data.held_out.iter().cloned())
    {
        return Ok((drawn.held, drawn.train));
    }
    // A manifest chose them.
    let (held, donors): (Vec<_>, Vec<_>) = msn_data::segments(videos)
        .into_iter()
        .partition(|s| card.data.held_out.contains(&name(s)));
    if held.len() == card.data.held_out.len() {
        Ok((held, donors))
    } else {
        Err(anyhow!(
            "the training videos are no longer those of the run (the calibration split was {}): give the folder they are in as DATA",
            card.data.held_out.join(", ")
        ))
    }
}

fn print(test: &SelfTest) {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
    println!(
        "{} moving objects cut out of training videos, drawn into {} frames of the calibration split; seed {}",
        test.objects, test.frames, test.seed
    );
    if let Some(alarms) = test.false_alarms {
        println!("false alarms in these frames untouched: {alarms}");
    }
    for changed in &test.brightness {
        println!(
            "the same with pixels times {}: false alarms {}, AUC against untouched {} (0.5: brightness changes nothing)",
            changed.gain,
            changed
                .false_alarms
                .map_or("-".to_owned(), |n| n.to_string()),
            number(changed.auc)
        );
    }
    println!(
        "{:10} {:>16} {:>20} {:>20}",
        "", "detected", "AUC to untouched", "AUC to control"
    );
    for kind in &test.kinds {
        let detected = match kind.detected {
            Some(detected) => format!("{detected} of {}", kind.spans),
            None => "-".to_owned(),
        };
        println!(
            "{:10} {detected:>16} {:>20} {:>20}",
            kind.kind,
            number(kind.auc),
            number(kind.auc_to_control)
        );
    }
    let never: Vec<String> = test
        .kinds
        .iter()
        .filter(|kind| kind.auc.is_none())
        .map(|kind| kind.kind.to_string())
        .collect();
    if !never.is_empty() {
        println!(
            "no criterion: the calibration split is too short to insert these: {}",
            never.join(", ")
        );
    }
    println!(
        "criterion (mean of both AUC over all kinds but {}): {}",
        Injected::Control,
        number(test.criterion)
    );
    let errors = test.prediction_error.iter();
    let errors: Vec<String> = errors
        .map(|(name, value)| format!("{name} {}", number(*value)))
        .collect();
    println!(
        "criterion of the prediction error alone: {}",
        errors.join(", ")
    );
}
