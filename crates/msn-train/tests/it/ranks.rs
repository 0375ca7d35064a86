//! Laws of a training on several ranks, each of which a rank checks. Here ranks are threads; `mpi`
//! checks the same laws in processes.

use std::{ops::ControlFlow, sync::Arc};

use burn::backend::{Autodiff, Flex};
use msn_data::calibration_split;
use msn_kernels::{Collective, reference::ThreadRank};
use msn_model::{Algorithm, Clips, HostTensor, Tensors};
use msn_train::{
    BurnEngine, CpuEngine, Engine, Progress, Settings, StepNumbers, TrainError, TrainEvent,
    TrainObserver, any_rank, train,
};

use crate::engines::{batches, distance, settings, videos};

type Law = fn(&Arc<dyn Collective>);

/// All laws by name.
pub(crate) const LAWS: [(&str, Law); 7] = [
    ("messages arrive", messages_arrive),
    (
        "a step is one with the whole batch",
        step_of_the_whole_batch,
    ),
    ("statistics and pools see all ranks", statistics_and_pools),
    ("all ranks end with the same bits", same_bits),
    ("a training on ranks is one training", one_training),
    ("ranks that differ are named", differences_are_named),
    ("one stops, all stop", one_stops_all),
];

#[test]
fn laws_hold_on_threads() {
    for world_size in [2, 3] {
        std::thread::scope(|scope| {
            for thread in ThreadRank::all(world_size) {
                scope.spawn(move || {
                    let rank = thread.rank();
                    let thread: Arc<dyn Collective> = Arc::new(thread);
                    for (name, law) in LAWS {
                        let end = OnPanic { name, rank };
                        law(&thread);
                        std::mem::forget(end);
                    }
                });
            }
        });
    }
}

/// A thread that gives up would leave the others waiting.
struct OnPanic {
    name: &'static str,
    rank: usize,
}

