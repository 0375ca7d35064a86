//! The whole network: one frame predicted, one training step.

use std::cell::RefCell;

use anyhow::Result;
use benches::{Harness, PerDevice};
use burn::tensor::backend::AutodiffBackend;
use msn_model::{
    Algorithm, Clips, CpuNet, Method, MsnNet, OnDevice, Precision, Predictor, Tensors,
};
use msn_train::{BurnEngine, CpuEngine, Engine, Preset, Settings};

use crate::{assert_close, draws, methods, tolerance};

/// A network and the frames it is timed on.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    pub settings: Settings,
    pub side: usize,
    pub batch: usize,
}

impl Case {
    pub fn new(name: &str, preset: Preset, width: usize, side: usize, batch: usize) -> Self {
        let mut settings = Settings::preset(preset);
        settings.net.width = width;
        Self {
            name: format!("{name}, {batch} x {side} px"),
            settings,
            side,
            batch,
        }
    }

    pub fn clips(&self) -> Clips {
        let (net, area) = (&self.settings.net, self.side * self.side);
        Clips {
            count: self.batch,
            height: self.side,
            width: self.side,
            frames: draws(self.batch * net.frames * net.channels * area, 1),
            target: draws(self.batch * net.channels * area, 2),
        }
    }
}

/// Ndarray takes minutes where others take milliseconds.
fn too_slow(device: &str, case: &Case) -> bool {
    device == "ndarray" && case.settings.net.width * case.side > 16 * 64
}

fn predicted(net: &dyn Predictor, clips: &Clips) -> Vec<f32> {
    let predictions = net.predict(clips).expect("clips that fit");
    predictions.into_iter().flat_map(|p| p.planes).collect()
}

/// Fresh weights as every backend gets them.
struct Fresh<'a> {
    settings: &'a Settings,
    tensors: Option<Tensors>,
}

impl PerDevice for Fresh<'_> {
    fn run<B: AutodiffBackend>(&mut self, device: &B::Device) {
        let net = MsnNet::<B>::new(&self.settings.net, 0, device).expect("a preset");
        self.tensors = Some(net.tensors());
    }
}

/// A fresh network's tensors, drawn on the first backend at hand.
pub fn fresh(settings: &Settings) -> Tensors {
    let mut fresh = Fresh {
        settings,
        tensors: None,
    };
    benches::Device::compiled_in()[0].on(&mut fresh);
    fresh.tensors.expect("a backend ran")
}

pub fn inference(harness: &mut Harness) -> Result<()> {
    let cases = if harness.options.short {
        vec![Case::new("tiny", Preset::Tiny, 8, 64, 1)]
    } else {
        vec![
            Case::new("tiny", Preset::Tiny, 8, 64, 1),
            Case::new("cpu", Preset::Cpu, 16, 128, 1),
            Case::new("cpu", Preset::Cpu, 16, 256, 1),
            Case::new("width 32", Preset::Cpu, 32, 128, 1),
            Case::new("width 32", Preset::Cpu, 32, 256, 1),
            Case::new("paper", Preset::Paper, 64, 256, 1),
        ]
    };
    for case in cases {
        let subject = format!("inference, {}", case.name);
        if !harness.wants(&subject) {
            continue;
        }
        let (tensors, clips) = (fresh(&case.settings), case.clips());
        let net = |method| CpuNet::new(&case.settings.net, &tensors, method);
        let expected = predicted(&net(Method::new(Algorithm::Direct))?, &clips);
        for device in harness.devices() {
            let name = device.to_string();
            if too_slow(&name, &case) {
                harness.skip(&format!("{subject}/{name}"), "it takes minutes");
                continue;
            }
            let mut infer = Infer {
                harness,
                subject: &subject,
                variant: &name,
                case: &case,
                tensors: &tensors,
                clips: &clips,
                expected: &expected,
            };
            device.on(&mut infer);
        }
        for (variant, method) in methods() {
            let net = net(method)?;
            let ours = predicted(&net, &clips);
            assert_close(&variant, &ours, &expected, tolerance(method));
            harness.time_per(
                &subject,
                &variant,
                Some((case.batch as f64, "frames")),
                || {
                    let _ = net.predict(&clips);
                },
            );
        }
    }
    Ok(())
}

