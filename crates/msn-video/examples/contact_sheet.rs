//! Makes a contact sheet of a video or frame folder: twelve small frames, evenly spread in time,
//! as one PNG.
//!
//! `cargo run -p msn-video --example contact_sheet -- VIDEO SHEET.png`; without arguments it draws
//! a folder of frames and makes a sheet of that.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;

use camino::Utf8PathBuf;
use image::RgbImage;
use image::imageops::replace;
use msn_video::{Color, Item, Options, Size, open};

const COLUMNS: u32 = 4;
const ROWS: u32 = 3;
const TILE: Size = Size::new(160, 120);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(Utf8PathBuf::from);
    let (video, sheet) = match (arguments.next(), arguments.next()) {
        (Some(video), Some(sheet)) => (video, sheet),
        (None, _) => draw()?,
        _ => return Err("usage: contact_sheet VIDEO SHEET.png".into()),
    };
    let options = Options {
        size: Some(TILE),
        color: Color::Rgb,
        threads: 0,
        ..Options::default()
    };
    let mut reader = open(&video, &options)?;
    let wanted = usize::try_from(COLUMNS * ROWS)?;
    let every = reader
        .info()
        .frames
        .unwrap_or(wanted)
        .div_ceil(wanted)
        .max(1);

    let mut out = RgbImage::new(COLUMNS * TILE.width, ROWS * TILE.height);
    let mut tile = 0;
    for item in reader.by_ref() {
        match item? {
            Item::Frame(frame) if frame.index % every == 0 && tile < COLUMNS * ROWS => {
                let picture = RgbImage::from_raw(TILE.width, TILE.height, frame.picture.pixels)
                    .ok_or("a frame of the wrong size")?;
                let (x, y) = (tile % COLUMNS * TILE.width, tile / COLUMNS * TILE.height);
                replace(&mut out, &picture, x.into(), y.into());
                tile += 1;
            }
            Item::Frame(_) => {}
            Item::Lost(lost) => eprintln!("frame {} is lost: {}", lost.index, lost.reason),
        }
    }
    out.save(&sheet)?;
    println!(
        "{tile} frames of {video} in {sheet}; {}",
        reader.decode_errors()
    );
    for note in &reader.info().notes {
        println!("note: {note}");
    }
    Ok(())
}

/// A folder of frames in which a square moves, and where its sheet goes.
fn draw() -> Result<(Utf8PathBuf, Utf8PathBuf), Box<dyn Error>> {
    let folder = Utf8PathBuf::from("contact-sheet-frames");
    std::fs::create_dir_all(&folder)?;
    for i in 0..36u32 {
        let inside = |x: u32, y: u32| (3 * i..3 * i + 20).contains(&x) && (40..60).contains(&y);
        let pixel = |x, y| image::Luma([if inside(x, y) { 230 } else { 60 }]);
        image::GrayImage::from_fn(160, 120, pixel).save(folder.join(format!("{i:03}.png")))?;
    }
    Ok((folder, "contact-sheet.png".into()))
}
