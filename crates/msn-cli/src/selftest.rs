//! `msn selftest`: anomalies put into normal footage of the calibration split.

use anyhow::Result;
use msn_data::DataSet;
use msn_eval::{Injected, SelfTest};
use msn_run::{Model, self_test};

use crate::{
    Usage, args::SelftestArgs, command_line::print_json, selected_device::SelectedDevice, progress::Progress,
};

pub(crate) fn selftest(args: &SelftestArgs) -> Result<()> {
    let device = SelectedDevice::new(&args.device, args.precision.precision)?;
    let model = Model::open(&args.weights)?;
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
