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
    let said = stdout(msn(&dir).args(GRID).args(["none", "--seeds", "3"]));
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

    // One run is there, of the other a part; a third is new.
    std::fs::remove_file(grid.join(runs[1]).join("eval.json")).unwrap();
    let unchanged = read(&grid.join(runs[0]).join("run.json"));
    let output = msn(&dir)
        .args(GRID)
        .args(["none", "--seeds", "3", "4"])
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
