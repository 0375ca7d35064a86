//! Both engines, and what the loop adds to them.

use std::ops::ControlFlow;

use burn::backend::{
    Autodiff, Flex, NdArray, autodiff::checkpoint::strategy::BalancedCheckpointing,
};
use msn_data::{Color, LoadedVideo, Size, calibration_split, clips, segments};
use msn_model::{Algorithm, Clips, Tensors};
use msn_train::{
    BurnEngine, CpuEngine, Engine, Feed, Preset, Progress, Settings, TrainEvent, train,
};

pub(crate) fn settings(more: &[&str]) -> Settings {
    let mut settings = Settings::preset(Preset::Tiny);
    for text in ["size=16", "width=4", "items=6", "batch=4"]
        .iter()
        .chain(more)
    {
        settings.set(text).unwrap();
    }
    settings.check().unwrap();
    settings
}

/// Videos of a textured bar that moves.
pub(crate) fn videos() -> Vec<LoadedVideo> {
    let video = |speed: usize| {
        let pixel = |i: usize| {
            let (t, y, x) = (i / 256, i / 16 % 16, i % 16);
            let bar = (x + 64 - t * speed % 16) % 16 < 5;
            u8::try_from(if bar { 150 + y * 6 } else { 30 + (x * y) % 17 }).unwrap()
        };
        let pixels: Vec<u8> = (0..24 * 256).map(pixel).collect();
        LoadedVideo::from_pixels(format!("v{speed}"), Size::new(16, 16), Color::Grey, &pixels)
    };
    [1, 2, 3, 5].map(|speed| video(speed).unwrap()).into()
}

pub(crate) fn batches(settings: &Settings, videos: &[LoadedVideo]) -> Vec<Clips> {
    let feed = Feed {
        videos,
        net: &settings.net,
        stride: 1,
        crop: 0,
        flip: false,
        brightness: 0.0,
        seed: 3,
    };
    let all = feed.order(&clips(&segments(videos), settings.net.frames, 1), 0);
    all.chunks_exact(4)
        .map(|clips| feed.batch(clips, 0).unwrap())
        .collect()
}

fn engines(settings: &Settings) -> [Box<dyn Engine>; 2] {
    let burn = BurnEngine::<Autodiff<Flex>>::new(settings, &Default::default()).unwrap();
    let cpu = CpuEngine::new(settings, &burn.tensors(), Algorithm::Direct).unwrap();
    [Box::new(burn), Box::new(cpu)]
}

/// Largest difference of tensors that `chosen` names, as a share of each tensor's largest value.
pub(crate) fn distance(a: &Tensors, b: &Tensors, chosen: impl Fn(&str) -> bool) -> f64 {
    let of = |(name, a): (&String, &msn_model::HostTensor)| {
        let size = a.values.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        let pairs = a.values.iter().zip(&b[name].values);
        f64::from(pairs.fold(0f32, |m, (a, b)| m.max((a - b).abs())) / size)
    };
    a.iter()
        .filter(|(name, _)| chosen(name))
        .map(of)
        .fold(0.0, f64::max)
}

#[test]
fn accumulated_gradients_are_a_mean() {
    // Without pools a pass leaves nothing behind that the next would see.
    let settings = settings(&["pools=none", "lr=1e-3"]);
    let videos = videos();
    let batches = batches(&settings, &videos);
    for (mut once, mut thrice) in engines(&settings).into_iter().zip(engines(&settings)) {
        once.step(batches[0].clone(), 1e-3).unwrap();
        for _ in 0..2 {
            thrice.accumulate(batches[0].clone()).unwrap();
        }
        thrice.step(batches[0].clone(), 1e-3).unwrap();
        // Adam's mean is the gradient's share; its step is the same whichever size that has, so
        // weights would show rounding where a gradient is all but zero.
        let far =
            |a: &dyn Engine, b: &dyn Engine| distance(&a.state().mean, &b.state().mean, |_| true);
        let first = far(once.as_ref(), thrice.as_ref());
        assert!(first < 1e-5, "{first}");
        // Nothing is kept beyond a step.
        for engine in [&mut once, &mut thrice] {
            engine.step(batches[1].clone(), 1e-3).unwrap();
        }
        let second = far(once.as_ref(), thrice.as_ref());
        assert!(second < 1e-2, "{second}");
    }
}

#[test]
fn both_engines_accumulate_and_clip_alike() {
    let settings = settings(&["clip_norm=0.5"]);
    let videos = videos();
    let batches = batches(&settings, &videos);
    let [mut burn, mut cpu] = engines(&settings);
    for engine in [&mut burn, &mut cpu] {
        for clips in &batches[..2] {
            engine.accumulate(clips.clone()).unwrap();
        }
        engine.step(batches[2].clone(), 1e-3).unwrap();
    }
    // A first step of Adam moves each weight by the rate, whichever way its gradient points; where
    // that is all but zero, rounding decides.
    let (a, b) = (burn.state(), cpu.state());
    assert!(distance(&a.mean, &b.mean, |_| true) < 1e-3);
    let items = |name: &str| name.ends_with("items");
    assert!(distance(&a.tensors, &b.tensors, items) < 1e-4);
}

