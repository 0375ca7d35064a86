//! Prints how fast the convolutions of an MSN-net run on this machine.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::time::Instant;

use msn_kernels::*;

/// The best of many short runs: on a shared machine most are disturbed.
fn best(flops: f64, mut f: impl FnMut()) -> f64 {
    f();
    let mut best = f64::MAX;
    let all = Instant::now();
    while all.elapsed().as_secs_f64() < 0.25 {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
    }
    flops / best / 1e9
}

fn main() {
    let batch: usize = std::env::args()
        .nth(1)
        .map_or(1, |a| a.parse().expect("a batch size"));
    let isa = Isa::detect();
    println!(
        "{isa}, {} threads, batch {batch}",
        rayon::current_num_threads()
    );
    println!(
        "{:>24} {:>9} {:>9} {:>9} {:>9} {:>9} {:>11} {:>9}",
        "", "direct", "(dense)", "winograd", "gradient", "winograd", "bf16 direct", "winograd"
    );
    for w in [16, 32] {
        let convs = [
            (4, w, 128),
            (w, w, 128),
            (w, 2 * w, 64),
            (2 * w, 2 * w, 64),
            (2 * w, 4 * w, 32),
            (4 * w, 4 * w, 32),
            (4 * w, 8 * w, 16),
            (8 * w, 8 * w, 16),
            (8 * w, 4 * w, 32),
            (4 * w, 2 * w, 64),
            (2 * w, w, 128),
            (w, 1, 128),
            (w, 3, 128),
        ];
        for (cin, cout, size) in convs {
            let channels = Channels::new(cin, cout);
            let shape = Shape::new(batch, size, size, cin);
            let weights: Vec<f32> = (0..channels.weights())
                .map(|i| (i % 7) as f32 * 0.01 - 0.03)
                .collect();
            let x: Vec<f32> = (0..shape.len())
                .map(|i| (i % 11) as f32 * 0.1 - 0.5)
                .collect();
            let map = FeatureMap::from_view(View::dense(&x, shape));
            let mut out = FeatureMap::zeros(shape.with_channels(cout));
            let flops = 2.0 * (shape.pixels() * channels.weights()) as f64;
            let bias = vec![0.1; cout];
            let direct = PackedWeights::new(isa, Algorithm::Direct, &weights, channels);
            let d = best(flops, || {
                conv3x3(
                    map.view(),
                    &direct,
                    Epilogue::bias_relu(&bias),
                    out.view_mut(),
                )
            });
            let mut dense_out = vec![0.0; shape.with_channels(cout).len()];
            let dd = best(flops, || {
                let out = ViewMut::dense(&mut dense_out, shape.with_channels(cout));
                conv3x3(
                    View::dense(&x, shape),
                    &direct,
                    Epilogue::bias_relu(&bias),
                    out,
                );
            });
            let wino = PackedWeights::new(isa, Algorithm::Winograd, &weights, channels);
            let wg = best(flops, || {
                conv3x3(
                    map.view(),
                    &wino,
                    Epilogue::bias_relu(&bias),
                    out.view_mut(),
                )
            });
            let g = FeatureMap::from_view(View::dense(&dense_out, shape.with_channels(cout)));
            let mut gw = vec![0.0; channels.weights()];
            let gd = best(flops, || {
                conv3x3_weight_gradient(isa, Algorithm::Direct, map.view(), g.view(), &mut gw)
            });
            let gw = best(flops, || {
                conv3x3_weight_gradient(isa, Algorithm::Winograd, map.view(), g.view(), &mut gw)
            });
            let mut bf16 = |algorithm| {
                if !isa.has_bf16() {
                    return f64::NAN;
                }
                let packed = PackedWeights::in_precision(
                    isa,
                    algorithm,
                    Precision::Bf16,
                    &weights,
                    channels,
                );
                best(flops, || {
                    let epilogue = Epilogue::bias_relu(&bias);
                    conv3x3(map.view(), &packed, epilogue, out.view_mut())
                })
            };
            let (hd, hw) = (bf16(Algorithm::Direct), bf16(Algorithm::Winograd));
            println!(
                "{:>24} {d:>9.0} {dd:>9.0} {wg:>9.0} {gd:>9.0} {gw:>9.0} {hd:>11.0} {hw:>9.0}",
                format!("{cin} -> {cout} @ {size}")
            );
        }
    }
    println!(
        "\n{:>24} {:>9} {:>9} {:>9}",
        "transposed", "forward", "input", "weights"
    );
    for (cin, cout, size) in [(32, 16, 64), (64, 32, 32), (128, 64, 16), (256, 128, 16)] {
        let channels = Channels::new(cin, cout);
        let shape = Shape::new(batch, size, size, cin);
        let up = shape.doubled().with_channels(cout);
        let weights: Vec<f32> = (0..channels.weights())
            .map(|i| (i % 7) as f32 * 0.01 - 0.03)
            .collect();
        let x = FeatureMap::from_view(View::dense(&vec![0.5; shape.len()], shape));
        let mut y = FeatureMap::from_view(View::dense(&vec![0.5; up.len()], up));
        let mut gx = FeatureMap::zeros(shape);
        let mut gw = vec![0.0; channels.weights()];
        let forward = PackedUpWeights::new(isa, &weights, channels);
        let backward = PackedUpGradient::new(isa, &weights, channels);
        let flops = 2.0 * (shape.pixels() * channels.weights()) as f64;
        let f = best(flops, || {
            up_conv3x3(x.view(), &forward, Epilogue::default(), y.view_mut())
        });
        let i = best(flops, || {
            up_conv3x3_input_gradient(y.view(), &backward, gx.view_mut())
        });
        let w = best(flops, || {
            up_conv3x3_weight_gradient(isa, x.view(), y.view(), &mut gw)
        });
        println!(
            "{:>24} {f:>9.0} {i:>9.0} {w:>9.0}",
            format!("{cin} -> {cout} @ {size}")
        );
    }
}
