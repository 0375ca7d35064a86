//! A run's settings: presets, `key=value` changes, `config.toml`.

use std::{fmt, str::FromStr};

use msn_model::{ConfigError, Input, LossWeights, NetConfig, Precision, StretchSetting};
use serde::{Deserialize, Serialize, Serializer};
use toml::{Table, Value};

/// Named settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Width 8, 64 px, whole frames, 16 epochs: demo and tests, 82 s for six clips of 30 s on two
    /// cores, 144 MB (docs/training.md).
    Tiny,
    /// Width 16, 128 px, trained on 64 px crops, 12 epochs: about two minutes for 2,500 frames on
    /// two cores, 502 MB (docs/results.md).
    Cpu,
    /// Width 64, 256 px, 60 epochs: a GPU; not measured.
    Paper,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tiny, Self::Cpu, Self::Paper];
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tiny => "tiny",
            Self::Cpu => "cpu",
            Self::Paper => "paper",
        })
    }
}

impl FromStr for Preset {
    type Err = SettingsError;

    fn from_str(s: &str) -> Result<Self, SettingsError> {
        let found = Self::ALL.into_iter().find(|p| p.to_string() == s);
        found.ok_or_else(|| SettingsError::Preset { name: s.to_owned() })
    }
}

/// Which network of a training is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choose {
    /// That of the last step.
    #[default]
    Last,
    /// That of the epoch with the smallest validation loss.
    Best,
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSettings {
    /// Passes over all training clips, at least 1.
    pub epochs: usize,
    /// Clips of a step, at least 1.
    pub batch: usize,
    /// Adam's learning rate at the start; a cosine takes it to 0.
    pub lr: f64,
    /// Side of the random square that is cut from each clip, pixels, a multiple of 8; 0 for whole frames.
    pub crop: usize,
    /// Mirror every other clip, drawn at random, left to right.
    #[serde(default)]
    pub flip: bool,
    /// Largest change of a clip's brightness, 0 (none) to below 1: pixels are multiplied by 1 - this
    /// to 1 + this.
    #[serde(default)]
    pub brightness: f64,
    /// Hours that the steps may take; the schedule is shortened to end in time. 0 for no limit.
    #[serde(default)]
    pub hours: f64,
    /// Epochs without a smaller validation loss after which the training ends; 0 for never.
    #[serde(default)]
    pub patience: usize,
    /// Which network is evaluated.
    #[serde(default)]
    pub choose: Choose,
    /// Largest norm of a step's gradients, all together, which are scaled down to it; 0 for no limit.
    #[serde(default)]
    pub clip_norm: f64,
    /// Batches whose mean gradient makes a step, 1 to 250; running statistics and pools follow each.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Share of the old value in a running average of the network that is used in its place, 0
    /// (none) to below 1; at step n at most (1 + n) / (10 + n).
    #[serde(default)]
    pub ema: f64,
    /// Multiply in bf16 in convolutions, forward and backward; all else is f32. For Burn devices that
    /// compute in it.
    #[serde(default)]
    pub bf16: bool,
    /// Compute what is cheap once more in the backward pass instead of keeping it (gradient
    /// checkpointing): less memory, the same network. For Burn devices.
    #[serde(default)]
    pub checkpointing: bool,
    /// Start the items from real queries of the first batch (not in the paper).
    pub start_items: bool,
    /// Replace dead items by real queries (not in the paper).
    pub revive: bool,
    /// What weights, items, order, crops and the validation split are drawn from.
    pub seed: u64,
}

fn one() -> usize {
    1
}

impl TrainSettings {
    /// What convolutions multiply.
    pub fn precision(&self) -> Precision {
        if self.bf16 {
            Precision::Bf16
        } else {
            Precision::F32
        }
    }
}

/// All settings of a run, as in its `config.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What they were before single settings were changed.
    pub preset: Preset,
    /// Network and pools.
    pub net: NetConfig,
    /// Size, stride, rate and stretch of the frames that the network is fed.
    #[serde(serialize_with = "all_of_input")]
    pub input: Input,
    /// Batches, steps, optimiser and seed.
    pub train: TrainSettings,
    /// Weights of the pool losses.
    pub loss: LossWeights,
}

