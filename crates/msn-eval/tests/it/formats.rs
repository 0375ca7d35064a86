//! Files of earlier versions.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use msn_eval::{EVALUATION_FORMAT, Evaluation, EvaluationError, MEMORY_FORMAT, MemoryCard};
use serde_json::{Value, json};

fn golden(name: &str) -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Whether all of `old` stands in `new` under the names of this version.
fn values(value: &Value) -> Vec<String> {
    match value {
        Value::Object(all) => all.values().flat_map(values).collect(),
        Value::Array(all) => all.iter().flat_map(values).collect(),
        other => vec![other.to_string()],
    }
}

#[test]
fn an_evaluation_of_the_first_version_is_read_whole() {
    let path = golden("eval-1.json");
    let read = Evaluation::read(&path).unwrap();
    assert_eq!(read.format, EVALUATION_FORMAT);
    let mut old: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let patch = &read.prediction_error["patch"];
    assert_eq!(
        json!(patch.fair_difference),
        old["errors"]["patch"]["fair_ahead"]
    );
    assert_eq!(json!(patch.metrics), old["errors"]["patch"]["figures"]);
    let events = read.events.as_ref().unwrap();
    assert_eq!(json!(events.metrics), old["events"]["figures"]);
    // Nothing but names and the version has changed.
    old["format"] = EVALUATION_FORMAT.into();
    let [mut ours, mut theirs] = [serde_json::to_value(&read).unwrap(), old].map(|v| values(&v));
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

#[test]
fn an_evaluation_survives_its_file_and_another_version_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("eval.json")).unwrap();
    let read = Evaluation::read(&golden("eval-1.json")).unwrap();
    fs::write(&path, serde_json::to_string(&read).unwrap()).unwrap();
    assert_eq!(Evaluation::read(&path).unwrap(), read);
    let error = |text: &str| {
        fs::write(&path, text).unwrap();
        let error = Evaluation::read(&path).unwrap_err();
        assert!(error.to_string().contains(path.as_str()), "{error}");
        error
    };
    let newer = error(r#"{"format": "msn-eval-9"}"#);
    assert!(newer.to_string().contains("msn-eval-9"), "{newer}");
    assert!(matches!(newer, EvaluationError::Version { .. }));
    let damaged = error(r#"{"format": "msn-eval-2"}"#);
    assert!(matches!(damaged, EvaluationError::Content { .. }));
}

#[test]
fn a_memory_of_the_first_version_is_read_and_of_an_unknown_one_not() {
    let item = json!({ "usage": 1.0, "cosines": [1.0], "patches": [], "picture": "" });
    let pool = json!({
        "pool": 1, "features": 8, "positions": [4, 4], "area": 14, "usage_entropy": 0.5,
        "zero_queries": 0.0, "items": [item],
    });
    let mut card = json!({
        "format": "msn-memory-1", "data": "d", "weights": "w", "asked": 7, "clips": 9,
        "pools": [pool],
    });
    let read = MemoryCard::from_json(card.to_string().as_bytes()).unwrap();
    assert_eq!((read.format.as_str(), read.surveyed), (MEMORY_FORMAT, 7));
    assert_eq!(read.pools[0].receptive_field, 14);
    let again = serde_json::to_vec(&read).unwrap();
    assert_eq!(MemoryCard::from_json(&again).unwrap(), read);
    card["format"] = "msn-memory-9".into();
    assert!(MemoryCard::from_json(card.to_string().as_bytes()).is_err());
}
