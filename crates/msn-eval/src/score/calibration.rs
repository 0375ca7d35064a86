//! What the anomaly score is standardised by, and the file that carries it.
//!
//! A calibration belongs to one network and one camera and lies in a file of its own, so that a
//! network can have several and making one leaves the weights as they are: `calibration.json` in a
//! run folder, `NAME.calibration.json` beside weights `NAME.safetensors`. Weights files written
//! before carry it in their metadata, which is read where no such file is there.

use camino::{Utf8Path, Utf8PathBuf};
use msn_model::{Tensors, Weights};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    alarm::AlarmThreshold,
    baseline::{Baseline, ErrorQuantiles, TextureClass},
};
use crate::fingerprint::fingerprint;

/// Version of the files that this crate writes and reads.
pub const CALIBRATION_FORMAT: &str = "msn-calibration-1";

/// Settings of the anomaly score and the statistics of normal frames that standardise it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Fingerprint of the tensors that it was measured with; none where it was read from the
    /// metadata of the weights themselves.
    #[serde(default)]
    pub weights: Option<String>,
    /// Side of the square window over which the local contrast of the error
    /// ([`FrameMaps::contrast`](crate::FrameMaps::contrast)) is averaged, pixels.
    pub window: usize,
    /// Pixels between two windows.
    pub window_stride: usize,
    /// Scored frames over which a window is averaged.
    pub history: usize,
    /// Errors of normal windows.
    pub baseline: Baseline,
    /// Median over frames of the largest window's excess over the baseline.
    pub median: f64,
    /// Median absolute deviation of the same, above 0.
    pub mad: f64,
    /// Frames behind the two.
    pub frames: usize,
    /// 99.5th percentile of the standardised map over frames: where components begin.
    pub map_threshold: f64,
    /// Where events begin; none in older weights files.
    #[serde(default)]
    pub alarm: Option<AlarmThreshold>,
}

/// A calibration that can't be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The system can't read it.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system can't write it.
    #[error("can't write {path}: {source}")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no calibration, or a damaged one.
    #[error("{path} is no calibration ({source}): `msn weights calibrate` makes one")]
    Content {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error(
        "{path} is of format {found}, and this version reads {CALIBRATION_FORMAT}: `msn weights calibrate` makes a new one"
    )]
    Version {
        /// The file.
        path: Utf8PathBuf,
        /// Its format.
        found: String,
    },
    /// The one in the metadata of a weights file is damaged.
    #[error(
        "{path}: the calibration in its metadata can't be read ({source}): `msn weights calibrate` makes one in a file of its own"
    )]
    Embedded {
        /// The weights file.
        path: Utf8PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It was measured with another network.
    #[error(
        "{path} was made with other weights than {weights} (tensors {made_with}, not {found}): `msn weights calibrate` makes one for these"
    )]
    OtherWeights {
        /// The calibration file.
        path: Utf8PathBuf,
        /// The weights file.
        weights: Utf8PathBuf,
        /// Fingerprint in the calibration.
        made_with: String,
        /// Fingerprint of the weights.
        found: String,
    },
}

impl Calibration {
    /// Name of a run folder's calibration.
    pub const RUN_FILE: &str = "calibration.json";

    /// The file beside a weights file: `NAME.calibration.json` beside `NAME.safetensors`.
    pub fn beside(weights: &Utf8Path) -> Utf8PathBuf {
        let name = weights.file_stem().unwrap_or("weights");
        weights.with_file_name(format!("{name}.calibration.json"))
    }

    /// A score before it is standardised, standardised: 0 is a median normal frame, 1 a robust
    /// standard deviation more.
    pub fn standardise(&self, excess: f64) -> f64 {
        (excess - self.median) / (1.4826 * self.mad)
    }

    /// The same, said to belong to these tensors.
    #[must_use]
    pub fn for_tensors(self, tensors: &Tensors) -> Self {
        Self {
            weights: Some(fingerprint(tensors)),
            ..self
        }
    }

