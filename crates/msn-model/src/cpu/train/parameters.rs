//! Everything that learns, in one piece of memory.

use std::ops::Range;

use msn_kernels::{Adam, Channels, Isa, hwio_to_iohw, hwio_to_oihw, iohw_to_hwio, oihw_to_hwio};

use crate::{HostTensor, TensorError, Tensors, cpu::CpuError};

/// How a tensor lies in PyTorch's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WeightLayout {
    /// `[Cout, Cin, 3, 3]`.
    Conv(Channels),
    /// `[Cin, Cout, 3, 3]`.
    Up(Channels),
    /// A vector.
    Plain,
}

impl WeightLayout {
    /// From PyTorch's layout to that of the kernels.
    fn import(self, values: &[f32]) -> Vec<f32> {
        match self {
            Self::Conv(channels) => oihw_to_hwio(values, channels),
            Self::Up(channels) => iohw_to_hwio(values, channels),
            Self::Plain => values.to_vec(),
        }
    }

    fn export(self, values: &[f32]) -> HostTensor {
        let shape = match self {
            Self::Conv(Channels { input, output }) => vec![output, input, 3, 3],
            Self::Up(Channels { input, output }) => vec![input, output, 3, 3],
            Self::Plain => vec![values.len()],
        };
        let values = match self {
            Self::Conv(channels) => hwio_to_oihw(values, channels),
            Self::Up(channels) => hwio_to_iohw(values, channels),
            Self::Plain => values.to_vec(),
        };
        HostTensor { shape, values }
    }
}

/// Adam's state: with the network, all that a training needs to go on bit for bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimiserState {
    /// Steps done.
    pub steps: u32,
    /// Running mean of each parameter's gradient, in PyTorch's layouts.
    pub mean: Tensors,
    /// The same of the squared gradient.
    pub mean_square: Tensors,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    layout: WeightLayout,
    range: Range<usize>,
}

/// Parameters, their gradients and Adam's two means, each one vector in the kernels' layouts.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    entries: Vec<Entry>,
    pub values: Vec<f32>,
    pub gradient: Vec<f32>,
    /// Sum of accumulated gradients, and how many they are.
    accumulated: (Vec<f32>, u8),
    mean: Vec<f32>,
    mean_square: Vec<f32>,
    steps: u32,
}

impl Parameters {
    /// Adds a parameter in PyTorch's layout; where it lies.
    pub fn add(&mut self, name: String, layout: WeightLayout, values: &[f32]) -> Range<usize> {
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

    /// One of the vectors by parameter, in PyTorch's layouts.
    pub fn named(&self, all: &[f32]) -> Tensors {
        let one = |e: &Entry| (e.name.clone(), e.layout.export(&all[e.range.clone()]));
        self.entries.iter().map(one).collect()
    }

    pub fn optimiser(&self) -> OptimiserState {
        OptimiserState {
            steps: self.steps,
            mean: self.named(&self.mean),
            mean_square: self.named(&self.mean_square),
        }
    }

    pub fn set_optimiser(&mut self, state: &OptimiserState) -> Result<(), CpuError> {
        for (from, to) in [
            (&state.mean, &mut self.mean),
            (&state.mean_square, &mut self.mean_square),
        ] {
            for entry in &self.entries {
                let name = || entry.name.clone();
                let expected = entry.layout.export(&to[entry.range.clone()]).shape;
                let tensor = from.get(&entry.name);
                let tensor = tensor.ok_or_else(|| TensorError::Missing { name: name() })?;
                if tensor.shape != expected {
                    let (name, found) = (name(), tensor.shape.clone());
                    let error = TensorError::Shape {
                        name,
                        found,
                        expected,
                    };
                    return Err(error.into());
                }
                let values = entry.layout.import(&tensor.values);
                to[entry.range.clone()].copy_from_slice(&values);
            }
        }
        self.steps = state.steps;
        Ok(())
    }

    /// Adds the gradient to those that [`Parameters::mean_of_accumulated`] averages.
    pub fn accumulate(&mut self) {
        let (sum, count) = &mut self.accumulated;
        sum.resize(self.gradient.len(), 0.0);
        for (sum, gradient) in sum.iter_mut().zip(&self.gradient) {
            *sum += gradient;
        }
        *count += 1;
    }

    /// The gradient becomes the mean of itself and all that were accumulated.
    pub fn mean_of_accumulated(&mut self) {
        let (sum, count) = std::mem::take(&mut self.accumulated);
        if count > 0 {
            let share = 1.0 / f32::from(count + 1);
            for (gradient, sum) in self.gradient.iter_mut().zip(sum) {
                *gradient = (*gradient + sum) * share;
            }
        }
    }

    pub fn step(&mut self, isa: Isa, adam: &Adam, learning_rate: f64) {
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
