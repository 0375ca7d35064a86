//! Golden cases: one evaluation and one training step of a network, compared tensor by tensor.

use std::collections::BTreeMap;

use burn::{
    module::Param,
    optim::GradientsParams,
    tensor::{FloatDType, Tensor, TensorData, backend::AutodiffBackend},
};
use msn_model::{
    HostTensor, Losses, Mode, MsnNet, ParityCase, TensorError, TensorFile, Tensors, Visit,
    WeightsError, evaluate,
};
use serde::Serialize;

use crate::step::{Adam, Step};

/// How one tensor compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name in the file.
    pub tensor: String,
    /// Largest |ours - golden|.
    pub absolute: f64,
    /// Largest |ours - golden| / |golden|, over values above a millionth.
    pub relative: f64,
    /// What that means.
    pub verdict: Verdict,
}

impl Row {
    /// Whether the tensor speaks for this build.
    pub fn passes(&self) -> bool {
        self.verdict != Verdict::Out
    }
}

/// How a tensor stands to its tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every value is within it.
    Ok,
    /// Some value is out, but at most [`ROUNDING`] times, and the same code is within it in f64:
    /// somewhere in the case a ReLU, a maximum or a margin sits so near its edge that rounding to
    /// f32 chooses the side, and with it a value's whole gradient.
    Rounding,
    /// Some value is out.
    Out,
}

/// How far out of tolerance rounding to f32 may take a value.
pub const ROUNDING: f64 = 100.0;

/// A file that can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// The file or its settings.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// Its tensors.
    #[error("{path}: {source}")]
    Tensor {
        /// The file.
        path: camino::Utf8PathBuf,
        /// Which one.
        source: TensorError,
    },
    /// A tensor that this comparison does not know.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: camino::Utf8PathBuf,
        /// Which one, and why.
        reason: String,
    },
}

/// |ours - golden| <= absolute + relative |golden|.
struct Tolerance {
    absolute: f64,
    relative: f64,
}

fn tolerance(name: &str, golden: &HostTensor, slack: f64) -> Tolerance {
    let largest = golden
        .values
        .iter()
        .fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
    let (absolute, relative) = if name == "eval.psnr" {
        (1e-3, 0.0)
    } else if name.starts_with("train.grad.") {
        (1e-4 * largest + 1e-6, 0.0)
    } else if is_stepped(name) {
        (2e-4, 0.0)
    } else if name.starts_with("train.after.") {
        (1e-4, 0.0)
    } else {
        (1e-4, 1e-4)
    };
    Tolerance {
        absolute: absolute * slack,
        relative: relative * slack,
    }
}

/// Whether a tensor is a parameter after Adam's step, which divides by |g|.
fn is_stepped(name: &str) -> bool {
    name.strip_prefix("train.after.")
        .is_some_and(|n| !n.contains("running_") && !n.ends_with(".items"))
}

/// Compares a golden case on a device, in f32. Where a tensor is out of tolerance and the device
/// knows f64, the case is computed again in f64, to tell rounding from a mistake.
///
/// # Errors
/// [`ParityError`] for a file that is no golden case; a difference is no error.
pub fn verify<B: AutodiffBackend>(
    file: &TensorFile,
    device: &B::Device,
) -> Result<Vec<Row>, ParityError> {
    let case = ParityCase::of(file)?;
    let ours = compute::<B>(file, &case, device, FloatDType::F32)?;
    let mut rows = rows(file, &ours, 1.0)?;
    if rows.iter().all(Row::passes) || !B::supports_dtype(device, FloatDType::F64.into()) {
        return Ok(rows);
    }
    let loose = self::rows(file, &ours, ROUNDING)?;
    let exact = self::rows(
        file,
        &compute::<B>(file, &case, device, FloatDType::F64)?,
        1.0,
    )?;
    for (row, (loose, exact)) in rows.iter_mut().zip(loose.iter().zip(&exact)) {
        if !row.passes() && loose.passes() && exact.passes() {
            row.verdict = Verdict::Rounding;
        }
    }
    Ok(rows)
}

/// Every tensor of the file beside ours; `slack` multiplies the tolerances.
fn rows(file: &TensorFile, ours: &Tensors, slack: f64) -> Result<Vec<Row>, ParityError> {
    let mut rows = Vec::new();
    for (name, golden) in &file.tensors {
        if name.starts_with("weights.") || name.starts_with("input.") {
            continue;
        }
        let content = |reason| ParityError::Content {
            path: file.path.clone(),
            reason,
        };
        let Some(ours) = ours.get(name) else {
            return Err(content(format!(
                "tensor {name} is none that this network has at these settings"
            )));
        };
        if ours.values.len() != golden.values.len() {
            return Err(content(format!(
                "tensor {name} has shape {:?}, ours {:?}",
                golden.shape, ours.shape
            )));
        }
        let gradient = is_stepped(name).then(|| name.replacen("train.after.", "train.grad.", 1));
        let gradient = gradient.and_then(|g| file.tensors.get(&g));
        rows.push(compare(
            name,
            ours,
            golden,
            gradient,
            &tolerance(name, golden, slack),
        ));
    }
    Ok(rows)
}

fn compare(
    name: &str,
    ours: &HostTensor,
    golden: &HostTensor,
    gradient: Option<&HostTensor>,
    within: &Tolerance,
) -> Row {
    let mut row = Row {
        tensor: name.to_owned(),
        absolute: 0.0,
        relative: 0.0,
        verdict: Verdict::Ok,
    };
    for (i, (&a, &b)) in ours.values.iter().zip(&golden.values).enumerate() {
        if gradient.is_some_and(|g| g.values[i].abs() < 1e-6) {
            continue;
        }
        let (a, b) = (f64::from(a), f64::from(b));
        let difference = (a - b).abs();
        if difference.is_nan() || difference > within.absolute + within.relative * b.abs() {
            row.verdict = Verdict::Out;
        }
        if difference.is_nan() || difference > row.absolute {
            row.absolute = difference;
        }
        if b.abs() > 1e-6 {
            row.relative = row.relative.max(difference / b.abs());
        }
    }
    row
}

