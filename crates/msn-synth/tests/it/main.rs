//! The scene as a whole: bytes, files, labels.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use msn_data::{Color, DataSet, DatasetLayout, LoadOptions, LoadedVideo, OpenOptions};
use msn_synth::{
    AnomalyKind, ClipFormat, Plan, Renderer, Scene, Size, Summary, SynthError, SynthOptions, write,
};

fn small(seed: u64) -> SynthOptions {
    SynthOptions {
        seed,
        train_clips: 2,
        test_clips: 4,
        seconds: 12.0,
        rate_hz: 4,
        size: Size {
            width: 64,
            height: 48,
        },
        output: ClipFormat::Frames,
    }
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

fn make(root: &Utf8Path, options: &SynthOptions) -> Summary {
    write(root, options, &mut |_, _| ()).unwrap()
}

/// Every file under a folder with its bytes.
fn contents(folder: &Utf8Path) -> BTreeMap<Utf8PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let (_guard, root) = folder();
    for (name, seed) in [("a", 5), ("b", 5), ("c", 6)] {
        make(&root.join(name), &small(seed));
    }
    let [a, b, c] = ["a", "b", "c"].map(|name| contents(&root.join(name)));
    assert_eq!(a.len(), 6 * 48 + 2);
    assert!(a == b);
    let other = a
        .iter()
        .filter(|(name, bytes)| c.get(*name) != Some(bytes))
        .count();
    assert_eq!(other, a.len());
}

/// Scores on this data are compared over time, so that a seed has to keep its pictures.
#[test]
fn a_seed_keeps_its_pictures() {
    let mut hash = blake3::Hasher::new();
    let options = SynthOptions {
        size: Size {
            width: 160,
            height: 120,
        },
        ..SynthOptions::default()
    };
    let scene = Scene::new(options.seed, options.size);
    for clip in Plan::new(&options).test {
        for index in [0, 77, 150, 222] {
            hash.update(&Renderer::new(&scene, &clip).frame(index).pixels);
        }
    }
    assert_eq!(&hash.finalize().to_hex()[..16], "d852df8e5dd26f68");
}

#[test]
fn a_data_set_opens_with_its_labels() {
    let (_guard, root) = folder();
    let root = root.join("plaza");
    let summary = make(&root, &small(11));
    assert_eq!(
        (summary.train_clips, summary.test_clips, summary.frames),
        (2, 4, 6 * 48)
    );
    assert_opens(&root, &summary);
}

#[cfg(feature = "ffmpeg")]
#[test]
fn videos_open_with_their_labels_to_the_frame() {
    let (_guard, root) = folder();
    let root = root.join("plaza");
    // A rate whose frame times are no round decimals.
    let options = SynthOptions {
        output: ClipFormat::Videos,
        rate_hz: 7,
        ..small(12)
    };
    let summary = make(&root, &options);
    assert!(root.join("test/04.mp4").is_file());
    assert_opens(&root, &summary);
}

fn assert_opens(root: &Utf8Path, summary: &Summary) {
    let set = DataSet::open(root, &OpenOptions::default()).unwrap();
    assert_eq!(set.layout, DatasetLayout::Own);
    assert_eq!(set.warnings, Vec::<String>::new());
    assert_eq!(
        (set.train.len(), set.test.len()),
        (summary.train_clips, summary.test_clips)
    );
    let options = LoadOptions::new(Size::new(64, 48), Color::Grey);
    let mut read = Vec::new();
    for video in &set.test {
        let loaded = LoadedVideo::load(video, &options).unwrap();
        assert_eq!(loaded.lost, 0);
        assert_eq!(loaded.frames() * 6, summary.frames);
        let labels = video.labels.as_ref().unwrap().resolve(&loaded).unwrap();
        let file = video.source.file_name().unwrap().to_owned();
        for span in labels.spans {
            read.push((file.clone(), span.start, span.end, span.kind.unwrap()));
        }
    }
    let mut written: Vec<_> = summary
        .anomalies
        .iter()
        .map(|e| {
            (
                e.video.clone(),
                e.start_frame,
                e.end_frame,
                e.kind.to_string(),
            )
        })
        .collect();
    read.sort();
    written.sort();
    assert_eq!(read, written);
    for kind in AnomalyKind::ALL {
        assert!(
            written.iter().any(|(.., name)| *name == kind.to_string()),
            "no {kind}"
        );
    }
}

