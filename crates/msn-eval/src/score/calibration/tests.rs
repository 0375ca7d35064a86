use msn_model::{HostTensor, Input, Meta, NetConfig, WEIGHTS_FORMAT};
use serde_json::{Value, json};

use super::*;
use crate::score::baseline::{ErrorQuantiles, TextureClass};

fn calibration() -> Calibration {
    Calibration {
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
                stretch: Default::default(),
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
    let weights = weights(None, 1.0);
    calibration().write(&path, &weights).unwrap();
    let read = Calibration::read_for(&path, "w".into(), &weights);
    assert_eq!(read.unwrap(), calibration());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#""format": "msn-calibration-2""#), "{text}");
}

#[test]
fn what_is_no_calibration_of_this_version_is_named() {
    let (_guard, folder) = folder();
    let path = folder.join("c.json");
    let weights = weights(None, 1.0);
    calibration().write(&path, &weights).unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let error = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let error = Calibration::read_for(&path, "w".into(), &weights).unwrap_err();
        assert!(error.to_string().contains(path.as_str()), "{error}");
        error
    };
    let newer = error(&good.replace("msn-calibration-2", "msn-calibration-7"));
    assert!(newer.to_string().contains("msn-calibration-7"), "{newer}");
    assert!(matches!(newer, CalibrationError::Version { .. }));
    assert!(matches!(error("{}"), CalibrationError::Version { .. }));
    assert!(matches!(error("no"), CalibrationError::Content { .. }));
    // Without the last, it would be anybody's.
    for key in ["mad", "format", "weights"] {
        let odd = error(&good.replace(&format!("\"{key}\""), &format!("\"{key}s\"")));
        assert!(odd.to_string().contains("weights calibrate"), "{odd}");
    }
    let no_network = error(&good.replace("\"weights\"", "\"network\""));
    assert!(no_network.to_string().contains("`weights`"), "{no_network}");
    let missing = Calibration::read_for(&folder.join("none.json"), "w".into(), &weights);
    assert!(matches!(missing, Err(CalibrationError::Read(_))));
    let nan = Calibration {
        mad: f64::NAN,
        ..calibration()
    };
    assert!(matches!(
        nan.write(&path, &weights),
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
    of_median(2.0).write(&beside, &weights).unwrap();
    assert_eq!(find(None).median, 2.0);
    assert_eq!(find(Some(&run)).median, 2.0);
    of_median(3.0)
        .write(&run.join("calibration.json"), &weights)
        .unwrap();
    assert_eq!(find(Some(&run)).median, 3.0);
    assert_eq!(find(None).median, 2.0);
}

#[test]
fn a_calibration_of_another_network_is_refused() {
    let (_guard, folder) = folder();
    let file = folder.join("w.safetensors");
    let ours = weights(None, 1.0);
    let beside = Calibration::beside(&file);
    calibration().write(&beside, &ours).unwrap();
    let find = |weights: &Weights| Calibration::find(&file, weights, None);
    assert_eq!(find(&ours).unwrap(), Some(calibration()));
    let changes: [fn(&mut Weights); 3] = [
        |w| w.tensors.get_mut("a").unwrap().values[0] = 2.0,
        // The same tensors read with other settings, and fed with other frames.
        |w| w.meta.config.top_k = 3,
        |w| w.meta.input.stride = 2,
    ];
    for change in changes {
        let mut others = ours.clone();
        change(&mut others);
        for error in [
            find(&others).unwrap_err(),
            Calibration::find(&file, &others, Some(&folder)).unwrap_err(),
            Calibration::read_for(&beside, &file, &others).unwrap_err(),
        ] {
            let other = matches!(error, CalibrationError::OtherWeights { .. });
            assert!(other, "{error}");
        }
    }
}

/// As files of the first version name tensors alone, they count where the weights were written with
/// them: in a run folder.
#[test]
fn a_calibration_of_the_first_version_counts_in_its_run() {
    let (_guard, run) = folder();
    let file = run.join("weights/last.safetensors");
    let ours = weights(None, 1.0);
    let path = run.join(Calibration::RUN_FILE);
    let mut first = serde_json::to_value(calibration()).unwrap();
    first["format"] = "msn-calibration-1".into();
    first["weights"] = msn_model::fingerprint(&ours.tensors).into();
    std::fs::write(&path, first.to_string()).unwrap();
    let found = Calibration::find(&file, &ours, Some(&run)).unwrap();
    assert_eq!(found, Some(calibration()));
    let others = weights(None, 2.0);
    for in_run in [Some(&*run), None] {
        let (of, error) = match in_run {
            Some(_) => ("its run", Calibration::find(&file, &others, in_run)),
            None => (
                "a file",
                Calibration::read_for(&path, &file, &others).map(Some),
            ),
        };
        let error = error.unwrap_err();
        let other = matches!(error, CalibrationError::OtherWeights { .. });
        assert!(other, "{of}: {error}");
    }
    // The same tensors, but nothing says with which settings.
    let error = Calibration::read_for(&path, &file, &ours).unwrap_err();
    let unknown = matches!(error, CalibrationError::SettingsUnknown { .. });
    assert!(unknown, "{error}");
    std::fs::create_dir_all(run.join("weights")).unwrap();
    std::fs::rename(&path, Calibration::beside(&file)).unwrap();
    let error = Calibration::find(&file, &ours, None).unwrap_err();
    assert!(error.to_string().contains("run folder"), "{error}");
    // Without any fingerprint it was anybody's.
    first.as_object_mut().unwrap().remove("weights");
    std::fs::write(&path, first.to_string()).unwrap();
    let error = Calibration::find(&file, &ours, Some(&run)).unwrap_err();
    let content = matches!(error, CalibrationError::Content { .. });
    assert!(content, "{error}");
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
