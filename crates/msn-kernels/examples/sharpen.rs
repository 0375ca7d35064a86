//! Sharpens a drawn picture with a 3x3 kernel and prints both: the kernels outside of networks.
#![allow(clippy::print_stdout)]

use msn_kernels::*;

const SIZE: usize = 24;

fn show(title: &str, picture: View<'_>) {
    println!("{title}");
    for y in 0..SIZE / 2 {
        let row: String = (0..SIZE)
            .map(|x| {
                let v = picture.pixel(0, 2 * y, x)[0];
                [' ', '.', ':', '+', '#', '@'][(v.clamp(0.0, 1.0) * 5.0).round() as usize]
            })
            .collect();
        println!("  {row}");
    }
}

fn main() {
    // A soft disc, one channel.
    let shape = Shape::new(1, SIZE, SIZE, 1);
    let picture: Vec<f32> = (0..shape.len())
        .map(|i| {
            let (y, x) = ((i / SIZE) as f32 - 11.5, (i % SIZE) as f32 - 11.5);
            ((9.0 - x.hypot(y)) / 6.0).clamp(0.0, 1.0)
        })
        .collect();
    // Blurred by a binomial kernel, then the picture plus twice its difference from the blurred.
    let binomial = [1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0].map(|v: f32| v / 16.0);
    let mut sharpen = binomial.map(|v| -2.0 * v);
    sharpen[4] += 3.0;

    let weights = PackedWeights::new(
        Isa::detect(),
        Algorithm::Direct,
        &sharpen,
        Channels::new(1, 1),
    );
    let mut sharp = FeatureMap::zeros(shape);
    conv3x3(
        View::dense(&picture, shape),
        &weights,
        Epilogue::default(),
        sharp.view_mut(),
    );
    show("before", View::dense(&picture, shape));
    show("after", sharp.view());
}
