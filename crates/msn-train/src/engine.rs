//! What does a training step: a Burn backend, or the project's own CPU kernels.

use burn::{
    module::AutodiffModule,
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{DType, Tensor, TensorData, backend::AutodiffBackend},
};
use msn_kernels::Collective as _;
use msn_memory::{Gathered, Health, Monitor};
use msn_model::{
    AllReduceMean, BatchStatistics, Clips, Losses, Mode, MsnNet, OnDevice, Output, PoolLookup,
    Predictor, TensorError, Tensors, Training,
};

use crate::{
    Adam, Member, Settings, Together, TrainError,
    random::{Purpose, generator},
    step::{Step, after, average, clip, scale, update_statistics},
};

/// The numbers of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepNumbers {
    /// What the step descended.
    pub loss: f64,
    /// Mean squared error over [-1, 1] values.
    pub prediction: f64,
    /// Summed over pools.
    pub compactness: f64,
    /// Summed over pools.
    pub separateness: f64,
    /// Summed over pools.
    pub information: f64,
    /// Each pool's number and state.
    pub health: Vec<(usize, Health)>,
}

impl StepNumbers {
    /// Mean losses of several passes, with the last one's health; `None` of none.
    pub(crate) fn mean(all: Vec<Self>) -> Option<Self> {
        let share = 1.0 / crate::train::count(all.len());
        all.into_iter()
            .reduce(|sum, next| Self {
                loss: sum.loss + next.loss,
                prediction: sum.prediction + next.prediction,
                compactness: sum.compactness + next.compactness,
                separateness: sum.separateness + next.separateness,
                information: sum.information + next.information,
                health: next.health,
            })
            .map(|sum| Self {
                loss: sum.loss * share,
                prediction: sum.prediction * share,
                compactness: sum.compactness * share,
                separateness: sum.separateness * share,
                information: sum.information * share,
                health: sum.health,
            })
    }
}

/// A network in training.
pub trait Engine {
    /// Forward, backward, optimiser, statistics, write: in this order.
    ///
    /// # Errors
    /// [`TrainError`] where items can't be started or the engine can't take the clips.
    fn step(&mut self, clips: Clips, lr: f64) -> Result<StepNumbers, TrainError>;

    /// All of a step but the optimiser, whose next step takes the mean gradient of these clips, of
    /// others since, and of its own.
    ///
    /// # Errors
    /// As for [`Engine::step`].
    fn accumulate(&mut self, clips: Clips) -> Result<StepNumbers, TrainError>;

    /// Moves running statistics by `share` towards those of a batch; nothing else changes.
    ///
    /// # Errors
    /// [`TrainError`] where the engine can't take the clips.
    fn statistics(&mut self, clips: Clips, share: f64) -> Result<(), TrainError>;

    /// The network as it stands, by PyTorch's names.
    fn tensors(&self) -> Tensors;

    /// A network with these tensors, ready to predict where this one computes.
    ///
    /// # Errors
    /// [`TrainError::Engine`] names a tensor that does not fit.
    fn predictor(&self, tensors: &Tensors) -> Result<Box<dyn Predictor>, TrainError>;

    /// Everything that the next step depends on, beside its clips.
    fn state(&self) -> EngineState;

    /// Takes up a saved state; the next steps are bit-equal to those of the engine that gave it,
    /// on the same device.
    ///
    /// # Errors
    /// [`TrainError::Engine`] names a tensor that does not fit.
    fn restore(&mut self, state: EngineState) -> Result<(), TrainError>;
}

/// A training between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineState {
    /// The network, by PyTorch's names.
    pub tensors: Tensors,
    /// Adam's running mean of each parameter's gradient; empty before the first step, and without
    /// the parameters that no loss reaches.
    pub mean: Tensors,
    /// The same of the squared gradient.
    pub mean_square: Tensors,
    /// Steps of the optimiser so far.
    pub steps: usize,
    /// What follows the pools' usage, pools ascending.
    pub monitors: Vec<Monitor>,
}

/// Training on any autodiff backend of Burn.
pub struct BurnEngine<B: AutodiffBackend> {
    settings: Settings,
    device: B::Device,
    net: MsnNet<B>,
    step: Step<B>,
    monitors: Vec<Monitor>,
    started: bool,
    /// Sum of gradients that wait for the next step, and how many they are.
    kept: GradientsAccumulator<MsnNet<B>>,
    kept_count: u32,
    joint: Option<Shared<B>>,
}

/// What shares each batch with other devices.
struct Shared<B: AutodiffBackend> {
    member: Member<B::InnerBackend>,
    mean: Box<dyn AllReduceMean<B>>,
}

/// A forward and backward pass.
type Passed<B> = (Output<B>, Tensor<B, 1>, GradientsParams);