/// All settings of the frames, where a weights file leaves out a stretch that is none.
fn all_of_input<S: Serializer>(input: &Input, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct All<'a> {
        #[serde(flatten)]
        input: &'a Input,
        #[serde(skip_serializing_if = "Option::is_none")]
        stretch: Option<StretchSetting>,
    }
    let stretch = Some(StretchSetting::None).filter(|_| input.stretch.is_none());
    All { input, stretch }.serialize(serializer)
}

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A preset that there is not.
    #[error("there is no preset {name}: give tiny, cpu or paper")]
    Preset {
        /// As it was given.
        name: String,
    },
    /// Not `key=value`.
    #[error("{text} is no setting: give key=value, such as epochs=8")]
    NotASetting {
        /// As it was given.
        text: String,
    },
    /// No such key.
    #[error("there is no setting {key}{}: {} are the settings", .similar.as_ref().map(|s| format!(" (did you mean {s}?)")).unwrap_or_default(), Settings::keys().join(", "))]
    UnknownKey {
        /// As it was given, without its value.
        key: String,
        /// The key that looks most like it.
        similar: Option<String>,
    },
    /// A value of the wrong kind.
    #[error("{key}={value} can't be used: {source}")]
    Value {
        /// A key of [`Settings::keys`].
        key: String,
        /// As it was given.
        value: String,
        /// What it should have been.
        source: ValueError,
    },
    /// A value out of range.
    #[error("{setting} = {value} is out of range: give {range}")]
    Range {
        /// Its key, as on the command line.
        setting: &'static str,
        /// As it is set.
        value: String,
        /// The values that it may have, in words.
        range: &'static str,
    },
    /// The network's settings.
    #[error(transparent)]
    Net(#[from] ConfigError),
    /// Text that is no settings.
    #[error("line {line}: {}", .source.message())]
    Toml {
        /// The line, from 1.
        line: usize,
        /// What the TOML reader says of it.
        source: toml::de::Error,
    },
}

