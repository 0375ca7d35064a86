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