    /// Reads a calibration file.
    ///
    /// # Errors
    /// [`CalibrationError::Read`], [`CalibrationError::Content`], [`CalibrationError::Version`].
    pub fn read(path: &Utf8Path) -> Result<Self, CalibrationError> {
        let bytes = std::fs::read(path).map_err(|source| CalibrationError::Read {
            path: path.to_owned(),
            source,
        })?;
        let content = |source| CalibrationError::Content {
            path: path.to_owned(),
            source,
        };
        let mut value: Value = serde_json::from_slice(&bytes).map_err(content)?;
        let format = value.as_object_mut().and_then(|all| all.remove("format"));
        match format {
            Some(Value::String(found)) if found == CALIBRATION_FORMAT => {
                serde_json::from_value(value).map_err(content)
            }
            found => Err(CalibrationError::Version {
                path: path.to_owned(),
                found: match found {
                    Some(Value::String(found)) => found,
                    Some(other) => other.to_string(),
                    None => "no version".to_owned(),
                },
            }),
        }
    }

    /// Writes it as a file whole or not at all; folders are made.
    ///
    /// # Errors
    /// [`CalibrationError::Write`], or [`CalibrationError::Content`] for a number that JSON lacks.
    pub fn write(&self, path: &Utf8Path) -> Result<(), CalibrationError> {
        #[derive(Serialize)]
        struct File<'a> {
            format: &'a str,
            #[serde(flatten)]
            calibration: &'a Calibration,
        }
        let file = File {
            format: CALIBRATION_FORMAT,
            calibration: self,
        };
        let text = serde_json::to_string_pretty(&file).and_then(|text| {
            // JSON writes numbers that are not finite as null, which nothing could read again.
            let mut value: Value = serde_json::from_str(&text)?;
            value.as_object_mut().and_then(|all| all.remove("format"));
            serde_json::from_value::<Self>(value)?;
            Ok(text + "\n")
        });
        let text = text.map_err(|source| CalibrationError::Content {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().filter(|folder| !folder.as_str().is_empty());
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|source| CalibrationError::Write {
                path: folder.to_owned(),
                source,
            })?;
        }
        msn_data::write_atomically(path, text.as_bytes()).map_err(|error| CalibrationError::Write {
            path: error.path,
            source: error.source,
        })
    }

    /// Reads the calibration file `path` for weights that were read from the file `weights_path`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and [`CalibrationError::OtherWeights`].
    pub fn read_for(
        path: &Utf8Path,
        weights_path: &Utf8Path,
        weights: &Weights,
    ) -> Result<Self, CalibrationError> {
        let calibration = Self::read(path)?;
        let found = fingerprint(&weights.tensors);
        match &calibration.weights {
            Some(made_with) if *made_with != found => Err(CalibrationError::OtherWeights {
                path: path.to_owned(),
                weights: weights_path.to_owned(),
                made_with: made_with.clone(),
                found,
            }),
            _ => Ok(calibration),
        }
    }

    /// The calibration of weights that were read from the file `weights_path`: that of the run
    /// folder `run`, where one is given and has one, else the file beside the weights, else the one
    /// in their metadata, else none.
    ///
    /// # Errors
    /// Those of [`read_for`](Self::read_for), and [`CalibrationError::Embedded`].
    pub fn find(
        weights_path: &Utf8Path,
        weights: &Weights,
        run: Option<&Utf8Path>,
    ) -> Result<Option<Self>, CalibrationError> {
        let of_run = run.map(|run| run.join(Self::RUN_FILE));
        let files = of_run.into_iter().chain([Self::beside(weights_path)]);
        match files.into_iter().find(|file| file.exists()) {
            Some(file) => Self::read_for(&file, weights_path, weights).map(Some),
            None => Self::embedded(weights_path, weights),
        }
    }

    /// The one in the metadata of weights that were written before calibrations had files.
    fn embedded(
        weights_path: &Utf8Path,
        weights: &Weights,
    ) -> Result<Option<Self>, CalibrationError> {
        let Some(value) = &weights.meta.calibration else {
            return Ok(None);
        };
        Embedded::read(value).map_err(|source| CalibrationError::Embedded {
            path: weights_path.to_owned(),
            source,
        })
    }
}

