//! What a golden case holds, computed here.

use std::collections::BTreeMap;

use burn::{
    module::{AutodiffModule, Param},
    optim::GradientsParams,
    tensor::{FloatDType, Tensor, TensorData, backend::AutodiffBackend},
};
use msn_model::{
    Clips, CpuNet, CpuTraining, HostTensor, Losses, Map, Method, Mode, MsnNet, ParityCase,
    Prediction, Predictor, TensorFile, Tensors, Visit, WeightsError, channels_last, predict,
};

use super::{ContentError, ParityError};
use crate::optimise::{Optimiser, after};

/// A golden case and its settings.
pub(super) struct Golden<'a> {
    pub file: &'a TensorFile,
    pub case: ParityCase,
}

impl Golden<'_> {
    /// Every tensor that it may hold, by a backend.
    pub fn on<B: AutodiffBackend>(
        &self,
        device: &B::Device,
        precision: FloatDType,
    ) -> Result<Tensors, ParityError> {
        let (file, case) = (self.file, &self.case);
        let wrong = |source| ParityError::Tensor {
            path: file.path.clone(),
            source,
        };
        let net =
            MsnNet::<B>::new(&case.config, 0, device).map_err(|source| WeightsError::Config {
                path: file.path.clone(),
                source,
            })?;
        let net = net
            .with_tensors(&self.weights())
            .map_err(wrong)?
            .cast(precision);
        let [frames, target] = self.inputs()?;
        let on = |t: &HostTensor| {
            let data = TensorData::new(t.values.clone(), t.shape.clone());
            Tensor::<B, 4>::from_data(data, (device, precision.into()))
        };
        let (x, y) = (on(&frames), on(&target));
        let mut out = self.scores(&predict(&net.valid(), x.clone().inner()), &target.values);

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
        let mut optimiser = Optimiser::new(&case.adam);
        let mut net = optimiser.optimise(net, gradients.grads, case.lr);
        after(&mut net, &output);
        for (name, tensor) in net.tensors() {
            out.insert(format!("train.after.{name}"), tensor);
        }
        Ok(out)
    }

    /// The same by the project's own CPU kernels.
    pub fn on_kernels(&self, method: Method) -> Result<Tensors, ParityError> {
        let case = &self.case;
        let wrong = |source| ParityError::Kernels {
            path: self.file.path.clone(),
            source,
        };
        let weights = self.weights();
        let [frames, target] = self.inputs()?;
        let past = case.config.frames * case.config.channels;
        let [n, _, h, w] = frames.shape[..] else {
            let source = ContentError::Frames(frames.shape);
            let path = self.file.path.clone();
            return Err(ParityError::Content { path, source });
        };
        let net = CpuNet::new(&case.config, &weights, method).map_err(wrong)?;
        let predictions = net.predict(&Clips {
            count: n,
            height: h,
            width: w,
            frames: frames.values.clone(),
            target: Vec::new(),
        });
        let predictions = predictions.map_err(|source| ParityError::Predict {
            path: self.file.path.clone(),
            source,
        })?;
        let mut out = self.scores(&predictions, &target.values);

        let training = CpuTraining::new(&case.config, case.loss, &weights, method);
        let mut training = training.map_err(wrong)?;
        let input = channels_last(&frames.values, n, past, h * w);
        let target = channels_last(&target.values, n, case.config.channels, h * w);
        let losses = training.step(&input, &target, n, h, w);
        let losses = losses.map_err(wrong)?;
        for (name, value) in [
            ("prediction", losses.prediction),
            ("compactness", losses.compactness),
            ("separateness", losses.separateness),
            ("information", losses.information),
            ("loss", losses.total(&case.loss)),
        ] {
            out.insert(format!("train.{name}"), vector(vec![value as f32]));
        }
        let gradients = training.gradients().into_iter();
        out.extend(gradients.map(|(name, g)| (format!("train.grad.{name}"), g)));
        training.update(&case.adam, case.lr);
        training.write();
        let after = training.tensors().into_iter();
        out.extend(after.map(|(name, t)| (format!("train.after.{name}"), t)));
        Ok(out)
    }

    fn weights(&self) -> Tensors {
        let named = |(name, t): (&String, &HostTensor)| {
            Some((name.strip_prefix("weights.")?.to_owned(), t.clone()))
        };
        self.file.tensors.iter().filter_map(named).collect()
    }

    /// `eval.*`. The two scores are written from their definitions, as msn-eval's tests hold its own
    /// against golden cases.
    fn scores(&self, predictions: &[Prediction], target: &[f32]) -> Tensors {
        let mut out = Tensors::new();
        let n = predictions.len();
        let targets = target.chunks_exact(target.len() / n);
        let errors: Vec<Map> = predictions
            .iter()
            .zip(targets)
            .map(|(ours, target)| ours.squared_error(target))
            .collect();
        let mut add = |name: String, values: Vec<f32>| {
            out.insert(name, vector(values));
        };
        let scalars = |f: &dyn Fn(usize) -> f64| (0..n).map(|i| f(i) as f32).collect::<Vec<f32>>();
        add(
            "eval.prediction".into(),
            predictions.iter().flat_map(|p| p.planes.clone()).collect(),
        );
        add(
            "eval.error_map".into(),
            errors.iter().flat_map(|e| e.values.clone()).collect(),
        );
        add(
            "eval.psnr".into(),
            scalars(&|i| -10.0 * errors[i].mean().max(1e-10).log10()),
        );
        let [window, stride] = self.case.patch;
        add(
            "eval.patch".into(),
            scalars(&|i| largest_window(&errors[i], window, stride)),
        );
        for (slot, &p) in self.case.config.pools.iter().enumerate() {
            let of = |i: usize| predictions[i].distances[slot].1.clone();
            add(
                format!("eval.distance_map.{p}"),
                (0..n).flat_map(|i| of(i).values).collect(),
            );
            add(format!("eval.distance.{p}"), scalars(&|i| of(i).mean()));
        }
        out
    }

    /// `input.frames` as [N, T*C, H, W] and `input.target`.
    fn inputs(&self) -> Result<[HostTensor; 2], ParityError> {
        let (file, case) = (self.file, &self.case);
        let wrong = |source| ParityError::Content {
            path: file.path.clone(),
            source,
        };
        let get = |name| {
            file.tensors
                .get(name)
                .cloned()
                .ok_or_else(|| wrong(ContentError::Missing(name)))
        };
        let (mut frames, target) = (get("input.frames")?, get("input.target")?);
        let (t, c) = (case.config.frames, case.config.channels);
        let [n, ft, fc, h, w] = frames.shape[..] else {
            return Err(wrong(ContentError::Frames(frames.shape)));
        };
        if (ft, fc) != (t, c)
            || target.shape != [n, c, h, w]
            || h % 8 != 0
            || w % 8 != 0
            || n * h * w == 0
        {
            return Err(wrong(ContentError::Inputs {
                clips: frames.shape,
                target: target.shape,
                past: t,
                channels: c,
            }));
        }
        frames.shape = vec![n, t * c, h, w];
        Ok([frames, target])
    }
}

/// The largest mean over square windows within a map, `stride` pixels apart.
fn largest_window(map: &Map, window: usize, stride: usize) -> f64 {
    let starts = |side: usize| (0..=side.saturating_sub(window)).step_by(stride.max(1));
    let mut largest = f64::NEG_INFINITY;
    for (top, left) in starts(map.height).flat_map(|y| starts(map.width).map(move |x| (y, x))) {
        let rows = map.values.chunks_exact(map.width).skip(top).take(window);
        let pixels = rows.flat_map(|row| row.iter().skip(left).take(window));
        let (sum, n) = pixels.fold((0.0, 0), |(sum, n), &v| (sum + f64::from(v), n + 1));
        largest = largest.max(sum / f64::from(n));
    }
    largest
}

fn vector(values: Vec<f32>) -> HostTensor {
    HostTensor {
        shape: vec![values.len()],
        values,
    }
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
