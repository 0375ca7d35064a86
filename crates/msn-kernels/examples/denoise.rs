//! Trains a small U-Net to take noise out of pictures, forward and backward, from the primitives
//! alone.
//!
//! Run with `cargo run -p msn-kernels --example denoise`.
#![allow(clippy::print_stdout)]

use msn_kernels::*;

const BATCH: usize = 4;
const SIDE: usize = 32;
const WIDTH: usize = 8;
const STEPS: u32 = 60;
const EPSILON: f64 = 1e-5;

/// Values that are learnt, with Adam's state.
struct Parameter {
    values: Vec<f32>,
    gradient: Vec<f32>,
    mean: Vec<f32>,
    mean_square: Vec<f32>,
}

impl Parameter {
    fn new(values: Vec<f32>) -> Self {
        let zeros = vec![0.0; values.len()];
        Self {
            gradient: zeros.clone(),
            mean: zeros.clone(),
            mean_square: zeros,
            values,
        }
    }

    fn learn(&mut self, isa: Isa, step: u32) {
        Adam::default().step(
            isa,
            5e-3,
            step,
            &mut self.values,
            &self.gradient,
            &mut self.mean,
            &mut self.mean_square,
        );
    }
}

/// Convolution, batch norm, ReLU; transposed, it doubles the picture.
struct Layer {
    isa: Isa,
    channels: Channels,
    transposed: bool,
    weights: Parameter,
    gamma: Parameter,
    beta: Parameter,
    raw: FeatureMap,
    moments: Moments,
    affine: Affine,
}

impl Layer {
    fn new(isa: Isa, channels: Channels, transposed: bool, noise: &mut Noise) -> Self {
        Self {
            isa,
            channels,
            transposed,
            weights: Parameter::new(noise.weights(channels)),
            gamma: Parameter::new(vec![1.0; channels.output]),
            beta: Parameter::new(vec![0.0; channels.output]),
            raw: FeatureMap::default(),
            moments: Moments::default(),
            affine: Affine::default(),
        }
    }

    fn forward(&mut self, input: View<'_>, output: ViewMut<'_>) {
        let (isa, channels, weights) = (self.isa, self.channels, &self.weights.values);
        self.raw.reshape(output.shape());
        let raw = self.raw.view_mut();
        if self.transposed {
            let packed = PackedUpWeights::new(isa, weights, channels);
            up_conv3x3(input, &packed, Epilogue::default(), raw);
        } else {
            let packed = PackedWeights::new(isa, Algorithm::Fastest, weights, channels);
            conv3x3(input, &packed, Epilogue::default(), raw);
        }
        self.moments = moments(isa, self.raw.view());
        self.affine = self
            .moments
            .affine(&self.gamma.values, &self.beta.values, EPSILON);
        apply_affine(isa, self.raw.view(), &self.affine, true, output);
    }

    /// `gradient`, that of the output, is used up.
    fn backward(
        &mut self,
        input: View<'_>,
        mut gradient: ViewMut<'_>,
        of_input: Option<ViewMut<'_>>,
    ) {
        let (isa, channels) = (self.isa, self.channels);
        let norm = BatchNorm {
            input: self.raw.view(),
            moments: &self.moments,
            affine: &self.affine,
            epsilon: EPSILON,
            relu: true,
        };
        let NormGradient { gamma, beta } = norm.backward(isa, &mut gradient, None);
        (self.gamma.gradient, self.beta.gradient) = (gamma, beta);
        let Parameter {
            values,
            gradient: of_weights,
            ..
        } = &mut self.weights;
        let gradient = gradient.as_view();
        if self.transposed {
            up_conv3x3_weight_gradient(isa, input, gradient, of_weights);
            if let Some(of_input) = of_input {
                let packed = PackedUpGradient::new(isa, values, channels);
                up_conv3x3_input_gradient(gradient, &packed, of_input);
            }
        } else {
            let algorithm = Algorithm::Fastest;
            conv3x3_weight_gradient(isa, algorithm, input, gradient, of_weights);
            if let Some(of_input) = of_input {
                let packed = PackedWeights::for_input_gradient(isa, algorithm, values, channels);
                conv3x3(gradient, &packed, Epilogue::default(), of_input);
            }
        }
    }

    fn learn(&mut self, step: u32) {
        for parameter in [&mut self.weights, &mut self.gamma, &mut self.beta] {
            parameter.learn(self.isa, step);
        }
    }
}

/// Two scales: both are written into one map, and the last convolution reads both.
struct UNet {
    isa: Isa,
    fine: Layer,
    coarse: Layer,
    up: Layer,
    last: Parameter,
    last_bias: Parameter,
    pooled: FeatureMap,
    deep: FeatureMap,
    /// The fine feature, then what comes up from the coarse one.
    both: FeatureMap,
}

impl UNet {
    fn new(isa: Isa, noise: &mut Noise) -> Self {
        let mut layer = |input, output, transposed| {
            Layer::new(isa, Channels::new(input, output), transposed, noise)
        };
        let fine = Shape::new(BATCH, SIDE, SIDE, WIDTH);
        let (first, coarse, up) = (
            layer(1, WIDTH, false),
            layer(WIDTH, 2 * WIDTH, false),
            layer(2 * WIDTH, WIDTH, true),
        );
        Self {
            isa,
            fine: first,
            coarse,
            up,
            last: Parameter::new(noise.weights(Self::LAST)),
            last_bias: Parameter::new(vec![0.0]),
            pooled: FeatureMap::zeros(fine.halved()),
            deep: FeatureMap::zeros(fine.halved().with_channels(2 * WIDTH)),
            both: FeatureMap::zeros(fine.with_channels(2 * WIDTH)),
        }
    }