impl<B: AutodiffBackend> std::fmt::Debug for BurnEngine<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BurnEngine")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<B: AutodiffBackend> BurnEngine<B> {
    /// A fresh network, drawn from the settings' seed.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a network's settings out of range, [`TrainError::Engine`] for bf16
    /// where the device does not compute in it.
    pub fn new(settings: &Settings, device: &B::Device) -> Result<Self, TrainError> {
        if settings.train.bf16 && !B::supports_dtype(device, DType::BF16) {
            return Err(TrainError::Engine(format!(
                "{} does not compute in bf16 on {device:?}: leave bf16=true out",
                B::name(device)
            )));
        }
        let monitor = |_| Monitor::new(settings.net.items);
        Ok(Self {
            settings: settings.clone(),
            device: device.clone(),
            net: MsnNet::new(&settings.net, settings.train.seed, device)?,
            step: Step::new(&Adam::default()),
            monitors: settings.net.pools.iter().map(monitor).collect(),
            started: !settings.train.start_items,
            kept: GradientsAccumulator::new(),
            kept_count: 0,
            joint: None,
        })
    }

    /// Shares all batches to come with the other members of a group: each engine gets a part, and a
    /// step is that of one engine with the joint batch, to rounding, and leaves the same network on
    /// all devices.
    ///
    /// # Errors
    /// [`TrainError::Engine`] for a setting that draws on the queries of one device alone.
    pub fn share(&mut self, member: Member<B::InnerBackend>) -> Result<(), TrainError>
    where
        B: Together,
    {
        let t = &self.settings.train;
        for (name, on) in [("start_items", t.start_items), ("revive", t.revive)] {
            if on {
                return Err(TrainError::Engine(format!(
                    "{name}=true draws from the queries of one device: train on one, or leave it out"
                )));
            }
        }
        let mean = B::joint_mean(&member);
        self.joint = Some(Shared { member, mean });
        Ok(())
    }

    /// Forward and backward: output, the losses' values, gradients.
    fn pass(&mut self, clips: Clips) -> Result<Passed<B>, TrainError> {
        let [frames, target] = clips.tensors::<B>(&self.settings.net, &self.device);
        if !self.started {
            self.start_items(frames.clone())?;
        }
        let joint = self.joint.as_ref().map(|joint| joint.mean.as_ref());
        let training = Training {
            all_reduce: joint,
            precision: self.settings.train.precision(),
        };
        let output = self.net.forward_training(frames, training);
        let losses = match joint {
            None => Losses::new(&output, target),
            Some(joint) => Losses::over_ranks(&output, target, joint),
        };
        let total = losses.total(&self.settings.loss);
        let parts = [
            &total,
            &losses.prediction,
            &losses.compactness,
            &losses.separateness,
            &losses.information,
        ];
        let parts = Tensor::cat(parts.map(|p| p.clone().detach()).to_vec(), 0);
        let grads = GradientsParams::from_grads(total.backward(), &self.net);
        Ok((output, parts, grads))
    }

    /// Moves running statistics and writes a pass' queries into the pools; its numbers.
    fn write(&mut self, output: &Output<B>, parts: &Tensor<B, 1>) -> StepNumbers {
        let mut parts: Vec<f64> = parts.to_data().iter::<f64>().collect();
        let health = if let Some(joint) = &self.joint {
            let member = joint.member.clone();
            update_statistics(&mut self.net, output);
            self.write_joint(&member, &output.lookups, &mut parts)
        } else {
            after(&mut self.net, output);
            self.observe(&output.lookups)
        };
        StepNumbers {
            loss: parts[0],
            prediction: parts[1],
            compactness: parts[2],
            separateness: parts[3],
            information: parts[4],
            health,
        }
    }

    /// Writes the queries of all devices into the pools, and makes `parts` their mean over devices.
    fn write_joint(
        &mut self,
        member: &Member<B::InnerBackend>,
        lookups: &[PoolLookup<B>],
        parts: &mut [f64],
    ) -> Vec<(usize, Health)> {
        #[expect(clippy::cast_possible_truncation, reason = "losses are f32")]
        let mut own: Vec<f32> = parts.iter().map(|&v| v as f32).collect();
        let mut shapes = Vec::new();
        for asked in lookups {
            let rows = asked.lookup.gather().rows();
            shapes.push(rows.dims());
            own.extend(rows.into_data().iter::<f32>());
        }
        let all = member.all_gather(&own);
        let devices = crate::train::count(all.len());
        for (i, part) in parts.iter_mut().enumerate() {
            *part = all.iter().map(|values| f64::from(values[i])).sum::<f64>() / devices;
        }
        let mut from = parts.len();
        let mut health = Vec::new();
        let pools = self.net.pools_mut().iter_mut();
        for (((pool, monitor), asked), shape) in
            pools.zip(&mut self.monitors).zip(lookups).zip(shapes)
        {
            let range = from..from + shape[0] * shape[1];
            from = range.end;
            let rows = all.iter().map(|values| {
                let data = TensorData::new(values[range.clone()].to_vec(), shape);
                Gathered::from_rows(Tensor::<B, 2>::from_data(data, &self.device))
            });
            if let Some(joined) = rows.reduce(Gathered::merge) {
                let counts: Vec<f64> = joined.count.to_data().iter::<f64>().collect();
                pool.write_gathered(joined);
                let cosine = pool.largest_cosine().into_data().iter::<f64>().next();
                health.push((asked.pool, monitor.note(&counts, cosine.unwrap_or(0.0))));
            }
        }
        health
    }

    /// What went wrong between devices.
    fn exchanged(&self) -> Result<(), TrainError> {
        let joint = self.joint.as_ref();
        joint
            .and_then(|joint| joint.member.failure())
            .map_or(Ok(()), |why| Err(TrainError::Engine(why)))
    }

    fn observe(&mut self, lookups: &[PoolLookup<B>]) -> Vec<(usize, Health)> {
        let mut all = Vec::new();
        let pools = self.net.pools_mut().iter_mut();
        for ((pool, monitor), asked) in pools.zip(&mut self.monitors).zip(lookups) {
            all.push((asked.pool, monitor.observe(&asked.lookup, pool)));
            if self.settings.train.revive {
                pool.revive(&asked.lookup, monitor);
            }
        }
        all
    }

    fn start_items(&mut self, frames: Tensor<B, 4>) -> Result<(), TrainError> {
        let mut rng = generator(self.settings.train.seed, Purpose::StartItems, 0);
        let output = self.net.forward(frames, Mode::Train);
        for (pool, asked) in self.net.pools_mut().iter_mut().zip(&output.lookups) {
            pool.start_from(asked.lookup.queries(), &mut rng)?;
        }
        self.started = true;
        Ok(())
    }
}

