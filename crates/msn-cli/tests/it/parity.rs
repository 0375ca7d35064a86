//! `msn verify` and `msn metrics` on golden cases.

use serde_json::Value;

use crate::{msn, shared, stdout, temporary};

fn files(folder: &str, extension: &str) -> Vec<camino::Utf8PathBuf> {
    let Some(folder) = shared(folder) else {
        return Vec::new();
    };
    let all = folder
        .read_dir_utf8()
        .unwrap()
        .map(|e| e.unwrap().into_path());
    let mut all: Vec<_> = all.filter(|p| p.extension() == Some(extension)).collect();
    all.sort();
    all
}

#[test]
fn verify_passes_golden_cases_and_fails_changed_ones() {
    let (_guard, dir) = temporary();
    for file in files("fixtures/parity", "safetensors") {
        let report: Value =
            serde_json::from_str(&stdout(msn(&dir).args(["verify", file.as_str(), "--json"])))
                .unwrap();
        assert_eq!(report["pass"], true, "{file}");

        // One changed value in the middle of the prediction must be found.
        let mut bytes = std::fs::read(file).unwrap();
        let (header, data) = (
            u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize,
            8,
        );
        let json: Value = serde_json::from_slice(&bytes[data..data + header]).unwrap();
        let at =
            json["eval.prediction"]["data_offsets"][0].as_u64().unwrap() as usize + data + header;
        bytes[at..at + 4].copy_from_slice(&0.987f32.to_le_bytes());
        let changed = dir.join("changed.safetensors");
        std::fs::write(&changed, bytes).unwrap();
        let output = msn(&dir)
            .args(["verify", "changed.safetensors"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stdout).contains("OUT OF TOLERANCE"));
    }
}

#[test]
fn metrics_agree_with_golden_cases() {
    let (_guard, dir) = temporary();
    for file in files("fixtures/metrics", "json") {
        let ours: Value = serde_json::from_str(&stdout(msn(&dir).args([
            "metrics",
            file.as_str(),
            "--json",
        ])))
        .unwrap();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for (name, expected) in case["expect"].as_object().unwrap() {
            match expected.as_f64() {
                None => assert!(ours[name].is_null(), "{file}: {name}"),
                Some(e) => {
                    let value = ours[name]
                        .as_f64()
                        .or_else(|| ours[name]["value"].as_f64())
                        .unwrap();
                    assert!(
                        (value - e).abs() < 1e-9,
                        "{file}: {name} is {value}, not {e}"
                    );
                }
            }
        }
    }
}

#[test]
fn any_methods_scores_are_measured_beside_priors() {
    let (_guard, dir) = temporary();
    // Two videos of four frames; the anomaly is at the end of each.
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    let header = format!(
        "{:<117}\n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (8,), }"
    );
    npy.extend(header.as_bytes());
    npy.extend([0, 0, 0, 1, 0, 0, 1, 1]);
    std::fs::write(dir.join("labels.npy"), npy).unwrap();
    let rows = |last: &str| {
        let mut csv = "video,frame,mine,other\n".to_owned();
        for (video, values) in [
            ("a", ["0.1", "0.2", "0.3", "0.9"]),
            ("b", ["5", "4", "6", last]),
        ] {
            for (frame, value) in values.iter().enumerate() {
                csv += &format!("{video},{frame},{value},0\n");
            }
        }
        csv
    };
    std::fs::write(dir.join("scores.csv"), rows("7")).unwrap();
    let args = ["metrics", "scores.csv", "labels.npy", "--column", "mine"];
    let found: Value = serde_json::from_str(&stdout(msn(&dir).args(args).arg("--json"))).unwrap();
    assert_eq!(found["macro_auc_skip"]["value"], 1.0);
    // By hand: 15 pairs of frames; 0.9 of the first video is above its normal frames alone.
    let is = |row: &Value, wanted: f64| {
        let value = row["micro_auc"]["value"].as_f64().unwrap();
        assert!((value - wanted).abs() < 1e-12, "{value}, not {wanted}");
    };
    is(&found, 13.0 / 15.0);
    for treated in ["raw", "min_max"] {
        is(&found["priors"][treated]["constant"], 0.5);
        is(&found["priors"][treated]["position"], 14.5 / 15.0);
    }
    let text = stdout(msn(&dir).args(args));
    assert!(
        text.contains("prior position") && text.contains("macro_auc_skip"),
        "{text}"
    );

    // The same, a file for each video.
    std::fs::create_dir(dir.join("scores")).unwrap();
    let both = rows("7");
    let (first, second) = both.split_once("b,0").unwrap();
    let header = "video,frame,mine,other\n";
    std::fs::write(dir.join("scores/1.csv"), first).unwrap();
    std::fs::write(dir.join("scores/2.csv"), format!("{header}b,0{second}")).unwrap();
    let folder = ["metrics", "scores", "labels.npy", "--column", "mine"];
    assert_eq!(stdout(msn(&dir).args(folder)), text);

    let refused = |args: &[&str], parts: &[&str]| {
        let output = msn(&dir).args(args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(parts.iter().all(|part| errors.contains(part)), "{errors}");
    };
    refused(&args[..3], &["mine", "other"]);
    std::fs::write(dir.join("scores/10.csv"), &both).unwrap();
    refused(&folder, &["10.csv", "video a", "another file"]);
    std::fs::create_dir(dir.join("none")).unwrap();
    refused(&["metrics", "none", "labels.npy"], &["none holds no .csv"]);
    std::fs::write(dir.join("nan.csv"), rows("NaN")).unwrap();
    refused(
        &["metrics", "nan.csv", "labels.npy", "--column", "mine"],
        &["nan.csv", "video b, frame 3", "finite"],
    );
}
