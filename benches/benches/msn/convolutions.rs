//! Every shape of 3x3 convolution in the presets: forward, and both gradients.

use benches::{Harness, PerDevice};
use burn::tensor::{
    Tensor, TensorData, TensorPrimitive,
    backend::{AutodiffBackend, Backend},
    ops::ConvOptions,
};
use msn_kernels::{
    Algorithm, Channels, Epilogue, FeatureMap, Method, PackedWeights, Precision, Shape, View,
    ViewMut, conv3x3, conv3x3_weight_gradient, hwio_to_oihw,
};

use crate::{assert_close, draws, methods, tolerance};

/// One convolution: channels in and out, side of the picture.
#[derive(Clone, Copy)]
struct Case {
    cin: usize,
    cout: usize,
    side: usize,
}

/// What is computed.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Forward,
    InputGradient,
    WeightGradient,
}

impl Pass {
    fn subject(self, case: Case) -> String {
        let Case { cin, cout, side } = case;
        let name = match self {
            Self::Forward => "convolution",
            Self::InputGradient => "gradient of a convolution's input",
            Self::WeightGradient => "gradient of a convolution's weights",
        };
        format!("{name}, {cin} to {cout} channels, {side} px")
    }
}

/// The distinct convolutions of a network of this width on frames of this side.
fn shapes(w: usize, side: usize) -> Vec<Case> {
    let case = |cin, cout, down| Case {
        cin,
        cout,
        side: side >> down,
    };
    vec![
        case(4, w, 0),
        case(w, w, 0),
        case(w, 2 * w, 1),
        case(2 * w, 2 * w, 1),
        case(2 * w, 4 * w, 2),
        case(4 * w, 4 * w, 2),
        case(4 * w, 8 * w, 3),
        case(8 * w, 8 * w, 3),
        case(8 * w, 4 * w, 2),
        case(4 * w, 2 * w, 1),
        case(2 * w, w, 0),
        case(w, 1, 0),
    ]
}

pub fn all(harness: &mut Harness) {
    let cases = if harness.options.short {
        vec![
            Case {
                cin: 4,
                cout: 8,
                side: 64,
            },
            Case {
                cin: 16,
                cout: 16,
                side: 32,
            },
        ]
    } else {
        // The presets tiny (64 px), cpu (128 px) and paper (256 px), without repetition.
        [(8, 64), (16, 128), (64, 256)]
            .into_iter()
            .flat_map(|(w, side)| shapes(w, side))
            .collect()
    };
    for case in cases {
        for pass in [Pass::Forward, Pass::InputGradient, Pass::WeightGradient] {
            one(harness, case, pass);
        }
    }
}

fn one(harness: &mut Harness, case: Case, pass: Pass) {
    let subject = pass.subject(case);
    if !harness.wants(&subject) {
        return;
    }
    let data = Data::new(case);
    let expected = data.kernels(pass, Method::new(Algorithm::Direct));
    for device in harness.devices() {
        let mut backend = OnBackend {
            harness,
            subject: &subject,
            variant: device.to_string(),
            data: &data,
            pass,
            expected: &expected,
        };
        device.on(&mut backend);
    }
    for (variant, method) in methods() {
        let tolerance = tolerance(method);
        if method.precision == Precision::F32 || pass == Pass::Forward {
            assert_close(&variant, &data.kernels(pass, method), &expected, tolerance);
            data.time(harness, &subject, &variant, pass, method);
        }
    }
}

/// Input, weights and gradient of the output, channels last.
struct Data {
    case: Case,
    shape: Shape,
    input: Vec<f32>,
    hwio: Vec<f32>,
    gradient: Vec<f32>,
}

impl Data {
    fn new(case: Case) -> Self {
        let shape = Shape::new(1, case.side, case.side, case.cin);
        Self {
            case,
            shape,
            input: draws(shape.len(), 1),
            hwio: draws(case.cin * case.cout * 9, 2),
            gradient: draws(shape.with_channels(case.cout).len(), 3),
        }
    }

    fn channels(&self) -> Channels {
        Channels::new(self.case.cin, self.case.cout)
    }

    fn out(&self) -> Shape {
        self.shape.with_channels(self.case.cout)
    }

    fn packed(&self, method: Method) -> PackedWeights {
        let Method {
            isa,
            algorithm,
            precision,
        } = method;
        PackedWeights::in_precision(isa, algorithm, precision, &self.hwio, self.channels())
    }

