//! What does a training step: a Burn backend, or the project's own CPU kernels.

mod burn;
mod cpu;

use std::sync::Arc;

use msn_kernels::Collective;
use msn_memory::{Health, Monitor};
use msn_model::{Clips, Predictor, Tensors};

pub use self::{burn::BurnEngine, cpu::CpuEngine};
use crate::TrainError;

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
        let share = 1.0 / all.len() as f64;
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

/// A network in training, or one rank's copy of it.
pub trait Engine {
    /// The ranks that share every batch; one, unless the engine was told of others. Where there are
    /// several, all ranks do the same steps, each with its part of the batch, and end with the same
    /// network, bit for bit.
    fn collective(&self) -> Arc<dyn Collective>;

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
    /// [`TrainError::Tensors`] or [`TrainError::Kernels`] names a tensor that does not fit.
    fn predictor(&self, tensors: &Tensors) -> Result<Box<dyn Predictor>, TrainError>;

    /// Everything that the next step depends on, beside its clips.
    fn state(&self) -> EngineState;

    /// Takes up a saved state; the next steps are bit-equal to those of the engine that gave it,
    /// on the same device.
    ///
    /// # Errors
    /// [`TrainError::Tensors`] or [`TrainError::Kernels`] names a tensor that does not fit.
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
