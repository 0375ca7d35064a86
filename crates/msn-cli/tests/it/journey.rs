//! From nothing to metrics on a short synthetic scene.

use camino::Utf8Path;
use msn_synth::SynthOptions;
use serde_json::Value;

use crate::{alarms::on_the_thing, msn, shared, stdout, temporary};

fn scene(dir: &Utf8Path, clips: &str, seconds: &str) {
    stdout(msn(dir).args([
        "data",
        "synth",
        "scene",
        "--seed",
        "3",
        "--train",
        clips,
        "--test",
        "6",
        "--seconds",
        seconds,
    ]));
}

/// Runs a command that must fail with a sentence that holds all `parts`.
fn refused(dir: &Utf8Path, args: &[&str], parts: &[&str]) {
    let output = msn(dir).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for part in parts {
        assert!(errors.contains(part), "{part} is not in\n{errors}");
    }
}

#[test]
fn training_on_a_short_scene_finds_what_is_fast() {
    let (_guard, dir) = temporary();
    scene(&dir, "6", "20");
    let out = stdout(msn(&dir).args(["train", "scene", "--preset", "tiny", "--out", "run"]));
    assert!(
        out.contains("run folder: run") && out.contains("micro AUC"),
        "{out}"
    );
    for file in [
        "config.toml",
        "metrics.csv",
        "run.json",
        "eval.json",
        "report.html",
        "alarms.csv",
        "alarms.json",
        "calibration.json",
        "weights/last.safetensors",
        "weights/last.calibration.json",
    ] {
        assert!(dir.join("run").join(file).exists(), "{file}");
    }
    let scores = std::fs::read_to_string(dir.join("run/scores/01.mp4.csv")).unwrap();
    assert!(
        scores.starts_with(
            "video,frame,seconds,psnr,patch,distance.1,distance.2,distance.3,legacy,fair,smoothed,threshold,alarm,event\n"
        ),
        "{scores}"
    );
    assert_eq!(scores.lines().count(), 1 + 200 - 4);

    // The box of an alarm is on the thing, not on the ground that it has left.
    let text = std::fs::read_to_string(dir.join("run/alarms.json")).unwrap();
    let options = SynthOptions {
        seed: 3,
        train_clips: 6,
        test_clips: 6,
        seconds: 20.0,
        ..SynthOptions::default()
    };
    let (hits, all) = on_the_thing(&serde_json::from_str(&text).unwrap(), &options);
    assert!(all >= 5 && 10 * hits >= 9 * all, "{hits} of {all} alarms");

    // A finished run evaluates to the same metrics, from the run and from its bare weights.
    let trained: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("run/eval.json")).unwrap()).unwrap();
    // The calibration split gave a threshold, and the labelled spans were looked for with it.
    let events = &trained["events"];
    assert!(events["alarm"]["threshold"].is_f64() && events["alarm"]["per_hour"] == 1.0);
    assert!(
        events["metrics"]["spans"].as_u64().unwrap() >= 5,
        "{events}"
    );
    assert!(
        events["metrics"]["f1"].is_f64() && out.contains("spans found"),
        "{events}"
    );
    assert!(trained["rbdc"].is_null(), "the scene has no regions");
    let fast = ["--kinds", "cyclist,cart,runner", "--json"];
    for what in ["run", "run/weights/last.safetensors"] {
        let again: Value =
            serde_json::from_str(&stdout(msn(&dir).args(["eval", what, "scene"]).args(fast)))
                .unwrap();
        assert_eq!(again["fair"], trained["fair"]);
        assert_eq!(again["legacy"], trained["legacy"]);
        assert_eq!(again["data"], trained["data"]);
        let auc = again["kinds"]["cyclist+cart+runner"]["fair_micro_auc"]["value"]
            .as_f64()
            .unwrap();
        assert!(auc >= 0.85, "fair micro AUC over fast kinds is {auc}");
    }

    let test: Value =
        serde_json::from_str(&stdout(msn(&dir).args(["selftest", "run", "--json"]))).unwrap();
    let same = stdout(msn(&dir).args(["selftest", "run/weights/last.safetensors", "scene"]));
    let criterion = test["criterion"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&criterion), "{test}");
    assert_eq!(test["kinds"].as_array().unwrap().len(), 6);
    assert!(same.contains(&format!("{criterion:.3}")), "{same}\n{test}");
    let bare = msn(&dir)
        .args(["selftest", "run/weights/last.safetensors"])
        .assert();
    let said = String::from_utf8(bare.code(2).get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("give their data set folder as DATA"),
        "{said}"
    );

    // One video by itself scores as in the test set; without calibration `fair` is empty.
    let one = stdout(msn(&dir).args(["score", "run", "scene/test/01.mp4"]));
    assert_eq!(one, scores);
}

