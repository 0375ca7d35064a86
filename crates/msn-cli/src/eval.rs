//! `msn eval`.

use anyhow::Result;
use msn_run::{EvaluateRequest, TestSet, evaluate, overlay_paths, run_memory};

use crate::{
    Usage,
    args::EvalArgs,
    command_line::{command_line, print_json},
    evaluation,
    progress::Progress,
};

pub(crate) fn eval(args: &EvalArgs) -> Result<()> {
    check(args)?;
    let device = args.network.device()?;
    let model = args.network.open(&args.weights)?;
    if args.overlay.is_some() {
        model.calibration_for("an overlay")?;
    }
    let card = model.run.as_ref().and_then(|run| run.card().ok());
    let data = match (&args.data, &card) {
        (Some(data), _) => data.clone(),
        (None, Some(card)) => card.data.path.clone(),
        (None, None) => {
            return Err(Usage(format!(
                "{} does not say what to evaluate: name a data set folder",
                args.weights
            ))
            .into());
        }
    };
    let set = args.source.open(&data, args.fps.fps)?;
    if set.test.is_empty() {
        return Err(msn_run::RunError::NoTestVideos { root: data }.into());
    }
    if let Some(folder) = &args.overlay {
        overlay_paths(&set.test, folder)?;
    }
    // A run's own metrics are not overwritten by those on other data.
    let own = card
        .as_ref()
        .is_some_and(|c| data.canonicalize_utf8().is_ok_and(|d| d == c.data.path));
    let of_run = model.run.as_ref().map(|run| match own {
        true => run.path().to_owned(),
        false => run.path().join("eval").join(&set.name),
    });
    let out = args.out.clone().or(of_run);
    let store = args.store.store();
    let mut progress = Progress::default();
    let memory = run_memory(&model, &store, &device, &mut progress);
    let load = model.load_options(set.folder_hz);
    let test = TestSet::load(&set, &load, &store, &mut progress)?;
    let request = EvaluateRequest {
        out: out.as_deref(),
        overlay: args.overlay.as_deref(),
        memory,
        smooth: args.smooth,
        groups: match args.kinds.is_empty() {
            true => Vec::new(),
            false => vec![args.kinds.clone()],
        },
        seed: model.seed(),
        command: command_line(),
        ..EvaluateRequest::new(&model, &test)
    };
    let evaluation = evaluate(&request, &device, &mut progress)?;
    if args.json {
        print_json(&evaluation)?;
    } else if let Some(evaluation) = &evaluation {
        print!("{}", evaluation::table(evaluation));
    }
    for path in [&out, &args.overlay].into_iter().flatten() {
        eprintln!("written to {path}");
    }
    Ok(())
}

fn check(args: &EvalArgs) -> Result<(), Usage> {
    if let Some(sigma) = args.smooth
        && !(sigma > 0.0 && sigma.is_finite())
    {
        return Err(Usage(format!(
            "--smooth {sigma} is out of range: give a standard deviation above 0 frames"
        )));
    }
    if args.overlay.is_some() && !cfg!(feature = "ffmpeg") {
        return Err(Usage(
            "--overlay writes video files, and this build is without FFmpeg: build with the feature `ffmpeg`".into(),
        ));
    }
    Ok(())
}