/// A calibration as it stands in the metadata of weights files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Embedded {
    window: usize,
    window_stride: usize,
    history: usize,
    usual: EmbeddedBaseline,
    median: f64,
    mad: f64,
    frames: usize,
    map_threshold: f64,
    #[serde(default)]
    alarm: Option<AlarmThreshold>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddedBaseline {
    slope: f64,
    #[serde(default)]
    edge: f64,
    overall: EmbeddedQuantiles,
    by_texture: Vec<EmbeddedClass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddedClass {
    texture: f64,
    errors: EmbeddedQuantiles,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddedQuantiles {
    typical: f64,
    high: f64,
}

impl Embedded {
    /// `None` for the first forms, which standardised other scores: they have no version, but all
    /// lack the baseline's slope.
    fn read(value: &Value) -> Result<Option<Calibration>, serde_json::Error> {
        let has_slope = |value: &Value| Some(value.get("usual")?.get("slope").is_some());
        if has_slope(value) != Some(true) {
            return Ok(None);
        }
        Self::deserialize(value).map(|embedded| Some(embedded.into()))
    }
}

impl From<Embedded> for Calibration {
    fn from(e: Embedded) -> Self {
        let quantiles = |q: EmbeddedQuantiles| ErrorQuantiles {
            median: q.typical,
            p99: q.high,
        };
        let class = |class: EmbeddedClass| TextureClass {
            texture: class.texture,
            errors: quantiles(class.errors),
        };
        Self {
            weights: None,
            window: e.window,
            window_stride: e.window_stride,
            history: e.history,
            baseline: Baseline {
                slope: e.usual.slope,
                edge: e.usual.edge,
                overall: quantiles(e.usual.overall),
                by_texture: e.usual.by_texture.into_iter().map(class).collect(),
            },
            median: e.median,
            mad: e.mad,
            frames: e.frames,
            map_threshold: e.map_threshold,
            alarm: e.alarm,
        }
    }
}

#[cfg(test)]
mod tests {
    use msn_model::{HostTensor, Input, Meta, NetConfig, WEIGHTS_FORMAT};
    use serde_json::json;

    use super::*;

    fn calibration() -> Calibration {
        Calibration {
            weights: None,
            window: 8,
            window_stride: 2,
            history: 8,
            baseline: Baseline {
                slope: 0.1,
                edge: 0.2,
                overall: ErrorQuantiles {
                    median: -5.000000000000001,
                    p99: -4.0,
                },
                by_texture: vec![TextureClass {
                    texture: -3.0,
                    errors: ErrorQuantiles::default(),
                }],
            },
            median: 0.1,
            mad: 0.2,
            frames: 9,
            map_threshold: 3.0,
            alarm: Some(AlarmThreshold {
                threshold: 7.5,
                per_hour: Some(1.0),
                per_thousand_frames: None,
                counted: true,
            }),
        }
    }

    fn weights(embedded: Option<Value>, value: f32) -> Weights {
        let tensor = HostTensor {
            shape: vec![1],
            values: vec![value],
        };
        Weights {
            meta: Meta {
                format: WEIGHTS_FORMAT.into(),
                config: NetConfig::default(),
                input: Input {
                    height: 64,
                    width: 64,
                    stride: 1,
                    rate_hz: 0.0,
                },
                calibration: embedded,
                origin: Default::default(),
            },
            tensors: [("a".to_owned(), tensor)].into(),
        }
    }

    fn embedded() -> Value {
        let range = json!({ "typical": -5.0, "high": -4.0 });
        json!({
            "window": 8, "window_stride": 2, "history": 8, "median": 0.1, "mad": 0.2, "frames": 9,
            "map_threshold": 3.0,
            "usual": { "slope": 0.5, "overall": range, "by_texture": [] },
        })
    }

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[test]
    fn a_calibration_survives_its_file_bit_for_bit() {
        let (_guard, folder) = folder();
        let path = folder.join("a/calibration.json");
        let calibration = calibration().for_tensors(&weights(None, 1.0).tensors);
        calibration.write(&path).unwrap();
        assert_eq!(Calibration::read(&path).unwrap(), calibration);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#""format": "msn-calibration-1""#), "{text}");
    }

    #[test]
    fn what_is_no_calibration_of_this_version_is_named() {
        let (_guard, folder) = folder();
        let path = folder.join("c.json");
        let good = {
            calibration().write(&path).unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        let error = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Calibration::read(&path).unwrap_err();
            assert!(error.to_string().contains(path.as_str()), "{error}");
            error
        };
        let newer = error(&good.replace("msn-calibration-1", "msn-calibration-7"));
        assert!(newer.to_string().contains("msn-calibration-7"), "{newer}");
        assert!(matches!(newer, CalibrationError::Version { .. }));
        assert!(matches!(error("{}"), CalibrationError::Version { .. }));
        assert!(matches!(error("no"), CalibrationError::Content { .. }));
        let odd = good.replace("\"mad\"", "\"made\"");
        assert!(matches!(error(&odd), CalibrationError::Content { .. }));
        let missing = Calibration::read(&folder.join("none.json")).unwrap_err();
        assert!(matches!(missing, CalibrationError::Read { .. }));
        let nan = Calibration {
            mad: f64::NAN,
            ..calibration()
        };
        assert!(matches!(
            nan.write(&path),
            Err(CalibrationError::Content { .. })
        ));
    }

    #[test]
    fn the_nearest_calibration_is_used() {
        let (_guard, run) = folder();
        let file = run.join("weights/last.safetensors");
        let weights = weights(Some(embedded()), 1.0);
        let find = |run| Calibration::find(&file, &weights, run).unwrap().unwrap();
        let of_median = |median| Calibration {
            median,
            ..calibration()
        };
        assert_eq!(find(None).baseline.slope, 0.5);
        let beside = run.join("weights/last.calibration.json");
        of_median(2.0).write(&beside).unwrap();
        assert_eq!(find(None).median, 2.0);
        assert_eq!(find(Some(&run)).median, 2.0);
        of_median(3.0).write(&run.join("calibration.json")).unwrap();
        assert_eq!(find(Some(&run)).median, 3.0);
        assert_eq!(find(None).median, 2.0);
    }

    #[test]
    fn a_calibration_of_other_weights_is_refused() {
        let (_guard, folder) = folder();
        let file = folder.join("w.safetensors");
        let [ours, others] = [1.0, 2.0].map(|value| weights(None, value));
        let made = calibration().for_tensors(&ours.tensors);
        made.write(&Calibration::beside(&file)).unwrap();
        assert_eq!(Calibration::find(&file, &ours, None).unwrap(), Some(made));
        let error = Calibration::find(&file, &others, None).unwrap_err();
        assert!(matches!(error, CalibrationError::OtherWeights { .. }));
    }

    #[test]
    fn a_calibration_of_an_earlier_form_counts_as_none() {
        let find = |value: Value| {
            let weights = weights(Some(value), 1.0);
            Calibration::find("no/such.safetensors".into(), &weights, None)
        };
        let read = find(embedded()).unwrap().unwrap();
        assert_eq!((read.baseline.slope, read.baseline.edge), (0.5, 0.0));
        assert_eq!(read.baseline.overall.p99, -4.0);
        let mut damaged = embedded();
        damaged["mad"] = Value::Null;
        assert!(matches!(
            find(damaged),
            Err(CalibrationError::Embedded { .. })
        ));
        let range = json!({ "typical": -5.0, "high": -4.0 });
        for earlier in [
            Value::Null,
            json!({ "window": 8, "median": 0.1 }),
            json!({ "measure": "detail", "usual": { "overall": range, "by_texture": [] } }),
        ] {
            assert_eq!(find(earlier).unwrap(), None);
        }
    }

    /// The weights that the project carries have theirs in the metadata.
    #[test]
    fn the_projects_weights_are_calibrated() {
        for name in ["ped2-cpu", "ped2-width32"] {
            let models = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
            let path = models.join(format!("{name}.safetensors"));
            let weights = Weights::read(&path).unwrap();
            let found = Calibration::find(&path, &weights, None).unwrap().unwrap();
            assert_eq!(
                (found.window, found.window_stride, found.history),
                (16, 4, 8)
            );
            assert!(found.frames > 100 && found.baseline.by_texture.len() > 1);
            assert!(found.alarm.is_some_and(|alarm| alarm.threshold > 0.0));
        }
    }
}
