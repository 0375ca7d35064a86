//! Reading ahead changes nothing but the time.

use msn_video::{Color, Item, Options, Size, open, open_ahead};

use crate::scene::{folder, picture};

#[test]
fn a_reader_ahead_gives_what_a_reader_gives() {
    let (_guard, folder) = folder();
    for index in 0..20 {
        let picture = picture(Size::new(48, 32), Color::Grey, index);
        let path = folder.join(format!("{index:03}.png"));
        image::GrayImage::from_raw(48, 32, picture.pixels)
            .unwrap()
            .save(path)
            .unwrap();
    }
    std::fs::write(folder.join("007.png"), "no picture").unwrap();
    let options = Options {
        size: Some(Size::new(16, 16)),
        color: Color::Grey,
        threads: 1,
        ..Options::default()
    };
    let mut reader = open(&folder, &options).unwrap();
    let expected: Vec<Item> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(expected.len(), 20);
    for frames in [0, 1, 3, 100] {
        let mut ahead = open_ahead(&folder, &options, None, frames).unwrap();
        assert_eq!(ahead.info().frames, reader.info().frames);
        let items: Vec<Item> = ahead.by_ref().map(Result::unwrap).collect();
        assert_eq!(items, expected, "{frames} frames ahead");
        assert!(ahead.next().is_none());
        assert_eq!(
            (ahead.info(), ahead.decode_errors()),
            (reader.info(), reader.decode_errors())
        );
    }
    // Whoever stops early does not wait for the rest.
    let mut ahead = open_ahead(&folder, &options, None, 1).unwrap();
    assert!(ahead.next().is_some());
    drop(ahead);
}

#[test]
fn what_cannot_be_opened_is_the_same_error() {
    let (_guard, folder) = folder();
    let options = Options::default();
    let missing = folder.join("missing");
    let [plain, ahead] = [
        open(&missing, &options).unwrap_err().to_string(),
        open_ahead(&missing, &options, None, 4)
            .unwrap_err()
            .to_string(),
    ];
    assert_eq!(plain, ahead);
}
