//! Several devices of one process are one device with the joint batch.

use std::sync::{Arc, Mutex};

use burn::backend::{Autodiff, Flex};
use msn_kernels::Collective;
use msn_model::{Algorithm, Clips, HostTensor, Tensors};
use msn_train::{
    BurnEngine, CpuEngine, DeviceGroup, Engine, Link, Member, Settings, StepNumbers, TrainError,
};

use crate::engines::{batches, distance, settings, videos};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Burn,
    Kernels,
}

const KINDS: [Kind; 2] = [Kind::Burn, Kind::Kernels];

fn engine(kind: Kind, settings: &Settings, member: Option<Member<Flex>>) -> Box<dyn Engine + Send> {
    let mut burn = BurnEngine::<Autodiff<Flex>>::new(settings, &Default::default()).unwrap();
    if kind == Kind::Burn {
        if let Some(member) = member {
            burn.share(member).unwrap();
        }
        return Box::new(burn);
    }
    let mut cpu = CpuEngine::new(settings, &burn.tensors(), Algorithm::Direct).unwrap();
    if let Some(member) = member {
        cpu.share(Arc::new(member));
    }
    Box::new(cpu)
}

fn group(kind: Kind, settings: &Settings, devices: usize) -> DeviceGroup {
    let places = vec![Default::default(); devices];
    let members = Member::<Flex>::group(&places, None);
    let first = members[0].clone();
    let engines = members
        .into_iter()
        .map(|member| engine(kind, settings, Some(member)))
        .collect();
    DeviceGroup::new(engines, Box::new(move |why| first.fail(why))).unwrap()
}

/// Two batches of the fixture as one.
fn joined(batches: &[Clips]) -> Clips {
    let mut all = batches[0].clone();
    for other in &batches[1..] {
        all.count += other.count;
        all.frames.extend(&other.frames);
        all.target.extend(&other.target);
    }
    all
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

/// A parameter whose gradient is rounding alone: the bias in front of a norm.
fn real(all: &Tensors) -> Tensors {
    let mut all = all.clone();
    all.retain(|_, t: &mut HostTensor| t.values.iter().any(|v| v.abs() > 1e-6));
    all
}

#[test]
fn a_step_on_several_devices_is_one_with_the_joint_batch() {
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
        let batches = batches(&settings, &videos);
        let batch = joined(&batches[..3]);
        let mut one = engine(kind, &settings, None);
        let expected = one.step(batch.clone(), 1e-3).unwrap();
        for devices in [2, 3] {
            let mut group = group(kind, &settings, devices);
            close(&expected, &group.step(batch.clone(), 1e-3).unwrap());
            let (a, b) = (one.state(), group.state());
            // Adam's mean is the gradient's share.
            let far = distance(&real(&a.mean), &b.mean, |_| true);
            assert!(far < 2e-3, "{kind:?} on {devices}: {far}");
            let kept = |name: &str| name.contains("running_") || name.ends_with("items");
            let far = distance(&a.tensors, &b.tensors, kept);
            assert!(far < 1e-4, "{kind:?} on {devices}: {far}");
            assert_eq!(a.monitors, b.monitors);
        }
    }
}

#[test]
fn every_device_ends_with_the_same_bits() {
    let videos = videos();
    for kind in KINDS {
        let settings = settings(&["momentum=0.3", "write=mean"]);
        let batches = batches(&settings, &videos);
        for devices in [2, 3] {
            let mut group = group(kind, &settings, devices);
            for part in batches.chunks_exact(3).take(3) {
                let batch = joined(part);
                group.accumulate(batch.clone()).unwrap();
                group.step(batch, 1e-3).unwrap();
                assert!(group.agree(), "{kind:?} on {devices}");
            }
            // The same again is the same again.
            let again = {
                let end = group.state();
                drop(group);
                let mut group = self::group(kind, &settings, devices);
                for part in batches.chunks_exact(3).take(3) {
                    let batch = joined(part);
                    group.accumulate(batch.clone()).unwrap();
                    group.step(batch, 1e-3).unwrap();
                }
                group.state() == end
            };
            assert!(again, "{kind:?} on {devices}");
        }
    }
}

#[test]
fn what_can_not_be_shared_is_refused() {
    let settings = settings(&["start_items=true"]);
    let members = Member::<Flex>::group(&[Default::default(), Default::default()], None);
    let mut burn = BurnEngine::<Autodiff<Flex>>::new(&settings, &Default::default()).unwrap();
    let said = burn.share(members[0].clone()).unwrap_err().to_string();
    assert!(said.starts_with("start_items=true draws"), "{said}");

    let settings = self::settings(&[]);
    let batch = joined(&batches(&settings, &videos())[..1]);
    let said = group(Kind::Kernels, &settings, 3)
        .step(batch, 1e-3)
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("4 clips can't be split evenly over 3 devices"),
        "{said}"
    );
}

/// A link whose other end is gone after some sums.
#[derive(Debug)]
struct Broken(Mutex<u32>);

impl Link for Broken {
    fn before(&self) -> usize {
        0
    }

    fn devices(&self) -> usize {
        4
    }

    fn sum(&self, _: &mut [f32]) -> Result<(), String> {
        let mut left = self.0.lock().unwrap();
        *left = left.checked_sub(1).ok_or("node 1 is lost")?;
        Ok(())
    }
}

#[test]
fn a_lost_link_ends_a_step_on_every_device() {
    let settings = settings(&[]);
    let batch = joined(&batches(&settings, &videos())[..1]);
    for kind in KINDS {
        // In the forward pass, in the backward pass, at the end.
        for sums in [3, 25, 60] {
            let link: Arc<dyn Link> = Arc::new(Broken(Mutex::new(sums)));
            let places = [Default::default(), Default::default()];
            let members = Member::<Flex>::group(&places, Some(link));
            let first = members[0].clone();
            assert_eq!(Collective::world_size(&first), 4);
            let engines = members
                .into_iter()
                .map(|member| engine(kind, &settings, Some(member)))
                .collect();
            let fail = move |why| first.fail(why);
            let mut group = DeviceGroup::new(engines, Box::new(fail)).unwrap();
            let mut ended = Ok(());
            for _ in 0..4 {
                ended = group.step(batch.clone(), 1e-3).map(|_| ());
                if ended.is_err() {
                    break;
                }
            }
            match ended {
                Err(TrainError::Engine(said)) => assert_eq!(said, "node 1 is lost"),
                other => panic!("{kind:?}: {other:?}"),
            }
        }
    }
}