#[test]
fn checkpointing_changes_no_bit() {
    let settings = settings(&["checkpointing=true"]);
    let batches = batches(&settings, &videos());
    let device = Default::default();
    let mut keeps = BurnEngine::<Autodiff<Flex>>::new(&settings, &device).unwrap();
    let mut computes =
        BurnEngine::<Autodiff<Flex, BalancedCheckpointing>>::new(&settings, &device).unwrap();
    for clips in &batches[..3] {
        let kept = keeps.step(clips.clone(), 1e-3).unwrap();
        assert_eq!(computes.step(clips.clone(), 1e-3).unwrap(), kept);
    }
    assert_eq!(computes.state(), keeps.state());
}

#[test]
fn bf16_trains_like_f32_but_for_its_digits() {
    let settings = |more: &[&str]| settings(&[&["size=32", "width=8"], more].concat());
    let batches = batches(&settings(&[]), &videos());
    let engine = |settings: &Settings| {
        BurnEngine::<Autodiff<Flex>>::new(settings, &Default::default()).unwrap()
    };
    let (mut full, mut half) = (engine(&settings(&[])), engine(&settings(&["bf16=true"])));
    let (first, rounded) = (
        full.step(batches[0].clone(), 1e-3).unwrap(),
        half.step(batches[0].clone(), 1e-3).unwrap(),
    );
    // bf16 has eight bits, and gradients pass many layers: those of a fresh network turn by 0.96 in
    // PyTorch's autocast as well.
    assert!(rounded.loss != first.loss, "nothing was rounded");
    assert!(
        (rounded.loss / first.loss - 1.0).abs() < 0.01,
        "{rounded:?} {first:?}"
    );
    let along = cosine(&full.state().mean, &half.state().mean);
    assert!(along > 0.95, "{along}");
    for _ in 0..20 {
        half.step(batches[0].clone(), 1e-3).unwrap();
    }
    let later = half.step(batches[0].clone(), 1e-3).unwrap();
    assert!(
        later.prediction < 0.7 * rounded.prediction,
        "{later:?} {rounded:?}"
    );
}

/// Of all values of both, as two long vectors.
fn cosine(a: &Tensors, b: &Tensors) -> f64 {
    let values = |t: &Tensors| -> Vec<f64> {
        t.values()
            .flat_map(|t| t.values.iter().map(|&v| f64::from(v)))
            .collect()
    };
    let (a, b) = (values(a), values(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

#[test]
fn what_an_engine_lacks_is_refused() {
    let settings = |text: &str| settings(&[text]);
    let refused = BurnEngine::<Autodiff<NdArray>>::new(&settings("bf16=true"), &Default::default());
    let says = refused.unwrap_err().to_string();
    assert!(says.contains("does not compute in bf16"), "{says}");
    for key in ["bf16", "checkpointing", "revive", "start_items"] {
        let settings = settings(&format!("{key}=true"));
        let burn = BurnEngine::<Autodiff<Flex>>::new(&settings, &Default::default()).unwrap();
        let refused = CpuEngine::new(&settings, &burn.tensors(), Algorithm::Fastest);
        let says = refused.unwrap_err().to_string();
        assert!(
            says.starts_with(&format!("{key}=true needs --kernels plain")),
            "{says}"
        );
    }
}

#[test]
fn the_average_follows_the_network() {
    let settings = settings(&["ema=0.8", "epochs=2", "accumulate=2"]);
    let videos = videos();
    let hold = calibration_split(&videos, settings.net.frames, 1, 0);
    for mut engine in engines(&settings) {
        let mut average: Option<Tensors> = None;
        let mut steps = 0;
        let mut watch = |event: TrainEvent<'_>| {
            let TrainEvent::Step(report, engine, progress) = event else {
                return ControlFlow::<()>::Continue(());
            };
            steps = report.step;
            let n = f64::from(u32::try_from(steps).unwrap());
            let keep = 0.8f64.min((1.0 + n) / (10.0 + n));
            let new = engine.tensors();
            let average = average.get_or_insert_with(|| new.clone());
            for (name, old) in average.iter_mut() {
                for (old, new) in old.values.iter_mut().zip(&new[name].values) {
                    *old = (keep * f64::from(*old) + (1.0 - keep) * f64::from(*new)) as f32;
                }
            }
            let kept = progress.average.as_ref().unwrap();
            let plain = |name: &str| !name.ends_with("items");
            assert!(distance(kept, average, plain) < 1e-4);
            // Items are normalised; so are ours to compare.
            for (name, tensor) in kept.iter().filter(|(name, _)| name.ends_with("items")) {
                let features = tensor.shape[1];
                for item in tensor.values.chunks_exact(features) {
                    let length: f32 = item.iter().map(|v| v * v).sum();
                    assert!((length - 1.0).abs() < 1e-5, "{name}");
                }
            }
            *average = kept.clone();
            ControlFlow::Continue(())
        };
        let progress = train(
            &settings,
            &videos,
            &hold,
            engine.as_mut(),
            Progress::default(),
            &mut watch,
        )
        .unwrap();
        let ControlFlow::Continue(progress) = progress else {
            panic!("nobody stopped it");
        };
        assert!(steps > 4 && progress.steps == steps);
        assert_eq!(engine.tensors(), progress.average.unwrap());
    }
}
