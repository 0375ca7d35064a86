//! `msn metrics`: figures of any method's scores.

use anyhow::{Result, anyhow};
use msn_metrics::{Bootstrap, ScoredVideo, fixture, frame_figures, read_scores_csv};
use serde_json::Value;

use crate::{Usage, args::MetricsArgs, run};

pub(crate) fn metrics(args: &MetricsArgs) -> Result<()> {
    let figures = match (args.file.extension(), &args.labels) {
        (Some("json"), None) => fixture::figures(args.file.as_std_path())?,
        (Some("json"), Some(_)) => {
            return Err(Usage(format!(
                "{} holds its own labels: give no label file",
                args.file
            ))
            .into());
        }
        (_, None) => {
            return Err(Usage(format!(
                "{} needs labels: name a .npy file, or a folder with one per video",
                args.file
            ))
            .into());
        }
        (_, Some(labels)) => {
            let scores = read_scores_csv(args.file.as_std_path(), args.column.as_deref())?;
            let counts: Vec<(&str, usize)> = scores
                .iter()
                .map(|v| (v.name.as_str(), v.frames.last().map_or(0, |f| f + 1)))
                .collect();
            let labels = msn_data::read_frame_labels(labels, &counts)?;
            let videos = scores
                .iter()
                .zip(&labels)
                .map(|(v, l)| v.with_labels(l))
                .collect::<Result<Vec<ScoredVideo>, _>>()?;
            serde_json::to_value(frame_figures(&videos, &Bootstrap::default())?)?
        }
    };
    if args.json {
        print!("{}", run::json(&figures)?);
        return Ok(());
    }
    let Value::Object(figures) = figures else {
        return Err(anyhow!("no figures"));
    };
    for (name, value) in figures {
        let of = |key: &str| value.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
        match &value {
            Value::Object(_) => println!(
                "{name:<20}{:.4} [{:.4}, {:.4}]",
                of("value"),
                of("low"),
                of("high")
            ),
            Value::Null => println!("{name:<20}undefined"),
            other => println!("{name:<20}{other}"),
        }
    }
    Ok(())
}
