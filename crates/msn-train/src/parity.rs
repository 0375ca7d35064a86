//! Golden cases: one evaluation and one training step of a network, compared tensor by tensor.

mod compute;

use burn::tensor::{FloatDType, backend::AutodiffBackend};
use msn_model::{
    Algorithm, CpuError, HostTensor, Method, ParityCase, PredictError, TensorError, TensorFile,
    Tensors, WeightsError,
};
use serde::Serialize;

use compute::Golden;

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
    /// It can't be read, or its settings are missing or out of range.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// Its weights are not those of its settings.
    #[error("{path}: {source}")]
    Tensor {
        /// Path of the golden case.
        path: camino::Utf8PathBuf,
        /// The first tensor that does not fit.
        source: TensorError,
    },
    /// Something that the kernels can't compute.
    #[error("{path}: {source}")]
    Kernels {
        /// Path of the golden case.
        path: camino::Utf8PathBuf,
        /// The setting, the tensors or the clips that they refuse.
        source: CpuError,
    },
    /// Frames that the network can't take.
    #[error("{path}: {source}")]
    Predict {
        /// Path of the golden case.
        path: camino::Utf8PathBuf,
        /// How they do not fit.
        source: PredictError,
    },
    /// A tensor that is missing, or not of this comparison.
    #[error("{path}: {source}")]
    Content {
        /// Path of the golden case.
        path: camino::Utf8PathBuf,
        /// The tensor, and what is wrong with it.
        source: ContentError,
    },
}

/// What is wrong with a tensor of a golden case.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// An input that is not there.
    #[error("tensor {0} is missing")]
    Missing(&'static str),
    /// One that nothing is compared with.
    #[error("tensor {0} is none that this network has at these settings")]
    Unknown(String),
    /// One of another size than ours.
    #[error("tensor {name} has shape {golden:?}, ours {ours:?}")]
    Shape {
        /// Its name in the file.
        name: String,
        /// Its shape in the file.
        golden: Vec<usize>,
        /// What was computed.
        ours: Vec<usize>,
    },
    /// Frames that are no clips.
    #[error("input.frames has shape {0:?}, not [N, T, C, H, W]")]
    Frames(Vec<usize>),
    /// Frames and targets that do not fit the network or each other.
    #[error(
        "input shapes {clips:?} and {target:?} do not fit {past} frames of {channels} channels, sizes in multiples of 8"
    )]
    Inputs {
        /// Shape of `input.frames`.
        clips: Vec<usize>,
        /// Shape of `input.target`.
        target: Vec<usize>,
        /// Past frames that the network takes.
        past: usize,
        /// Channels of a frame.
        channels: usize,
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

/// Compares a golden case in f32: on a device, or with a `method` on the project's own CPU
/// kernels, whose tolerances are ten times as large for anything but direct convolution. Where a
/// tensor is out of tolerance and the device knows f64, the case is computed again in f64 there, to
/// tell rounding from a mistake.
///
/// # Errors
/// [`ParityError`] for a file that is no golden case; a difference is no error.
pub fn verify<B: AutodiffBackend>(
    file: &TensorFile,
    device: &B::Device,
    method: Option<Method>,
) -> Result<Vec<Row>, ParityError> {
    let golden = Golden {
        file,
        case: ParityCase::of(file)?,
    };
    let (ours, slack) = match method {
        None => (golden.on::<B>(device, FloatDType::F32)?, 1.0),
        Some(method) if method.algorithm == Algorithm::Direct => (golden.on_kernels(method)?, 1.0),
        Some(method) => (golden.on_kernels(method)?, 10.0),
    };
    let mut rows = rows(file, &ours, slack)?;
    if rows.iter().all(Row::passes) || !B::supports_dtype(device, FloatDType::F64.into()) {
        return Ok(rows);
    }
    let loose = self::rows(file, &ours, slack * ROUNDING)?;
    let exact = self::rows(file, &golden.on::<B>(device, FloatDType::F64)?, 1.0)?;
    tell_rounding(&mut rows, &loose, &exact);
    Ok(rows)
}

/// Rows that are out of tolerance, but not by much (`loose`), and not in f64 (`exact`).
fn tell_rounding(rows: &mut [Row], loose: &[Row], exact: &[Row]) {
    for (row, (loose, exact)) in rows.iter_mut().zip(loose.iter().zip(exact)) {
        if !row.passes() && loose.passes() && exact.passes() {
            row.verdict = Verdict::Rounding;
        }
    }
}

/// Every tensor of the file beside ours; `slack` multiplies the tolerances.
fn rows(file: &TensorFile, ours: &Tensors, slack: f64) -> Result<Vec<Row>, ParityError> {
    let mut rows = Vec::new();
    for (name, golden) in &file.tensors {
        if name.starts_with("weights.") || name.starts_with("input.") {
            continue;
        }
        let content = |source| ParityError::Content {
            path: file.path.clone(),
            source,
        };
        let Some(ours) = ours.get(name) else {
            return Err(content(ContentError::Unknown(name.clone())));
        };
        if ours.values.len() != golden.values.len() {
            return Err(content(ContentError::Shape {
                name: name.clone(),
                golden: golden.shape.clone(),
                ours: ours.shape.clone(),
            }));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_what_f64_takes_back_and_no_more() {
        use Verdict::{Ok, Out, Rounding};
        let row = |verdict| Row {
            tensor: "train.grad.x".to_owned(),
            absolute: 0.0,
            relative: 0.0,
            verdict,
        };
        for (f32, loose, f64, expected) in [
            (Ok, Ok, Ok, Ok),
            (Out, Ok, Ok, Rounding),
            // A mistake stays one in f64.
            (Out, Ok, Out, Out),
            // Too far for rounding.
            (Out, Out, Ok, Out),
        ] {
            let mut rows = [row(f32)];
            tell_rounding(&mut rows, &[row(loose)], &[row(f64)]);
            assert_eq!(rows[0].verdict, expected);
            assert_eq!(rows[0].passes(), expected != Out);
        }
    }
}
