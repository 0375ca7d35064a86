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
    let scores = |kernels: &str| {
        let out = format!("scores-{kernels}");
        stdout(msn(&dir).args(["eval", "run", "--kernels", kernels, "--out", &out]));
        let tables = ["01", "02", "03"].map(|v| {
            std::fs::read_to_string(dir.join(&out).join(format!("scores/{v}.mp4.csv"))).unwrap()
        });
        tables.map(|csv| columns(&csv, &names)).concat()
    };
    let plain = scores("plain");
    assert!(plain.len() > 200);
    for kernels in ["direct", "fast"] {
        for (ours, plain) in scores(kernels).iter().zip(&plain) {
            for ((name, tolerance), (a, b)) in names
                .iter()
                .zip([0.01, 1e-3, 1e-3])
                .zip(ours.iter().zip(plain))
            {
                assert!(
                    (a - b).abs() <= tolerance,
                    "{kernels}: {name} is {a}, not {b}"
                );
            }
        }
    }
}