#[test]
fn the_same_seed_gives_the_same_weights_file() {
    let (_guard, dir) = temporary();
    scene(&dir, "4", "10");
    let train = |out: &str, seed: &str| {
        let settings = ["epochs=1", "crop=32", "width=4", seed];
        stdout(
            msn(&dir)
                .args(["train", "scene", "--out", out])
                .args(settings),
        );
        let files = ["weights/last.safetensors", "calibration.json"];
        let read = |file| std::fs::read(dir.join(out).join(file)).unwrap();
        files.map(read).concat()
    };
    let (a, b, c) = (
        train("a", "seed=5"),
        train("b", "seed=5"),
        train("c", "seed=6"),
    );
    assert!(a == b, "the same seed gave other weights");
    assert!(a != c, "another seed gave the same weights");
}

#[test]
fn weights_travel_through_show_import_and_calibrate() {
    let (_guard, dir) = temporary();
    scene(&dir, "4", "10");
    stdout(msn(&dir).args([
        "train",
        "scene",
        "--out",
        "run",
        "epochs=1",
        "width=4",
        "size=32",
        "rewrite=concat",
        "pools=2,3",
        "items=6",
    ]));
    let shown = stdout(msn(&dir).args(["weights", "show", "run/weights/last.safetensors"]));
    assert_eq!(shown, stdout(msn(&dir).args(["weights", "show", "run"])));
    for part in [
        "calibration: {",
        "pools.2.items [6, 16]",
        "data: scene",
        "stride 1",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let import = |out: &str, setting: &str| {
        // What shapes do not tell.
        let of_run = ["weights", "import", "run/weights/last.safetensors"];
        let settings = ["size=32", "rate_hz=10", setting, "--out", out];
        stdout(msn(&dir).args(of_run).args(settings));
    };
    import("bare.safetensors", "top_k=0");
    let evaluated = |file: &str| -> Value {
        serde_json::from_str(&stdout(msn(&dir).args(["eval", file, "scene", "--json"]))).unwrap()
    };
    let (run, bare) = (evaluated("run"), evaluated("bare.safetensors"));
    assert_eq!(
        run["legacy"], bare["legacy"],
        "shapes tell concat, pools and items"
    );
    assert!(bare["fair"].is_null());
    let bytes = || std::fs::read(dir.join("bare.safetensors")).unwrap();
    let before = bytes();
    stdout(msn(&dir).args(["weights", "calibrate", "bare.safetensors", "scene"]));
    let calibrated = evaluated("bare.safetensors");
    assert!(calibrated["fair"]["micro_auc"]["value"].is_number());
    assert!(bytes() == before, "calibrating has rewritten the weights");

    // Another camera's calibration has a file of its own and changes the fair score alone.
    let calibrate = [
        "weights",
        "calibrate",
        "bare.safetensors",
        "scene/train/01.mp4",
    ];
    stdout(msn(&dir).args(calibrate).args(["--out", "other.json"]));
    let with = |file: &str| -> Value {
        let args = [
            "eval",
            "bare.safetensors",
            "scene",
            "--json",
            "--calibration",
            file,
        ];
        serde_json::from_str(&stdout(msn(&dir).args(args))).unwrap()
    };
    assert_eq!(with("bare.calibration.json")["fair"], calibrated["fair"]);
    let other = with("other.json");
    assert_eq!(other["legacy"], calibrated["legacy"]);
    assert_ne!(other["events"]["alarm"], calibrated["events"]["alarm"]);
    // The run has the same network, so that its calibration fits.
    assert_eq!(with("run/calibration.json")["fair"], run["fair"]);
    // It does not where the same tensors are read or fed otherwise.
    for (out, setting) in [("k.safetensors", "top_k=2"), ("s.safetensors", "stride=2")] {
        import(out, setting);
        let args = [
            "eval",
            out,
            "scene",
            "--calibration",
            "run/calibration.json",
        ];
        refused(&dir, &args, &["run/calibration.json", out, "settings"]);
        // Nor where it is taken to lie beside them.
        let beside = dir.join(out.replace("safetensors", "calibration.json"));
        std::fs::copy(dir.join("run/calibration.json"), &beside).unwrap();
        let calibration = ["calibration: unusable: ", beside.file_name().unwrap()];
        let shown = stdout(msn(&dir).args(["weights", "show", out]));
        let line = shown.lines().find(|l| l.starts_with("calibration: "));
        let line = line.unwrap_or_else(|| panic!("{shown}"));
        assert!(calibration.iter().all(|part| line.contains(part)), "{line}");
        assert!(shown.contains("pools.2.items"), "{shown}");
        let shown = stdout(msn(&dir).args(["weights", "show", out, "--json"]));
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert!(shown["calibration"].is_null());
        let error = shown["calibration_error"].as_str().unwrap();
        assert!(error.contains(calibration[1]), "{error}");
    }
    // Nor one of other weights.
    let text = std::fs::read_to_string(dir.join("other.json")).unwrap();
    let mut foreign: Value = serde_json::from_str(&text).unwrap();
    foreign["weights"] = "0123456789abcdef".into();
    std::fs::write(dir.join("foreign.json"), foreign.to_string()).unwrap();
    let foreign = ["eval", "run", "scene", "--calibration", "foreign.json"];
    refused(&dir, &foreign, &["foreign.json", "last.safetensors"]);
}

#[test]
fn a_run_is_evaluated_with_its_calibration() {
    let (_guard, dir) = temporary();
    scene(&dir, "4", "10");
    let settings = ["epochs=1", "crop=32", "width=4"];
    stdout(
        msn(&dir)
            .args(["train", "scene", "--out", "run"])
            .args(settings),
    );
    let read = |file: &str| std::fs::read_to_string(dir.join("run").join(file)).unwrap();
    let made = read("calibration.json");
    assert!(made.contains("\"msn-calibration-2\""), "{made}");
    assert_eq!(made, read("weights/last.calibration.json"));
    // Of the run folder before that beside the weights.
    let other = ["weights", "calibrate", "run", "scene/train/01.mp4"];
    stdout(msn(&dir).args(other));
    assert_ne!(made, read("calibration.json"));
    assert_eq!(made, read("weights/last.calibration.json"));
    let alarm = |what: &str| -> Value {
        let text = stdout(msn(&dir).args(["eval", what, "scene", "--json", "--out", "out"]));
        serde_json::from_str::<Value>(&text).unwrap()["events"]["alarm"].clone()
    };
    assert_ne!(alarm("run"), alarm("run/weights/last.safetensors"));
    std::fs::write(
        dir.join("run/calibration.json"),
        "{\"format\": \"msn-calibration-9\"}",
    )
    .unwrap();
    let unknown = ["run/calibration.json", "msn-calibration-9"];
    refused(&dir, &["eval", "run", "scene"], &unknown);
}

#[cfg(not(feature = "pytorch"))]
#[test]
fn a_build_without_pytorch_says_so() {
    let (_guard, dir) = temporary();
    let wanted = ["w.pt", "--features pytorch"];
    refused(
        &dir,
        &["weights", "import", "w.pt", "--out", "w.safetensors"],
        &wanted,
    );
}

#[cfg(feature = "pytorch")]
#[test]
fn a_pytorch_state_dict_is_imported() {
    // Written by PyTorch 1.13: {"state_dict": ...} of a network of width 1 with one pool.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/width-1.pt");
    let (_guard, dir) = temporary();
    let said = stdout(msn(&dir).args(["weights", "import", file, "--out", "w.safetensors"]));
    for part in [
        " width=1\n",
        " frames=1 ",
        " pools=1 ",
        " items=2 ",
        " rewrite=concat ",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let shown = stdout(msn(&dir).args(["weights", "show", "w.safetensors"]));
    assert!(shown.contains("pools.1.items [2, 2]") && shown.contains("imported_from: width-1.pt"));
}

#[test]
fn the_carried_weights_give_their_metrics_again() {
    let Some(ped2) = shared("data/ped2") else {
        return;
    };
    let (_guard, dir) = temporary();
    let models = Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models"));
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for name in ["ped2-cpu", "ped2-width32"] {
        let weights = models.join(format!("{name}.safetensors"));
        let args = ["eval", weights.as_str(), ped2.as_str(), "--json"];
        let found = read(&stdout(msn(&dir).args(args)));
        let kept = std::fs::read_to_string(models.join(format!("{name}.json"))).unwrap();
        same_metrics(&found, &read(&kept));
    }
}

/// Compares the metrics of two evaluations.
fn same_metrics(found: &Value, kept: &Value) {
    assert_eq!(found["data"]["labels"], kept["data"]["labels"]);
    let mut compared = 0;
    for protocol in ["legacy", "fair"] {
        let (found, kept) = (&found[protocol], &kept[protocol]);
        for (name, value) in kept.as_object().unwrap() {
            let number = |v: &Value| v.as_f64().or_else(|| v["value"].as_f64());
            if let (Some(a), Some(b)) = (number(&found[name]), number(value)) {
                assert!((a - b).abs() <= 1e-3, "{protocol} {name}: {a}, not {b}");
                compared += 1;
            }
        }
    }
    for regions in ["rbdc", "tbdc"] {
        let of = |e: &Value| e[regions]["value"].as_f64().unwrap();
        assert!((of(found) - of(kept)).abs() <= 1e-3, "{regions}");
    }
    assert!(compared >= 6, "{compared} metrics");
}
