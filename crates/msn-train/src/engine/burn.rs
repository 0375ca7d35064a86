//! Training on Burn's backends.

use std::sync::Arc;

use burn::{
    module::AutodiffModule,
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{DType, Tensor, TensorData, backend::AutodiffBackend},
};
use msn_kernels::{Adam, Collective};
use msn_memory::{Gathered, Health, Monitor};
use msn_model::{
    AllReduceMean, BatchStatistics, Clips, Losses, Mode, MsnNet, OnDevice, Output, PoolLookup,
    Predictor, Tensors, Training,
};

use crate::{
    DataParallel, Engine, EngineState, Settings, SingleProcess, StepNumbers, TrainError,
    optimise::{Optimiser, after, average_gradients, clip, scale, update_statistics},
    random::{Purpose, generator},
};

/// Training on any autodiff backend of Burn.
pub struct BurnEngine<B: AutodiffBackend> {
    settings: Settings,
    device: B::Device,
    net: MsnNet<B>,
    optimiser: Optimiser<B>,
    monitors: Vec<Monitor>,
    started: bool,
    /// Sum of gradients that wait for the next step, and how many they are.
    kept: GradientsAccumulator<MsnNet<B>>,
    kept_count: u32,
    collective: Arc<dyn Collective>,
    /// The mean over ranks; `None` in a single process.
    mean: Option<Box<dyn AllReduceMean<B>>>,
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
    /// [`TrainError::Config`] for a network's settings out of range, [`TrainError::NoBf16`].
    pub fn new(settings: &Settings, device: &B::Device) -> Result<Self, TrainError> {
        if settings.train.bf16 && !B::supports_dtype(device, DType::BF16) {
            return Err(TrainError::NoBf16 {
                backend: B::name(device),
                device: format!("{device:?}"),
            });
        }
        let monitor = |_| Monitor::new(settings.net.items);
        Ok(Self {
            settings: settings.clone(),
            device: device.clone(),
            net: MsnNet::new(&settings.net, settings.train.seed, device)?,
            optimiser: Optimiser::new(&Adam::default()),
            monitors: settings.net.pools.iter().map(monitor).collect(),
            started: !settings.train.start_items,
            kept: GradientsAccumulator::new(),
            kept_count: 0,
            collective: Arc::new(SingleProcess),
            mean: None,
        })
    }

    /// Shares all batches to come with the engines of other ranks: each gets a part, and a step is
    /// that of one engine with the whole batch, to rounding, and leaves the same network on all.
    ///
    /// # Errors
    /// [`TrainError::OneRankOnly`] for a setting that draws on the queries of one rank.
    pub fn with_collective(mut self, collective: Arc<dyn Collective>) -> Result<Self, TrainError>
    where
        B: DataParallel,
    {
        if collective.world_size() == 1 {
            return Ok(self);
        }
        let t = &self.settings.train;
        for (setting, on) in [("start_items", t.start_items), ("revive", t.revive)] {
            if on {
                return Err(TrainError::OneRankOnly { setting });
            }
        }
        self.mean = Some(B::all_reduce_mean(collective.clone()));
        self.collective = collective;
        Ok(self)
    }

