//! `msn runs` and `msn doctor`.

use serde_json::Value;

use crate::{msn, stdout, temporary};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn runs_are_listed_with_what_differs() {
    let (_guard, dir) = temporary();
    let size = ["--train", "4", "--test", "1", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    let quick = ["width=4", "size=32", "epochs=1"];
    for more in ["seed=3", "lr=2e-3", "pools=1,3"] {
        stdout(msn(&dir).args(["train", "scene"]).args(quick).arg(more));
    }
    // One that was never finished, and one that nobody can read.
    for name in ["v4", "v5"] {
        let folder = dir.join("runs/scene/tiny").join(name);
        std::fs::create_dir(&folder).unwrap();
        for file in ["run.json", "config.toml"] {
            std::fs::copy(dir.join("runs/scene/tiny/v1").join(file), folder.join(file)).unwrap();
        }
    }
    // Older than a setting, which then had its default.
    let config = dir.join("runs/scene/tiny/v4/config.toml");
    let older = std::fs::read_to_string(&config).unwrap();
    assert!(older.contains("bf16 = false\n"));
    std::fs::write(&config, older.replace("bf16 = false\n", "")).unwrap();
    let card = dir.join("runs/scene/tiny/v4/run.json");
    let mut unfinished = json(&std::fs::read_to_string(&card).unwrap());
    unfinished["seconds"] = Value::Null;
    std::fs::write(&card, unfinished.to_string()).unwrap();
    std::fs::write(dir.join("runs/scene/tiny/v5/run.json"), "{").unwrap();

    let output = msn(&dir).arg("runs").output().unwrap();
    let (text, errors) = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .into();
    assert!(
        output.status.success() && errors.contains("v5/run.json"),
        "{errors}"
    );
    let lines: Vec<&str> = text.lines().collect();
    let header: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(
        header,
        [
            "run", "data", "device", "time", "legacy", "fair", "pools", "lr", "seed"
        ]
    );
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[1].starts_with("runs/scene/tiny/v1 ") && lines[1].ends_with(" 3"));
    assert!(
        lines[3].contains("[1,3]") && lines[4].contains("unfinished"),
        "{text}"
    );

    let all = json(&stdout(msn(&dir).args(["runs", "runs/scene", "--json"])));
    assert_eq!(all["format"], "msn-runs-1");
    let all = &all["runs"];
    assert_eq!(all.as_array().unwrap().len(), 4);
    let evaluated = std::fs::read_to_string(dir.join("runs/scene/tiny/v2/eval.json")).unwrap();
    let fair = &json(&evaluated)["fair"]["micro_auc"]["value"];
    assert!(fair.is_f64() && all[1]["fair_micro_auc"] == *fair);
    assert_eq!(all[1]["settings"]["train.lr"], "0.002");
    assert_eq!(all[3]["finished"], false);

    let output = msn(&dir).args(["runs", "nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere is no folder"));
}

#[test]
fn doctor_says_what_is_there() {
    let (_guard, dir) = temporary();
    let text = stdout(msn(&dir).args(["doctor", "--cache", "none"]));
    for part in [
        "processor",
        "kernels",
        "memory",
        "--device flex",
        "mpi",
        "cache",
        "none",
    ] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    let found = json(&stdout(msn(&dir).args([
        "doctor",
        "--json",
        "--threads",
        "1",
    ])));
    assert_eq!(found["threads"], 1);
    let devices = found["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 4);
    for device in devices {
        // What is not compiled in names its feature; the CPU's devices work where they are.
        let compiled_in = device["compiled_in"].as_bool().unwrap();
        if !compiled_in {
            let feature = device["feature"].as_str().unwrap();
            assert!(device["reason"].as_str().unwrap().contains(feature));
        } else if device["device"] == "flex" || device["device"] == "ndarray" {
            assert_eq!(device["works"], true, "{device}");
        }
    }
    if cfg!(feature = "mpi") {
        assert!(found["mpi"].as_str().unwrap().contains("MPI"), "{found}");
    } else {
        assert!(
            found["mpi"].is_null() && text.contains("--features mpi"),
            "{text}"
        );
    }
    if cfg!(feature = "ffmpeg") {
        assert!(found["ffmpeg"].as_str().unwrap().starts_with("libavcodec "));
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("msn"))
        .arg("doctor")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
