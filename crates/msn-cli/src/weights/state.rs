//! PyTorch's state dicts of this network.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use camino::Utf8Path;
use msn_model::{NetConfig, Rewrite, TensorFile, Tensors};
use msn_train::Settings;

/// A tensor that every such network has.
const FIRST: &str = "encoder.level1.conv1.weight";

/// The tensors of a state dict under the network's own names.
pub(super) struct StateDict {
    pub tensors: Tensors,
    /// What stood before the names: `module.` of `DataParallel`, `_orig_mod.` of `torch.compile`, the
    /// name of a variable.
    pub prefix: String,
    /// Tensors under another prefix, and counters of batches.
    pub left_out: usize,
}

/// Where each setting of imported weights comes from, as key and value.
pub(super) struct Echo {
    /// By the tensors' shapes.
    pub inferred: BTreeMap<&'static str, String>,
    /// On the command line.
    pub given: Vec<String>,
    /// Nothing says them: those of the preset `paper`.
    pub assumed: BTreeMap<&'static str, String>,
}

impl StateDict {
    pub fn read(file: &Utf8Path) -> Result<Self> {
        let all = match file.extension() {
            Some("pt" | "pth" | "ckpt") => crate::pytorch::read(file)?,
            _ => TensorFile::read(file)?.tensors,
        };
        let before = all.len();
        // The shortest, should a file hold the network twice.
        let prefixes = all.keys().filter_map(|name| name.strip_suffix(FIRST));
        let prefix = prefixes.min_by_key(|prefix| prefix.len());
        let prefix = prefix
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .unwrap_or_default()
            .to_owned();
        let own = all.into_iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix(&prefix)?;
            (!name.ends_with(".num_batches_tracked")).then(|| (name.to_owned(), tensor))
        });
        let tensors: Tensors = own.collect();
        Ok(Self {
            left_out: before - tensors.len(),
            tensors,
            prefix,
        })
    }

    /// The settings that the tensors' shapes determine.
    pub fn config(&self, file: &Utf8Path) -> Result<NetConfig> {
        infer(&self.tensors).ok_or_else(|| {
            let some: Vec<&str> = self.tensors.keys().take(3).map(String::as_str).collect();
            let has = match some.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has {} tensors, such as {}", self.tensors.len(), some.join(", ")),
            };
            anyhow!("{file} is no state dict of this network: tensors such as {FIRST} and decoder.level1.conv3.weight were looked for, under any prefix; {has}")
        })
    }

    /// Where each setting comes from.
    pub fn echo(&self, settings: &Settings, given: &[String]) -> Echo {
        let (net, input) = (&settings.net, &settings.input);
        let pools: Vec<String> = net.pools.iter().map(usize::to_string).collect();
        let pools = match pools.is_empty() {
            true => "none".to_owned(),
            false => pools.join(","),
        };
        let mut inferred = BTreeMap::from([
            ("width", net.width.to_string()),
            ("channels", net.channels.to_string()),
            ("frames", net.frames.to_string()),
            ("skip1", net.skip1.to_string()),
            ("pools", pools),
        ]);
        let mut assumed = BTreeMap::from([
            ("size", format!("{}x{}", input.height, input.width)),
            ("stride", input.stride.to_string()),
            ("rate_hz", input.rate_hz.to_string()),
        ]);
        if !net.pools.is_empty() {
            inferred.insert("items", net.items.to_string());
            let rewrite = match net.rewrite {
                Rewrite::Replace => "replace",
                Rewrite::Concat => "concat",
            };
            inferred.insert("rewrite", rewrite.to_owned());
            assumed.insert("top_k", net.top_k.to_string());
        }
        let is_given = |key: &str| {
            given.iter().any(|text| {
                let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
                name.rsplit('.').next() == Some(key)
            })
        };
        inferred.retain(|key, _| !is_given(key));
        assumed.retain(|key, _| !is_given(key));
        Echo {
            inferred,
            given: given.to_vec(),
            assumed,
        }
    }

    /// What was read and inferred, for a person.
    pub fn text(&self, echo: &Echo) -> String {
        let join = |settings: &BTreeMap<&str, String>| {
            let each = settings.iter().map(|(key, value)| format!("{key}={value}"));
            each.collect::<Vec<_>>().join(" ")
        };
        let mut text = format!("{} tensors", self.tensors.len());
        if !self.prefix.is_empty() {
            text += &format!(", whose names lost the prefix `{}`", self.prefix);
        }
        if self.left_out > 0 {
            text += &format!("; {} others are left out", self.left_out);
        }
        text += &format!("\nby their shapes: {}\n", join(&echo.inferred));
        if !echo.given.is_empty() {
            text += &format!("given: {}\n", echo.given.join(" "));
        }
        if !echo.assumed.is_empty() {
            text += &format!(
                "not in the tensors, so as the preset `paper` has it: {} (key=value changes them)\n",
                join(&echo.assumed)
            );
        }
        text
    }
}

