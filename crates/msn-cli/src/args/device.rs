//! Where and how to compute.

use clap::Args;
use msn_model::{Isa, Kernels, Method, Precision};

use crate::{Usage, device::Device};

/// Where and how to compute.
#[derive(Clone, Debug, Args)]
pub(crate) struct DeviceArgs {
    /// flex, ndarray, cuda (cuda:N with a number; in several processes each takes its own) or wgpu, where compiled in
    #[arg(long, default_value_t)]
    pub device: Device,
    /// How flex computes convolutions: plain (Burn's own), direct or fast [default: fast]
    #[arg(long, value_name = "KIND")]
    pub kernels: Option<Kernels>,
    /// Instruction set of direct and fast: avx512, avx2 or portable [default: the best there is]
    #[arg(long, value_name = "SET", value_parser = Isa::named)]
    pub isa: Option<Isa>,
}

impl DeviceArgs {
    /// How the CPU computes, where it does.
    pub fn kernels(&self) -> Option<Kernels> {
        let flex = self.device == Device::Flex && cfg!(feature = "flex");
        flex.then(|| self.kernels.unwrap_or(Kernels::Fast))
    }

    /// How the project's own kernels are to compute, where they are.
    ///
    /// # Errors
    /// [`Usage`] for kernels or a precision that the device lacks.
    pub fn method(&self, precision: Precision) -> Result<Option<Method>, Usage> {
        let own = "what the kernels direct and fast of --device flex compute";
        let algorithm = match self.kernels() {
            Some(kernels) => kernels.algorithm(),
            None => match (self.device, self.kernels) {
                (_, None | Some(Kernels::Plain)) => None,
                (device, Some(kernels)) => {
                    return Err(Usage(format!(
                        "--kernels {kernels} computes on the CPU: leave out --device {device}"
                    )));
                }
            },
        };
        let Some(algorithm) = algorithm else {
            let wanted = match (precision, self.isa) {
                (Precision::F32, None) => return Ok(None),
                (Precision::F32, Some(isa)) => format!("--isa {isa}"),
                (precision, _) => format!("--precision {precision}"),
            };
            let instead = match self.kernels {
                Some(kernels) => format!("--kernels {kernels}"),
                None => format!("--device {}", self.device),
            };
            return Err(Usage(format!("{wanted} is {own}: leave out {instead}")));
        };
        let isa = self.isa.unwrap_or_else(Isa::detect);
        if !isa.computes_in(precision) {
            return Err(Usage(format!(
                "--precision {precision} needs AVX-512 BF16, which {} has not: leave it out",
                match self.isa {
                    Some(isa) => format!("--isa {isa}"),
                    None => "this processor".to_owned(),
                }
            )));
        }
        Ok(Some(Method {
            isa,
            algorithm,
            precision,
        }))
    }
}

/// What predictions are computed in.
#[derive(Debug, Args)]
pub(crate) struct PrecisionArgs {
    /// What direct and fast multiply in: f32, or bf16 where the processor has AVX-512 BF16
    #[arg(long, value_name = "f32|bf16", default_value_t)]
    pub precision: Precision,
}
