use std::io::Write;
use std::path::Path;

use msn_metrics::{MetricsError, TableScores, keep_common_frames, read_scores_csv};
use proptest::prelude::*;

fn read(text: &str, column: Option<&str>) -> Result<Vec<TableScores>, MetricsError> {
    let mut file = tempfile::Builder::new()
        .prefix("west")
        .suffix(".csv")
        .tempfile()
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
    read_scores_csv(file.path(), column)
}

fn refused(text: &str, column: Option<&str>) -> String {
    let error = read(text, column).unwrap_err();
    assert!(matches!(error, MetricsError::Table { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(".csv"), "{text}");
    text
}

fn scores(name: &str, frames: &[usize], scores: &[f64]) -> TableScores {
    TableScores {
        name: name.to_owned(),
        frames: frames.to_vec(),
        scores: scores.to_vec(),
        seconds: vec![None; frames.len()],
        labels: None,
    }
}

/// A table of reports, or a line that says that it is missing.
fn report(name: &str) -> Option<std::path::PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/reports")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: no real data at {}", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn tables_of_windows_are_read_and_arrays_are_named() {
    let Some(path) = report("10-utf16/scores.csv") else {
        return;
    };
    let read = read_scores_csv(&path, None).unwrap();
    assert_eq!((read[0].name.as_str(), read[0].frames[0]), ("01", 0));
    let array = path.with_file_name("scores.npy");
    let error = read_scores_csv(&array, None).unwrap_err().to_string();
    assert!(
        error.contains("an array of NumPy") && error.contains("scores.npy"),
        "{error}"
    );
}

#[test]
fn the_line_named_is_the_line() {
    let error = refused("score\r\n\r\n1\r\n\r\nx\r\n", None);
    assert!(error.contains("line 5"), "{error}");
    let error = refused("video,score\n\na,1\n\n\na\n", None);
    assert!(error.contains("line 6"), "{error}");
    let Some(path) = report("21-crlf-lines/scores.csv") else {
        return;
    };
    let error = read_scores_csv(&path, None).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
}

#[test]
fn our_own_tables() {
    let text = "video,frame,seconds,psnr,patch,legacy,fair\n./01,5,0.2,30,1,0.5,1.5\n./01,4,0.16,31,2,0.25,\n02,4,,32,3,0.75,-1e-3\n";
    let timed = |mut video: TableScores, seconds: &[Option<f64>]| {
        video.seconds = seconds.to_vec();
        video
    };
    let fair = [
        timed(scores("01", &[5], &[1.5]), &[Some(0.2)]),
        scores("02", &[4], &[-1e-3]),
    ];
    assert_eq!(read(text, Some("fair")).unwrap(), fair);
    // Without a word it is the anomaly score.
    assert_eq!(read(text, None).unwrap(), fair);
    assert_eq!(
        read(text, Some("legacy")).unwrap()[0],
        timed(
            scores("01", &[4, 5], &[0.25, 0.5]),
            &[Some(0.16), Some(0.2)]
        )
    );
    let error = refused(text, Some("score"));
    assert!(error.contains("no column score"), "{error}");
    // With alarms there are columns that are no score.
    let text = "video,frame,legacy,fair,smoothed,threshold,alarm,event\na,4,0,1.5,1,3,0,\n";
    assert_eq!(read(text, None).unwrap(), [scores("a", &[4], &[1.5])]);
}

#[test]
fn labels_stand_beside_scores_with_and_without_names() {
    for (text, column) in [
        ("video,frame,score,label\na,0,0.5,0\na,1,0.7,1\n", None),
        ("clip,frame_idx,mine,y_true\na,0,0.5,0\na,1,0.7,1.0\n", None),
        ("gt,video,score\nFalse,a,0.5\nTrue,a,0.7\n", None),
        ("a,0,0.5,0\na,1,0.7,1\n", None),
        ("a,0.5,0\na,0.7,1\n", None),
        ("0,0.5,0,a\n1,0.7,1,a\n", None),
        ("a,0,0.5,9.5,0\na,1,0.7,9.5,1\n", Some("3")),
    ] {
        let mut wanted = scores("a", &[0, 1], &[0.5, 0.7]);
        wanted.labels = Some(vec![false, true]);
        assert_eq!(read(text, column).unwrap(), [wanted], "{text}");
    }
    // Without a video, and with videos that are numbers.
    let two = read("0.5,0\n0.7,1\n", None).unwrap();
    assert_eq!(two[0].labels, Some(vec![false, true]));
    let two = read("7,0,0.5\n7,1,0.7\n8,0,0.1\n", None).unwrap();
    assert_eq!(
        two,
        [scores("7", &[0, 1], &[0.5, 0.7]), scores("8", &[0], &[0.1])]
    );
    let error = refused("video,score,label\na,1,0\na,2,3\n", None);
    assert!(
        error.contains("line 3") && error.contains("0 or 1"),
        "{error}"
    );
    for (text, column, part) in [
        ("a,0,0.5,9.5\na,1,0.7,9.5\n", None, "several"),
        ("a,0.5,9.5\n", None, "2 columns"),
        ("a,0.5,9.5\n", Some("4"), "1 to 3"),
    ] {
        let error = refused(text, column);
        assert!(
            error.contains(part) || error.contains("2 columns"),
            "{error}"
        );
    }
}

#[test]
fn text_of_another_encoding_is_read_or_named() {
    let wide: Vec<u8> = "\u{feff}frame,score\r\n0,0.5\r\n1,0.25\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("west.csv");
    std::fs::write(&path, wide).unwrap();
    let found = read_scores_csv(&path, None).unwrap();
    assert_eq!(found, [scores("west", &[0, 1], &[0.5, 0.25])]);
    for (bytes, part) in [
        (&b"\x93NUMPY\x01\x00"[..], "is an array of NumPy"),
        (b"PK\x03\x04", "is a ZIP archive"),
        (b"score\n\xff\n", "is no text"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = read_scores_csv(&path, None).unwrap_err().to_string();
        assert!(error.contains(&format!("west.csv: {part}")), "{error}");
    }
}

#[test]
fn other_peoples_tables() {
    let plain = [0.5, 0.25];
    for text in [
        "score\n0.5\n0.25\n",
        "0.5\n0.25",
        "\u{feff}frame,anomaly\r\n1, 0.25\r\n0, 0.5\r\n",
        "frame,other,Score\n0,9,0.5\n1.0,9,0.25\n",
    ] {
        let found = read(text, None).unwrap();
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].name.starts_with("west"), "{text}");
        assert_eq!(
            (found[0].scores.as_slice(), found[0].frames.as_slice()),
            (plain.as_slice(), [0, 1].as_slice()),
            "{text}"
        );
    }
    let several = read("video,score\nb,1\na,2\nb,3\n", None).unwrap();
    assert_eq!(
        several,
        [scores("b", &[0, 1], &[1.0, 3.0]), scores("a", &[0], &[2.0])]
    );
}

#[test]
fn a_column_called_score_wins_over_others() {
    let text = "frame,score,extra\n0,1,2\n";
    assert_eq!(read(text, None).unwrap()[0].scores, [1.0]);
    assert_eq!(read(text, Some("extra")).unwrap()[0].scores, [2.0]);
}

#[test]
fn what_is_wrong_is_named() {
    for (text, parts) in [
        ("", ["empty", "header"]),
        ("video,frame,score\n", ["no score", "row"]),
        ("video,frame,score\nw,0,\n", ["no score", "row"]),
        ("video,frame\nw,0\n", ["no score column", "score"]),
        (
            "video,frame,score\nw,0,1\nw,7,nan\n",
            ["line 3", "video w, frame 7"],
        ),
        ("video,frame,score\nw,0,inf\n", ["line 2", "frame 0"]),
        ("video,frame,score\nw,0,high\n", ["line 2", "\"high\""]),
        ("video,frame,score\nw,0\n", ["line 2", "2 fields"]),
        ("video,frame,score\nw,-1,1\n", ["line 2", "\"-1\""]),
        ("video,frame,score\nw,0.5,1\n", ["line 2", "\"0.5\""]),
        ("video,frame,a,b\nw,0,1,2\n", ["several", "a, b"]),
        (
            "video,frame,score\nw,4,1\nv,4,1\nw,4,2\n",
            ["line 4", "frame 4 twice"],
        ),
    ] {
        let error = refused(text, None);
        assert!(
            parts.iter().all(|part| error.contains(part)),
            "{text:?}: {error}"
        );
    }
    assert!(refused("1\n2\n", Some("fair")).contains("no header"));
    let missing = read_scores_csv(Path::new("no/such/table.csv"), None).unwrap_err();
    assert!(
        matches!(missing, MetricsError::Read { .. })
            && missing.to_string().contains("no/such/table.csv")
    );
}

#[test]
fn scores_meet_their_labels() {
    let west = scores("west", &[1, 3], &[0.5, 0.75]);
    let labelled = west.with_labels(&[false, true, false, false]).unwrap();
    assert_eq!(
        (labelled.labels, labelled.scores),
        (vec![true, false], vec![0.5, 0.75])
    );
    let error = west.with_labels(&[false; 3]).unwrap_err().to_string();
    assert!(
        error.contains("west") && error.contains("frame 3") && error.contains("3 frames"),
        "{error}"
    );
}

#[test]
fn settings_are_compared_on_the_frames_of_all() {
    let four = vec![
        scores("a", &[4, 5, 6], &[1.0, 2.0, 3.0]),
        scores("b", &[4], &[9.0]),
    ];
    let five = vec![
        scores("c", &[5], &[0.0]),
        scores("a", &[5, 6, 7], &[5.0, 6.0, 7.0]),
    ];
    let mut settings = [four, five];
    assert_eq!(keep_common_frames(&mut settings), [2, 2]);
    assert_eq!(settings[0], [scores("a", &[5, 6], &[2.0, 3.0])]);
    assert_eq!(settings[1], [scores("a", &[5, 6], &[5.0, 6.0])]);
}

proptest! {
    #[test]
    fn what_is_written_is_read(rows in proptest::collection::btree_map((0..4_u8, 0..50_usize), -1e9..1e9_f64, 1..60)) {
        let mut text = "video,frame,score\n".to_owned();
        // Backwards, so that the order of frames is the reader's doing.
        for ((video, frame), score) in rows.iter().rev() {
            text.push_str(&format!("v{video},{frame},{score}\n"));
        }
        let found = read(&text, None).unwrap();
        let flat: std::collections::BTreeMap<_, _> = found
            .iter()
            .flat_map(|v| v.frames.iter().zip(&v.scores).map(|(&f, &s)| ((v.name.clone(), f), s)))
            .collect();
        let expected = rows.iter().map(|(&(v, f), &s)| ((format!("v{v}"), f), s)).collect();
        prop_assert_eq!(flat, expected);
        prop_assert!(found.iter().all(|v| v.frames.is_sorted()));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9,.\"\n -]{0,80}") {
        let _ = read(&text, None);
    }
}
