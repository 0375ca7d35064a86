//! `msn weights`: show, import, calibrate.

mod state;

use std::collections::BTreeMap;

use anyhow::Result;
use camino::Utf8Path;
use msn_data::{DataSet, OpenOptions};
use msn_eval::Calibration;
use msn_model::{Kernels, Meta, Precision, StretchSetting, TensorFile, WEIGHTS_FORMAT, Weights};
use msn_run::{Devices as _, Model, NormalFootage, RunError, RunFolder};
use msn_train::{Preset, Settings};
use serde_json::json;

use self::state::StateDict;
use crate::{
    Usage,
    args::{DeviceArgs, StoreArgs, WeightsCommand},
    command_line::print_json,
    device::Device,
    progress::Progress,
    selected_device::SelectedDevice,
};

pub(crate) fn weights(command: &WeightsCommand) -> Result<()> {
    match command {
        WeightsCommand::Show { file, json } => show(file, *json),
        WeightsCommand::Import {
            file,
            out,
            settings,
            json,
        } => import(file, out, settings, *json),
        WeightsCommand::Calibrate {
            weights,
            normal,
            out,
            layout,
            fps,
            device,
            precision,
            store,
            json,
        } => {
            let device = SelectedDevice::new(device, precision.precision)?;
            let model = Model::open_uncalibrated(weights)?;
            let options = layout.options(fps.fps)?;
            let calibration = calibrate(&model, normal, &options, &device, store)?;
            let file = out.clone().unwrap_or_else(|| model.calibration_file());
            calibration.write(&file, &model.weights)?;
            if *json {
                return print_json(&json!({
                    "format": "msn-calibrated-1", "file": file, "median": calibration.median,
                    "mad": calibration.mad, "frames": calibration.frames,
                    "threshold": calibration.alarm.map(|alarm| alarm.threshold),
                }));
            }
            println!(
                "wrote {file}: median {:.4}, MAD {:.4} over {} normal frames",
                calibration.median, calibration.mad, calibration.frames
            );
            Ok(())
        }
    }
}

fn show(file: &Utf8Path, as_json: bool) -> Result<()> {
    let run = file.is_dir().then_some(file);
    let file = &match run {
        Some(run) => RunFolder::open(run).weights_file()?,
        None => file.to_owned(),
    };
    let tensors = TensorFile::read(file)?;
    // Weights can be looked at whatever lies beside them.
    let (mut meta, mut calibration) = (None, Ok(None));
    if tensors.metadata.contains_key("msn") {
        let weights = Weights::read(file)?;
        calibration = Calibration::find(file, &weights, run);
        meta = Some(weights.meta);
    }
    let count: usize = tensors.tensors.values().map(|t| t.values.len()).sum();
    if as_json {
        let shapes: BTreeMap<&String, &Vec<usize>> =
            tensors.tensors.iter().map(|(n, t)| (n, &t.shape)).collect();
        let mut all = json!({
            "format": "msn-show-1", "file": file, "msn": meta, "calibration": null,
            "values": count, "tensors": shapes
        });
        match calibration {
            Ok(calibration) => all["calibration"] = json!(calibration),
            Err(error) => all["calibration_error"] = error.to_string().into(),
        }
        return print_json(&all);
    }
    println!("file: {file}");
    match &meta {
        None => {
            println!("no `msn` metadata: `msn weights import` makes a weights file of a state dict")
        }
        Some(meta) => {
            println!(
                "input: {} x {} pixels (height x width), stride {}",
                meta.input.height, meta.input.width, meta.input.stride
            );
            if !meta.input.stretch.is_none() {
                println!("stretch of more than 8 bits: {}", meta.input.stretch);
            }
            println!("config: {}", serde_json::to_string(&meta.config)?);
            match &calibration {
                Ok(Some(c)) => println!("calibration: {}", serde_json::to_string(c)?),
                Ok(None) => println!("calibration: none (`msn weights calibrate` adds one)"),
                Err(error) => println!("calibration: unusable: {error}"),
            }
            for (key, value) in &meta.origin {
                println!("{key}: {value}");
            }
        }
    }
    println!("{} tensors, {count} values", tensors.tensors.len());
    for (name, t) in &tensors.tensors {
        println!("  {name} {:?}", t.shape);
    }
    Ok(())
}

fn import(file: &Utf8Path, out: &Utf8Path, texts: &[String], as_json: bool) -> Result<()> {
    let state = StateDict::read(file)?;
    let tensors = state.tensors.clone();
    let mut settings = Settings::preset(Preset::Paper);
    settings.net = state.config(file)?;
    for text in texts {
        settings.set(text).map_err(|e| Usage(e.to_string()))?;
    }
    settings.check().map_err(|e| Usage(e.to_string()))?;
    if settings.input.stretch == StretchSetting::Auto {
        let text = "stretch=auto measures training videos, of which there are none here: give stretch=LOW..HIGH";
        return Err(Usage(text.into()).into());
    }
    let origin = [
        (
            "imported_from",
            file.file_name().unwrap_or(file.as_str()).to_owned(),
        ),
        ("msn", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let meta = Meta {
        format: WEIGHTS_FORMAT.into(),
        config: settings.net.clone(),
        input: settings.input,
        calibration: None,
        origin: origin.map(|(k, v)| (k.to_owned(), v)).into(),
    };
    let weights = Weights { meta, tensors };
    fits(&weights, file)?;
    weights.write(out)?;
    let echo = state.echo(&settings, texts);
    if as_json {
        return print_json(&json!({
            "format": "msn-import-1", "file": file, "out": out, "prefix": state.prefix,
            "tensors": state.tensors.len(), "left_out": state.left_out,
            "inferred": echo.inferred, "given": echo.given, "assumed": echo.assumed,
        }));
    }
    print!("{}", state.text(&echo));
    println!("wrote {out}");
    Ok(())
}

/// Whether the tensors are all there and of the right shapes.
fn fits(weights: &Weights, path: &Utf8Path) -> Result<()> {
    let model = Model {
        path: path.to_owned(),
        weights: weights.clone(),
        calibration: None,
        run: None,
    };
    let plain = DeviceArgs {
        device: Device::default(),
        kernels: Some(Kernels::Plain),
        isa: None,
    };
    let device = SelectedDevice::new(&plain, Precision::F32)?;
    device.predictor(&model).map_err(RunError::Device)?;
    Ok(())
}

/// Calibrates on normal videos, which may be data sets.
fn calibrate(
    model: &Model,
    normal: &[String],
    options: &OpenOptions,
    device: &SelectedDevice,
    store: &StoreArgs,
) -> Result<Calibration> {
    // By the rate of their folders, which data sets may have.
    let mut footage: Vec<NormalFootage> = Vec::new();
    for path in normal {
        let (videos, folder_hz) = match DataSet::open(path.as_ref(), options) {
            Ok(set) if !set.train.is_empty() => (set.train, set.folder_hz),
            Err(error) if options.layout.is_some() => return Err(error.into()),
            _ => (
                crate::args::sources(std::slice::from_ref(path))?,
                options.folder_hz,
            ),
        };
        match footage.iter_mut().find(|part| part.folder_hz == folder_hz) {
            Some(part) => part.videos.extend(videos),
            None => footage.push(NormalFootage { videos, folder_hz }),
        }
    }
    let mut progress = Progress::default();
    let store = store.store();
    let calibration = msn_run::calibrate(model, &footage, &store, device, &mut progress)?;
    Ok(calibration)
}
