//! Real samples, where they are at hand.

use camino::Utf8PathBuf;
use msn_data::{Color, DataSet, LoadOptions, OpenOptions, Size, clips, load_all, segments};

/// The folder of real samples, or a line that says that it is missing.
fn data(name: &str) -> Option<Utf8PathBuf> {
    let folder = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if !folder.exists() {
        eprintln!("skipped: no real data at {folder}");
        return None;
    }
    Some(folder)
}

#[test]
fn ped2_has_its_known_counts() {
    let Some(root) = data("ped2") else { return };
    let set = DataSet::open(&root, &OpenOptions::default()).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (16, 12));
    let labels = set.labels.as_ref().unwrap();
    assert_eq!(labels.anomalous, Some(1648));
    let options = LoadOptions {
        size: Size {
            width: 32,
            height: 24,
        },
        color: Color::Grey,
    };
    let train = load_all(&set.train, &options).unwrap();
    let frames: usize = train.iter().map(|v| v.frames()).sum();
    assert_eq!(frames, 2550);
    let test = load_all(&set.test, &options).unwrap();
    let mut anomalous = 0;
    for (video, loaded) in set.test.iter().zip(&test) {
        let labels = video.labels.as_ref().unwrap().resolve(loaded).unwrap();
        assert_eq!(labels.anomalous.len(), loaded.frames());
        anomalous += labels.count();
    }
    assert_eq!(anomalous, 1648);
    assert_eq!(clips(&segments(&test), 4, 1).len(), 2010 - 12 * 4);
}
