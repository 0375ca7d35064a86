//! `msn selftest`: anomalies put into normal footage of the calibration split.

use anyhow::Result;
use msn_data::DataSet;
use msn_eval::{Injected, SelfTest};
use msn_run::self_test;

use crate::{Usage, args::SelftestArgs, command_line::print_json, progress::Progress, text::count};

pub(crate) fn selftest(args: &SelftestArgs) -> Result<()> {
    let device = args.network.device()?;
    let model = args.network.open(&args.weights)?;
    model.calibration_for("the self-test")?;
    let card = model.run.as_ref().map(|run| run.card()).transpose()?;
    let path = match (&args.data, card) {
        (Some(data), _) => data.clone(),
        (None, Some(card)) => card.data.path,
        (None, None) => {
            return Err(Usage(format!(
                "{} does not say where its training videos are: give their data set folder as DATA",
                model.path
            ))
            .into());
        }
    };
    let set = DataSet::open(&path, &args.layout.options(args.fps.fps)?)?;
    let store = args.store.store();
    let mut progress = Progress::default();
    let test = self_test(&model, &set, &store, args.seed, &device, &mut progress)?;
    if args.json {
        print_json(&test)?;
    } else {
        print(&test);
    }
    Ok(())
}

fn print(test: &SelfTest) {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
    println!(
        "{} cut out of training videos, drawn into {} of the calibration split; seed {}",
        count(test.objects, "moving object"),
        count(test.frames, "frame"),
        test.seed
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
    println!();
    for sentence in &test.verdict {
        println!("{sentence}");
    }
}
