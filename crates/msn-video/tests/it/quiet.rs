//! Nothing of FFmpeg's own reaches the terminal.

use std::process::Command;

use msn_video::{Options, open};

use crate::scene;

const PLACE: &str = "MSN_VIDEO_TEST_BROKEN_FILE";

/// Run by the test below in a process of its own.
#[test]
#[ignore = "a part of ffmpeg_writes_nothing_to_stderr"]
fn reads_a_broken_file() {
    let path = std::env::var(PLACE).expect("run by another test");
    if let Ok(reader) = open(camino::Utf8Path::new(&path), &Options::default()) {
        assert!(reader.count() > 0);
    }
}

#[test]
fn ffmpeg_writes_nothing_to_stderr() {
    let (_keep, folder) = scene::folder();
    let path = folder.join("v.avi");
    scene::video(&path, msn_video::Size::new(64, 48), 30);
    let mut bytes = std::fs::read(&path).unwrap();
    let length = bytes.len();
    for i in (length / 4..length).step_by(37) {
        bytes[i] ^= 0x55;
    }
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "quiet::reads_a_broken_file",
            "--nocapture",
        ])
        .env(PLACE, &path)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stdout.contains("1 passed"), "{stdout}{stderr}");
    assert_eq!(stderr, "");
}
