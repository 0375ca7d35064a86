//! Convolutions and their gradients.

use msn_kernels::reference::{self, Images};
use msn_kernels::*;
use proptest::prelude::*;

use crate::support::*;

const ALGORITHMS: [(Algorithm, f64); 2] = [(Algorithm::Direct, 2e-6), (Algorithm::Winograd, 4e-6)];

fn with_epilogue(mut images: Images, bias: Option<&[f32]>, relu: bool) -> Vec<f64> {
    let channels = images.shape.channels;
    for (i, v) in images.data.iter_mut().enumerate() {
        *v += bias.map_or(0.0, |b| f64::from(b[i % channels]));
        if relu {
            *v = v.max(0.0);
        }
    }
    images.data
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn convolution_is_its_definition(
        shape in shapes(70), cout in 1_usize..70, wider in 0_usize..5, seed: u64, with_bias: bool, relu: bool,
    ) {
        let channels = Channels::new(shape.channels, cout);
        let x = Source::new(seed, shape, wider);
        let w = values(seed ^ 1, channels.weights());
        let b = values(seed ^ 2, cout);
        let bias = with_bias.then_some(&b[..]);
        let expected = with_epilogue(reference::conv3x3(&x.images(), &w, channels), bias, relu);
        for isa in Isa::available() {
            for (algorithm, tolerance) in ALGORITHMS {
                let packed = PackedWeights::new(isa, algorithm, &w, channels);
                for view in x.views() {
                    let mut out = target(shape.with_channels(cout), wider);
                    let to = out.view_mut().channels(wider / 2..wider / 2 + cout);
                    conv3x3(view, &packed, Epilogue { bias, relu }, to);
                    let e = error(&result(&out, cout), &expected);
                    prop_assert!(e < tolerance, "{isa} {algorithm:?}: {e}");
                }
            }
        }
    }

    /// Directly, products of rounded factors are exact; Winograd's algorithm rounds their transforms.
    #[test]
    fn convolution_in_bf16_is_its_definition(
        shape in shapes(70), cout in 1_usize..70, wider in 0_usize..5, seed: u64, with_bias: bool, relu: bool,
    ) {
        let channels = Channels::new(shape.channels, cout);
        let x = Source::new(seed, shape, wider);
        let w = values(seed ^ 1, channels.weights());
        let b = values(seed ^ 2, cout);
        let bias = with_bias.then_some(&b[..]);
        let full = with_epilogue(reference::conv3x3(&x.images(), &w, channels), bias, relu);
        let half = with_epilogue(reference::conv3x3(&x.rounded(), &rounded(&w), channels), bias, relu);
        for isa in Isa::available().into_iter().filter(|isa| isa.has_bf16()) {
            for (algorithm, expected, tolerance) in [(Algorithm::Direct, &half, 2e-6), (Algorithm::Winograd, &full, 5e-2)] {
                let packed = PackedWeights::in_precision(isa, algorithm, Precision::Bf16, &w, channels);
                let f32 = PackedWeights::new(isa, algorithm, &w, channels);
                // Convolutions to few channels stay in f32.
                let (expected, tolerance) = if packed.precision() == Precision::F32 { (&full, 2e-6) } else { (expected, tolerance) };
                prop_assert_eq!(packed.is_winograd(), f32.is_winograd());
                for view in x.views() {
                    let mut out = target(shape.with_channels(cout), wider);
                    let to = out.view_mut().channels(wider / 2..wider / 2 + cout);
                    conv3x3(view, &packed, Epilogue { bias, relu }, to);
                    let e = error(&result(&out, cout), expected);
                    prop_assert!(e < tolerance, "{isa} {algorithm:?}: {e}");
                }
            }
        }
    }

    #[test]
    fn transposed_convolution_in_bf16_is_its_definition(
        shape in shapes(40), cout in 1_usize..40, wider in 0_usize..5, seed: u64, relu: bool,
    ) {
        let channels = Channels::new(shape.channels, cout);
        let up = shape.doubled().with_channels(cout);
        let x = Source::new(seed, shape, wider);
        let w = values(seed ^ 1, channels.weights());
        let b = values(seed ^ 2, cout);
        let expected = with_epilogue(reference::up_conv3x3(&x.rounded(), &rounded(&w), channels), Some(&b), relu);
        for isa in Isa::available().into_iter().filter(|isa| isa.has_bf16()) {
            let packed = PackedUpWeights::in_precision(isa, Precision::Bf16, &w, channels);
            for x in x.views() {
                let mut out = target(up, wider);
                let to = out.view_mut().channels(wider / 2..wider / 2 + cout);
                up_conv3x3(x, &packed, Epilogue { bias: Some(&b), relu }, to);
                let e = error(&result(&out, cout), &expected);
                prop_assert!(e < 2e-6, "{isa}: {e}");
            }
        }
    }

    #[test]
    fn gradients_of_convolution_are_their_definitions(
        shape in shapes(40), cout in 1_usize..70, wider in 0_usize..5, seed: u64,
    ) {
        let channels = Channels::new(shape.channels, cout);
        let x = Source::new(seed, shape, wider);
        let g = Source::new(seed ^ 3, shape.with_channels(cout), wider);
        let w = values(seed ^ 1, channels.weights());
        let of_input = reference::conv3x3_input_gradient(&g.images(), &w, channels);
        let of_weights = reference::conv3x3_weight_gradient(&x.images(), &g.images());
        let of_bias = reference::channel_sums(&g.images());
        for isa in Isa::available() {
            for (algorithm, tolerance) in ALGORITHMS {
                let packed = PackedWeights::for_input_gradient(isa, algorithm, &w, channels);
                for view in g.views() {
                    let mut out = target(shape, wider);
                    let to = out.view_mut().channels(wider / 2..wider / 2 + shape.channels);
                    conv3x3(view, &packed, Epilogue::default(), to);
                    let e = error(&result(&out, shape.channels), &of_input.data);
                    prop_assert!(e < tolerance, "{isa} {algorithm:?} input: {e}");
                }
            }
            for (x, g) in x.views().into_iter().zip(g.views()) {
                for (algorithm, tolerance) in ALGORITHMS {
                    let mut out = vec![777.0; channels.weights()];
                    conv3x3_weight_gradient(isa, algorithm, x, g, &mut out);
                    let e = error(&out, &of_weights);
                    prop_assert!(e < tolerance, "{isa} {algorithm:?} weights: {e}");
                }
                let e = error(&channel_sums(isa, g), &of_bias);
                prop_assert!(e < 2e-6, "{isa} bias: {e}");
            }
        }
    }

    #[test]
    fn transposed_convolution_and_its_gradients_are_their_definitions(
        shape in shapes(40), cout in 1_usize..40, wider in 0_usize..5, seed: u64, relu: bool,
    ) {
        let channels = Channels::new(shape.channels, cout);
        let up = shape.doubled().with_channels(cout);
        let x = Source::new(seed, shape, wider);
        let g = Source::new(seed ^ 3, up, wider);
        let w = values(seed ^ 1, channels.weights());
        let b = values(seed ^ 2, cout);
        let forward = with_epilogue(reference::up_conv3x3(&x.images(), &w, channels), Some(&b), relu);
        let of_input = reference::up_conv3x3_input_gradient(&g.images(), &w, channels);
        let of_weights = reference::up_conv3x3_weight_gradient(&x.images(), &g.images());
        for isa in Isa::available() {
            let packed = PackedUpWeights::new(isa, &w, channels);
            let backward = PackedUpGradient::new(isa, &w, channels);
            for (x, g) in x.views().into_iter().zip(g.views()) {
                let mut out = target(up, wider);
                let to = out.view_mut().channels(wider / 2..wider / 2 + cout);
                up_conv3x3(x, &packed, Epilogue { bias: Some(&b), relu }, to);
                let e = error(&result(&out, cout), &forward);
                prop_assert!(e < 2e-6, "{isa} forward: {e}");

                let mut out = target(shape, wider);
                let to = out.view_mut().channels(wider / 2..wider / 2 + shape.channels);
                up_conv3x3_input_gradient(g, &backward, to);
                let e = error(&result(&out, shape.channels), &of_input.data);
                prop_assert!(e < 2e-6, "{isa} input: {e}");

                let mut out = vec![777.0; channels.weights()];
                up_conv3x3_weight_gradient(isa, x, g, &mut out);
                let e = error(&out, &of_weights);
                prop_assert!(e < 2e-6, "{isa} weights: {e}");
            }
        }
    }
}

