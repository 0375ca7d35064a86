//! One of the devices that train together, in one process or, through a link, in several.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

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

use crate::exchange::{Broken, Exchange};

/// Sums between the processes of a training, each of which may have several devices.
pub trait Link: Debug + Send + Sync {
    /// Devices of the processes before this one.
    fn before(&self) -> usize;

    /// Devices of all processes.
    fn devices(&self) -> usize;

    /// Replaces each value by its sum over processes, the same bits everywhere. All processes call
    /// it in the same order with as many values.
    ///
    /// # Errors
    /// A sentence that names who is missing.
    fn sum(&self, values: &mut [f32]) -> Result<(), String>;
}

/// One device of a group; clones are the same one.
#[derive(Clone, Debug)]
pub struct Member<B: Backend> {
    group: Arc<Group<B>>,
    /// Its number among the devices of this process.
    index: usize,
    device: B::Device,
}

#[derive(Debug)]
struct Group<B: Backend> {
    /// Devices of this process.
    here: usize,
    exchange: Exchange<Option<Tensor<B, 1>>>,
    link: Option<Arc<dyn Link>>,
    failure: Mutex<Option<String>>,
}

impl<B: Backend> Member<B> {
    /// The members of a new group, one for each of these devices of this process; several may be on
    /// the same device. With a link their group goes beyond the process.
    pub fn group(devices: &[B::Device], link: Option<Arc<dyn Link>>) -> Vec<Self> {
        let here = devices.len();
        let group = Arc::new(Group {
            here,
            exchange: Exchange::new(here),
            link,
            failure: Mutex::new(None),
        });
        let one = |(index, device): (usize, &B::Device)| Self {
            group: group.clone(),
            index,
            device: device.clone(),
        };
        devices.iter().enumerate().map(one).collect()
    }

    /// Ends what any member of this process waits for, now and later, with a sentence.
    pub fn fail(&self, why: String) {
        lock(&self.group.failure).get_or_insert(why);
        self.group.exchange.end();
    }

    /// Sum over all devices; the same bits everywhere. After a failure something of the same shape.
    pub(crate) fn sum_tensor(&self, own: Tensor<B, 1>) -> Tensor<B, 1> {
        if self.failure().is_some() {
            return own;
        }
        match self.try_sum(own.clone()) {
            Ok(sum) => sum,
            Err(why) => {
                self.fail(why);
                own
            }
        }
    }

    fn try_sum(&self, own: Tensor<B, 1>) -> Result<Tensor<B, 1>, String> {
        let here = self.group.here;
        let mut sum = own.clone();
        if here > 1 {
            // In the devices' order, so that all have the same sum.
            let parts = self.meet(Some(own))?.into_iter().flatten();
            let parts = parts.map(|part| part.to_device(&self.device));
            sum = parts.reduce(|a, b| a + b).unwrap_or(sum);
        }
        let Some(link) = &self.group.link else {
            return Ok(sum);
        };
        let mut joined = None;
        if self.index == 0 {
            let mut values = floats(sum);
            link.sum(&mut values)?;
            joined = Some(self.tensor(&values));
        }
        if here > 1 {
            joined = self.meet(joined)?.into_iter().flatten().next();
        }
        let joined = joined.ok_or("the first device of this process gave nothing")?;
        Ok(joined.to_device(&self.device))
    }

    fn meet(&self, own: Option<Tensor<B, 1>>) -> Result<Vec<Option<Tensor<B, 1>>>, String> {
        let met = self.group.exchange.meet(self.index, own);
        met.map_err(|Broken| "another device of this process gave up".to_owned())
    }

    fn tensor(&self, values: &[f32]) -> Tensor<B, 1> {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Tensor::from_data(data, &self.device)
    }

    /// Why a sum, this device's or another's, failed; from then on none does what it should.
    pub fn failure(&self) -> Option<String> {
        lock(&self.group.failure).clone()
    }
}

/// A [`Collective`] that goes on after a failure and tells of it.
pub trait FallibleCollective: Collective {
    /// Why a call failed, this device's or another's.
    fn failure(&self) -> Option<String>;
}

impl<B: Backend> FallibleCollective for Member<B> {
    fn failure(&self) -> Option<String> {
        Member::failure(self)
    }
}

impl<B: Backend> Collective for Member<B> {
    fn rank(&self) -> usize {
        self.group.link.as_ref().map_or(0, |link| link.before()) + self.index
    }

    fn world_size(&self) -> usize {
        let link = self.group.link.as_ref();
        link.map_or(self.group.here, |link| link.devices())
    }

    /// Each device has a slot of its own in what is summed, and zeros elsewhere.
    fn all_gather(&self, own: &[f32]) -> Vec<Vec<f32>> {
        let mut slots = vec![0.0; own.len() * Collective::world_size(self)];
        slots[own.len() * self.rank()..][..own.len()].copy_from_slice(own);
        let all = floats(self.sum_tensor(self.tensor(&slots)));
        all.chunks_exact(own.len().max(1))
            .map(<[f32]>::to_vec)
            .collect()
    }

    fn all_reduce_sum(&self, values: &mut [f32]) {
        let sum = floats(self.sum_tensor(self.tensor(values)));
        values.copy_from_slice(&sum);
    }
}

/// Backends whose training several devices can share.
pub trait Together: AutodiffBackend {
    /// Means over devices, with their gradient.
    fn joint_mean(member: &Member<Self::InnerBackend>) -> Box<dyn AllReduceMean<Self>>;
}

impl<I: Backend, C: CheckpointStrategy> Together for Autodiff<I, C> {
    fn joint_mean(member: &Member<I>) -> Box<dyn AllReduceMean<Self>> {
        Box::new(member.clone())
    }
}

impl<I: Backend, C: CheckpointStrategy> AllReduceMean<Autodiff<I, C>> for Member<I> {
    fn world_size(&self) -> usize {
        Collective::world_size(self)
    }

    fn mean(&self, own: Tensor<Autodiff<I, C>, 1>) -> Tensor<Autodiff<I, C>, 1> {
        let own = own.into_primitive().tensor();
        let mean = self.mean_primitive(own.primitive.clone());
        let tracked = MeanOverDevices
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

impl<B: Backend> Member<B> {
    fn mean_primitive(&self, own: FloatTensor<B>) -> FloatTensor<B> {
        let devices = u32::try_from(Collective::world_size(self)).unwrap_or(u32::MAX);
        let sum = self.sum_tensor(tensor(own));
        primitive(sum.div_scalar(devices))
    }
}

/// Its gradient is the same mean, of gradients.
#[derive(Debug)]
struct MeanOverDevices;

impl<I: Backend> Backward<I, 1> for MeanOverDevices {
    type State = Member<I>;

    fn backward(self, ops: Ops<Member<I>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ops.state.mean_primitive(grads.consume::<I>(&ops.node));
        if let [Some(parent)] = ops.parents {
            grads.register::<I>(parent.id, gradient);
        }
    }
}

fn primitive<B: Backend>(tensor: Tensor<B, 1>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend>(primitive: FloatTensor<B>) -> Tensor<B, 1> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

fn floats<B: Backend>(tensor: Tensor<B, 1>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