    /// Forward and backward: output, the losses' values, gradients.
    fn pass(&mut self, clips: Clips) -> Result<Passed<B>, TrainError> {
        let [frames, target] = clips.tensors::<B>(&self.settings.net, &self.device);
        if !self.started {
            self.start_items(frames.clone())?;
        }
        let mean = self.mean.as_deref();
        let training = Training {
            all_reduce: mean,
            precision: self.settings.train.precision(),
        };
        let output = self.net.forward_training(frames, training);
        let losses = match mean {
            None => Losses::new(&output, target),
            Some(mean) => Losses::over_ranks(&output, target, mean),
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
        let health = if self.mean.is_some() {
            update_statistics(&mut self.net, output);
            self.write_gathered(&output.lookups, &mut parts)
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

    /// Writes the queries of all ranks into the pools, and makes `parts` their mean over ranks.
    fn write_gathered(
        &mut self,
        lookups: &[PoolLookup<B>],
        parts: &mut [f64],
    ) -> Vec<(usize, Health)> {
        let mut own: Vec<f32> = parts.iter().map(|&v| v as f32).collect();
        let mut shapes = Vec::new();
        for at in lookups {
            let rows = at.lookup.gather().rows();
            shapes.push(rows.dims());
            own.extend(rows.into_data().iter::<f32>());
        }
        let all = self.collective.all_gather(&own);
        for (i, part) in parts.iter_mut().enumerate() {
            let sum = all.iter().map(|values| f64::from(values[i])).sum::<f64>();
            *part = sum / all.len() as f64;
        }
        let mut from = parts.len();
        let mut health = Vec::new();
        let pools = self.net.pools_mut().iter_mut();
        for (((pool, monitor), at), shape) in pools.zip(&mut self.monitors).zip(lookups).zip(shapes)
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
                health.push((at.pool, monitor.note(&counts, cosine.unwrap_or(0.0))));
            }
        }
        health
    }

    fn observe(&mut self, lookups: &[PoolLookup<B>]) -> Vec<(usize, Health)> {
        let mut all = Vec::new();
        let pools = self.net.pools_mut().iter_mut();
        for ((pool, monitor), at) in pools.zip(&mut self.monitors).zip(lookups) {
            all.push((at.pool, monitor.observe(&at.lookup, pool)));
            if self.settings.train.revive {
                pool.revive(&at.lookup, monitor);
            }
        }
        all
    }

    fn start_items(&mut self, frames: Tensor<B, 4>) -> Result<(), TrainError> {
        let mut rng = generator(self.settings.train.seed, Purpose::StartItems, 0);
        let output = self.net.forward(frames, Mode::Train);
        for (pool, at) in self.net.pools_mut().iter_mut().zip(&output.lookups) {
            pool.start_from(at.lookup.queries(), &mut rng)?;
        }
        self.started = true;
        Ok(())
    }
}

impl<B: AutodiffBackend> Engine for BurnEngine<B> {
    fn collective(&self) -> Arc<dyn Collective> {
        self.collective.clone()
    }

    fn step(&mut self, clips: Clips, lr: f64) -> Result<StepNumbers, TrainError> {
        let (output, parts, mut grads) = self.pass(clips)?;
        let kept = std::mem::take(&mut self.kept_count);
        if kept > 0 {
            self.kept.accumulate(&self.net, grads);
            grads = scale(&self.net, self.kept.grads(), 1.0 / f64::from(kept + 1));
        }
        if self.mean.is_some() {
            grads = average_gradients(&self.net, grads, self.collective.as_ref());
        }
        let largest = self.settings.train.clip_norm;
        if largest > 0.0 {
            grads = clip(&self.net, grads, largest);
        }
        self.net = self.optimiser.optimise(self.net.clone(), grads, lr);
        Ok(self.write(&output, &parts))
    }

    fn accumulate(&mut self, clips: Clips) -> Result<StepNumbers, TrainError> {
        let (output, parts, grads) = self.pass(clips)?;
        self.kept.accumulate(&self.net, grads);
        self.kept_count += 1;
        Ok(self.write(&output, &parts))
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
        let net = self.net.clone().with_tensors(tensors)?;
        Ok(Box::new(OnDevice {
            net: net.valid(),
            device: self.device.clone(),
        }))
    }

    fn state(&self) -> EngineState {
        let [mean, mean_square] = self.optimiser.moments(&self.net);
        EngineState {
            tensors: self.tensors(),
            mean,
            mean_square,
            steps: self.optimiser.done(),
            monitors: self.monitors.clone(),
        }
    }

    fn restore(&mut self, state: EngineState) -> Result<(), TrainError> {
        self.net = self.net.clone().with_tensors(&state.tensors)?;
        let moments = [state.mean, state.mean_square];
        self.optimiser.restore(&self.net, &moments, state.steps)?;
        self.monitors = state.monitors;
        self.started |= state.steps > 0;
        Ok(())
    }
}
