use msn_model::{HostTensor, Input, Meta, NetConfig, WEIGHTS_FORMAT};
use serde_json::json;

use super::*;
use crate::score::baseline::{ErrorQuantiles, TextureClass};

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
            hours: None,
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
