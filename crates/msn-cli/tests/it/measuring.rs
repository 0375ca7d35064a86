//! `msn metrics` on what other programs write, and several methods against each other.

use serde_json::Value;

use crate::{msn, stdout, temporary};

fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    npy.extend(format!("{header:<117}\n").as_bytes());
    npy.extend(bytes);
    npy
}

fn floats(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Two videos of four frames; one anomalous frame of three is found by the scores.
const SCORES: [f64; 8] = [0.1, 0.2, 0.3, 0.9, 5.0, 4.0, 6.0, 7.0];
const LABELS: [u8; 8] = [0, 0, 0, 1, 0, 0, 1, 1];

#[test]
fn every_kind_of_file_gives_the_same() {
    let (_guard, dir) = temporary();
    let rows = |line: &dyn Fn(usize) -> String| -> String { (0..8).map(line).collect() };
    let video = |i: usize| if i < 4 { "001" } else { "002" };
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let table = rows(&|i| format!("{},{},{},{}\n", video(i), i % 4, SCORES[i], LABELS[i]));
    write(
        "named.csv",
        format!("video,frame,score,label\n{table}").as_bytes(),
    );
    write(
        "bare.csv",
        rows(&|i| format!("v{},{},{},{}\n", i / 4, i % 4, SCORES[i], LABELS[i])).as_bytes(),
    );
    // In half seconds, as our own tables have it: a folder of files in folders.
    for (from, name) in [(0, "001"), (4, "002")] {
        let mut csv = "video,frame,seconds,legacy,fair\n".to_owned();
        for (frame, score) in SCORES[from..from + 4].iter().enumerate() {
            csv += &format!("./{name},{frame},{},0,{score}\n", frame as f64 / 2.0);
        }
        write(&format!("ours/scores/cam/{name}.csv"), csv.as_bytes());
        write(
            &format!("arrays/{name}.npy"),
            &npy("<f8", "(4,)", &floats(&SCORES[from..from + 4])),
        );
        write(
            &format!("labels/{name}.npy"),
            &npy("|u1", "(4,)", &LABELS[from..from + 4]),
        );
    }
    // One of a video that was too short to be scored.
    write("ours/scores/003.csv", b"video,frame,seconds,legacy,fair\n");
    write(
        "events.csv",
        b"video,start,end,kind\n001,1.4,1.6,\n./002,0.9,1.6,cart\n",
    );
    write("rows.npy", &npy("<f8", "(2, 4)", &floats(&SCORES)));
    write("flat_labels.npy", &npy("|u1", "(8,)", &LABELS));
    write(
        "labels.csv",
        format!(
            "video,frame,label\n{}",
            rows(&|i| format!("{},{},{}\n", video(i), i % 4, LABELS[i]))
        )
        .as_bytes(),
    );
    for args in [
        &["named.csv"][..],
        &["bare.csv"],
        &["named.csv", "labels"],
        &["ours/scores", "events.csv"],
        &["arrays", "labels"],
        &["arrays", "flat_labels.npy"],
        &["rows.npy", "flat_labels.npy"],
        &["named.csv", "labels.csv"],
        &["arrays", "labels.csv"],
        &["arrays", "events.csv", "--fps", "2"],
    ] {
        let found = json(&stdout(msn(&dir).arg("metrics").args(args).arg("--json")));
        let value = found["micro_auc"]["value"].as_f64().unwrap();
        assert!((value - 13.0 / 15.0).abs() < 1e-12, "{args:?}: {value}");
        assert_eq!(found["format"], "msn-metrics-1");
        let videos = found["by_video"].as_array().unwrap();
        let second = videos.iter().find(|v| v["anomalous_frames"] == 2);
        assert_eq!(second.unwrap()["auc"], 1.0, "{args:?}");
    }
    let refused = |args: &[&str], part: &str| {
        let output = msn(&dir).arg("metrics").args(args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && errors.contains(part),
            "{part}: {errors}"
        );
    };
    refused(&["arrays"], "needs labels");
    refused(&["arrays", "events.csv"], "no times");
    write("nan.npy", &npy("<f8", "(2,)", &floats(&[0.5, f64::NAN])));
    refused(
        &["nan.npy", "labels"],
        "nan.npy: the score of video nan, frame 1",
    );
    write("other.csv", b"video,start,end\n009,1,2\n");
    refused(&["ours/scores", "other.csv"], "009");
}

#[test]
fn methods_are_compared_on_the_frames_of_all() {
    let (_guard, dir) = temporary();
    let table = |worse: bool, skip: u32| {
        let mut csv = "video,frame,score,label\n".to_owned();
        for video in 0..6 {
            for frame in skip..30 {
                let anomalous = (10..20).contains(&frame);
                let noise = f64::from((frame * 37 + video * 11) % 29) / 29.0;
                let score = noise + if anomalous && !worse { 0.7 } else { 0.0 };
                csv += &format!("v{video},{frame},{score},{}\n", u8::from(anomalous));
            }
        }
        csv
    };
    std::fs::write(dir.join("good.csv"), table(false, 0)).unwrap();
    std::fs::write(dir.join("bad.csv"), table(true, 2)).unwrap();
    let args = [
        "metrics",
        "good.csv",
        "--compare",
        "noise=bad.csv",
        "--threshold",
        "0.99",
    ];
    let found = json(&stdout(msn(&dir).args(args).arg("--json")));
    assert_eq!(found["left_out"], serde_json::json!([12, 0]));
    assert_eq!(found["frames"], 6 * 28);
    let noise = &found["compared"][0];
    assert_eq!(
        (&noise["name"], &noise["frames"]),
        (&"noise".into(), &found["frames"])
    );
    let value = |of: &Value| of["micro_auc"]["value"].as_f64().unwrap();
    let difference = &noise["difference"]["micro_auc"];
    assert!((value(noise) - value(&found) - value(&noise["difference"])).abs() < 1e-12);
    assert!(difference["high"].as_f64().unwrap() < 0.0, "{difference}");
    // ROC from (0, 0) to (1, 1); a span for each video, with its highest score.
    let roc = found["roc"].as_array().unwrap();
    assert_eq!(roc.last().unwrap()["tpr"], 1.0);
    assert!(roc[0]["threshold"].is_null());
    let labelled = found["events"]["labelled"].as_array().unwrap();
    assert_eq!(labelled.len(), 6);
    assert_eq!(
        (&labelled[0]["start_frame"], &labelled[0]["end_frame"]),
        (&10.into(), &20.into())
    );
    assert_eq!(found["events"]["metrics"]["spans"], 6);
    let text = stdout(msn(&dir).args(args));
    assert!(
        text.contains("noise - good") && text.contains("paired"),
        "{text}"
    );
    assert!(text.contains("good: 12 scores are left out"), "{text}");
    // A method of other videos has nothing in common.
    std::fs::write(dir.join("other.csv"), "video,frame,score\nw,1,2\n").unwrap();
    let output = msn(&dir)
        .args(["metrics", "good.csv", "--compare", "other.csv"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no common frame"));
}
