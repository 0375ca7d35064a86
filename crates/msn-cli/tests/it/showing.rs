//! What a run shows: its memory, and its test videos with heat and alarms.

use camino::Utf8Path;
use serde_json::Value;

use crate::{msn, stdout, temporary};

fn trained(dir: &Utf8Path, more: &[&str]) {
    let size = ["--train", "5", "--test", "2", "--seconds", "10"];
    stdout(msn(dir).args(["data", "synth", "scene"]).args(size));
    let quick = ["train", "scene", "--out", "run", "width=4", "epochs=1"];
    stdout(msn(dir).args(quick).args(more));
}

fn refused(dir: &Utf8Path, args: &[&str], code: i32, parts: &[&str]) {
    let output = msn(dir).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    for part in parts {
        assert!(errors.contains(part), "no `{part}` in {errors}");
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_memory_shows_what_it_has_learned() {
    let (_guard, dir) = temporary();
    trained(&dir, &["size=32", "pools=1,3", "items=6"]);
    let read = |path: &str| std::fs::read_to_string(dir.join(path)).unwrap();

    let text = stdout(msn(&dir).args(["memory", "show", "run", "--html", "memory.html"]));
    for part in [
        "pool 1: 6 items",
        "pool 3: 6 items",
        "largest cosine",
        "frame",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    // A line an item, and the numbers of both pools.
    let items = text
        .lines()
        .filter(|l| l.contains(" % ") && l.contains(" to "));
    assert_eq!(items.count(), 12, "{text}");

    let page = read("memory.html");
    assert_eq!(page.matches("class=\"item\"").count(), 12);
    assert!(page.contains("data:image/png;base64,") && !page.contains("http"));
    assert!(page.contains("msn memory show run --html memory.html"));

    let shown = [
        "memory",
        "show",
        "run",
        "--json",
        "--clips",
        "40",
        "--patches",
        "2",
    ];
    let card = json(&stdout(msn(&dir).args(shown)));
    assert_eq!(card["surveyed"], 40);
    let run = json(&read("run/run.json"));
    let held: Vec<&Value> = run["data"]["calibration_split"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    for pool in card["pools"].as_array().unwrap() {
        let items = pool["items"].as_array().unwrap();
        let usage: f64 = items.iter().map(|i| i["usage"].as_f64().unwrap()).sum();
        assert!((usage - 1.0).abs() < 1e-9, "{usage}");
        for (i, item) in items.iter().enumerate() {
            assert!((item["cosines"][i].as_f64().unwrap() - 1.0).abs() < 1e-5);
            let patches = item["patches"].as_array().unwrap();
            assert!((1..=2).contains(&patches.len()));
            // Training footage alone.
            assert!(
                patches.iter().all(|p| !held.contains(&&p["video"])),
                "{patches:?}"
            );
        }
    }

    let bare = "run/weights/last.safetensors";
    refused(
        &dir,
        &["memory", "show", bare],
        2,
        &[bare, "name the data set folder"],
    );
    refused(&dir, &["memory", "show", bare, "nowhere"], 1, &["nowhere"]);
    let over = ["memory", "show", "run", "--html", bare];
    refused(&dir, &over, 2, &["write over the input"]);

    // The run keeps it for its reports; where it is gone, it is asked anew.
    assert!(read("run/report.html").contains("What the memory has learned"));
    let kept = read("run/memory.json");
    std::fs::remove_file(dir.join("run/memory.json")).unwrap();
    stdout(msn(&dir).args(["eval", "run", "--out", "again"]));
    let section = |page: String| {
        let from = page.find("What the memory has learned").unwrap();
        let end = page[from..].find("<h2>Command").unwrap();
        page[from..from + end].to_owned()
    };
    assert_eq!(
        section(read("again/report.html")),
        section(read("run/report.html"))
    );
    assert_eq!(json(&kept)["surveyed"], 120);
}

#[test]
fn what_a_memory_can_not_show_is_said() {
    let (_guard, dir) = temporary();
    trained(&dir, &["size=32", "pools=none"]);
    let bare = "run/weights/last.safetensors";
    refused(
        &dir,
        &["memory", "show", "run"],
        1,
        &["has no pools", "pools=1,2,3"],
    );
    // Known before the footage is looked for.
    refused(
        &dir,
        &["memory", "show", bare, "nowhere"],
        1,
        &["has no pools"],
    );
    assert!(!dir.join("run/memory.json").exists());
    let report = std::fs::read_to_string(dir.join("run/report.html")).unwrap();
    assert!(!report.contains("What the memory has learned"));
}

#[test]
fn test_videos_are_written_with_heat_and_alarms() {
    let (_guard, dir) = temporary();
    trained(&dir, &["size=32", "pools=3"]);
    let args = ["eval", "run", "--out", "out", "--overlay", "videos"];
    if !cfg!(feature = "ffmpeg") {
        refused(&dir, &args, 2, &["--overlay", "feature `ffmpeg`"]);
        return;
    }
    stdout(msn(&dir).args(args));
    let mut names: Vec<_> = dir.join("videos").read_dir_utf8().unwrap().collect();
    names.sort_by_key(|e| e.as_ref().unwrap().path().to_owned());
    assert_eq!(names.len(), 2);
    let options = msn_video::Options {
        size: None,
        color: msn_video::Color::Rgb,
        threads: 0,
        ..msn_video::Options::default()
    };
    let reader = msn_video::open(&dir.join("videos/01.mp4"), &options).unwrap();
    let frames: Vec<_> = reader
        .map(|item| match item.unwrap() {
            msn_video::Item::Frame(frame) => frame.picture,
            msn_video::Item::Lost(lost) => panic!("{lost:?}"),
        })
        .collect();
    let scores = std::fs::read_to_string(dir.join("out/scores/01.mp4.csv")).unwrap();
    // Every frame of the clip, the first four without a score.
    assert_eq!(frames.len(), scores.lines().count() - 1 + 4);
    // The curve's line moves on from frame to frame: some bright column in each.
    let playhead = |picture: &msn_video::Picture| {
        let [width, height] =
            [picture.size.width, picture.size.height].map(|v| usize::try_from(v).unwrap());
        let bright = |x: usize| {
            let rows = height - 80..height - 12;
            let sum: usize = rows
                .clone()
                .map(|y| usize::from(picture.pixels[(y * width + x) * 3 + 1]))
                .sum();
            sum / rows.len()
        };
        (0..width).max_by_key(|&x| bright(x)).unwrap()
    };
    let places: Vec<usize> = [10, 40, 80].map(|i| playhead(&frames[i])).to_vec();
    assert!(places.is_sorted_by(|a, b| a + 40 < *b), "{places:?}");

    // Nothing to draw without a calibration, and no source is written over.
    let bare = [
        "weights",
        "import",
        "run/weights/last.safetensors",
        "--out",
        "b.safetensors",
        "size=32",
    ];
    stdout(msn(&dir).args(bare));
    let uncalibrated = ["eval", "b.safetensors", "scene", "--overlay", "v"];
    refused(
        &dir,
        &uncalibrated,
        1,
        &["b.safetensors", "weights calibrate"],
    );
    let over = ["eval", "run", "--overlay", "scene/test"];
    refused(&dir, &over, 2, &["scene/test/01.mp4", "another folder"]);
}