/// <conv(x, w), g> = <x, gradient of x> = <w, gradient of w>: the oracle itself is consistent.
#[test]
fn gradients_are_adjoint() {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let shape = Shape::new(2, 5, 7, 3);
    let channels = Channels::new(3, 4);
    let x = Source::new(1, shape, 0).images();
    let w = values(2, channels.weights());
    let w64: Vec<f64> = w.iter().map(|&w| f64::from(w)).collect();
    let g = Source::new(3, shape.with_channels(4), 0).images();
    let value = dot(&reference::conv3x3(&x, &w, channels).data, &g.data);
    let by_input = dot(
        &x.data,
        &reference::conv3x3_input_gradient(&g, &w, channels).data,
    );
    let by_weights = dot(&w64, &reference::conv3x3_weight_gradient(&x, &g));
    assert!((value - by_input).abs() < 1e-9 && (value - by_weights).abs() < 1e-9);
    let g = Source::new(3, shape.doubled().with_channels(4), 0).images();
    let value = dot(&reference::up_conv3x3(&x, &w, channels).data, &g.data);
    let by_input = dot(
        &x.data,
        &reference::up_conv3x3_input_gradient(&g, &w, channels).data,
    );
    let by_weights = dot(&w64, &reference::up_conv3x3_weight_gradient(&x, &g));
    assert!((value - by_input).abs() < 1e-9 && (value - by_weights).abs() < 1e-9);
}