/// Why a setting can't have a value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// It is of another kind than the setting.
    #[error("give {0}")]
    Kind(&'static str),
    /// It is none of those that the setting may have, as serde words it.
    #[error("{}", .0.message())]
    Unknown(#[source] Box<toml::de::Error>),
}

impl From<toml::de::Error> for ValueError {
    fn from(error: toml::de::Error) -> Self {
        Self::Unknown(Box::new(error))
    }
}

impl Settings {
    /// A preset's settings.
    pub fn preset(preset: Preset) -> Self {
        let (width, size, crop, batch, epochs, lr) = match preset {
            Preset::Tiny => (8, 64, 0, 8, 16, 1e-3),
            Preset::Cpu => (16, 128, 64, 8, 12, 1e-3),
            Preset::Paper => (64, 256, 0, 4, 60, 2e-4),
        };
        Self {
            preset,
            net: NetConfig {
                width,
                ..NetConfig::default()
            },
            input: Input {
                height: size,
                width: size,
                stride: 1,
                rate_hz: 0.0,
                stretch: StretchSetting::None,
            },
            train: TrainSettings {
                epochs,
                batch,
                lr,
                crop,
                flip: false,
                brightness: 0.0,
                hours: 0.0,
                patience: 0,
                choose: Choose::Last,
                clip_norm: 0.0,
                accumulate: 1,
                ema: 0.0,
                bf16: false,
                checkpointing: false,
                start_items: false,
                revive: false,
                seed: 0,
            },
            loss: LossWeights::default(),
        }
    }

    /// Changes one setting, given as `key=value`. `pools=none` means no pools, `size=128` both
    /// sides and `size=128x192` height x width; `size=` stands for `height=` and the input's width.
    ///
    /// # Errors
    /// [`SettingsError`]; ranges are checked by [`Settings::check`].
    pub fn set(&mut self, text: &str) -> Result<(), SettingsError> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(SettingsError::NotASetting {
                text: text.to_owned(),
            });
        };
        let (key, value) = (key.trim(), value.trim());
        let wrong = |source| SettingsError::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            source,
        };
        if key == "size" {
            let (height, width) = value.split_once('x').unwrap_or((value, value));
            let side = |s: &str| {
                s.parse::<u32>().map_err(|_| {
                    wrong(ValueError::Kind(
                        "pixels: 128, or height x width as 128x192",
                    ))
                })
            };
            (self.input.height, self.input.width) = (side(height)?, side(width)?);
            return Ok(());
        }
        let mut table = self.table();
        let slot = slot(&mut table, key).ok_or_else(|| {
            let close = |k: &String| (strsim::jaro_winkler(k, key) * 1000.0).round().max(0.0);
            let best = Self::keys()
                .into_iter()
                .max_by(|a, b| close(a).total_cmp(&close(b)));
            SettingsError::UnknownKey {
                key: key.to_owned(),
                similar: best.filter(|b| close(b) > 750.0),
            }
        })?;
        *slot = parsed(slot, value).map_err(|kind| wrong(ValueError::Kind(kind)))?;
        *self = table.try_into().map_err(|e| wrong(e.into()))?;
        Ok(())
    }

    /// Every key that [`Settings::set`] takes.
    pub fn keys() -> Vec<String> {
        let table = Self::preset(Preset::Tiny).table();
        let sections = table
            .iter()
            .filter_map(|(section, v)| Some((section, v.as_table()?)));
        let mut keys: Vec<String> = sections
            .flat_map(|(section, t)| {
                t.keys()
                    .filter(|k| section != "input" || !matches!(k.as_str(), "height" | "width"))
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect();
        keys.push("size".to_owned());
        keys.sort();
        keys
    }

    fn table(&self) -> Table {
        // Settings hold nothing that TOML lacks.
        Table::try_from(self).unwrap_or_default()
    }

    /// As `config.toml`.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// From the text of a `config.toml`.
    ///
    /// # Errors
    /// [`SettingsError::Toml`], or one of [`Settings::check`].
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|e| {
            let start = e.span().map_or(0, |span| span.start);
            SettingsError::Toml {
                line: 1 + text.bytes().take(start).filter(|&b| b == b'\n').count(),
                source: e,
            }
        })?;
        settings.check()?;
        Ok(settings)
    }

    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// [`SettingsError`] names the first that is not.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.net.check()?;
        let wrong = |setting, value: String, range| {
            Err(SettingsError::Range {
                setting,
                value,
                range,
            })
        };
        let (i, t) = (&self.input, &self.train);
        for side in [i.height, i.width] {
            if !side.is_multiple_of(8) || !(8..=4096).contains(&side) {
                return wrong(
                    "size",
                    format!("{}x{}", i.height, i.width),
                    "multiples of 8, 8 to 4096",
                );
            }
        }
        if i.stride < 1 {
            return wrong("stride", i.stride.to_string(), "at least 1");
        }
        if t.epochs < 1 {
            return wrong("epochs", t.epochs.to_string(), "at least 1");
        }
        if t.batch < 1 {
            return wrong("batch", t.batch.to_string(), "at least 1");
        }
        for (setting, value, most, range) in [
            ("hours", t.hours, 10_000.0, "0 (no limit) to 10000"),
            ("clip_norm", t.clip_norm, f64::MAX, "0 (no limit) or more"),
        ] {
            if !(0.0..=most).contains(&value) {
                return wrong(setting, value.to_string(), range);
            }
        }
        if !(t.lr > 0.0 && t.lr.is_finite()) {
            return wrong("lr", t.lr.to_string(), "above 0");
        }
        if !(1..=250).contains(&t.accumulate) {
            return wrong("accumulate", t.accumulate.to_string(), "1 to 250");
        }
        if !(0.0..1.0).contains(&t.ema) {
            return wrong("ema", t.ema.to_string(), "0 (none) to below 1");
        }
        let side = usize::try_from(i.height.min(i.width)).unwrap_or(usize::MAX);
        if t.crop != 0 && (!t.crop.is_multiple_of(8) || t.crop > side) {
            return wrong(
                "crop",
                t.crop.to_string(),
                "a multiple of 8 up to the frame's size, or 0 for whole frames",
            );
        }
        if !(0.0..1.0).contains(&t.brightness) {
            return wrong("brightness", t.brightness.to_string(), "0 to below 1");
        }
        if !(0.0..=1000.0).contains(&i.rate_hz) {
            return wrong(
                "rate_hz",
                i.rate_hz.to_string(),
                "frames a second up to 1000, or 0 for those of the training videos",
            );
        }
        let l = &self.loss;
        for (name, value) in [
            ("compactness", l.compactness),
            ("separateness", l.separateness),
            ("information", l.information),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return wrong(name, value.to_string(), "0 or more");
            }
        }
        Ok(())
    }
}

