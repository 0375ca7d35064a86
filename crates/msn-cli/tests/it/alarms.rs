//! What a camera owner gets without one label: alarms, a report, a line a source.

use std::collections::BTreeMap;

use camino::Utf8Path;
use msn_synth::{Plan, Renderer, Scene, SynthOptions};
use serde_json::Value;

use crate::{msn, stdout, temporary};

fn read(path: &Utf8Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn json(path: &Utf8Path) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

/// A scene without labels, and a quick run on it.
fn trained(dir: &Utf8Path) {
    let size = ["--train", "5", "--test", "2", "--seconds", "10"];
    stdout(msn(dir).args(["data", "synth", "scene"]).args(size));
    std::fs::remove_file(dir.join("scene/events.csv")).unwrap();
    let quick = ["size=32", "width=4", "epochs=1", "pools=3"];
    stdout(
        msn(dir)
            .args(["train", "scene", "--out", "run"])
            .args(quick),
    );
}

/// Alarms from a score of 0.5 on, which half an untrained network's frames exceed.
fn lower_the_threshold(dir: &Utf8Path) {
    let path = dir.join("run/calibration.json");
    let mut calibration = json(&path);
    calibration["alarm"]["threshold"] = 0.5.into();
    std::fs::write(path, calibration.to_string()).unwrap();
}

#[test]
fn without_labels_there_are_alarms_and_a_report() {
    let (_guard, dir) = temporary();
    trained(&dir);
    for name in [
        "report.html",
        "alarms.csv",
        "alarms.json",
        "scores",
        "curves",
    ] {
        assert!(dir.join("run").join(name).exists(), "{name}");
    }
    assert!(!dir.join("run/eval.json").exists());
    lower_the_threshold(&dir);

    let output = msn(&dir)
        .args(["score", "run", "scene/test/01.mp4", "scene/test/02.mp4"])
        .args(["--report", "look"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    let alarms = json(&dir.join("look/alarms.json"));
    assert_eq!(alarms["format"], "msn-alarms-1");
    let videos = alarms["videos"].as_array().unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    let mut rows = BTreeMap::new();
    let mut count = 0;
    for (video, line) in videos.iter().zip(said.lines()) {
        let name = video["video"].as_str().unwrap();
        let alarms = video["alarms"].as_array().unwrap();
        count += alarms.len();
        assert!(
            line.starts_with(&format!("{name}: ")) && line.contains(" in 10 s"),
            "{line}"
        );
        let start = match alarms.len() {
            0 => "no alarm".to_owned(),
            1 => "1 alarm".to_owned(),
            n => format!("{n} alarms"),
        };
        assert!(line.contains(&start), "{line}");
        for alarm in alarms {
            let at = |key: &str| alarm[key].as_u64().unwrap();
            for frame in at("start_frame")..at("end_frame") {
                rows.insert((name.to_owned(), frame), at("event"));
            }
            // Ten frames a second.
            let peak = alarm["peak"].as_f64().unwrap();
            assert!(
                (peak - at("peak_frame") as f64 / 10.0).abs() < 0.01,
                "{alarm}"
            );
            assert!(alarm["score"].as_f64().unwrap() > 0.5);
            let side = |key: &str| alarm["box"][key].as_u64().unwrap();
            assert!(side("x") + side("width") <= 320 && side("y") + side("height") <= 240);
        }
    }
    assert!(count > 0, "{said}");
    assert_eq!(
        read(&dir.join("look/alarms.csv")).lines().count(),
        1 + count
    );

    // Each row says whether it lies in an alarm, and in which.
    let path = dir.join("look/scores.csv");
    let mut table = csv::Reader::from_path(&path).unwrap();
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let mut marked = 0;
    for row in table.records() {
        let row = row.unwrap();
        let cell = |name: &str| row[column(name)].to_owned();
        let event = rows.get(&(cell("video"), cell("frame").parse().unwrap()));
        let expected = event.map_or(("0".to_owned(), String::new()), |n| {
            ("1".to_owned(), n.to_string())
        });
        assert_eq!((cell("alarm"), cell("event")), expected, "{row:?}");
        assert_eq!(cell("threshold"), "0.5");
        assert!(cell("smoothed").parse::<f64>().is_ok());
        marked += usize::from(event.is_some());
    }
    assert_eq!(marked, rows.len());

    // The page has a picture of each alarm, and none of the words of research.
    let page = read(&dir.join("look/report.html"));
    assert_eq!(
        page.matches("data:image/jpeg;base64,").count(),
        count.min(24)
    );
    assert!(page.contains("of footage</h1>"), "{page:.2000}");
    let body = page.split("</style>").nth(1).unwrap();
    for word in ["legacy", "micro", "priors", "fair "] {
        assert!(!body.contains(word), "{word}");
    }

    // Scores on standard output leave the lines to the other one.
    let output = msn(&dir)
        .args(["score", "run", "scene/test/01.mp4"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.contains("01.mp4: ") && errors.contains(" in 10 s"),
        "{errors}"
    );
    let scores = String::from_utf8(output.stdout).unwrap();
    assert!(read(&path).starts_with(&scores));
    // A split of some seconds can't count a false alarm an hour.
    assert!(
        errors.contains("the calibration split has") && errors.contains("times as much"),
        "{errors}"
    );
}

#[test]
fn a_training_without_test_videos_leaves_a_report() {
    let (_guard, dir) = temporary();
    let size = ["--train", "5", "--test", "1", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    std::fs::remove_dir_all(dir.join("scene/test")).unwrap();
    std::fs::remove_file(dir.join("scene/events.csv")).unwrap();
    std::fs::remove_file(dir.join("scene/synth.toml")).unwrap();
    let quick = ["size=32", "width=4", "epochs=1", "pools=3"];
    stdout(
        msn(&dir)
            .args(["train", "scene", "--out", "run"])
            .args(quick),
    );
    let page = read(&dir.join("run/report.html"));
    assert!(page.contains("Nothing scored yet") && page.contains("--report DIR"));
    assert!(page.contains("What the network predicts"));
}

/// How many alarms of a run on a synthetic scene have their box on somebody or something that is
/// there and not part of the place: those, and all.
pub fn on_the_thing(alarms: &Value, options: &SynthOptions) -> (usize, usize) {
    let (plan, scene) = (Plan::new(options), Scene::new(options.seed, options.size));
    let (mut hits, mut all) = (0, 0);
    for (clip, video) in plan.test.iter().zip(alarms["videos"].as_array().unwrap()) {
        let renderer = Renderer::new(&scene, clip);
        for alarm in video["alarms"].as_array().unwrap() {
            let number = |v: &Value| usize::try_from(v.as_u64().unwrap()).unwrap();
            let place = &alarm["box"];
            let [x, y, width, height] = ["x", "y", "width", "height"].map(|k| number(&place[k]));
            let overlaps = |b: &msn_synth::SeenBox| {
                x <= b.right && b.left < x + width && y <= b.bottom && b.top < y + height
            };
            all += 1;
            let seen = renderer.boxes(number(&alarm["peak_frame"]));
            hits += usize::from(seen.iter().any(overlaps));
        }
    }
    (hits, all)
}