/// A kernel that is 1 in one corner moves the image by a pixel, with zeros coming in.
#[test]
fn a_corner_tap_moves_the_image() {
    let shape = Shape::new(1, 3, 4, 1);
    let x: Vec<f32> = (1_u8..=12).map(f32::from).collect();
    let mut w = [0.0; 9];
    w[0] = 1.0;
    let w = oihw_to_hwio(&w, Channels::new(1, 1));
    for isa in Isa::available() {
        for (algorithm, tolerance) in ALGORITHMS {
            let packed = PackedWeights::new(isa, algorithm, &w, Channels::new(1, 1));
            let mut out = vec![0.0; 12];
            conv3x3(
                View::dense(&x, shape),
                &packed,
                Epilogue::default(),
                ViewMut::dense(&mut out, shape),
            );
            let expected = [0., 0., 0., 0., 0., 1., 2., 3., 0., 5., 6., 7.];
            assert!(
                error(&out, &expected) <= tolerance,
                "{isa} {algorithm:?}: {out:?}"
            );
        }
    }
}

/// Two and four maps of one transposed convolution by hand: input 1, kernel 1..9.
#[test]
fn one_pixel_becomes_four() {
    let w: Vec<f32> = (1_u8..=9).map(f32::from).collect();
    let w = iohw_to_hwio(&w, Channels::new(1, 1));
    for isa in Isa::available() {
        let mut out = [0.0; 4];
        up_conv3x3(
            View::dense(&[1.0], Shape::new(1, 1, 1, 1)),
            &PackedUpWeights::new(isa, &w, Channels::new(1, 1)),
            Epilogue::default(),
            ViewMut::dense(&mut out, Shape::new(1, 2, 2, 1)),
        );
        assert_eq!(out, [5.0, 6.0, 8.0, 9.0], "{isa}");
    }
}

/// The same bits on one, two and five threads.
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let shape = Shape::new(3, 40, 24, 20);
    let channels = Channels::new(20, 36);
    let x = Source::new(1, shape, 0);
    let g = Source::new(2, shape.with_channels(36), 0);
    let w = values(3, channels.weights());
    for isa in Isa::available() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            pool.install(|| {
                let mut all = Vec::new();
                for (algorithm, _) in ALGORITHMS {
                    let packed = PackedWeights::new(isa, algorithm, &w, channels);
                    let mut out = FeatureMap::zeros(shape.with_channels(36));
                    conv3x3(x.views()[1], &packed, Epilogue::default(), out.view_mut());
                    all.extend(out.view().to_vec());
                    let mut gw = vec![0.0; channels.weights()];
                    conv3x3_weight_gradient(isa, algorithm, x.views()[0], g.views()[0], &mut gw);
                    all.extend(gw);
                }
                let m = moments(isa, x.views()[0]);
                all.extend(m.mean);
                all.extend(m.variance);
                all.extend(channel_sums(isa, g.views()[1]));
                all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(5), "{isa}");
    }
}

#[test]
#[should_panic(expected = "input channels")]
fn wrong_channels_are_named() {
    let packed = PackedWeights::new(
        Isa::portable(),
        Algorithm::Direct,
        &[0.0; 18],
        Channels::new(2, 1),
    );
    let shape = Shape::new(1, 1, 1, 1);
    conv3x3(
        View::dense(&[0.0], shape),
        &packed,
        Epilogue::default(),
        ViewMut::dense(&mut [0.0], shape),
    );
}

#[test]
#[should_panic(expected = "the length of the slice")]
fn short_slices_are_refused() {
    View::dense(&[0.0; 7], Shape::new(1, 2, 2, 2));
}

#[test]
fn images_without_pixels_are_nothing_to_do() {
    let channels = Channels::new(2, 3);
    for isa in Isa::available() {
        for shape in [
            Shape::new(0, 4, 4, 2),
            Shape::new(1, 0, usize::MAX, 2),
            Shape::new(2, 5, 0, 2),
        ] {
            let x = FeatureMap::zeros(shape);
            let mut y = FeatureMap::zeros(shape.with_channels(3));
            for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
                let packed = PackedWeights::new(isa, algorithm, &[0.0; 54], channels);
                conv3x3(x.view(), &packed, Epilogue::default(), y.view_mut());
                let mut g = vec![1.0; 54];
                conv3x3_weight_gradient(isa, algorithm, x.view(), y.view(), &mut g);
                assert_eq!(g, [0.0; 54]);
            }
            assert!(moments(isa, x.view()).mean.iter().all(|m| *m == 0.0));
            assert_eq!(channel_sums(isa, x.view()), [0.0; 2]);
        }
    }
}

#[test]
#[should_panic(expected = "more values than there can be")]
fn a_shape_that_overflows_is_refused() {
    View::dense(&[], Shape::new(1 << 33, 1 << 31, 1, 1));
}
