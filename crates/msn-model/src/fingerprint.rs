//! Which network a file belongs to.

use serde_json::json;

use crate::{Input, NetConfig, Tensors, Weights};

/// Digits of a fingerprint.
const DIGITS: usize = 16;

/// Blake3 over names and bits of tensors, in the order of their names. Shapes take no part.
pub fn hash_tensors(tensors: &Tensors) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        hasher.update(name.as_bytes());
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    hasher.finalize()
}

/// Fingerprint of tensors alone: the first 16 hexadecimal digits of [`hash_tensors`].
pub fn fingerprint(tensors: &Tensors) -> String {
    digits(hash_tensors(tensors))
}

impl Weights {
    /// Fingerprint of all that predictions depend on: tensors, settings of the network and what it
    /// is fed. 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        // Without `..`: whether a new setting changes predictions has to be decided here.
        let NetConfig {
            frames,
            channels,
            width,
            pools,
            items,
            skip1,
            rewrite,
            temperature,
            top_k,
            // Of training alone.
            detach_read: _,
            write: _,
            write_max: _,
            momentum: _,
        } = &self.meta.config;
        let Input {
            height,
            width: columns,
            stride,
            rate_hz,
            ref stretch,
        } = self.meta.input;
        // A list, whose order is nobody's choice but ours.
        let network = json!([
            frames,
            channels,
            width,
            pools,
            items,
            skip1,
            rewrite,
            temperature,
            top_k
        ]);
        let mut input = json!([height, columns, stride, rate_hz]);
        // Where there is none, the hash is that of files from before there were any.
        if let (false, Some(list)) = (stretch.is_none(), input.as_array_mut()) {
            list.push(json!(stretch));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(hash_tensors(&self.tensors).as_bytes());
        hasher.update(network.to_string().as_bytes());
        hasher.update(input.to_string().as_bytes());
        digits(hasher.finalize())
    }
}

fn digits(hash: blake3::Hash) -> String {
    let mut text = hash.to_hex().to_string();
    text.truncate(DIGITS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostTensor, Meta, Rewrite, StretchSetting, WEIGHTS_FORMAT};

    fn weights() -> Weights {
        let tensor = HostTensor {
            shape: vec![2],
            values: vec![1.0, -0.0],
        };
        Weights {
            meta: Meta {
                format: WEIGHTS_FORMAT.into(),
                config: NetConfig::default(),
                input: Input {
                    height: 64,
                    width: 128,
                    stride: 1,
                    rate_hz: 25.0,
                    stretch: StretchSetting::None,
                },
                calibration: None,
                origin: Default::default(),
            },
            tensors: [("a".to_owned(), tensor)].into(),
        }
    }

    #[test]
    fn all_that_changes_predictions_changes_the_fingerprint() {
        let changes: [fn(&mut Weights); 15] = [
            |w| w.tensors.get_mut("a").unwrap().values[1] = 0.0,
            |w| {
                let tensor = w.tensors.remove("a").unwrap();
                w.tensors.insert("b".to_owned(), tensor);
            },
            |w| w.meta.config.frames = 5,
            |w| w.meta.config.channels = 3,
            |w| w.meta.config.width = 17,
            |w| w.meta.config.pools = vec![1, 2],
            |w| w.meta.config.items = 11,
            |w| w.meta.config.skip1 = false,
            |w| w.meta.config.rewrite = Rewrite::Concat,
            |w| w.meta.config.temperature = 0.5,
            |w| w.meta.config.top_k = 3,
            |w| (w.meta.input.height, w.meta.input.width) = (128, 64),
            |w| w.meta.input.height = 128,
            |w| w.meta.input.stride = 2,
            |w| w.meta.input.rate_hz = 12.5,
        ];
        let mut all = vec![weights().fingerprint()];
        for change in changes {
            let mut changed = weights();
            change(&mut changed);
            all.push(changed.fingerprint());
        }
        assert!(all.iter().all(|f| f.len() == DIGITS));
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
    }

    #[test]
    fn where_weights_come_from_and_how_they_were_trained_changes_nothing() {
        let mut changed = weights();
        changed.meta.origin = [("seed".to_owned(), "7".to_owned())].into();
        changed.meta.config.momentum = 0.5;
        changed.meta.config.detach_read = true;
        assert_eq!(changed.fingerprint(), weights().fingerprint());
    }

    /// Files carry it.
    #[test]
    fn a_fingerprint_stays_what_it_is() {
        assert_eq!(fingerprint(&weights().tensors), "54e4bb73e01930b9");
        assert_eq!(weights().fingerprint(), "c473ab4f68c8db09");
    }
}
