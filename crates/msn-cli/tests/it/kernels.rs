//! `--kernels plain|direct|fast` give the same scores.

use crate::{msn, stdout, temporary};

/// The named columns of a score table.
fn columns(csv: &str, names: &[&str]) -> Vec<Vec<f64>> {
    let mut lines = csv.lines().map(|l| l.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let places: Vec<usize> = names
        .iter()
        .map(|name| header.iter().position(|h| h == name).unwrap())
        .collect();
    lines
        .map(|fields| places.iter().map(|&p| fields[p].parse().unwrap()).collect())
        .collect()
}

#[test]
fn scores_do_not_depend_on_the_kernels() {
    let (_guard, dir) = temporary();
    let size = ["--train", "4", "--test", "3", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    stdout(msn(&dir).args(["train", "scene", "--out", "run", "epochs=3"]));
    let names = ["psnr", "legacy", "fair"];
    let scores = |how: &[&str]| {
        let out = format!("scores-{}", how.join(""));
        stdout(msn(&dir).args(["eval", "run", "--out", &out]).args(how));
        let tables = ["01", "02", "03"].map(|v| {
            std::fs::read_to_string(dir.join(&out).join(format!("scores/{v}.mp4.csv"))).unwrap()
        });
        tables.map(|csv| columns(&csv, &names)).concat()
    };
    let plain = scores(&["--kernels", "plain"]);
    assert!(plain.len() > 200);
    // What this processor lacks is refused; portable is everywhere.
    let has = |set: &str| {
        let doctor: serde_json::Value =
            serde_json::from_str(&stdout(msn(&dir).args(["doctor", "--json"]))).unwrap();
        let sets = doctor["instruction_sets"].as_array().unwrap();
        sets.iter().any(|s| s == set)
    };
    let mut ways = vec![
        vec!["--kernels", "direct"],
        vec!["--kernels", "fast"],
        vec!["--isa", "portable"],
    ];
    if has("avx2") {
        ways.push(vec!["--isa", "avx2"]);
    }
    for kernels in &ways {
        for (ours, plain) in scores(kernels).iter().zip(&plain) {
            for ((name, tolerance), (a, b)) in names
                .iter()
                .zip([0.01, 1e-3, 1e-3])
                .zip(ours.iter().zip(plain))
            {
                assert!(
                    (a - b).abs() <= tolerance,
                    "{kernels:?}: {name} is {a}, not {b}"
                );
            }
        }
    }

    // bf16 rounds, which is seen, but little: portable code has it on every processor.
    let half = scores(&["--isa", "portable", "--precision", "bf16"]);
    let differences: Vec<f64> = half
        .iter()
        .zip(&plain)
        .map(|(a, b)| (a[0] - b[0]).abs())
        .collect();
    let largest = differences.iter().fold(0.0_f64, |a, b| a.max(*b));
    assert!((1e-4..1.0).contains(&largest), "{largest} dB");

    // What can't be had is refused in a sentence.
    let video = "scene/test/01.mp4";
    let mut refused = vec![
        (vec!["--precision", "f16"], "f32 or bf16"),
        (vec!["--isa", "avx9"], "portable"),
        (
            vec!["--kernels", "plain", "--precision", "bf16"],
            "--kernels plain",
        ),
        (
            vec!["--kernels", "plain", "--isa", "portable"],
            "--kernels plain",
        ),
    ];
    if has("avx2") {
        refused.push((vec!["--isa", "avx2", "--precision", "bf16"], "AVX-512 BF16"));
    }
    for (arguments, named) in refused {
        let output = msn(&dir)
            .args(["score", "run", video])
            .args(&arguments)
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(named), "{arguments:?}: {errors}");
    }
}

/// The table that waits in a file is the one that `msn eval` has in memory, and leaves nothing else.
#[test]
fn a_score_table_is_written_whole_and_leaves_nothing_behind() {
    let (_guard, dir) = temporary();
    let size = ["--train", "4", "--test", "2", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    stdout(msn(&dir).args(["train", "scene", "--out", "run", "epochs=1"]));
    let sources = ["scene/test/01.mp4", "scene/test/02.mp4"];
    let before = dir.read_dir_utf8().unwrap().count();
    let out = ["--out", "new/folder/scores.csv"];
    stdout(msn(&dir).args(["score", "run"]).args(sources).args(out));
    let table = std::fs::read_to_string(dir.join(out[1])).unwrap();
    assert_eq!(
        table,
        stdout(msn(&dir).args(["score", "run"]).args(sources))
    );
    let evaluated = ["01", "02"]
        .map(|v| std::fs::read_to_string(dir.join(format!("run/scores/{v}.mp4.csv"))).unwrap());
    let rows = |csv: &str| csv.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&table), evaluated.map(|csv| rows(&csv)).concat());
    assert_eq!(dir.join("new/folder").read_dir_utf8().unwrap().count(), 1);
    assert_eq!(dir.read_dir_utf8().unwrap().count(), before + 1);

    // Without a score there is no file.
    let failing = msn(&dir)
        .args(["score", "run", "nothing.mp4", "--out", "none/scores.csv"])
        .output()
        .unwrap();
    assert_eq!(failing.status.code(), Some(1));
    assert!(!dir.join("none").exists());
}