/// Every tensor that a golden case may hold.
fn compute<B: AutodiffBackend>(
    file: &TensorFile,
    case: &ParityCase,
    device: &B::Device,
    precision: FloatDType,
) -> Result<Tensors, ParityError> {
    let wrong = |source| ParityError::Tensor {
        path: file.path.clone(),
        source,
    };
    let weights: Tensors = file
        .tensors
        .iter()
        .filter_map(|(name, t)| Some((name.strip_prefix("weights.")?.to_owned(), t.clone())))
        .collect();
    let net = MsnNet::<B>::new(&case.config, 0, device).map_err(|source| WeightsError::Config {
        path: file.path.clone(),
        source,
    })?;
    let net = net.with_tensors(&weights).map_err(wrong)?.cast(precision);
    let [frames, target] = inputs(file, case)?;
    let mut out = Tensors::new();

    let valid = burn::module::AutodiffModule::valid(&net);
    let on = |t: &HostTensor| {
        let data = TensorData::new(t.values.clone(), t.shape.clone());
        Tensor::<B, 4>::from_data(data, (device, precision.into()))
    };
    let (x, y) = (on(&frames), on(&target));
    let maps = evaluate(&valid, x.clone().inner(), y.clone().inner());
    let n = maps.len();
    let mut add = |name: String, values: Vec<f32>| {
        out.insert(
            name,
            HostTensor {
                shape: vec![values.len()],
                values,
            },
        );
    };
    #[expect(clippy::cast_possible_truncation, reason = "golden cases are f32")]
    let scalars = |f: &dyn Fn(usize) -> f64| (0..n).map(|i| f(i) as f32).collect::<Vec<f32>>();
    add(
        "eval.prediction".into(),
        maps.iter().flat_map(|m| m.prediction.clone()).collect(),
    );
    add(
        "eval.error_map".into(),
        maps.iter().flat_map(|m| m.error.values.clone()).collect(),
    );
    add("eval.psnr".into(), scalars(&|i| maps[i].psnr()));
    let [window, stride] = case.patch;
    add(
        "eval.patch".into(),
        scalars(&|i| maps[i].error.largest_window(window, stride)),
    );
    for (slot, &p) in case.config.pools.iter().enumerate() {
        let of = |i: usize| maps[i].distances[slot].1.clone();
        add(
            format!("eval.distance_map.{p}"),
            (0..n).flat_map(|i| of(i).values).collect(),
        );
        add(format!("eval.distance.{p}"), scalars(&|i| of(i).mean()));
    }

    let output = net.forward(x, Mode::Train);
    let losses = Losses::new(&output, y);
    let total = losses.total(&case.loss);
    for (name, part) in [
        ("prediction", &losses.prediction),
        ("compactness", &losses.compactness),
        ("separateness", &losses.separateness),
        ("information", &losses.information),
        ("loss", &total),
    ] {
        out.insert(format!("train.{name}"), HostTensor::of(part.clone()));
    }
    let mut gradients = Gradients {
        grads: GradientsParams::from_grads(total.backward(), &net),
        named: BTreeMap::new(),
    };
    net.visit_tensors(&mut gradients);
    for (name, tensor) in &gradients.named {
        out.insert(format!("train.grad.{name}"), tensor.clone());
    }
    let mut step = Step::new(&Adam {
        betas: case.betas,
        eps: case.eps,
    });
    let net = step.finish(net, gradients.grads, &output, case.lr);
    for (name, tensor) in net.tensors() {
        out.insert(format!("train.after.{name}"), tensor);
    }
    Ok(out)
}

struct Gradients {
    grads: GradientsParams,
    named: Tensors,
}

impl<B: AutodiffBackend> Visit<B> for Gradients {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        if let Some(g) = self.grads.get::<B::InnerBackend, D>(param.id) {
            self.named.insert(name.to_owned(), HostTensor::of(g));
        } else if param.is_require_grad() {
            // A parameter that the loss does not reach, such as behind `skip1 = false`.
            let shape = param.dims().to_vec();
            let values = vec![0.0; shape.iter().product()];
            self.named
                .insert(name.to_owned(), HostTensor { shape, values });
        }
    }
}

/// `input.frames` as [N, T*C, H, W] and `input.target`.
fn inputs(file: &TensorFile, case: &ParityCase) -> Result<[HostTensor; 2], ParityError> {
    let wrong = |reason: String| ParityError::Content {
        path: file.path.clone(),
        reason,
    };
    let get = |name: &str| {
        file.tensors
            .get(name)
            .cloned()
            .ok_or_else(|| wrong(format!("tensor {name} is missing")))
    };
    let (mut frames, target) = (get("input.frames")?, get("input.target")?);
    let (t, c) = (case.config.frames, case.config.channels);
    let [n, ft, fc, h, w] = frames.shape[..] else {
        return Err(wrong(format!(
            "input.frames has shape {:?}, not [N, T, C, H, W]",
            frames.shape
        )));
    };
    if (ft, fc) != (t, c)
        || target.shape != [n, c, h, w]
        || h % 8 != 0
        || w % 8 != 0
        || n * h * w == 0
    {
        return Err(wrong(format!(
            "input shapes {:?} and {:?} do not fit {t} frames of {c} channels, sizes in multiples of 8",
            frames.shape, target.shape
        )));
    }
    frames.shape = vec![n, t * c, h, w];
    Ok([frames, target])
}
