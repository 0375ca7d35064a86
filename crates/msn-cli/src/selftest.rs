//! `msn selftest`: anomalies put into held-out normal footage.

use anyhow::{Result, anyhow};
use msn_data::{DataSet, LoadedVideo, OpenOptions, Segment, calibration_split};
use msn_eval::{Injected, SelfTest, self_test};

use crate::{
    Usage,
    args::SelftestArgs,
    data,
    run::{self, Found, RunCard},
};

pub(crate) fn selftest(args: &SelftestArgs) -> Result<()> {
    let found = run::find(&args.weights)?;
    let meta = &found.weights.meta;
    let Some(calibration) = &meta.calibration else {
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
    let videos = run::frame_store(&args.keep).load(&set.train, &load)?;
    data::warn(&videos);
    let (held, donors) = parts(&found, card.as_ref(), &videos)?;
    let predictor = run::predictor(&found, &args.place, args.precision.precision)?;
    let scorer = run::scorer(predictor.as_ref(), meta);
    let test = self_test(&scorer, calibration, &videos, &held, &donors, args.seed)?;
    if args.json {
        print!("{}", run::json(&test)?);
    } else {
        print(&test);
    }
    Ok(())
}

/// The segments that the training held out, and the others.
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
    let drawn = calibration_split(videos, meta.config.frames, meta.input.stride, seed);
    let Some(card) = card else {
        return Ok((drawn.calibration, drawn.train));
    };
    let name = |s: &Segment| s.label(&videos[s.video]);
    if drawn
        .calibration
        .iter()
        .map(name)
        .eq(card.data.held_out.iter().cloned())
    {
        return Ok((drawn.calibration, drawn.train));
    }
    // A manifest chose them.
    let (held, donors): (Vec<_>, Vec<_>) = msn_data::segments(videos)
        .into_iter()
        .partition(|s| card.data.held_out.contains(&name(s)));
    if held.len() == card.data.held_out.len() {
        Ok((held, donors))
    } else {
        Err(anyhow!(
            "the training videos are no longer those of the run (held out were {}): give the folder they are in as DATA",
            card.data.held_out.join(", ")
        ))
    }
}

fn print(test: &SelfTest) {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
    println!(
        "{} things cut out of training videos, drawn into {} held-out frames; seed {}",
        test.movers, test.frames, test.seed
    );
    if let Some(alarms) = test.false_alarms {
        println!("false alarms in these frames untouched: {alarms}");
    }
    for light in &test.light {
        println!(
            "the same with pixels times {}: false alarms {}, AUC against untouched {} (0.5: light changes nothing)",
            light.gain,
            light.false_alarms.map_or("-".to_owned(), |n| n.to_string()),
            number(light.auc)
        );
    }
    println!(
        "{:10} {:>16} {:>20} {:>20}",
        "", "found", "AUC, untouched", "AUC, ordinary thing"
    );
    for kind in &test.kinds {
        let found = match kind.found {
            Some(found) => format!("{found} of {}", kind.spans),
            None => "-".to_owned(),
        };
        println!(
            "{:10} {found:>16} {:>20} {:>20}",
            kind.kind,
            number(kind.auc),
            number(kind.auc_beside_ordinary)
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
            "no criterion: the held-out videos are too short to put these in: {}",
            never.join(", ")
        );
    }
    println!(
        "criterion (mean of both AUC over all kinds but {}): {}",
        Injected::Ordinary,
        number(test.criterion)
    );
    let errors = test.errors.iter();
    let errors: Vec<String> = errors
        .map(|(name, value)| format!("{name} {}", number(*value)))
        .collect();
    println!(
        "criterion of the prediction error alone: {}",
        errors.join(", ")
    );
}