impl<B: AutodiffBackend> Engine for BurnEngine<B> {
    fn step(&mut self, clips: Clips, lr: f64) -> Result<StepNumbers, TrainError> {
        let (output, parts, mut grads) = self.pass(clips)?;
        let kept = std::mem::take(&mut self.kept_count);
        if kept > 0 {
            self.kept.accumulate(&self.net, grads);
            grads = scale(&self.net, self.kept.grads(), 1.0 / f64::from(kept + 1));
        }
        if let Some(joint) = &self.joint {
            grads = average(&self.net, grads, &joint.member);
            self.exchanged()?;
        }
        let largest = self.settings.train.clip_norm;
        if largest > 0.0 {
            grads = clip(&self.net, grads, largest);
        }
        self.net = self.step.optimise(self.net.clone(), grads, lr);
        let numbers = self.write(&output, &parts);
        self.exchanged()?;
        Ok(numbers)
    }

    fn accumulate(&mut self, clips: Clips) -> Result<StepNumbers, TrainError> {
        let (output, parts, grads) = self.pass(clips)?;
        self.kept.accumulate(&self.net, grads);
        self.kept_count += 1;
        let numbers = self.write(&output, &parts);
        self.exchanged()?;
        Ok(numbers)
    }

    fn statistics(&mut self, clips: Clips, share: f64) -> Result<(), TrainError> {
        let [frames, _] = clips.tensors::<B::InnerBackend>(&self.settings.net, &self.device);
        let seen = self.net.valid().forward(frames, Mode::Train).statistics;
        let seen: Vec<_> = seen.into_iter().map(BatchStatistics::from_inner).collect();
        self.net.update_statistics(&seen, share);
        Ok(())
    }

    fn tensors(&self) -> Tensors {
        self.net.tensors()
    }

    fn predictor(&self, tensors: &Tensors) -> Result<Box<dyn Predictor>, TrainError> {
        let net = self.net.clone().with_tensors(tensors);
        let net = net.map_err(|e| TrainError::Engine(e.to_string()))?;
        Ok(Box::new(OnDevice {
            net: net.valid(),
            device: self.device.clone(),
        }))
    }

    fn state(&self) -> EngineState {
        let [mean, mean_square] = self.step.moments(&self.net);
        EngineState {
            tensors: self.tensors(),
            mean,
            mean_square,
            steps: self.step.done(),
            monitors: self.monitors.clone(),
        }
    }

    fn restore(&mut self, state: EngineState) -> Result<(), TrainError> {
        let wrong = |e: TensorError| TrainError::Engine(e.to_string());
        self.net = self
            .net
            .clone()
            .with_tensors(&state.tensors)
            .map_err(wrong)?;
        self.step
            .restore(&self.net, &[state.mean, state.mean_square], state.steps)
            .map_err(wrong)?;
        self.monitors = state.monitors;
        self.started |= state.steps > 0;
        Ok(())
    }
}