struct Infer<'a> {
    harness: &'a mut Harness,
    subject: &'a str,
    variant: &'a str,
    case: &'a Case,
    tensors: &'a Tensors,
    clips: &'a Clips,
    expected: &'a [f32],
}

impl PerDevice for Infer<'_> {
    fn run<B: AutodiffBackend>(&mut self, device: &B::Device) {
        let net = MsnNet::<B::InnerBackend>::new(&self.case.settings.net, 0, device)
            .expect("a preset")
            .with_tensors(self.tensors)
            .expect("tensors that fit");
        let net = OnDevice {
            net,
            device: device.clone(),
        };
        assert_close(
            self.variant,
            &predicted(&net, self.clips),
            self.expected,
            1e-3,
        );
        let frames = Some((self.case.batch as f64, "frames"));
        self.harness
            .time_per(self.subject, self.variant, frames, || {
                let _ = net.predict(self.clips);
            });
    }
}

pub fn training(harness: &mut Harness) -> Result<()> {
    let cases = if harness.options.short {
        vec![Case::new("tiny", Preset::Tiny, 8, 32, 2)]
    } else {
        vec![
            Case::new("tiny", Preset::Tiny, 8, 64, 8),
            Case::new("cpu", Preset::Cpu, 16, 64, 8),
            Case::new("cpu", Preset::Cpu, 16, 128, 2),
            Case::new("width 32", Preset::Cpu, 32, 128, 2),
            Case::new("paper", Preset::Paper, 64, 256, 1),
        ]
    };
    for case in cases {
        let subject = format!("training step, {}", case.name);
        if !harness.wants(&subject) {
            continue;
        }
        let (tensors, clips) = (fresh(&case.settings), case.clips());
        let engine = |settings: &Settings, tensors: &Tensors, method: Method| {
            CpuEngine::new(settings, tensors, method).map(RefCell::new)
        };
        let step = |engine: &RefCell<CpuEngine>| -> f64 {
            engine
                .borrow_mut()
                .step(clips.clone(), 1e-6)
                .expect("a step")
                .loss
        };
        let direct = Method::new(Algorithm::Direct);
        let expected = step(&engine(&case.settings, &tensors, direct)?);
        for device in harness.devices() {
            let name = device.to_string();
            if too_slow(&name, &case) {
                harness.skip(&format!("{subject}/{name}"), "it takes minutes");
                continue;
            }
            let mut train = Train {
                harness,
                subject: &subject,
                variant: &name,
                case: &case,
                clips: &clips,
                expected,
            };
            device.on(&mut train);
        }
        for (variant, method) in methods() {
            if method.precision != Precision::F32 {
                continue;
            }
            let engine = engine(&case.settings, &tensors, method)?;
            assert_loss(&variant, step(&engine), expected);
            harness.time_per(
                &subject,
                &variant,
                Some((case.batch as f64, "frames")),
                || {
                    step(&engine);
                },
            );
        }
    }
    Ok(())
}

fn assert_loss(variant: &str, loss: f64, expected: f64) {
    assert!(
        (loss - expected).abs() < 1e-3 * expected.abs(),
        "{variant}: the loss is {loss}, not {expected}"
    );
}

struct Train<'a> {
    harness: &'a mut Harness,
    subject: &'a str,
    variant: &'a str,
    case: &'a Case,
    clips: &'a Clips,
    expected: f64,
}

impl PerDevice for Train<'_> {
    fn run<B: AutodiffBackend>(&mut self, device: &B::Device) {
        let mut engine = BurnEngine::<B>::new(&self.case.settings, device).expect("a preset");
        let mut step = || engine.step(self.clips.clone(), 1e-6).expect("a step").loss;
        assert_loss(self.variant, step(), self.expected);
        let frames = Some((self.case.batch as f64, "frames"));
        self.harness
            .time_per(self.subject, self.variant, frames, || {
                step();
            });
    }
}
