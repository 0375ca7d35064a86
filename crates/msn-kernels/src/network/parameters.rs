//! Everything that learns, in one piece of memory.

use std::collections::HashMap;
use std::ops::Range;

use super::{KernelError, Tensors};
use crate::adam::Adam;
use crate::isa::Isa;
use crate::weights::{Channels, hwio_to_iohw, hwio_to_oihw, iohw_to_hwio, oihw_to_hwio};

/// How a tensor lies in PyTorch's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `[Cout, Cin, 3, 3]`.
    Conv(Channels),
    /// `[Cin, Cout, 3, 3]`.
    Up(Channels),
    /// A vector.
    Plain,
}

impl Layout {
    /// From PyTorch's layout to that of the kernels.
    pub(crate) fn import(self, values: Vec<f32>) -> Vec<f32> {
        match self {
            Self::Conv(channels) => oihw_to_hwio(&values, channels),
            Self::Up(channels) => iohw_to_hwio(&values, channels),
            Self::Plain => values,
        }
    }

    fn export(self, values: &[f32]) -> Vec<f32> {
        match self {
            Self::Conv(channels) => hwio_to_oihw(values, channels),
            Self::Up(channels) => hwio_to_iohw(values, channels),
            Self::Plain => values.to_vec(),
        }
    }
}

/// Adam's state: what a training needs besides the network to go on bit for bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimiserState {
    /// Steps done.
    pub steps: u32,
    /// Running mean of each parameter's gradient by name, in PyTorch's layouts.
    pub mean: Vec<(String, Vec<f32>)>,
    /// The same of the squared gradient.
    pub mean_square: Vec<(String, Vec<f32>)>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    layout: Layout,
    range: Range<usize>,
}

/// Parameters, their gradients and Adam's two means, each one vector in the kernels' layouts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    entries: Vec<Entry>,
    pub(crate) values: Vec<f32>,
    pub(crate) gradient: Vec<f32>,
    /// Sum of kept gradients, and how many they are.
    kept: (Vec<f32>, u8),
    mean: Vec<f32>,
    mean_square: Vec<f32>,
    steps: u32,
}

impl Parameters {
    /// Adds a parameter in PyTorch's layout; where it lies.
    pub(crate) fn add(&mut self, name: String, layout: Layout, values: Vec<f32>) -> Range<usize> {
        let range = self.values.len()..self.values.len() + values.len();
        self.values.extend(layout.import(values));
        for vector in [&mut self.gradient, &mut self.mean, &mut self.mean_square] {
            vector.resize(range.end, 0.0);
        }
        self.entries.push(Entry {
            name,
            layout,
            range: range.clone(),
        });
        range
    }

    /// Names and values, in PyTorch's layouts.
    pub(crate) fn export(&self) -> Vec<(String, Vec<f32>)> {
        self.named(&self.values)
    }

    /// Names and gradients, in PyTorch's layouts.
    pub(crate) fn export_gradients(&self) -> Vec<(String, Vec<f32>)> {
        self.named(&self.gradient)
    }

    fn named(&self, all: &[f32]) -> Vec<(String, Vec<f32>)> {
        let one = |e: &Entry| (e.name.clone(), e.layout.export(&all[e.range.clone()]));
        self.entries.iter().map(one).collect()
    }

    pub(crate) fn optimiser(&self) -> OptimiserState {
        OptimiserState {
            steps: self.steps,
            mean: self.named(&self.mean),
            mean_square: self.named(&self.mean_square),
        }
    }

    pub(crate) fn set_optimiser(&mut self, state: OptimiserState) -> Result<(), KernelError> {
        self.steps = state.steps;
        for (from, to) in [
            (state.mean, &mut self.mean),
            (state.mean_square, &mut self.mean_square),
        ] {
            let from: HashMap<String, Vec<f32>> = from.into_iter().collect();
            let get = |name: &str| from.get(name).cloned();
            for Entry {
                name,
                layout,
                range,
            } in &self.entries
            {
                let values = Tensors(&get).get(name, range.len())?;
                to[range.clone()].copy_from_slice(&layout.import(values));
            }
        }
        Ok(())
    }

    /// Keeps the gradient for [`Parameters::join`].
    pub(crate) fn keep(&mut self) {
        let (sum, count) = &mut self.kept;
        sum.resize(self.gradient.len(), 0.0);
        for (sum, gradient) in sum.iter_mut().zip(&self.gradient) {
            *sum += gradient;
        }
        *count += 1;
    }

    /// The gradient becomes the mean of itself and all that were kept.
    pub(crate) fn join(&mut self) {
        let (sum, count) = std::mem::take(&mut self.kept);
        if count > 0 {
            let share = 1.0 / f32::from(count + 1);
            for (gradient, sum) in self.gradient.iter_mut().zip(sum) {
                *gradient = (*gradient + sum) * share;
            }
        }
    }

    pub(crate) fn step(&mut self, isa: Isa, adam: &Adam, learning_rate: f64) {
        self.steps += 1;
        adam.step(
            isa,
            learning_rate,
            self.steps,
            &mut self.values,
            &self.gradient,
            &mut self.mean,
            &mut self.mean_square,
        );
    }
}
