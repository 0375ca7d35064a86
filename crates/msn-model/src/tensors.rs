//! The network's tensors by name: PyTorch's names for the same network.

use std::collections::{BTreeMap, BTreeSet};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{FloatDType, Tensor, TensorData, backend::Backend},
};

use crate::{MsnNet, NetConfig};

/// A tensor on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Outermost dimension first, as in PyTorch.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// Tensors by name, sorted.
pub type Tensors = BTreeMap<String, HostTensor>;

/// Tensors that do not fit a network.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TensorError {
    /// The network has a tensor that the source lacks.
    #[error("tensor {name} is missing")]
    Missing {
        /// As in [`MsnNet::tensors`].
        name: String,
    },
    /// The source has a tensor that the network lacks.
    #[error("tensor {name} belongs to no part of this network")]
    Unexpected {
        /// As the source has it.
        name: String,
    },
    /// A tensor has another shape than the network's.
    #[error("tensor {name} has shape {found:?}, the network wants {expected:?}")]
    Shape {
        /// As in [`MsnNet::tensors`].
        name: String,
        /// The source's shape.
        found: Vec<usize>,
        /// The network's shape.
        expected: Vec<usize>,
    },
}

impl TensorError {
    /// Checks that tensors are those of a network with these settings, all of them and in their
    /// shapes. PyTorch's `num_batches_tracked` is passed over.
    ///
    /// # Errors
    /// The first tensor that is missing or of another shape, else one that is unexpected.
    pub(crate) fn check(config: &NetConfig, tensors: &Tensors) -> Result<(), Self> {
        let expected = config.tensors();
        for (name, shape) in &expected {
            let name = name.clone();
            let Some(tensor) = tensors.get(&name) else {
                return Err(Self::Missing { name });
            };
            let len: usize = shape.iter().product();
            if tensor.shape != *shape || tensor.values.len() != len {
                let (found, expected) = (tensor.shape.clone(), shape.clone());
                return Err(Self::Shape {
                    name,
                    found,
                    expected,
                });
            }
        }
        let expected: BTreeSet<String> = expected.into_iter().map(|(name, _)| name).collect();
        let known =
            |name: &String| expected.contains(name) || name.ends_with(".num_batches_tracked");
        match tensors.keys().find(|name| !known(name)) {
            Some(name) => Err(Self::Unexpected { name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// Turns the path of a walk over the module into a tensor's name: pools go by number, not by place.
#[derive(Debug)]
struct Path<'a> {
    parts: Vec<String>,
    config: &'a NetConfig,
}

impl Path<'_> {
    fn enter(&mut self, name: &str) {
        let in_pools = self.parts.last().is_some_and(|last| last == "pools");
        let number = name
            .parse::<usize>()
            .ok()
            .and_then(|i| self.config.pools.get(i));
        self.parts.push(match number {
            Some(number) if in_pools => number.to_string(),
            _ => name.to_owned(),
        });
    }

    fn leave(&mut self) {
        self.parts.pop();
    }

    fn name(&self) -> String {
        self.parts.join(".")
    }
}

struct Reader<'a, F> {
    path: Path<'a>,
    visit: F,
}

/// Called with each tensor's name and parameter, in the module's order.
pub trait Visit<B: Backend> {
    /// Takes the tensor of this name, on its device.
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>);
}

impl<B: Backend, V: Visit<B>> ModuleVisitor<B> for Reader<'_, &mut V> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.visit.tensor(&self.path.name(), param);
    }
}

struct Collect(Tensors);

impl<B: Backend> Visit<B> for Collect {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        self.0.insert(name.to_owned(), HostTensor::of(param.val()));
    }
}

impl HostTensor {
    /// Brings a tensor to the host.
    pub fn of<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Self {
        let shape = tensor.dims().to_vec();
        Self {
            shape,
            values: tensor.into_data().iter::<f32>().collect(),
        }
    }
}

struct Load<'a, 'b> {
    path: Path<'a>,
    source: &'b Tensors,
    error: Option<TensorError>,
}

impl<B: Backend> ModuleMapper<B> for Load<'_, '_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let name = self.path.name();
        let expected = param.dims().to_vec();
        let problem = match self.source.get(&name) {
            None => TensorError::Missing { name },
            Some(t) if t.shape != expected => TensorError::Shape {
                name,
                found: t.shape.clone(),
                expected,
            },
            Some(t) => {
                let data = TensorData::new(t.values.clone(), t.shape.clone());
                let trained = param.is_require_grad();
                let value = Tensor::from_data(data, &param.device());
                return Param::initialized(param.id, value).set_require_grad(trained);
            }
        };
        self.error.get_or_insert(problem);
        param
    }
}

struct Cast(FloatDType);

impl<B: Backend> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let value = param.val().cast(self.0).detach();
        Param::initialized(param.id, value).set_require_grad(param.is_require_grad())
    }
}

impl<B: Backend> MsnNet<B> {
    /// The same network in another precision; its inputs have to be of that precision too.
    pub fn cast(self, precision: FloatDType) -> Self {
        self.map(&mut Cast(precision))
    }

    /// Calls `visit` with every tensor: parameters, running statistics and items.
    pub fn visit_tensors(&self, visit: &mut impl Visit<B>) {
        let path = Path {
            parts: Vec::new(),
            config: self.config(),
        };
        self.visit(&mut Reader { path, visit });
    }

    /// Every tensor by name, on the host.
    pub fn tensors(&self) -> Tensors {
        let mut all = Collect(Tensors::new());
        self.visit_tensors(&mut all);
        all.0
    }

    /// A network with these tensors. PyTorch's `num_batches_tracked` is passed over.
    ///
    /// # Errors
    /// [`TensorError`] for a tensor that is missing, unexpected or of another shape.
    pub fn with_tensors(self, tensors: &Tensors) -> Result<Self, TensorError> {
        let config = self.config().clone();
        TensorError::check(&config, tensors)?;
        let mut load = Load {
            path: Path {
                parts: Vec::new(),
                config: &config,
            },
            source: tensors,
            error: None,
        };
        let net = self.map(&mut load);
        load.error.map_or(Ok(net), Err)
    }
}