#[test]
fn anomalies_last_three_to_eight_seconds_after_a_normal_start() {
    for seed in 0..4 {
        let size = Size {
            width: 80,
            height: 60,
        };
        let options = SynthOptions {
            seed,
            size,
            ..SynthOptions::default()
        };
        let scene = Scene::new(seed, size);
        for clip in Plan::new(&options).test {
            let renderer = Renderer::new(&scene, &clip);
            let seen: Vec<_> = (0..clip.frames())
                .map(|i| renderer.shot(i).anomalies)
                .collect();
            assert!(seen[..20].iter().all(Vec::is_empty), "seed {seed}");
            for kind in clip.kinds() {
                let seconds =
                    seen.iter().filter(|kinds| kinds.contains(&kind)).count() as f64 / 10.0;
                assert!(
                    (3.0..=8.0).contains(&seconds),
                    "seed {seed}: {kind} for {seconds} s"
                );
            }
        }
    }
}

#[test]
fn a_former_scene_is_replaced_and_nothing_else() {
    let (_guard, parent) = folder();
    let root = parent.join("plaza");
    fs::create_dir(&root).unwrap();
    make(
        &root,
        &SynthOptions {
            train_clips: 3,
            ..small(1)
        },
    );
    assert!(root.join("train/03").exists());
    make(&root, &small(2));
    assert!(!root.join("train/03").exists());
    assert!(
        fs::read_to_string(root.join("synth.toml"))
            .unwrap()
            .contains("seed = \"2\"")
    );

    let before = contents(&root).len();
    fs::write(root.join("notes.txt"), "mine").unwrap();
    let error = write(&root, &small(3), &mut |_, _| ()).unwrap_err();
    assert!(
        matches!(&error, SynthError::NotOurs { found, .. } if found == "notes.txt"),
        "{error}"
    );
    assert_eq!(contents(&root).len(), before + 1);

    let footage = parent.join("footage");
    fs::create_dir_all(footage.join("train")).unwrap();
    let error = write(&footage, &small(3), &mut |_, _| ()).unwrap_err();
    assert!(matches!(error, SynthError::NotOurs { .. }), "{error}");

    let file = parent.join("file");
    fs::write(&file, "mine").unwrap();
    assert!(write(&file, &small(3), &mut |_, _| ()).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");

    let mut left: Vec<String> = parent
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["file", "footage", "plaza"]);
}

#[test]
fn progress_counts_every_clip() {
    let (_guard, root) = folder();
    let mut calls = Vec::new();
    let options = SynthOptions {
        train_clips: 1,
        test_clips: 2,
        rate_hz: 1,
        ..small(1)
    };
    write(&root.join("deep/plaza"), &options, &mut |done, of| {
        calls.push((done, of))
    })
    .unwrap();
    assert_eq!(calls, [(1, 3), (2, 3), (3, 3)]);
}

#[test]
fn options_outside_their_ranges_are_refused() {
    let (_guard, root) = folder();
    let size = |width, height| SynthOptions {
        size: Size { width, height },
        ..small(0)
    };
    for options in [
        SynthOptions {
            train_clips: 0,
            ..small(0)
        },
        SynthOptions {
            test_clips: 1000,
            ..small(0)
        },
        SynthOptions {
            seconds: 9.9,
            ..small(0)
        },
        SynthOptions {
            seconds: f64::NAN,
            ..small(0)
        },
        SynthOptions {
            rate_hz: 0,
            ..small(0)
        },
        size(0, 0),
        size(320, 100),
        size(321, 241),
        size(8000, 6000),
    ] {
        let error = write(&root.join("plaza"), &options, &mut |_, _| ()).unwrap_err();
        assert!(matches!(error, SynthError::OutOfRange { .. }), "{error}");
    }
    assert!(SynthOptions::default().check().is_ok());
    assert!(size(640, 360).check().is_ok());
}
