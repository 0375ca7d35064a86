//! Sums over several ranks, here threads, are those of one rank with the whole batch.

use msn_kernels::{reference::ThreadRank, *};
use proptest::prelude::*;

use crate::support::*;

/// What each of `ranks` threads makes of its rank.
fn on_ranks<T: Send>(ranks: usize, work: impl Fn(&ThreadRank) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let start = |rank| scope.spawn(move || work(&rank));
        let running: Vec<_> = ThreadRank::all(ranks).into_iter().map(start).collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn f64s(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_batch_norm_sees_the_whole_batch(shape in shapes(20), ranks in 1_usize..4, seed: u64, relu: bool) {
        let (isa, epsilon) = (Isa::detect(), 1e-3);
        let whole = Shape { batch: ranks * shape.batch, ..shape };
        let (x, g) = (values(seed, whole.len()), values(seed ^ 1, whole.len()));
        let (gamma, beta) = (values(seed ^ 2, shape.channels), values(seed ^ 3, shape.channels));
        let step = |range: std::ops::Range<usize>, shape: Shape, collective: Option<&dyn Collective>| {
            let input = View::dense(&x[range.clone()], shape);
            let moments = moments(isa, input).over_ranks(collective);
            let affine = moments.affine(&gamma, &beta, epsilon);
            let norm = BatchNorm { input, moments: &moments, affine: &affine, epsilon, relu };
            let mut gradient = g[range].to_vec();
            let of_parameters = norm.backward(isa, &mut ViewMut::dense(&mut gradient, shape), collective);
            (moments, of_parameters, gradient)
        };
        let (expected, of_parameters, gradient) = step(0..whole.len(), whole, None);
        let parts = on_ranks(ranks, |thread| {
            let first = thread.rank() * shape.len();
            step(first..first + shape.len(), shape, Some(thread))
        });
        for (rank, (ours, _, of_input)) in parts.iter().enumerate() {
            prop_assert_eq!(ours, &parts[0].0);
            prop_assert!(error(&ours.mean, &f64s(&expected.mean)) < 1e-6);
            prop_assert!(error(&ours.variance, &f64s(&expected.variance)) < 1e-5);
            let expected = &gradient[rank * shape.len()..][..shape.len()];
            // A pixel whose sign rounding decides passes its whole gradient, or none.
            let far = of_input.iter().zip(expected).filter(|(a, b)| (**a - **b).abs() > 1e-3).count();
            prop_assert!(far <= of_input.len() / 100, "{far} of {}", of_input.len());
        }
        // Parameters' gradients are those of a rank's pixels alone; their sum is that of the batch.
        if !relu {
            let sum: Vec<f32> = (0..shape.channels).map(|c| parts.iter().map(|p| p.1.gamma[c]).sum()).collect();
            prop_assert!(error(&sum, &f64s(&of_parameters.gamma)) < 1e-4);
        }
    }

    #[test]
    fn lookups_count_the_queries_of_all_ranks(
        shape in shapes(20), ranks in 1_usize..4, count in 2_usize..8, seed: u64,
        momentum in prop::option::of(0.0_f32..0.9), own_maximum: bool,
    ) {
        let isa = Isa::detect();
        let whole = Shape { batch: ranks * shape.batch, ..shape };
        let x = values(seed, whole.len());
        let unit = |rows: Vec<f32>| -> Vec<f32> {
            rows.chunks_exact(shape.channels).flat_map(|row| {
                let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                row.iter().map(move |v| v / norm)
            }).collect()
        };
        let items = unit(values(seed ^ 1, count * shape.channels));
        let rule = WriteRule { momentum, own_maximum };
        let how = Addressing { temperature: 0.5, top_k: 0 };
        let step = |range: std::ops::Range<usize>, shape: Shape, collective: Option<&dyn Collective>| {
            let packed = PackedItems::new(isa, &items, count, shape.channels);
            let (mut lookup, mut read) = (TrainingLookup::default(), FeatureMap::zeros(shape));
            lookup.read(View::dense(&x[range], shape), &packed, how, read.view_mut(), None);
            let losses = lookup.losses(&packed, collective);
            let gathered = GatheredQueries::new(&lookup, rule).over_ranks(collective);
            let mut written = items.clone();
            gathered.write(&mut written, rule);
            (losses, gathered.usage().to_vec(), written)
        };
        let (losses, usage, written) = step(0..whole.len(), whole, None);
        let parts = on_ranks(ranks, |thread| {
            let first = thread.rank() * shape.len();
            step(first..first + shape.len(), shape, Some(thread))
        });
        for (ours, queries, items) in &parts {
            prop_assert_eq!(queries, &usage);
            prop_assert_eq!(items, &parts[0].2, "ranks hold different items");
            for (a, b) in [
                (ours.compactness, losses.compactness),
                (ours.separateness, losses.separateness),
                (ours.information, losses.information),
            ] {
                prop_assert!((a - b).abs() < 1e-5, "{ours:?} {losses:?}");
            }
            // An item whose queries all but cancel has no direction to speak of.
            let far = items.iter().zip(&written).filter(|(a, b)| (**a - **b).abs() > 1e-3).count();
            prop_assert!(far <= shape.channels, "{far} of {}", items.len());
        }
    }
}

#[test]
fn without_a_collective_nothing_is_summed() {
    let mut values = [0.1, 1e-30];
    sum_over_ranks(None, &mut values);
    assert_eq!(values, [0.1, 1e-30]);
    assert_eq!(world_size(None), 1);
}