    /// What the project's kernels compute.
    fn kernels(&self, pass: Pass, method: Method) -> Vec<f32> {
        let Method { isa, algorithm, .. } = method;
        match pass {
            Pass::Forward => {
                let weights = self.packed(method);
                convolved(&self.input, self.shape, &weights, self.out())
            }
            Pass::InputGradient => {
                let weights =
                    PackedWeights::for_input_gradient(isa, algorithm, &self.hwio, self.channels());
                convolved(&self.gradient, self.out(), &weights, self.shape)
            }
            Pass::WeightGradient => {
                let mut weights = vec![0.0; self.hwio.len()];
                conv3x3_weight_gradient(
                    isa,
                    algorithm,
                    View::dense(&self.input, self.shape),
                    View::dense(&self.gradient, self.out()),
                    &mut weights,
                );
                weights
            }
        }
    }

    fn time(
        &self,
        harness: &mut Harness,
        subject: &str,
        variant: &str,
        pass: Pass,
        method: Method,
    ) {
        let Method { isa, algorithm, .. } = method;
        let input = FeatureMap::from_view(View::dense(&self.input, self.shape));
        let gradient = FeatureMap::from_view(View::dense(&self.gradient, self.out()));
        match pass {
            Pass::Forward => {
                let weights = self.packed(method);
                let mut to = FeatureMap::zeros(self.out());
                harness.time(subject, variant, || {
                    conv3x3(input.view(), &weights, Epilogue::default(), to.view_mut());
                });
            }
            Pass::InputGradient => {
                let weights =
                    PackedWeights::for_input_gradient(isa, algorithm, &self.hwio, self.channels());
                let mut to = FeatureMap::zeros(self.shape);
                harness.time(subject, variant, || {
                    conv3x3(
                        gradient.view(),
                        &weights,
                        Epilogue::default(),
                        to.view_mut(),
                    );
                });
            }
            Pass::WeightGradient => {
                let mut to = vec![0.0; self.hwio.len()];
                harness.time(subject, variant, || {
                    conv3x3_weight_gradient(isa, algorithm, input.view(), gradient.view(), &mut to);
                });
            }
        }
    }
}

fn convolved(from: &[f32], shape: Shape, weights: &PackedWeights, to: Shape) -> Vec<f32> {
    let mut out = vec![0.0; to.len()];
    conv3x3(
        View::dense(from, shape),
        weights,
        Epilogue::default(),
        ViewMut::dense(&mut out, to),
    );
    out
}

/// The same by a backend's own operation.
struct OnBackend<'a> {
    harness: &'a mut Harness,
    subject: &'a str,
    variant: String,
    data: &'a Data,
    pass: Pass,
    expected: &'a [f32],
}

impl PerDevice for OnBackend<'_> {
    fn run<B: AutodiffBackend>(&mut self, device: &B::Device) {
        self.inner::<B::InnerBackend>(device);
    }
}

impl OnBackend<'_> {
    fn inner<B: Backend>(&mut self, device: &B::Device) {
        let data = self.data;
        let Case { cin, cout, side } = data.case;
        let nhwc = |values: &[f32], channels: usize| {
            let values = TensorData::new(values.to_vec(), [1, side, side, channels]);
            // A copy in the backend's own order, as it would lie in a network.
            let nchw = Tensor::<B, 4>::from_data(values, device).permute([0, 3, 1, 2]);
            Tensor::<B, 4>::from_data(nchw.into_data(), device)
        };
        let (x, g) = (nhwc(&data.input, cin), nhwc(&data.gradient, cout));
        let oihw = TensorData::new(hwio_to_oihw(&data.hwio, data.channels()), [cout, cin, 3, 3]);
        let w = Tensor::<B, 4>::from_data(oihw, device);
        let options = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let pass = self.pass;
        let compute = || -> Tensor<B, 4> {
            let [x, w, g] = [&x, &w, &g].map(|t| t.clone().into_primitive().tensor());
            let out = match pass {
                Pass::Forward => B::conv2d(x, w, None, options()),
                Pass::InputGradient => B::conv2d_x_backward(x, w, g, options()),
                Pass::WeightGradient => B::conv2d_weight_backward(x, w, g, options()),
            };
            Tensor::from_primitive(TensorPrimitive::Float(out))
        };
        let order = match pass {
            // OIHW to HWIO, and NCHW to NHWC.
            Pass::WeightGradient => [2, 3, 1, 0],
            _ => [0, 2, 3, 1],
        };
        let ours: Vec<f32> = compute().permute(order).into_data().iter::<f32>().collect();
        assert_close(&self.variant, &ours, self.expected, 1e-3);
        let sync = || B::sync(device).expect("a device that computes");
        self.harness.time(self.subject, &self.variant, || {
            let _ = compute();
            sync();
        });
    }
}
