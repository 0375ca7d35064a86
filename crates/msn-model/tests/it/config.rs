//! One validator and one plan behind both networks.

use std::collections::BTreeMap;

use burn::backend::Flex;
use msn_memory::{Write, WriteMax};
use msn_model::*;
use proptest::prelude::*;

use crate::support::tensors;

/// Small networks of every form.
pub fn configs() -> impl Strategy<Value = NetConfig> {
    let shape = (
        1_usize..5,
        prop::sample::select(vec![1_usize, 3]),
        1_usize..6,
    );
    let pools = prop::sample::subsequence(vec![1_usize, 2, 3], 0..=3);
    let read = (2_usize..8, any::<usize>(), 0.05_f64..2.0, any::<bool>());
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (shape, pools, read, flags, 0.0_f64..0.99).prop_map(
        |((frames, channels, width), pools, (items, k, temperature, detach), flags, momentum)| {
            let (skip1, concat, mean, own) = flags;
            NetConfig {
                frames,
                channels,
                width,
                pools,
                items,
                skip1,
                rewrite: if concat {
                    Rewrite::Concat
                } else {
                    Rewrite::Replace
                },
                temperature,
                top_k: k % (items + 1),
                detach_read: detach,
                write: if mean { Write::Mean } else { Write::Sum },
                write_max: if own { WriteMax::Own } else { WriteMax::All },
                momentum,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// The plan's names and shapes are those of Burn's module, and of what a training on the CPU
    /// gives back.
    #[test]
    fn every_network_has_the_planned_tensors(config in configs()) {
        prop_assert!(config.check().is_ok());
        let planned: BTreeMap<String, Vec<usize>> = config.tensors().into_iter().collect();
        let shapes = |tensors: Tensors| -> BTreeMap<String, Vec<usize>> {
            tensors.into_iter().map(|(name, t)| (name, t.shape)).collect()
        };
        let net = MsnNet::<Flex>::new(&config, 5, &Default::default()).unwrap();
        prop_assert_eq!(&shapes(net.tensors()), &planned);
        let start = tensors(&config);
        let net = CpuTraining::new(&config, LossWeights::default(), &start, Algorithm::Direct).unwrap();
        prop_assert!(net.tensors() == start);
        let parameters = |name: &str| {
            !name.contains("running_") && !name.ends_with(".items")
        };
        let expected: BTreeMap<_, _> = planned.into_iter().filter(|(n, _)| parameters(n)).collect();
        prop_assert_eq!(&shapes(net.gradients()), &expected);
    }
}

/// Both networks take a setting, or both refuse it with the same sentence.
#[test]
fn both_networks_have_one_validator() {
    let base = NetConfig {
        width: 2,
        ..NetConfig::default()
    };
    let change = |f: &dyn Fn(&mut NetConfig)| {
        let mut config = base.clone();
        f(&mut config);
        config
    };
    let cases: [(&str, NetConfig); 14] = [
        ("frames", change(&|c| c.frames = 0)),
        ("frames", change(&|c| c.frames = 1025)),
        ("channels", change(&|c| c.channels = 2)),
        ("width", change(&|c| c.width = 0)),
        ("width", change(&|c| c.width = 1025)),
        ("items", change(&|c| c.items = 1)),
        ("items", change(&|c| c.items = 65537)),
        ("top_k", change(&|c| c.top_k = 11)),
        ("temperature", change(&|c| c.temperature = f64::NAN)),
        ("temperature", change(&|c| c.temperature = 0.0)),
        // Above 0, but not as the kernels hold it.
        ("temperature", change(&|c| c.temperature = 1e-60)),
        ("momentum", change(&|c| c.momentum = 1.0)),
        ("pools", change(&|c| c.pools = vec![2, 1])),
        ("pools", change(&|c| c.pools = vec![4])),
    ];
    for (setting, config) in cases {
        let error = config.check().expect_err(setting);
        let message = error.to_string();
        assert!(message.starts_with(setting), "{message}");
        let burn = MsnNet::<Flex>::new(&config, 0, &Default::default()).expect_err(setting);
        assert_eq!(burn, error);
        let cpu = CpuNet::new(&config, &Tensors::new(), Algorithm::Direct).expect_err(setting);
        assert_eq!(cpu, CpuError::Config(error.clone()));
        let loss = LossWeights::default();
        let cpu = CpuTraining::new(&config, loss, &Tensors::new(), Algorithm::Direct);
        assert_eq!(cpu.expect_err(setting), CpuError::Config(error));
    }
    for config in [
        change(&|c| c.width = 1024),
        change(&|c| c.frames = 1024),
        change(&|c| c.items = 65536),
        change(&|c| c.temperature = 1e-30),
    ] {
        assert_eq!(config.check(), Ok(()));
    }
}
