//! Means over ranks on Burn's backends.

use std::sync::Arc;

use burn::{
    backend::{
        Autodiff,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
    },
    tensor::{
        Tensor, TensorData, TensorPrimitive,
        backend::{AutodiffBackend, Backend},
        ops::FloatTensor,
    },
};
use msn_kernels::Collective;
use msn_model::AllReduceMean;

/// Backends of which several devices, each in a process of its own, can share a training.
pub trait DataParallel: AutodiffBackend {
    /// The mean over ranks, with its gradient.
    fn all_reduce_mean(collective: Arc<dyn Collective>) -> Box<dyn AllReduceMean<Self>>;
}

impl<I: Backend, C: CheckpointStrategy> DataParallel for Autodiff<I, C> {
    fn all_reduce_mean(collective: Arc<dyn Collective>) -> Box<dyn AllReduceMean<Self>> {
        Box::new(OverRanks(collective))
    }
}

/// The mean over ranks of what each gives, `[n]`; values go through the host.
pub(crate) fn average<B: Backend>(collective: &dyn Collective, own: Tensor<B, 1>) -> Tensor<B, 1> {
    let device = own.device();
    let mut values: Vec<f32> = own.into_data().iter::<f32>().collect();
    collective.all_reduce_sum(&mut values);
    let world_size = collective.world_size() as f32;
    values.iter_mut().for_each(|v| *v /= world_size);
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), &device)
}

#[derive(Clone, Debug)]
struct OverRanks(Arc<dyn Collective>);

impl OverRanks {
    fn primitive<B: Backend>(&self, own: FloatTensor<B>) -> FloatTensor<B> {
        let own = Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(own));
        average(self.0.as_ref(), own).into_primitive().tensor()
    }
}

impl<I: Backend, C: CheckpointStrategy> AllReduceMean<Autodiff<I, C>> for OverRanks {
    fn world_size(&self) -> usize {
        self.0.world_size()
    }

    fn mean(&self, own: Tensor<Autodiff<I, C>, 1>) -> Tensor<Autodiff<I, C>, 1> {
        let own = own.into_primitive().tensor();
        let mean = self.primitive::<I>(own.primitive.clone());
        let tracked = MeanGradient
            .prepare::<C>([own.node])
            .compute_bound()
            .stateful();
        let output = match tracked {
            OpsKind::Tracked(prep) => prep.finish(self.clone(), mean),
            OpsKind::UnTracked(prep) => prep.finish(mean),
        };
        Tensor::from_primitive(TensorPrimitive::Float(output))
    }
}

/// The gradient of a mean over ranks is the same mean, of gradients.
#[derive(Debug)]
struct MeanGradient;

impl<I: Backend> Backward<I, 1> for MeanGradient {
    type State = OverRanks;

    fn backward(self, ops: Ops<OverRanks, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ops.state.primitive::<I>(grads.consume::<I>(&ops.node));
        if let [Some(parent)] = ops.parents {
            grads.register::<I>(parent.id, gradient);
        }
    }
}