    const LAST: Channels = Channels::new(2 * WIDTH, 1);

    /// The clean picture, in -1..1, of a noisy one.
    fn forward(&mut self, noisy: View<'_>) -> Vec<f32> {
        let isa = self.isa;
        let feature = self.both.view_mut().channels(0..WIDTH);
        self.fine.forward(noisy, feature);
        let feature = self.both.view().channels(0..WIDTH);
        max_pool2(isa, feature, self.pooled.view_mut());
        self.coarse
            .forward(self.pooled.view(), self.deep.view_mut());
        let from_below = self.both.view_mut().channels(WIDTH..2 * WIDTH);
        self.up.forward(self.deep.view(), from_below);

        let shape = noisy.shape();
        let mut clean = vec![0.0; shape.len()];
        let mut to = ViewMut::dense(&mut clean, shape);
        let packed = PackedWeights::new(isa, Algorithm::Fastest, &self.last.values, Self::LAST);
        let epilogue = Epilogue::bias(&self.last_bias.values);
        conv3x3(self.both.view(), &packed, epilogue, to.reborrow());
        tanh_in_place(isa, &mut to);
        clean
    }

    /// One step of training; the mean squared error before it.
    fn train(&mut self, step: u32, noisy: View<'_>, clean: View<'_>) -> f64 {
        let isa = self.isa;
        let prediction = self.forward(noisy);
        let mut of_last = FeatureMap::zeros(noisy.shape());
        let prediction = View::dense(&prediction, noisy.shape());
        let error = squared_error_of_tanh(isa, prediction, clean, of_last.view_mut());

        let of_last = of_last.view();
        self.last_bias.gradient = channel_sums(isa, of_last);
        let algorithm = Algorithm::Fastest;
        let of_weights = &mut self.last.gradient;
        conv3x3_weight_gradient(isa, algorithm, self.both.view(), of_last, of_weights);
        let packed =
            PackedWeights::for_input_gradient(isa, algorithm, &self.last.values, Self::LAST);
        let mut of_both = FeatureMap::zeros(self.both.shape());
        conv3x3(of_last, &packed, Epilogue::default(), of_both.view_mut());

        let mut of_deep = FeatureMap::zeros(self.deep.shape());
        let mut of_pooled = FeatureMap::zeros(self.pooled.shape());
        let (mut of_feature, of_up) = of_both.view_mut().split(WIDTH);
        self.up
            .backward(self.deep.view(), of_up, Some(of_deep.view_mut()));
        let to = Some(of_pooled.view_mut());
        self.coarse
            .backward(self.pooled.view(), of_deep.view_mut(), to);
        let feature = self.both.view().channels(0..WIDTH);
        max_pool2_backward(isa, feature, of_pooled.view(), of_feature.reborrow());
        self.fine.backward(noisy, of_feature, None);

        for layer in [&mut self.fine, &mut self.coarse, &mut self.up] {
            layer.learn(step);
        }
        self.last.learn(isa, step);
        self.last_bias.learn(isa, step);
        error
    }
}

/// Drawn numbers.
struct Noise(u32);

impl Noise {
    /// In -1..1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn weights(&mut self, channels: Channels) -> Vec<f32> {
        let scale = (6.0 / (9 * channels.input) as f32).sqrt();
        let len = channels.weights();
        (0..len).map(|_| scale * self.next()).collect()
    }

    /// Pictures of a disc somewhere, and the same with noise.
    fn pictures(&mut self, shape: Shape) -> (Vec<f32>, Vec<f32>) {
        let mut clean = Vec::with_capacity(shape.len());
        for _ in 0..shape.batch {
            let (x, y) = (16.0 + 8.0 * self.next(), 16.0 + 8.0 * self.next());
            let radius = 6.0 + 3.0 * self.next();
            clean.extend((0..SIDE * SIDE).map(|i| {
                let away = ((i % SIDE) as f32 - x).hypot((i / SIDE) as f32 - y);
                (radius - away).clamp(-0.8, 0.8)
            }));
        }
        let noisy = clean.iter().map(|v| v + 0.8 * self.next()).collect();
        (clean, noisy)
    }
}

fn main() {
    let isa = Isa::detect();
    let mut noise = Noise(7);
    let mut net = UNet::new(isa, &mut noise);
    let shape = Shape::new(BATCH, SIDE, SIDE, 1);
    let mut error = 0.0;
    for step in 1..=STEPS {
        let (clean, noisy) = noise.pictures(shape);
        error = net.train(step, View::dense(&noisy, shape), View::dense(&clean, shape));
        if step % 20 == 1 {
            println!("step {step}: mean squared error {error:.4}");
        }
    }
    let (clean, noisy) = noise.pictures(shape);
    let pairs = clean.iter().zip(&noisy);
    let before = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / clean.len() as f64;
    println!("mean squared error of the noisy pictures {before:.4}, of the network's {error:.4}");
    assert!(error < 0.5 * before, "the network took no noise out");
}
