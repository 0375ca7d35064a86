//! PyTorch's own files.

use anyhow::{Result, anyhow};
use camino::Utf8Path;
use msn_model::Tensors;

/// Says how to build a program that can.
#[cfg(not(feature = "pytorch"))]
pub(crate) fn read(file: &Utf8Path) -> Result<Tensors> {
    Err(anyhow!(
        "{file}: this build reads no PyTorch files: build with `--features pytorch`, or save the state dict as safetensors"
    ))
}

/// Where training programs put a state dict in a file of more.
#[cfg(feature = "pytorch")]
const KEYS: [&str; 5] = ["state_dict", "model_state_dict", "model", "net", "network"];

/// The float tensors of a `.pt` state dict, also where it lies under one of [`KEYS`].
#[cfg(feature = "pytorch")]
pub(crate) fn read(file: &Utf8Path) -> Result<Tensors> {
    use burn_store::pytorch::PytorchReader;
    use msn_model::HostTensor;

    if !file.exists() {
        return Err(anyhow!("can't read {file}: there is no such file"));
    }
    let wrong = |e: &dyn std::fmt::Display| {
        anyhow!(
            "{file} is no usable PyTorch state dict ({e}): save it with torch.save(net.state_dict(), ...)"
        )
    };
    let plain = PytorchReader::new(file.as_std_path());
    let nested = |key: &&str| {
        let nested = PytorchReader::with_top_level_key(file.as_std_path(), key).ok()?;
        Some(nested).filter(|nested| !nested.is_empty())
    };
    let reader = match KEYS.iter().find_map(nested) {
        Some(nested) => nested,
        None => plain.map_err(|e| wrong(&e))?,
    };
    let mut tensors = Tensors::new();
    for (name, snapshot) in reader.tensors() {
        if !snapshot.dtype.is_float() {
            continue;
        }
        let data = snapshot
            .to_data()
            .map_err(|e| wrong(&format!("{name}: {e:?}")))?;
        let shape = data.shape.to_vec();
        let values: Vec<f32> = data.iter::<f32>().collect();
        tensors.insert(name.clone(), HostTensor { shape, values });
    }
    Ok(tensors)
}
