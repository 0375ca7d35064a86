//! Pooling, normalisation, Adam.

use msn_kernels::*;
use proptest::prelude::*;

use crate::support::*;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn max_pool_takes_the_first_maximum(shape in shapes(40), wider in 0_usize..5, seed: u64) {
        // Few values, so that there are many ties.
        let small = shape.halved();
        let x: Vec<f32> = values(seed, shape.len()).into_iter().map(|v| (v * 3.0).round()).collect();
        let view = View::dense(&x, shape);
        let g = Source::new(seed ^ 1, small, wider);
        let (mut expected, mut expected_gradient) = (Vec::new(), vec![1.0_f64; shape.len()]);
        for n in 0..small.batch { for y in 0..small.height { for x in 0..small.width { for c in 0..small.channels {
            let at = |i: usize| view.pixel(n, 2 * y + i / 2, 2 * x + i % 2)[c];
            let best = (0..4).fold(0, |b, i| if at(i) > at(b) { i } else { b });
            expected.push(f64::from(at(best)));
            let to = ((n * shape.height + 2 * y + best / 2) * shape.width + 2 * x + best % 2) * shape.channels + c;
            expected_gradient[to] += f64::from(g.views()[0].pixel(n, y, x)[c]);
        }}}}
        for isa in Isa::available() {
            let mut out = target(small, wider);
            max_pool2(isa, view, out.view_mut().channels(wider / 2..wider / 2 + shape.channels));
            prop_assert_eq!(error(&result(&out, shape.channels), &expected), 0.0);
            for g in g.views() {
                let mut gradient = vec![1.0; shape.len()];
                max_pool2_backward(isa, view, g, ViewMut::dense(&mut gradient, shape));
                prop_assert!(error(&gradient, &expected_gradient) < 1e-6);
            }
        }
    }

    #[test]
    fn moments_are_exact_far_from_zero(shape in shapes(40), wider in 0_usize..5, seed: u64, offset in -300_f32..300.0) {
        let x: Vec<f32> = values(seed, shape.with_channels(shape.channels + wider).len()).into_iter().map(|v| v + offset).collect();
        let view = View::dense(&x, shape.with_channels(shape.channels + wider)).channels(wider / 2..wider / 2 + shape.channels);
        let v = view.to_vec();
        let pixels = shape.pixels() as f64;
        for isa in Isa::available() {
            let m = moments(isa, view);
            for c in 0..shape.channels {
                let column = || v.iter().skip(c).step_by(shape.channels).map(|&v| f64::from(v));
                let mean = column().sum::<f64>() / pixels;
                let variance = column().map(|v| (v - mean).powi(2)).sum::<f64>() / pixels;
                prop_assert!((f64::from(m.mean[c]) - mean).abs() < 1e-6 * (1.0 + mean.abs()));
                prop_assert!((f64::from(m.variance[c]) - variance).abs() < 2e-5 * variance + 1e-9, "{} {variance}", m.variance[c]);
            }
        }
    }

    #[test]
    fn batch_norm_has_the_gradient_of_its_definition(shape in shapes(20), wider in 0_usize..5, seed: u64, relu: bool) {
        let channels = shape.channels;
        let pixels = shape.pixels() as f64;
        let x = Source::new(seed, shape, wider);
        let g = values(seed ^ 1, shape.len());
        let gamma = values(seed ^ 2, channels);
        let beta = values(seed ^ 3, channels);
        let epsilon = 1e-2;
        let v = x.images().data;
        let (mut y, mut dx) = (vec![0.0; v.len()], vec![0.0; v.len()]);
        let (mut d_gamma, mut d_beta) = (vec![0.0; channels], vec![0.0; channels]);
        for c in 0..channels {
            let at: Vec<usize> = (0..shape.pixels()).map(|p| p * channels + c).collect();
            let mean = at.iter().map(|&i| v[i]).sum::<f64>() / pixels;
            let variance = at.iter().map(|&i| (v[i] - mean).powi(2)).sum::<f64>() / pixels;
            let root = 1.0 / (variance + epsilon).sqrt();
            let (gamma, beta) = (f64::from(gamma[c]), f64::from(beta[c]));
            let hat = |i: usize| (v[i] - mean) * root;
            let through = |i: usize| if relu && hat(i) * gamma + beta <= 0.0 { 0.0 } else { f64::from(g[i]) };
            d_beta[c] = at.iter().map(|&i| through(i)).sum();
            d_gamma[c] = at.iter().map(|&i| through(i) * hat(i)).sum();
            for &i in &at {
                y[i] = hat(i) * gamma + beta;
                if relu { y[i] = y[i].max(0.0); }
                dx[i] = gamma * root * (through(i) - d_beta[c] / pixels - hat(i) * d_gamma[c] / pixels);
            }
        }
        for isa in Isa::available() {
            for view in x.views() {
                let m = moments(isa, view);
                let affine = m.affine(&gamma, &beta, epsilon);
                let mut out = target(shape, wider);
                apply_affine(isa, view, &affine, relu, out.view_mut().channels(wider / 2..wider / 2 + channels));
                prop_assert!(error(&result(&out, channels), &y) < 1e-5);
                let mut gradient = g.clone();
                let norm = BatchNorm { input: view, moments: &m, affine: &affine, epsilon, relu };
                let parameters = norm.backward(isa, &mut ViewMut::dense(&mut gradient, shape), None);
                prop_assert!(error(&gradient, &dx) < 2e-5, "{isa} {}", error(&gradient, &dx));
                prop_assert!(error(&parameters.gamma, &d_gamma) < 1e-5);
                prop_assert!(error(&parameters.beta, &d_beta) < 1e-5);
            }
        }
    }
}

#[test]
fn the_first_step_of_adam_is_worked_by_hand() {
    // Bias correction makes the first step rate * g / (|g| + epsilon).
    for isa in Isa::available() {
        for g in [1e-5_f32, -3.0, 0.0] {
            let (mut w, mut m, mut v) = ([1.0_f32; 3], [0.0; 3], [0.0; 3]);
            Adam::default().step(isa, 1e-3, 1, &mut w, &[g; 3], &mut m, &mut v);
            let g = f64::from(g);
            let expected = 1.0 - 1e-3 * g / (g.abs() + 1e-8);
            for w in w {
                assert!(
                    (f64::from(w) - expected).abs() < 1.2e-7,
                    "{isa} {g}: {w} {expected}"
                );
            }
        }
    }
}

#[test]
fn a_hundred_steps_of_adam_follow_f64() {
    let len = 37;
    for isa in Isa::available() {
        let mut w = values(1, len);
        let (mut m, mut v) = (vec![0.0; len], vec![0.0; len]);
        let mut w64: Vec<f64> = w.iter().map(|&w| f64::from(w)).collect();
        let (mut m64, mut v64) = (vec![0.0; len], vec![0.0; len]);
        for step in 1..=100_u32 {
            let g = values(u64::from(step) + 7, len);
            Adam::default().step(isa, 1e-2, step, &mut w, &g, &mut m, &mut v);
            let t = f64::from(step);
            for i in 0..len {
                let g = f64::from(g[i]);
                m64[i] = 0.9 * m64[i] + 0.1 * g;
                v64[i] = 0.999 * v64[i] + 0.001 * g * g;
                let (m, v) = (
                    m64[i] / (1.0 - 0.9_f64.powf(t)),
                    v64[i] / (1.0 - 0.999_f64.powf(t)),
                );
                w64[i] -= 1e-2 * m / (v.sqrt() + 1e-8);
            }
        }
        assert!(error(&w, &w64) < 1e-5, "{isa}");
    }
}
