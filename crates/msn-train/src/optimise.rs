//! What follows the forward and backward pass of a training step.

use burn::{
    module::Param,
    optim::{
        AdamConfig, AdamState, AdaptiveMomentumState, GradientsParams, Optimizer,
        adaptor::OptimizerAdaptor, record::AdaptorRecord,
    },
    tensor::{ElementConversion as _, Tensor, TensorData, backend::AutodiffBackend},
};
use msn_kernels::{Adam, Collective};
use msn_model::{HostTensor, MsnNet, Output, TensorError, Tensors, Visit};

use crate::collective;

/// PyTorch's batch-norm momentum.
const STATISTICS_SHARE: f64 = 0.1;

/// The optimiser with its state.
pub(crate) struct Optimiser<B: AutodiffBackend> {
    adam: OptimizerAdaptor<burn::optim::Adam, MsnNet<B>, B>,
    done: usize,
}

/// The optimiser's state by parameter.
type Moments<B> =
    <OptimizerAdaptor<burn::optim::Adam, MsnNet<B>, B> as Optimizer<MsnNet<B>, B>>::Record;

impl<B: AutodiffBackend> Optimiser<B> {
    pub fn new(adam: &Adam) -> Self {
        let [beta_1, beta_2, eps] = [adam.beta1, adam.beta2, adam.epsilon].map(|v| v as f32);
        let config = AdamConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(eps);
        Self {
            adam: config.init(),
            done: 0,
        }
    }

    /// The network after one step with these gradients.
    pub fn optimise(&mut self, net: MsnNet<B>, grads: GradientsParams, lr: f64) -> MsnNet<B> {
        self.done += 1;
        self.adam.step(lr, net, grads)
    }

    /// Steps so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Adam's running means of the gradients and of their squares, by the parameters' names.
    pub fn moments(&self, net: &MsnNet<B>) -> [Tensors; 2] {
        let mut save = Save {
            moments: self.adam.to_record(),
            saved: Default::default(),
        };
        net.visit_tensors(&mut save);
        save.saved
    }

    /// Takes up what [`Optimiser::moments`] gave after `done` steps of a network with these parameters.
    pub fn restore(
        &mut self,
        net: &MsnNet<B>,
        moments: &[Tensors; 2],
        done: usize,
    ) -> Result<(), TensorError> {
        let mut load = Load {
            source: moments,
            done,
            moments: Moments::<B>::default(),
            error: None,
        };
        net.visit_tensors(&mut load);
        if let Some(error) = load.error {
            return Err(error);
        }
        self.adam = self.adam.clone().load_record(load.moments);
        self.done = done;
        Ok(())
    }
}

/// What follows the optimiser: running statistics move, and the queries of `output` are written,
/// with the items' own step.
pub(crate) fn after<B: AutodiffBackend>(net: &mut MsnNet<B>, output: &Output<B>) {
    update_statistics(net, output);
    net.write(&output.lookups);
}

/// Moves running statistics towards what `output`'s pass saw.
pub(crate) fn update_statistics<B: AutodiffBackend>(net: &mut MsnNet<B>, output: &Output<B>) {
    net.update_statistics(&output.statistics, STATISTICS_SHARE);
}

/// The mean of gradients over ranks.
pub(crate) fn average_gradients<B: AutodiffBackend>(
    net: &MsnNet<B>,
    grads: GradientsParams,
    over: &dyn Collective,
) -> GradientsParams {
    let mut flatten = Flatten {
        grads,
        flat: vec![],
    };
    net.visit_tensors(&mut flatten);
    if flatten.flat.is_empty() {
        return flatten.grads;
    }
    let mut restore = Restore {
        grads: flatten.grads,
        flat: collective::average(over, Tensor::cat(flatten.flat, 0)),
        from: 0,
    };
    net.visit_tensors(&mut restore);
    restore.grads
}

