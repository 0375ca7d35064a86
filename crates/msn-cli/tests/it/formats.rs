//! docs/formats.md is the schema of what the program writes.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde_json::Value;

use crate::{msn, stdout, temporary};

/// Fields or columns with their types, by the name of their table.
struct Schema(BTreeMap<String, Vec<(String, String)>>);

impl Schema {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats.md");
        let text = std::fs::read_to_string(path).unwrap();
        let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut heading = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("### ").or(line.strip_prefix("## ")) {
                heading = name.to_owned();
            } else if let Some(row) = line.strip_prefix("| `") {
                let (name, rest) = row.split_once("` |").unwrap();
                let kind = rest.split('|').next().unwrap().trim().to_owned();
                tables
                    .entry(heading.clone())
                    .or_default()
                    .push((name.to_owned(), kind));
            }
        }
        Self(tables)
    }

    fn table(&self, name: &str) -> &[(String, String)] {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no table {name}"))
    }

    /// Holds a JSON value to a type; `place` names it.
    fn check(&self, kind: &str, value: &Value, place: &str) {
        let kind = kind.trim_end_matches(" or absent");
        if let Some(kind) = kind.strip_suffix(" or null") {
            if !value.is_null() {
                self.check(kind, value, place);
            }
            return;
        }
        if let Some(of) = kind.strip_prefix("list of ") {
            let list = value
                .as_array()
                .unwrap_or_else(|| panic!("{place}: {value}"));
            for (i, value) in list.iter().enumerate() {
                self.check(of, value, &format!("{place}[{i}]"));
            }
            return;
        }
        if let Some(of) = kind.strip_prefix("map of ") {
            let map = value
                .as_object()
                .unwrap_or_else(|| panic!("{place}: {value}"));
            for (key, value) in map {
                self.check(of, value, &format!("{place}.{key}"));
            }
            return;
        }
        match kind {
            "any" => {}
            "text" => assert!(value.is_string(), "{place}: {value}"),
            "number" => assert!(value.is_number(), "{place}: {value}"),
            "whole" => assert!(value.is_u64(), "{place}: {value}"),
            "truth" => assert!(value.is_boolean(), "{place}: {value}"),
            name => {
                let object = value
                    .as_object()
                    .unwrap_or_else(|| panic!("{place}: {value}"));
                let table = self.table(name);
                for (key, value) in object {
                    let kind = table.iter().find(|(field, _)| field == key);
                    let (_, kind) =
                        kind.unwrap_or_else(|| panic!("{place}.{key} is not in the page"));
                    self.check(kind, value, &format!("{place}.{key}"));
                }
                for (field, kind) in table {
                    let there = object.contains_key(field) || kind.ends_with(" or absent");
                    assert!(there, "{place}.{field} is in the page alone");
                }
            }
        }
    }

    /// Holds a CSV file to the table of its name.
    fn check_csv(&self, name: &str, text: &str) {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let table = self.table(name);
        // `distance.2` is a `distance.P`.
        let documented = |column: &str| {
            let of_pool = column.rsplit_once('.').map(|(base, _)| format!("{base}.P"));
            let same = |field: &String| field == column || Some(field) == of_pool.as_ref();
            table.iter().position(|(field, _)| same(field))
        };
        let places: Vec<usize> = header
            .iter()
            .map(|column| documented(column).unwrap_or_else(|| panic!("{name}: column {column}")))
            .collect();
        for (i, (field, kind)) in table.iter().enumerate() {
            let there = places.contains(&i) || kind.ends_with(" or absent");
            assert!(there, "{name}: column {field} is in the page alone");
        }
        let mut rows = 0;
        for record in reader.records() {
            rows += 1;
            for (cell, &place) in record.unwrap().iter().zip(&places) {
                let (field, kind) = &table[place];
                let kind = kind.trim_end_matches(" or absent");
                let (kind, empty) = match kind.strip_suffix(" or null") {
                    Some(kind) => (kind, true),
                    None => (kind, false),
                };
                let fits = match kind {
                    _ if cell.is_empty() => empty,
                    "text" => true,
                    "whole" => cell.parse::<u64>().is_ok(),
                    "truth" => cell == "0" || cell == "1",
                    _ => cell.parse::<f64>().is_ok_and(f64::is_finite),
                };
                assert!(fits, "{name}: {field} is {cell:?}");
            }
        }
        assert!(rows > 0, "{name} has no row");
    }
}

