use std::io::Write;
use std::path::{Path, PathBuf};

use msn_metrics::{MetricsError, fixture};

const TOLERANCE: f64 = 1e-9;

fn compare(path: &Path) {
    let case = fixture::read(path).unwrap();
    let ours = case.fixture.metrics().unwrap();
    assert!(
        !case.expect.is_empty(),
        "{}: nothing to compare",
        path.display()
    );
    for (name, golden) in &case.expect {
        let mine = ours
            .get(name)
            .unwrap_or_else(|| panic!("{}: no {name}", path.display()));
        match (golden.as_f64(), mine.as_f64()) {
            (Some(a), Some(b)) => {
                assert!(
                    (a - b).abs() <= TOLERANCE,
                    "{}: {name} {b}, not {a}",
                    path.display()
                );
            }
            _ => assert_eq!(golden, mine, "{}: {name}", path.display()),
        }
    }
}

fn compare_folder(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    paths.iter().for_each(|path| compare(path));
    !paths.is_empty()
}

#[test]
fn golden_cases_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/metrics");
    if !compare_folder(&folder) {
        eprintln!("skipped: no golden cases in {}", folder.display());
    }
}

#[test]
fn own_cases_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    assert!(compare_folder(&folder), "no cases in {}", folder.display());
}

fn written(text: &str) -> Result<serde_json::Value, MetricsError> {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fixture::metrics(file.path())
}

#[test]
fn scores_that_json_cannot_hold_are_refused_by_frame() {
    for bad in ["NaN", "Infinity", "-Infinity", "null"] {
        let text = format!(
            r#"{{"videos": [{{"name": "NaN \" Infinity", "labels": [0, 1, true], "scores": [0.5, 1, {bad}]}}]}}"#
        );
        match written(&text).unwrap_err() {
            MetricsError::NotFinite { video, frame, .. } => {
                assert_eq!((video.as_str(), frame), ("NaN \" Infinity", 2));
            }
            other => panic!("{bad}: {other}"),
        }
        let text = format!(
            r#"{{"frames": 9, "tracks": [], "detections": [{{"frame": 7, "x1": 0, "y1": 0, "x2": 1, "y2": 1, "score": {bad}}}]}}"#
        );
        let error = written(&text).unwrap_err();
        assert!(
            matches!(error, MetricsError::DetectionNotFinite { frame: 7, .. }),
            "{bad}: {error}"
        );
    }
}

#[test]
fn other_json_is_refused_with_its_file() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"videos": [{"name": "a", "labels": [2], "scores": [0.5]}]}"#,
        r#"{"videos": [{"name": "a", "labels": [0], "scores": ["0.5"]}]}"#,
        r#"{"videos": [{"name": "a", "labels": [0]}]}"#,
        r#"{"videos": [{"name": "a", "labels": [0], "scores": [1e999]}]}"#,
        r#"{"frames": 2, "tracks": []}"#,
        r#"{"frames": -1, "tracks": [], "detections": []}"#,
        r#"{"frames": 2, "tracks": [{"track": 0, "frame": 0, "x1": 0.5, "y1": 0, "x2": 1, "y2": 1}], "detections": []}"#,
    ] {
        let error = written(text).unwrap_err();
        assert!(
            matches!(error, MetricsError::Fixture { .. }),
            "{text}: {error}"
        );
        assert!(error.to_string().contains(".json"), "{error}");
    }
    assert!(matches!(
        fixture::read(Path::new("no/such.json")),
        Err(MetricsError::Read { .. })
    ));
}

#[test]
fn undefined_metrics_are_null() {
    let metrics = written(r#"{"videos": []}"#).unwrap();
    let keys = [
        "micro_auc",
        "macro_auc_skip",
        "macro_auc_pad",
        "average_precision",
        "equal_error_rate",
    ];
    assert!(
        keys.iter()
            .all(|key| metrics[*key].is_null() && metrics.get(*key).is_some())
    );
}