/// Scales gradients so that their Euclidean norm, over all of them, is at most `largest`.
pub(crate) fn clip<B: AutodiffBackend>(
    net: &MsnNet<B>,
    grads: GradientsParams,
    largest: f64,
) -> GradientsParams {
    let mut measure = Measure {
        grads,
        squares: 0.0,
    };
    net.visit_tensors(&mut measure);
    let by = largest / measure.squares.sqrt();
    if by < 1.0 {
        scale(net, measure.grads, by)
    } else {
        measure.grads
    }
}

pub(crate) fn scale<B: AutodiffBackend>(
    net: &MsnNet<B>,
    grads: GradientsParams,
    by: f64,
) -> GradientsParams {
    let mut scale = Scale { grads, by };
    net.visit_tensors(&mut scale);
    scale.grads
}

/// All gradients one after the other, in the order of a visit.
struct Flatten<B: AutodiffBackend> {
    grads: GradientsParams,
    flat: Vec<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> Visit<B> for Flatten<B> {
    fn tensor<const D: usize>(&mut self, _: &str, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.grads.get::<B::InnerBackend, D>(param.id) {
            let length = gradient.shape().num_elements();
            self.flat.push(gradient.reshape([length]));
        }
    }
}

/// Puts them back.
struct Restore<B: AutodiffBackend> {
    grads: GradientsParams,
    flat: Tensor<B::InnerBackend, 1>,
    from: usize,
}

impl<B: AutodiffBackend> Visit<B> for Restore<B> {
    fn tensor<const D: usize>(&mut self, _: &str, param: &Param<Tensor<B, D>>) {
        if let Some(old) = self.grads.remove::<B::InnerBackend, D>(param.id) {
            let (shape, length) = (old.dims(), old.shape().num_elements());
            let new = self.flat.clone().narrow(0, self.from, length);
            self.grads.register(param.id, new.reshape(shape));
            self.from += length;
        }
    }
}

struct Measure {
    grads: GradientsParams,
    squares: f64,
}

impl<B: AutodiffBackend> Visit<B> for Measure {
    fn tensor<const D: usize>(&mut self, _: &str, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.grads.get::<B::InnerBackend, D>(param.id) {
            let squares = gradient.square().sum().into_scalar().elem::<f64>();
            self.squares += squares;
        }
    }
}

struct Scale {
    grads: GradientsParams,
    by: f64,
}

impl<B: AutodiffBackend> Visit<B> for Scale {
    fn tensor<const D: usize>(&mut self, _: &str, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.grads.remove::<B::InnerBackend, D>(param.id) {
            self.grads.register(param.id, gradient.mul_scalar(self.by));
        }
    }
}

struct Save<B: AutodiffBackend> {
    moments: Moments<B>,
    saved: [Tensors; 2],
}

impl<B: AutodiffBackend> Visit<B> for Save<B> {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        if let Some(record) = self.moments.remove(&param.id) {
            let state: AdamState<B::InnerBackend, D> = record.into_state();
            let [mean, mean_square] = &mut self.saved;
            mean.insert(name.to_owned(), HostTensor::of(state.momentum.moment_1));
            mean_square.insert(name.to_owned(), HostTensor::of(state.momentum.moment_2));
        }
    }
}

struct Load<'a, B: AutodiffBackend> {
    source: &'a [Tensors; 2],
    done: usize,
    moments: Moments<B>,
    error: Option<TensorError>,
}

impl<B: AutodiffBackend> Visit<B> for Load<'_, B> {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        let expected = param.dims().to_vec();
        let [Some(mean), Some(mean_square)] = self.source.each_ref().map(|all| all.get(name))
        else {
            return;
        };
        if let Some(wrong) = [mean, mean_square]
            .into_iter()
            .find(|t| t.shape != expected)
        {
            self.error.get_or_insert(TensorError::Shape {
                name: name.to_owned(),
                found: wrong.shape.clone(),
                expected,
            });
            return;
        }
        let [mean, mean_square] = [mean, mean_square].map(|t| {
            let data = TensorData::new(t.values.clone(), t.shape.clone());
            Tensor::<B::InnerBackend, D>::from_data(data, &param.device())
        });
        let state = AdamState::new(AdaptiveMomentumState::new(self.done, mean, mean_square));
        self.moments
            .insert(param.id, AdaptorRecord::from_state(state));
    }
}