fn read(dir: &Utf8Path, path: &str) -> String {
    std::fs::read_to_string(dir.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn what_is_written_is_what_the_page_says() {
    let (_guard, dir) = temporary();
    let schema = Schema::read();
    let synth = [
        "data", "synth", "scene", "--seed", "3", "--train", "4", "--test", "4",
    ];
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let printed = json(&stdout(msn(&dir).args(synth).args([
        "--seconds",
        "12",
        "--json",
    ])));
    assert_eq!(printed["format"], "msn-synth-1");
    assert!(printed["anomalies"][0]["kind"].is_string(), "{printed}");
    let train = [
        "train", "scene", "--preset", "tiny", "--out", "run", "epochs=1",
    ];
    let printed = json(&stdout(msn(&dir).args(train).arg("--json")));
    assert_eq!(printed["format"], "msn-trained-1");
    schema.check("eval.json", &printed["evaluation"], "train --json");
    for file in ["eval.json", "run.json", "calibration.json"] {
        schema.check(file, &json(&read(&dir, &format!("run/{file}"))), file);
    }
    for file in ["metrics.csv", "epochs.csv"] {
        schema.check_csv(file, &read(&dir, &format!("run/{file}")));
    }
    let scores = read(&dir, "run/scores/01.mp4.csv");
    schema.check_csv("scores.csv", &scores);
    assert!(
        scores.lines().nth(1).unwrap().starts_with("01.mp4,"),
        "{scores}"
    );
    schema.check_csv("events.csv", &read(&dir, "scene/events.csv"));
    for (file, table) in [("alarms.csv", "alarms.csv"), ("alarms.json", "alarms.json")] {
        let path = dir.join("run").join(file);
        match std::fs::read_to_string(path) {
            Ok(text) if file.ends_with(".csv") && text.lines().count() > 1 => {
                schema.check_csv(table, &text)
            }
            Ok(text) if file.ends_with(".json") => schema.check(table, &json(&text), file),
            _ => {}
        }
    }

    // A run's scores against labels in seconds give what its evaluation has.
    let own = json(&read(&dir, "run/eval.json"));
    let metrics = ["metrics", "run/scores", "scene/events.csv"];
    let several = ["--column", "fair,legacy", "--threshold", "3", "--json"];
    let found = json(&stdout(msn(&dir).args(metrics).args(several)));
    schema.check("metrics.json", &found, "metrics.json");
    for metric in ["micro_auc", "macro_auc_skip", "average_precision"] {
        assert_eq!(found[metric], own["fair"][metric], "{metric}");
    }
    assert_eq!(found["compared"][0]["name"], "legacy");
    assert!(found["events"]["labelled"].as_array().unwrap().len() >= 2);

    for (args, format) in [
        (&["data", "check", "scene", "--json"][..], "msn-check-1"),
        (&["data", "split", "scene", "--json"], "msn-split-1"),
        (
            &["train", "scene", "--out", "run", "--resume", "--json"],
            "msn-trained-1",
        ),
        (
            &["score", "run", "scene/test/01.mp4", "--json"],
            "msn-alarms-1",
        ),
        (&["runs", "run", "--json"], "msn-runs-1"),
        (&["doctor", "--json"], "msn-doctor-1"),
        (&["weights", "show", "run", "--json"], "msn-show-1"),
        (
            &["memory", "show", "run", "--json", "--clips", "8"],
            "msn-memory-2",
        ),
        (
            &[
                "weights",
                "import",
                "run/weights/last.safetensors",
                "--out",
                "again.safetensors",
                "--json",
                "size=64",
            ],
            "msn-import-1",
        ),
    ] {
        let printed = json(&stdout(msn(&dir).args(args)));
        assert_eq!(printed["format"], format, "{args:?}");
        assert!(
            read(
                Utf8Path::new(env!("CARGO_MANIFEST_DIR")),
                "../../docs/formats.md"
            )
            .contains(format)
        );
    }

    // The page's recipe runs as it stands, where pandas is.
    let page = read(
        Utf8Path::new(env!("CARGO_MANIFEST_DIR")),
        "../../docs/formats.md",
    );
    let recipe = page
        .split("```python\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert_eq!(recipe.lines().count(), 10);
    let python = std::env::var("MSN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = |code: &str| {
        let mut command = std::process::Command::new(&python);
        command.current_dir(&dir).args(["-c", code]).output()
    };
    if !run("import pandas").is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no Python with pandas for the recipe of docs/formats.md");
        return;
    }
    let output = run(recipe).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let labelled = json(&stdout(msn(&dir).args([
        "metrics",
        "labelled.csv",
        "--json",
    ])));
    assert_eq!(
        labelled["micro_auc"]["value"],
        own["fair"]["micro_auc"]["value"]
    );
    assert_eq!(labelled["by_video"][0]["name"], "01.mp4");
}
