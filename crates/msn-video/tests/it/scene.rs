//! Pictures and videos to test with: a bright square that wanders over a ramp.

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::{Color, Picture, Size};
use tempfile::TempDir;

/// A folder that goes away with the test, and its path.
pub fn folder() -> (TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(folder.path()).unwrap().to_owned();
    (folder, path)
}

/// Picture number `index` of the scene.
pub fn picture(size: Size, color: Color, index: usize) -> Picture {
    let at = |n: u32| usize::try_from(n).unwrap();
    let (width, height) = (at(size.width), at(size.height));
    let left = (index * 3) % width.max(1);
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let square = (left..left + width / 4 + 1).contains(&x) && y >= height / 2;
            let ramp = u8::try_from(40 + (x + y) * 100 / (width + height)).unwrap();
            match color {
                Color::Grey => pixels.push(if square { 220 } else { ramp }),
                Color::Rgb if square => pixels.extend([200, 80, 60]),
                Color::Rgb => pixels.extend([ramp, ramp, ramp + 20]),
            }
        }
    }
    Picture::new(size, color, pixels).unwrap()
}

/// Picture number `index` of the scene in grey, with a texture that is hard to compress.
#[cfg(feature = "ffmpeg")]
pub fn rough_picture(size: Size, index: usize) -> Picture {
    let mut picture = picture(size, Color::Grey, index);
    let mut state = u32::try_from(index).unwrap();
    for value in &mut picture.pixels {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value += state.to_be_bytes()[0] / 8;
    }
    picture
}

/// Mean distance of two pictures' values.
pub fn mean_distance(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.size, a.color), (b.size, b.color));
    let sum: u64 = a
        .pixels
        .iter()
        .zip(&b.pixels)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.pixels.len() as f64
}

/// Writes `frames` pictures of the scene at 10 Hz.
#[cfg(feature = "ffmpeg")]
pub fn video(path: &Utf8Path, size: Size, frames: usize) {
    video_of(
        path,
        size,
        (0..frames).map(|index| picture(size, Color::Grey, index)),
    );
}

/// Writes pictures at 10 Hz.
#[cfg(feature = "ffmpeg")]
pub fn video_of(path: &Utf8Path, size: Size, pictures: impl Iterator<Item = Picture>) {
    let mut writer = msn_video::VideoWriter::create(path, size, 10).unwrap();
    for picture in pictures {
        writer.write(&picture).unwrap();
    }
    writer.finish().unwrap();
}

/// The folder of real videos, or `None` with a line that says so.
#[cfg(feature = "ffmpeg")]
pub fn shared_videos() -> Option<Utf8PathBuf> {
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/video");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no real videos in {path}");
    None
}

/// The folder of files like those in public reports, or `None` with a line that says so.
pub fn reports() -> Option<Utf8PathBuf> {
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/reports");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no files of reports in {path}");
    None
}

/// True if a program of FFmpeg's is at hand, else a line that says so.
#[cfg(feature = "ffmpeg")]
pub fn has_program(name: &str) -> bool {
    let found = std::process::Command::new(name)
        .arg("-version")
        .output()
        .is_ok();
    if !found {
        eprintln!("skipped: no program {name}");
    }
    found
}
