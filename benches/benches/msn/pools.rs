//! One pool's read, losses and write, the latter two with the lookup that they need (the kernels gather
//! for both while they look up), at the three sizes of a preset.

use benches::{Harness, PerDevice};
use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use msn_kernels::{
    Addressing, Isa, PackedItems, Shape, TrainingLookup, View, ViewMut, WriteRule, write_items,
};
use msn_memory::{Pool, PoolConfig, reference, reference::Rows};

use crate::{assert_close, draws};

/// Queries of one picture, and features of an item.
const PAPER: [(usize, usize); 3] = [(16384, 128), (4096, 256), (1024, 512)];
const TINY: [(usize, usize); 3] = [(1024, 16), (256, 32), (64, 64)];

#[derive(Clone, Copy, PartialEq)]
enum Call {
    Read,
    Losses,
    Write,
}

pub fn all(harness: &mut Harness) {
    let sizes = if harness.options.short { TINY } else { PAPER };
    for (queries, features) in sizes {
        for (call, name) in [
            (Call::Read, "read"),
            (Call::Losses, "lookup and losses"),
            (Call::Write, "lookup and write"),
        ] {
            let subject = format!("pool {name}, {queries} queries of {features}, 10 items");
            if harness.wants(&subject) {
                one(harness, &subject, call, queries, features);
            }
        }
    }
}

/// Unit rows, drawn, as f32 would hold them.
fn unit_rows(n: usize, d: usize, seed: u64) -> Rows {
    let values = draws(n * d, seed);
    let rows: Rows = values
        .chunks(d)
        .map(|r| r.iter().map(|&v| f64::from(v)).collect())
        .collect();
    reference::unit(&rows)
}

fn flat(rows: &Rows) -> Vec<f32> {
    rows.iter().flatten().map(|&v| v as f32).collect()
}

fn one(harness: &mut Harness, subject: &str, call: Call, k: usize, d: usize) {
    let config = PoolConfig::new(d);
    let (queries, items) = (unit_rows(k, d, 1), unit_rows(config.items, d, 2));
    // The plain f64 twin is the baseline.
    let plain = || match call {
        Call::Read => flat(&reference::read(&queries, &items, &config)),
        Call::Losses => vec![
            reference::compactness(&queries, &items, &config) as f32,
            reference::separateness(&queries, &items, &config) as f32,
            reference::information(&queries, &items, &config) as f32,
        ],
        Call::Write => flat(&reference::write(&queries, &items, &config)),
    };
    let expected = plain();
    harness.time(subject, "plain f64", || {
        let _ = plain();
    });
    for device in harness.devices() {
        let mut on = OnBackend {
            harness,
            subject,
            variant: device.to_string(),
            call,
            config: &config,
            queries: &queries,
            items: &items,
            expected: &expected,
        };
        device.on(&mut on);
    }
    kernels(
        harness,
        subject,
        call,
        &config,
        (&queries, &items),
        &expected,
    );
}

fn kernels(
    harness: &mut Harness,
    subject: &str,
    call: Call,
    config: &PoolConfig,
    (queries, items): (&Rows, &Rows),
    expected: &[f32],
) {
    let (k, d) = (queries.len(), config.features);
    let shape = Shape::new(1, 1, k, d);
    let how = Addressing {
        temperature: 1.0,
        top_k: 0,
    };
    let rule = WriteRule {
        momentum: None,
        own_maximum: false,
    };
    let (features, rows) = (flat(queries), flat(items));
    let packed = PackedItems::new(Isa::detect(), &rows, config.items, d);
    let mut lookup = TrainingLookup::default();
    let mut read = vec![0.0; shape.len()];
    let mut read_once = |lookup: &mut TrainingLookup| {
        let to = ViewMut::dense(&mut read, shape);
        lookup.read(View::dense(&features, shape), &packed, how, to, None);
        read.clone()
    };
    let read = read_once(&mut lookup);
    match call {
        Call::Read => {
            assert_close("fast read", &read, expected, 1e-4);
            harness.time(subject, "fast", || {
                let _ = read_once(&mut lookup);
            });
        }
        Call::Losses => {
            let l = lookup.losses(&packed, None);
            let ours = [l.compactness, l.separateness, l.information].map(|v| v as f32);
            assert_close("fast losses", &ours, expected, 1e-4);
            harness.time(subject, "fast", || {
                let _ = read_once(&mut lookup);
                let _ = lookup.losses(&packed, None);
            });
        }
        Call::Write => {
            let mut written = || {
                let _ = read_once(&mut lookup);
                let mut new = rows.clone();
                write_items(&lookup, &mut new, rule);
                new
            };
            assert_close("fast write", &written(), expected, 1e-4);
            harness.time(subject, "fast", || {
                let _ = written();
            });
        }
    }
}

struct OnBackend<'a> {
    harness: &'a mut Harness,
    subject: &'a str,
    variant: String,
    call: Call,
    config: &'a PoolConfig,
    queries: &'a Rows,
    items: &'a Rows,
    expected: &'a [f32],
}

impl PerDevice for OnBackend<'_> {
    fn run<B: AutodiffBackend>(&mut self, device: &B::Device) {
        let tensor = |rows: &Rows| {
            let shape = [rows.len(), rows[0].len()];
            Tensor::<B, 2>::from_data(TensorData::new(flat(rows), shape), device)
        };
        let queries = tensor(self.queries);
        let pool = Pool::from_items(self.config.clone(), tensor(self.items)).expect("a pool");
        let call = self.call;
        let compute = || -> Vec<f32> {
            let all = match call {
                Call::Read => pool.lookup(queries.clone()).read().flatten::<1>(0, 1),
                Call::Losses => {
                    let lookup = pool.lookup(queries.clone());
                    let losses = [
                        lookup.compactness(),
                        lookup.separateness(),
                        lookup.information(),
                    ];
                    Tensor::cat(losses.to_vec(), 0)
                }
                Call::Write => {
                    let lookup = pool.lookup(queries.clone());
                    pool.written(lookup.gather()).flatten::<1>(0, 1)
                }
            };
            all.into_data().iter::<f32>().collect()
        };
        assert_close(&self.variant, &compute(), self.expected, 1e-4);
        self.harness.time(self.subject, &self.variant, || {
            let _ = compute();
        });
    }
}
