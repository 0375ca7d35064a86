//! Training on the project's own CPU kernels.

use std::sync::Arc;

use msn_kernels::{Adam, Collective};
use msn_memory::{Health, Monitor};
use msn_model::{
    Clips, CpuNet, CpuTraining, Losses, Method, OptimiserState, Precision, Predictor, Tensors,
    channels_last,
};

use crate::{Engine, EngineState, Settings, SingleProcess, StepNumbers, TrainError};

/// The same training as [`crate::BurnEngine`]'s, by hand-written kernels, channels-last throughout.
#[derive(Debug)]
pub struct CpuEngine {
    settings: Settings,
    training: CpuTraining,
    monitors: Vec<(usize, Monitor)>,
    method: Method,
    collective: Arc<dyn Collective>,
}

impl CpuEngine {
    /// Goes on from `tensors`, those of a network with these settings.
    ///
    /// # Errors
    /// [`TrainError::NotOnKernels`] and [`TrainError::KernelPrecision`] for what the kernels lack,
    /// [`TrainError::Kernels`] for tensors that do not fit.
    pub fn new(
        settings: &Settings,
        tensors: &Tensors,
        method: impl Into<Method>,
    ) -> Result<Self, TrainError> {
        let method = method.into();
        if method.precision != Precision::F32 {
            return Err(TrainError::KernelPrecision(method.precision));
        }
        let t = &settings.train;
        for (setting, on) in [
            ("start_items", t.start_items),
            ("revive", t.revive),
            ("bf16", t.bf16),
            ("checkpointing", t.checkpointing),
        ] {
            if on {
                return Err(TrainError::NotOnKernels { setting });
            }
        }
        let training = build(settings, tensors, method)?;
        let monitor = |&pool: &usize| (pool, Monitor::new(settings.net.items));
        Ok(Self {
            settings: settings.clone(),
            training,
            monitors: settings.net.pools.iter().map(monitor).collect(),
            method,
            collective: Arc::new(SingleProcess),
        })
    }

    /// Shares all batches to come with the engines of other ranks: each gets a part, and a step is
    /// that of one engine with the whole batch, to rounding, and leaves the same network on all.
    pub fn with_collective(mut self, collective: Arc<dyn Collective>) -> Self {
        if collective.world_size() > 1 {
            self.training.share(collective.clone());
            self.collective = collective;
        }
        self
    }

    fn health(&mut self) -> Vec<(usize, Health)> {
        let (training, features) = (&self.training, &self.settings.net);
        let one = |(pool, monitor): &mut (usize, Monitor)| {
            let counts: Vec<f64> = training.usage(*pool)?.iter().map(|&n| n as f64).collect();
            let cosine = largest_cosine(training.items(*pool)?, features.features(*pool + 1));
            Some((*pool, monitor.note(&counts, cosine)))
        };
        self.monitors.iter_mut().filter_map(one).collect()
    }

    fn input(&self, clips: &Clips) -> Vec<f32> {
        let net = &self.settings.net;
        channels_last(
            &clips.frames,
            clips.count,
            net.frames * net.channels,
            clips.height * clips.width,
        )
    }
}

impl CpuEngine {
    /// Forward and backward; running statistics move.
    fn pass(&mut self, clips: &Clips) -> Result<Losses, TrainError> {
        let input = self.input(clips);
        let target = channels_last(
            &clips.target,
            clips.count,
            self.settings.net.channels,
            clips.height * clips.width,
        );
        let losses = self
            .training
            .step(&input, &target, clips.count, clips.height, clips.width);
        Ok(losses?)
    }

    /// Writes the last pass' queries into the pools; its numbers.
    fn write(&mut self, losses: &Losses) -> StepNumbers {
        self.training.write();
        StepNumbers {
            loss: losses.total(&self.settings.loss),
            prediction: losses.prediction,
            compactness: losses.compactness,
            separateness: losses.separateness,
            information: losses.information,
            health: self.health(),
        }
    }
}

impl Engine for CpuEngine {
    fn collective(&self) -> Arc<dyn Collective> {
        self.collective.clone()
    }

    fn step(&mut self, clips: Clips, lr: f64) -> Result<StepNumbers, TrainError> {
        let losses = self.pass(&clips)?;
        self.training.mean_of_accumulated_gradients();
        self.training.all_reduce_gradients();
        if self.settings.train.clip_norm > 0.0 {
            self.training.clip_gradients(self.settings.train.clip_norm);
        }
        self.training.update(&Adam::default(), lr);
        Ok(self.write(&losses))
    }

    fn accumulate(&mut self, clips: Clips) -> Result<StepNumbers, TrainError> {
        let losses = self.pass(&clips)?;
        self.training.accumulate_gradients();
        Ok(self.write(&losses))
    }

    fn statistics(&mut self, clips: Clips, share: f64) -> Result<(), TrainError> {
        let input = self.input(&clips);
        let moved =
            self.training
                .statistics(&input, clips.count, clips.height, clips.width, share as f32);
        Ok(moved?)
    }

    fn tensors(&self) -> Tensors {
        self.training.tensors()
    }

    fn predictor(&self, tensors: &Tensors) -> Result<Box<dyn Predictor>, TrainError> {
        let net = CpuNet::new(&self.settings.net, tensors, self.method)?;
        Ok(Box::new(net))
    }

    fn state(&self) -> EngineState {
        let optimiser = self.training.optimiser();
        EngineState {
            tensors: self.tensors(),
            mean: optimiser.mean,
            mean_square: optimiser.mean_square,
            steps: usize::try_from(optimiser.steps).unwrap_or(usize::MAX),
            monitors: self.monitors.iter().map(|(_, m)| m.clone()).collect(),
        }
    }

    fn restore(&mut self, state: EngineState) -> Result<(), TrainError> {
        let mut training = build(&self.settings, &state.tensors, self.method)?;
        let optimiser = OptimiserState {
            steps: u32::try_from(state.steps).unwrap_or(u32::MAX),
            mean: state.mean,
            mean_square: state.mean_square,
        };
        training.set_optimiser(&optimiser)?;
        if self.collective.world_size() > 1 {
            training.share(self.collective.clone());
        }
        self.training = training;
        for ((_, monitor), saved) in self.monitors.iter_mut().zip(state.monitors) {
            *monitor = saved;
        }
        Ok(())
    }
}

/// The kernels' network with these tensors.
fn build(
    settings: &Settings,
    tensors: &Tensors,
    method: Method,
) -> Result<CpuTraining, TrainError> {
    Ok(CpuTraining::new(
        &settings.net,
        settings.loss,
        tensors,
        method,
    )?)
}

/// Largest cosine of two different rows of unit length.
fn largest_cosine(items: &[f32], features: usize) -> f64 {
    let rows: Vec<&[f32]> = items.chunks_exact(features).collect();
    let mut largest = -1.0f64;
    for (i, a) in rows.iter().enumerate() {
        for b in &rows[..i] {
            largest = largest.max(a.iter().zip(*b).map(|(x, y)| f64::from(x * y)).sum());
        }
    }
    largest
}