impl Drop for OnPanic {
    fn drop(&mut self) {
        eprintln!("rank {}: the law `{}` does not hold", self.rank, self.name);
        std::process::exit(1);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Burn,
    Kernels,
}

const KINDS: [Kind; 2] = [Kind::Burn, Kind::Kernels];

fn engine(
    kind: Kind,
    settings: &Settings,
    collective: Option<&Arc<dyn Collective>>,
) -> Box<dyn Engine> {
    let burn = BurnEngine::<Autodiff<Flex>>::new(settings, &Default::default()).unwrap();
    match (kind, collective) {
        (Kind::Burn, None) => Box::new(burn),
        (Kind::Burn, Some(c)) => Box::new(burn.with_collective(c.clone()).unwrap()),
        (Kind::Kernels, _) => {
            let cpu = CpuEngine::new(settings, &burn.tensors(), Algorithm::Direct).unwrap();
            match collective {
                None => Box::new(cpu),
                Some(c) => Box::new(cpu.with_collective(c.clone())),
            }
        }
    }
}

/// Several batches as one.
fn joined(batches: &[Clips]) -> Clips {
    let mut all = batches[0].clone();
    for other in &batches[1..] {
        all.count += other.count;
        all.frames.extend(&other.frames);
        all.target.extend(&other.target);
    }
    all
}

/// A rank's part of a batch.
fn part(clips: &Clips, collective: &dyn Collective) -> Clips {
    let (rank, world_size) = (collective.rank(), collective.world_size());
    let cut = |values: &[f32]| {
        let one = values.len() / world_size;
        values[rank * one..(rank + 1) * one].to_vec()
    };
    Clips {
        count: clips.count / world_size,
        frames: cut(&clips.frames),
        target: cut(&clips.target),
        ..*clips
    }
}

fn bits(tensors: &Tensors) -> Vec<u32> {
    let values = tensors.values().flat_map(|t| &t.values);
    values.map(|v| v.to_bits()).collect()
}

/// Whether all ranks have these numbers, bit for bit.
fn same_on_all(collective: &dyn Collective, own: &[u32]) -> bool {
    let half = |v: u32| f32::from(u16::try_from(v).unwrap());
    let halves: Vec<f32> = own
        .iter()
        .flat_map(|v| [half(v & 0xffff), half(v >> 16)])
        .collect();
    let all = collective.all_gather(&halves);
    all.iter().all(|other| *other == halves)
}

fn close(a: &StepNumbers, b: &StepNumbers) {
    for (a, b) in [
        (a.loss, b.loss),
        (a.prediction, b.prediction),
        (a.compactness, b.compactness),
        (a.separateness, b.separateness),
        (a.information, b.information),
    ] {
        assert!((a - b).abs() < 1e-5 * (1.0 + a.abs()), "{a} {b}");
    }
    for ((_, a), (_, b)) in a.health.iter().zip(&b.health) {
        assert!((a.usage_entropy - b.usage_entropy).abs() < 0.02);
        assert!((a.largest_cosine - b.largest_cosine).abs() < 1e-4);
    }
    assert_eq!(a.health.len(), b.health.len());
}

/// Without parameters whose gradient is rounding alone: the bias in front of a norm.
fn real(all: &Tensors) -> Tensors {
    let mut all = all.clone();
    all.retain(|_, t: &mut HostTensor| t.values.iter().any(|v| v.abs() > 1e-6));
    all
}

fn messages_arrive(collective: &Arc<dyn Collective>) {
    let (rank, world_size) = (collective.rank(), collective.world_size());
    let own = [rank as f32, -0.0, 1e-30];
    let all = collective.all_gather(&own);
    assert_eq!(all.len(), world_size);
    for (of, values) in all.iter().enumerate() {
        assert_eq!(values.as_slice(), [of as f32, -0.0, 1e-30]);
        assert!(values[1].is_sign_negative());
    }
    // Sums that round: the same on all ranks, whatever their order.
    let mut values: Vec<f32> = (0..10_000).map(|i| 1.0 / (i + rank + 1) as f32).collect();
    let exact: Vec<f64> = (0..10_000)
        .map(|i| (0..world_size).map(|of| 1.0 / (i + of + 1) as f64).sum())
        .collect();
    collective.all_reduce_sum(&mut values);
    for (v, exact) in values.iter().zip(exact) {
        assert!((f64::from(*v) / exact - 1.0).abs() < 1e-6);
    }
    let sums: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
    assert!(same_on_all(collective.as_ref(), &sums));
    assert!(any_rank(collective.as_ref(), rank + 1 == world_size));
    assert!(!any_rank(collective.as_ref(), false));
}

fn step_of_the_whole_batch(collective: &Arc<dyn Collective>) {
    let videos = videos();
    for (kind, more) in [
        (Kind::Burn, &["information=0.5"][..]),
        (
            Kind::Burn,
            &[
                "write=mean",
                "momentum=0.5",
                "write_max=own",
                "rewrite=concat",
            ],
        ),
        (Kind::Kernels, &["information=0.5", "clip_norm=0.5"]),
    ] {
        let settings = settings(more);
        let batch = joined(&batches(&settings, &videos)[..3]);
        let mut one = engine(kind, &settings, None);
        let expected = one.step(batch.clone(), 1e-3).unwrap();
        let mut shared = engine(kind, &settings, Some(collective));
        let numbers = shared.step(part(&batch, collective.as_ref()), 1e-3);
        close(&expected, &numbers.unwrap());
        let (a, b) = (one.state(), shared.state());
        // Adam's mean is the gradient's share.
        let far = distance(&real(&a.mean), &b.mean, |_| true);
        assert!(far < 2e-3, "{kind:?}: {far}");
        let kept = |name: &str| name.contains("running_") || name.ends_with("items");
        let far = distance(&a.tensors, &b.tensors, kept);
        assert!(far < 1e-4, "{kind:?}: {far}");
        assert_eq!(a.monitors, b.monitors);
    }
}

/// Batch norms see the whole batch, and pools take the queries of all ranks: what a rank alone
/// would have made of its part is something else.
fn statistics_and_pools(collective: &Arc<dyn Collective>) {
    let settings = settings(&["write=mean", "momentum=0.5"]);
    let batch = joined(&batches(&settings, &videos())[..3]);
    let own = part(&batch, collective.as_ref());
    for kind in KINDS {
        let tensors = |clips: &Clips, collective| {
            let mut engine = engine(kind, &settings, collective);
            engine.step(clips.clone(), 1e-3).unwrap();
            engine.tensors()
        };
        let (whole, shared, alone) = (
            tensors(&batch, None),
            tensors(&own, Some(collective)),
            tensors(&own, None),
        );
        for what in ["running_mean", "running_var", "items"] {
            let chosen = |name: &str| name.ends_with(what);
            let (near, far) = (
                distance(&whole, &shared, chosen),
                distance(&whole, &alone, chosen),
            );
            assert!(near < 1e-4 && far > 1e-3, "{kind:?} {what}: {near} {far}");
        }
    }
}

fn same_bits(collective: &Arc<dyn Collective>) {
    let videos = videos();
    for kind in KINDS {
        let settings = settings(&["momentum=0.3", "write=mean"]);
        let batches = batches(&settings, &videos);
        let trained = || {
            let mut engine = engine(kind, &settings, Some(collective));
            for three in batches.chunks_exact(3).take(3) {
                let own = part(&joined(three), collective.as_ref());
                engine.accumulate(own.clone()).unwrap();
                engine.step(own, 1e-3).unwrap();
                assert!(same_on_all(collective.as_ref(), &bits(&engine.tensors())));
            }
            engine.state()
        };
        // The same again is the same again.
        assert!(trained() == trained(), "{kind:?}");
    }
}

/// Keeps losses, and stops after some steps.
struct Watch {
    losses: Vec<f64>,
    steps: usize,
    /// The step in which this rank is asked to stop.
    asked: usize,
}

impl Watch {
    fn new(steps: usize) -> Self {
        Self {
            losses: Vec::new(),
            steps,
            asked: usize::MAX,
        }
    }
}

impl TrainObserver<()> for Watch {
    fn observe(&mut self, event: TrainEvent<'_>) -> ControlFlow<()> {
        if let TrainEvent::Step(report, ..) = event {
            self.losses.push(report.numbers.loss);
            if report.stop || self.losses.len() == self.steps {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn stop_requested(&self) -> bool {
        self.losses.len() + 1 >= self.asked
    }
}

fn one_training(collective: &Arc<dyn Collective>) {
    let settings = settings(&["batch=6", "epochs=2", "patience=5", "ema=0.5"]);
    let videos = videos();
    let held = calibration_split(&videos, settings.net.frames, 1, 0);
    let trained = |kind, over: Option<&Arc<dyn Collective>>, steps| {
        let mut engine = engine(kind, &settings, over);
        if over.is_some_and(|c| c.rank() > 0) {
            // Rank 0's network is everybody's.
            let mut state = engine.state();
            for tensor in state.tensors.values_mut() {
                tensor.values.iter_mut().for_each(|v| *v *= 1.5);
            }
            engine.restore(state).unwrap();
        }
        let mut watch = Watch::new(steps);
        let done = Progress::default();
        let ended = train(&settings, &videos, &held, engine.as_mut(), done, &mut watch).unwrap();
        let best = match ended {
            ControlFlow::Continue(progress) => progress.best,
            ControlFlow::Break(()) => None,
        };
        (watch.losses, engine.state(), best)
    };
    for kind in KINDS {
        let one = trained(kind, None, 1);
        let (losses, state, best) = trained(kind, Some(collective), usize::MAX);
        let best = best.unwrap();
        assert!(losses.len() > 10);
        let numbers = losses.iter().chain([&best.validation_loss]);
        let numbers = numbers.flat_map(|v| [v.to_bits() as u32, (v.to_bits() >> 32) as u32]);
        assert!(same_on_all(
            collective.as_ref(),
            &numbers.collect::<Vec<_>>()
        ));
        assert!(same_on_all(collective.as_ref(), &bits(&state.tensors)));
        assert!(same_on_all(collective.as_ref(), &bits(&best.tensors)));
        // One step is that of one process.
        let (losses, state, _) = trained(kind, Some(collective), 1);
        assert!((losses[0] - one.0[0]).abs() < 1e-5);
        let kept = |name: &str| name.contains("running_") || name.ends_with("items");
        assert!(distance(&one.1.tensors, &state.tensors, kept) < 1e-4);
    }
}

fn differences_are_named(collective: &Arc<dyn Collective>) {
    let last = collective.world_size() - 1;
    let odd = collective.rank() == last;
    let begin = |settings: &Settings, frames: usize, seed| {
        let mut videos = videos();
        videos.truncate(frames);
        let held = calibration_split(&videos, settings.net.frames, 1, seed);
        let mut engine = engine(Kind::Kernels, settings, Some(collective));
        let (done, mut watch) = (Progress::default(), Watch::new(1));
        train(settings, &videos, &held, engine.as_mut(), done, &mut watch).unwrap_err()
    };
    let other = begin(
        &settings(&["batch=6", if odd { "seed=5" } else { "seed=0" }]),
        4,
        0,
    );
    assert!(
        matches!(&other, TrainError::RankSettings { rank, theirs, ours }
            if *rank == last && theirs == "seed = 5" && ours == "seed = 0"),
        "{other:?}"
    );
    // A video less, then the same videos split otherwise.
    let split = |seed| calibration_split(&videos(), settings(&[]).net.frames, 1, seed);
    let other_split = (1..).find(|&seed| split(seed) != split(0)).unwrap();
    for (frames, seed) in [(3, 0), (4, other_split)] {
        let (frames, seed) = if odd { (frames, seed) } else { (4, 0) };
        let other = begin(&settings(&["batch=6"]), frames, seed);
        assert!(
            matches!(&other, TrainError::RankFrames { rank } if *rank == last),
            "{other:?}"
        );
    }
    // One rank alone has a batch that can't be shared: all are told that settings differ.
    let other = begin(&settings(&[if odd { "batch=7" } else { "batch=6" }]), 4, 0);
    let differ = matches!(&other, TrainError::RankSettings { rank, .. } if *rank == last);
    assert!(differ, "{other:?}");
    let uneven = begin(&settings(&["batch=7"]), 4, 0).to_string();
    let sentence = "a batch of 7 clips can't be split evenly";
    assert!(uneven.starts_with(sentence), "{uneven}");
    for setting in ["start_items", "revive"] {
        let settings = settings(&[&format!("{setting}=true")]);
        let burn = BurnEngine::<Autodiff<Flex>>::new(&settings, &Default::default()).unwrap();
        let refused = burn.with_collective(collective.clone()).unwrap_err();
        let sentence = refused.to_string();
        assert!(
            sentence.starts_with(&format!("{setting}=true draws")),
            "{sentence}"
        );
    }
}

fn one_stops_all(collective: &Arc<dyn Collective>) {
    let settings = settings(&["batch=6", "epochs=2"]);
    let videos = videos();
    let held = calibration_split(&videos, settings.net.frames, 1, 0);
    let mut engine = engine(Kind::Kernels, &settings, Some(collective));
    let (done, mut watch) = (Progress::default(), Watch::new(usize::MAX));
    if collective.rank() == 1 {
        watch.asked = 3;
    }
    let ended = train(&settings, &videos, &held, engine.as_mut(), done, &mut watch).unwrap();
    assert!(ended.is_break());
    assert_eq!(watch.losses.len(), 3);
}
