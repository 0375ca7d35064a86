//! `msn ablate`.

use camino::Utf8Path;

use crate::{msn, stdout, temporary};

const GRID: [&str; 8] = [
    "ablate",
    "scene",
    "width=4,8",
    "size=32",
    "epochs=1",
    "--out",
    "grid",
    "--pools",
];

fn read(path: &Utf8Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn a_grid_is_trained_compared_and_gone_on_with() {
    let (_guard, dir) = temporary();
    let size = ["--train", "3", "--test", "1", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    let grid = dir.join("grid");
    let options = [
        "none", "--seeds", "3", "--device", "flex", "--memory", "1GiB",
    ];
    let said = stdout(msn(&dir).args(GRID).args(options));
    assert_eq!(said, "grid/table.md\n");
    let runs = ["pools-none_width-4_seed-3", "pools-none_width-8_seed-3"];
    for run in runs {
        assert!(grid.join(run).join("eval.json").exists(), "{run}");
        assert!(read(&grid.join("table.md")).contains(run));
    }
    // Two runs, two protocols, each with micro AUC, macro AUC, AP and EER.
    let lines = |file: &str| read(&grid.join(file)).lines().count();
    assert_eq!((lines("runs.csv"), lines("summary.csv")), (17, 17));
    let plot = read(&grid.join("plot.svg"));
    assert_eq!(plot.matches("<circle").count(), 4, "{plot}");

    // Each run says how it is trained by itself, and that gives the same.
    let run: serde_json::Value =
        serde_json::from_str(&read(&grid.join(runs[1]).join("run.json"))).unwrap();
    let command = run["command"].as_str().unwrap();
    assert_eq!(
        command,
        "msn train scene seed=3 pools=none width=8 epochs=1 size=32 --preset tiny --out \
         grid/pools-none_width-8_seed-3 --device flex --memory 1GiB"
    );
    let weights = || std::fs::read(grid.join(runs[1]).join("weights/last.safetensors")).unwrap();
    let of_grid = weights();
    std::fs::remove_dir_all(grid.join(runs[1])).unwrap();
    stdout(msn(&dir).args(command.split(' ').skip(1)));
    assert!(weights() == of_grid, "the run's own command gives another");

    // One run is there, of the other a part; a third is new.
    std::fs::remove_file(grid.join(runs[1]).join("eval.json")).unwrap();
    let unchanged = read(&grid.join(runs[0]).join("run.json"));
    let output = msn(&dir)
        .args(GRID)
        .args(["none", "--seeds", "3", "4", "--json"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("1/4 pools-none_width-4_seed-3: there already"),
        "{errors}"
    );
    assert!(grid.join(format!("{}.unfinished", runs[1])).is_dir());
    assert_eq!(read(&grid.join(runs[0]).join("run.json")), unchanged);
    assert_eq!(lines("runs.csv"), 33);
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["format"], "msn-ablation-1");
    assert_eq!(printed["runs"].as_object().unwrap().len(), 4);
    assert!(printed["runs"][runs[0]]["legacy"]["micro_auc"]["value"].is_f64());

    let other = msn(&dir)
        .args(GRID)
        .args(["none", "--preset", "cpu", "crop=24"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&other.stderr);
    assert!(
        !other.status.success() && errors.contains("its own --out"),
        "{errors}"
    );
}

#[test]
fn a_run_that_fails_is_recorded_and_costs_the_others_nothing() {
    let (_guard, dir) = temporary();
    let size = ["--train", "3", "--test", "1", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    let grid = dir.join("grid");
    let runs = ["pools-none_width-4_seed-3", "pools-none_width-8_seed-3"];
    // What an earlier grid left of the first is not to be moved aside.
    std::fs::create_dir_all(grid.join(runs[0])).unwrap();
    std::fs::write(grid.join(format!("{}.unfinished", runs[0])), "").unwrap();
    let output = msn(&dir)
        .args(GRID)
        .args(["none", "--seeds", "3"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains(&format!("error: {}: ", runs[0])),
        "{errors}"
    );
    assert!(grid.join(runs[1]).join("eval.json").exists());
    let table = read(&grid.join("table.md"));
    assert!(
        table.contains(&format!(
            "## Failed\n\nThe same command trains these anew.\n\n- `{}`: ",
            runs[0]
        )),
        "{table}"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_grid_says_what_is_left() {
    let (_guard, dir) = temporary();
    crate::resume::scene(&dir);
    let grid = std::process::Command::new(assert_cmd::cargo::cargo_bin("msn"))
        .current_dir(&dir)
        .args(["ablate", "scene", "width=4", "size=32", "epochs=3000"])
        .args(["--out", "grid", "--pools", "none", "--seeds", "3"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = dir.join("grid/pools-none_seed-3/metrics.csv");
    crate::resume::wait_for("step", || {
        std::fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 1)
    });
    let pid = grid.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(sent.unwrap().success());
    let output = grid.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    let last = errors.lines().last().unwrap();
    assert_eq!(
        last,
        "error: interrupted, this run unfinished: the same command trains it anew, and then what is left"
    );
}

#[test]
fn mistakes_are_named_before_anything_is_trained() {
    let (_guard, dir) = temporary();
    for (arguments, named) in [
        (["none", "--seeds", "x"], "seed x"),
        (["none", "--seeds", "1"], "scene"),
        (["three", "--seeds", "1"], "three"),
        (["none", "lr=fast", "--seeds"], "fast"),
    ] {
        let output = msn(&dir)
            .args(GRID)
            .args(arguments)
            .arg("2")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(named),
            "{errors}"
        );
        assert!(!dir.join("grid").exists());
    }
}
