//! `msn memory show`.

use anyhow::{Result, anyhow};
use msn_eval::{EvalError, MemoryCard, PoolCard, SurveyOptions, memory_page};
use msn_model::Precision;
use msn_run::{Model, check_output, survey_memory};

use crate::{
    Usage,
    args::{DeviceArgs, MemoryCommand, MemoryShowArgs},
    command_line::{command_line, print_json},
    progress::Progress,
    selected_device::SelectedDevice,
    text::{columns, count},
};

pub(crate) fn memory(command: &MemoryCommand) -> Result<()> {
    match command {
        MemoryCommand::Show(args) => show(args),
    }
}

fn show(args: &MemoryShowArgs) -> Result<()> {
    let device = DeviceArgs {
        device: args.device,
        kernels: None,
        isa: None,
    };
    let device = SelectedDevice::new(&device, Precision::F32)?;
    let model = Model::open_uncalibrated(&args.weights)?;
    if model.weights.meta.config.pools.is_empty() {
        return Err(EvalError::NoPools.into());
    }
    if let Some(file) = &args.html {
        check_output(file, [model.path.as_path()])?;
    }
    let card = model.run.as_ref().and_then(|run| run.card().ok());
    let path = match (&args.data, card) {
        (Some(data), _) => data.clone(),
        (None, Some(card)) => card.data.path,
        (None, None) => {
            return Err(Usage(format!(
                "{} does not say what it was trained on: name the data set folder",
                args.weights
            ))
            .into());
        }
    };
    let set = args.source.open(&path, None)?;
    let options = SurveyOptions {
        clips: args.clips.get(),
        patches: args.patches.get(),
    };
    let store = args.store.store();
    let mut progress = Progress::default();
    let memory = survey_memory(&model, &set, &store, options, &device, &mut progress)?;
    if let Some(file) = &args.html {
        let folder = file.parent().filter(|folder| !folder.as_str().is_empty());
        folder
            .map_or(Ok(()), std::fs::create_dir_all)
            .map_err(|e| anyhow!("can't write {file}: {e}"))?;
        msn_data::write_atomically(file, memory_page(&memory, &command_line()).as_bytes())?;
        eprintln!("written to {file}");
    }
    if args.json {
        print_json(&memory)?;
    } else {
        print!("{}", table(&memory));
    }
    Ok(())
}

/// Each pool's items for a terminal.
fn table(card: &MemoryCard) -> String {
    let mut text = format!(
        "{} of {} of {}\n",
        card.surveyed,
        count(card.clips, "training clip"),
        card.data
    );
    for pool in &card.pools {
        text += &pool_table(pool);
    }
    text
}

fn pool_table(pool: &PoolCard) -> String {
    let [height, width] = pool.positions;
    let mut text = format!(
        "\npool {}: {} items of {} features; {height} x {width} places a frame, each seeing {area} x {area} pixels\n\
         usage entropy {:.3} (1 is even), {} items never nearest, largest cosine of two items {:.4}\n",
        pool.pool,
        pool.items.len(),
        pool.features,
        pool.usage_entropy,
        pool.unused(),
        pool.largest_cosine(),
        area = pool.receptive_field,
    );
    if pool.zero_queries > 0.0 {
        text += &format!(
            "{:.2} % of the places have no feature; they count for item 0\n",
            100.0 * pool.zero_queries
        );
    }
    let head = ["item", "usage", "nearest other", "cosines", "most like it"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for (number, item) in pool.items.iter().enumerate() {
        let others = item
            .cosines
            .iter()
            .enumerate()
            .filter(|&(j, _)| j != number);
        let least = others.map(|(_, &c)| c).fold(1.0, f64::min);
        let (other, cosine) = item.nearest_other(number).unwrap_or((number, 1.0));
        let place = item.patches.first().map_or_else(String::new, |p| {
            format!(
                "{} frame {}, row {}, column {} ({:.4})",
                p.video, p.frame, p.y, p.x, p.cosine
            )
        });
        lines.push(vec![
            number.to_string(),
            format!("{:.2} %", 100.0 * item.usage),
            other.to_string(),
            format!("{least:.4} to {cosine:.4}"),
            place,
        ]);
    }
    text + &columns(&lines)
}