fn infer(tensors: &Tensors) -> Option<NetConfig> {
    let shape = |name: &str| tensors.get(name).map(|t| t.shape.as_slice());
    let &[width, input, 3, 3] = shape(FIRST)? else {
        return None;
    };
    let &[channels, _, 3, 3] = shape("decoder.level1.conv3.weight")? else {
        return None;
    };
    let &[_, last, 3, 3] = shape("decoder.level1.conv1.weight")? else {
        return None;
    };
    let pools: Vec<usize> = (1..=3)
        .filter(|p| tensors.contains_key(&format!("pools.{p}.items")))
        .collect();
    let mut config = NetConfig {
        width,
        channels,
        frames: input.checked_div(channels)?,
        skip1: last == 2 * width,
        pools,
        ..NetConfig::default()
    };
    if let Some(&p) = config.pools.first() {
        config.items = *shape(&format!("pools.{p}.items"))?.first()?;
        let level = p + 1;
        let &[_, cin, 3, 3] = shape(&format!("decoder.level{level}.conv1.weight"))? else {
            return None;
        };
        let skip = if level == 4 {
            0
        } else {
            config.features(level)
        };
        if cin == 2 * config.features(level) + skip {
            config.rewrite = Rewrite::Concat;
        }
    }
    Some(config)
}

#[cfg(test)]
mod tests {
    use msn_model::HostTensor;

    use super::*;

    #[test]
    fn any_prefix_is_taken_off_and_what_is_not_the_networks_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        for prefix in ["", "module.", "net.module.", "_orig_mod.", "weights."] {
            let mut tensors = Tensors::new();
            let mut add = |name: String, shape: &[usize]| {
                let values = vec![0.5; shape.iter().product()];
                let shape = shape.to_vec();
                tensors.insert(name, HostTensor { shape, values });
            };
            add(format!("{prefix}{FIRST}"), &[8, 12, 3, 3]);
            add(
                format!("{prefix}decoder.level1.conv3.weight"),
                &[3, 8, 3, 3],
            );
            add(
                format!("{prefix}decoder.level1.conv1.weight"),
                &[8, 16, 3, 3],
            );
            add(
                format!("{prefix}encoder.level1.bn1.num_batches_tracked"),
                &[1],
            );
            add("optimiser.step".to_owned(), &[1]);
            let file = dir.join("state.safetensors");
            TensorFile::write(&file, &tensors, &()).unwrap();
            let state = StateDict::read(&file).unwrap();
            assert_eq!(state.prefix, prefix);
            let config = state.config(&file).unwrap();
            assert_eq!((config.width, config.channels, config.frames), (8, 3, 4));
            assert!(config.skip1 && config.pools.is_empty());
            // Under no prefix nothing says whose the other is.
            let left_out = if prefix.is_empty() { 1 } else { 2 };
            assert_eq!(state.left_out, left_out, "{prefix}");
        }
    }
}
