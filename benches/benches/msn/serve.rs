//! Our side of `vs_torch/compare.py`: one JSON request a line, one JSON answer a line.

use std::{
    cell::RefCell,
    collections::HashMap,
    io::{BufRead as _, Write as _},
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_model::{
    Algorithm, Clips, CpuNet, Input, Meta, Method, Precision, StretchSetting, TensorFile, Tensors,
    WEIGHTS_FORMAT, Weights, channels_last,
};
use msn_train::{CpuEngine, Engine};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::network::{Case, fresh};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    /// Makes a network; its weights and input go to files that the script reads.
    Make {
        name: String,
        width: usize,
        side: usize,
        batch: usize,
        kernels: String,
        pools: Vec<usize>,
        weights: Utf8PathBuf,
        clips: Utf8PathBuf,
    },
    /// Predicts `times` times; seconds of each, and the mean of the prediction.
    Infer { name: String, times: usize },
    /// Does `times` training steps.
    Train { name: String, times: usize },
    /// Computes predictions in `precision` from here on; whether that can be had.
    Precision { name: String, precision: String },
    /// Writes the last prediction, [N, H, W, C].
    Prediction { name: String, to: Utf8PathBuf },
}

struct Subject {
    case: Case,
    input: Vec<f32>,
    clips: Clips,
    tensors: Tensors,
    algorithm: Algorithm,
    inference: RefCell<CpuNet>,
    engine: RefCell<CpuEngine>,
}

pub fn serve() -> Result<()> {
    let mut subjects = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&line?, &mut subjects)?;
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn answer(line: &str, subjects: &mut HashMap<String, Subject>) -> Result<Value> {
    let find = |subjects: &HashMap<String, Subject>, name: &str| {
        subjects
            .contains_key(name)
            .then_some(())
            .ok_or_else(|| anyhow!("{name} was not made"))
    };
    Ok(match serde_json::from_str(line).context("no request")? {
        Request::Make {
            name,
            width,
            side,
            batch,
            kernels,
            pools,
            weights,
            clips,
        } => {
            let mut case = Case::new(&name, msn_train::Preset::Cpu, width, side, batch);
            case.settings.net.pools = pools;
            let algorithm = match kernels.as_str() {
                "direct" => Algorithm::Direct,
                _ => Algorithm::Fastest,
            };
            let subject = Subject::new(case, algorithm)?;
            subject.write(&weights, &clips)?;
            subjects.insert(name, subject);
            json!({})
        }
        Request::Infer { name, times } => {
            find(subjects, &name)?;
            let subject = &subjects[&name];
            json!({ "seconds": seconds(times, || subject.predict().map(drop))? })
        }
        Request::Train { name, times } => {
            find(subjects, &name)?;
            let subject = &subjects[&name];
            let mut loss = 0.0;
            let seconds = seconds(times, || {
                let numbers = subject
                    .engine
                    .borrow_mut()
                    .step(subject.clips.clone(), 1e-6)?;
                loss = numbers.loss;
                Ok(())
            })?;
            json!({ "seconds": seconds, "loss": loss })
        }
        Request::Precision { name, precision } => {
            find(subjects, &name)?;
            let precision: Precision = precision.parse()?;
            json!({ "there": subjects[&name].compute_in(precision)? })
        }
        Request::Prediction { name, to } => {
            find(subjects, &name)?;
            let prediction = subjects[&name].predict()?;
            let bytes: Vec<u8> = prediction.iter().flat_map(|v| v.to_le_bytes()).collect();
            std::fs::write(&to, bytes).with_context(|| format!("can't write {to}"))?;
            json!({})
        }
    })
}

fn seconds(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    (0..times)
        .map(|_| {
            let began = Instant::now();
            work()?;
            Ok(began.elapsed().as_secs_f64())
        })
        .collect()
}

impl Subject {
    fn new(case: Case, algorithm: Algorithm) -> Result<Self> {
        let tensors = fresh(&case.settings);
        let clips = case.clips();
        let net = &case.settings.net;
        let area = case.side * case.side;
        let input = channels_last(&clips.frames, case.batch, net.frames * net.channels, area);
        let inference = CpuNet::new(net, &tensors, algorithm);
        let engine = CpuEngine::new(&case.settings, &tensors, algorithm)?;
        Ok(Self {
            input,
            clips,
            algorithm,
            inference: RefCell::new(inference?),
            engine: RefCell::new(engine),
            case,
            tensors,
        })
    }

    /// False where the processor has no such products.
    fn compute_in(&self, precision: Precision) -> Result<bool> {
        let method = Method {
            precision,
            ..Method::new(self.algorithm)
        };
        if !method.isa.computes_in(precision) {
            return Ok(false);
        }
        let net = &self.case.settings.net;
        *self.inference.borrow_mut() = CpuNet::new(net, &self.tensors, method)?;
        Ok(true)
    }

    fn predict(&self) -> Result<Vec<f32>> {
        let side = self.case.side;
        let output = self
            .inference
            .borrow()
            .run(&self.input, self.case.batch, side, side)?;
        Ok(output.prediction)
    }

    fn write(&self, weights: &Utf8Path, clips: &Utf8Path) -> Result<()> {
        let side = u32::try_from(self.case.side)?;
        let file = Weights {
            meta: Meta {
                format: WEIGHTS_FORMAT.into(),
                config: self.case.settings.net.clone(),
                input: Input {
                    height: side,
                    width: side,
                    stride: 1,
                    rate_hz: 0.0,
                    stretch: StretchSetting::None,
                },
                calibration: None,
                origin: Default::default(),
            },
            tensors: fresh(&self.case.settings),
        };
        file.write(weights)?;
        let (n, s) = (self.case.batch, self.case.side);
        let net = &self.case.settings.net;
        let tensor = |values: &[f32], channels: usize| msn_model::HostTensor {
            shape: vec![n, channels, s, s],
            values: values.to_vec(),
        };
        let tensors: Tensors = [
            (
                "frames",
                tensor(&self.clips.frames, net.frames * net.channels),
            ),
            ("target", tensor(&self.clips.target, net.channels)),
        ]
        .map(|(name, t)| (name.to_owned(), t))
        .into();
        TensorFile::write(clips, &tensors, &json!({}))?;
        Ok(())
    }
}