/// The place of a key in any section; input sizes go by `size` alone, since `width` is the network's.
fn slot<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let section = |name: &str| name != "input" || !matches!(key, "height" | "width");
    table
        .iter_mut()
        .filter(|(name, _)| section(name))
        .find_map(|(_, v)| v.as_table_mut()?.get_mut(key))
}

/// A value of the kind that stands there now, or what to give.
fn parsed(now: &Value, text: &str) -> Result<Value, &'static str> {
    Ok(match now {
        Value::Integer(_) => {
            let digits = text.replace('_', "");
            Value::Integer(digits.parse().map_err(|_| "a whole number")?)
        }
        Value::Float(_) => Value::Float(text.parse().map_err(|_| "a number")?),
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| "true or false")?),
        Value::Array(_) if text == "none" || text.is_empty() => Value::Array(Vec::new()),
        Value::Array(_) => {
            let one = |s: &str| s.trim().parse().map(Value::Integer);
            let all: Result<_, _> = text.split(',').map(one).collect();
            Value::Array(all.map_err(|_| "numbers such as 1,2,3, or none")?)
        }
        _ => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_can_be_set_and_survives_toml() {
        let mut s = Settings::preset(Preset::Cpu);
        for text in [
            "epochs=3",
            "pools=none",
            "pools=1,3",
            "size=64x96",
            "rewrite=concat",
            "write_max=own",
            "lr=2e-4",
            "information=0",
            "skip1=false",
            "seed=7",
            "stride=2",
            "rate_hz=12.5",
            "stretch=51000..52500",
            "flip=true",
            "brightness=0.2",
            "width=24",
            "temperature=0.1",
        ] {
            s.set(text).unwrap();
        }
        assert_eq!(
            (
                s.net.width,
                s.input.height,
                s.input.width,
                s.net.pools.clone()
            ),
            (24, 64, 96, vec![1, 3])
        );
        s.check().unwrap();
        assert_eq!(Settings::from_toml(&s.to_toml()).unwrap(), s);
    }

    #[test]
    fn mistakes_get_a_sentence() {
        let mut s = Settings::preset(Preset::Tiny);
        let says = |r: Result<(), SettingsError>| r.unwrap_err().to_string();
        assert!(
            says(s.set("epoch=3")).starts_with("there is no setting epoch (did you mean epochs?)")
        );
        assert!(!says(s.set("zzz=3")).contains("did you mean"));
        assert_eq!(
            says(s.set("epochs=x")),
            "epochs=x can't be used: give a whole number"
        );
        assert!(says(s.set("rewrite=mix")).contains("concat"));
        assert!(says(s.set("epochs")).contains("give key=value"));
        s.set("crop=12").unwrap();
        assert!(says(s.check()).contains("multiple of 8"));
    }

    #[test]
    fn text_that_can_not_be_used_is_named_with_the_line() {
        let good = Settings::preset(Preset::Tiny).to_toml();
        let line = 1 + good.lines().position(|l| l.starts_with("epochs")).unwrap();
        let line = format!("line {line}: ");
        for (bad, at, why) in [
            ("epochs = \"x\"", line.as_str(), "invalid type"),
            ("epoch = 3", &line, "epoch"),
            ("epochs = 0", "epochs = 0", "at least 1"),
        ] {
            let text = good.replace("epochs = 16", bad);
            let says = Settings::from_toml(&text).unwrap_err().to_string();
            assert!(says.starts_with(at) && says.contains(why), "{says}");
        }
        let read = Settings::from_toml(&good).unwrap();
        assert_eq!(read, Settings::preset(Preset::Tiny));
    }
}
