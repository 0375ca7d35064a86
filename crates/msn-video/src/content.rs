//! What a file is by its first bytes, whatever its name ends in.

use std::fs::File;
use std::io::{self, Read};

use camino::Utf8Path;

/// Bytes that are looked at: enough for four packets of a transport stream.
const HEAD: u64 = 4096;
/// Bytes in which the second picture of a stream of JPEGs is looked for.
const SECOND_PICTURE: u64 = 1 << 20;

/// What a file is by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A video: a container or a raw stream.
    Video,
    /// A picture that is read as a frame: JPEG, PNG, TIFF, BMP.
    Picture,
    /// A picture of a kind that is not read as a frame, by its name.
    OtherPicture(&'static str),
    /// Anything else.
    Other,
}

impl Content {
    /// Looks at the first bytes of an ordinary file.
    ///
    /// # Errors
    /// The system's reason.
    pub fn of(path: &Utf8Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(HEAD).read_to_end(&mut head)?;
        let content = Self::of_bytes(&head);
        if content == Self::Picture && head.starts_with(JPEG) {
            Read::by_ref(&mut file)
                .take(SECOND_PICTURE)
                .read_to_end(&mut head)?;
            // A picture that begins where one ends: a stream of them.
            if head.windows(5).any(|w| w == [0xFF, 0xD9, 0xFF, 0xD8, 0xFF]) {
                return Ok(Self::Video);
            }
        }
        Ok(content)
    }

    /// What begins with these bytes: the first 4096 of a file are enough.
    #[must_use]
    pub fn of_bytes(head: &[u8]) -> Self {
        let brand = |at: usize| head.get(at..at + 4).unwrap_or_default();
        if head.starts_with(JPEG) || PICTURES.iter().any(|m| head.starts_with(m)) || is_bmp(head) {
            return Self::Picture;
        }
        if head.starts_with(b"RIFF") {
            return match brand(8) {
                b"AVI " | b"AVIX" => Self::Video,
                b"WEBP" => Self::OtherPicture("WebP"),
                _ => Self::Other,
            };
        }
        if BOXES.contains(&brand(4)) {
            return match brand(8) {
                b"avif" | b"avis" if brand(4) == b"ftyp" => Self::OtherPicture("AVIF"),
                b"heic" | b"heix" | b"mif1" | b"msf1" if brand(4) == b"ftyp" => {
                    Self::OtherPicture("HEIF")
                }
                b"M4A " | b"M4B " if brand(4) == b"ftyp" => Self::Other,
                _ => Self::Video,
            };
        }
        if let Some((_, name)) = OTHER_PICTURES.iter().find(|(m, _)| head.starts_with(m)) {
            return Self::OtherPicture(name);
        }
        if head.starts_with(b"OggS") {
            let has = |codec: &[u8]| head.windows(codec.len()).any(|w| w == codec);
            let video = [&b"\x80theora"[..], b"OVP80", b"BBCD\0", b"video\0\0\0"];
            return match video.into_iter().any(has) {
                true => Self::Video,
                false => Self::Other,
            };
        }
        let video = VIDEOS.iter().any(|magic| head.starts_with(magic));
        match video || is_transport_stream(head) || is_raw_stream(head) {
            true => Self::Video,
            false => Self::Other,
        }
    }
}

const JPEG: &[u8] = b"\xFF\xD8\xFF";
const PICTURES: [&[u8]; 5] = [b"\x89PNG\r\n\x1A\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
const OTHER_PICTURES: [(&[u8], &str); 7] = [
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0CjP  ", "JPEG 2000"),
    (b"\xFF\x4F\xFF\x51", "JPEG 2000"),
    (b"\0\0\0\x0CJXL ", "JPEG XL"),
    (b"P5\n", "PGM"),
    (b"P6\n", "PPM"),
];
/// The boxes that files of the MP4 and QuickTime family begin with.
const BOXES: [&[u8]; 10] = [
    b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"sidx",
];
const VIDEOS: [&[u8]; 15] = [
    b"\x1A\x45\xDF\xA3", // Matroska, WebM
    b"FLV\x01",
    b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", // ASF, WMV
    b"\x06\x0E\x2B\x34\x02\x05\x01\x01", // MXF
    b"DKIF\0\0",                         // IVF
    b"YUV4MPEG2 ",
    b"nut/multimedia container\0",
    b".RMF",
    b"\xB7\xD8\x00\x20\x37\x49\xDA\x11", // WTV
    b"DHAV",                             // recorders of Dahua
    b"IMKH",                             // recorders of Hikvision
    b"NSVf",
    b"\x1F\x07\x00",     // DV
    b"\x12\x00\x0A",     // AV1 in OBUs
    b"\0\0\0\0\x01\xBC", // GXF
];

/// A bitmap: two letters alone would be too little.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM")
        && head.get(6..10) == Some(&[0; 4])
        && matches!(head.get(14), Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// MPEG transport streams: a packet every 188 bytes, or every 192 or 204 with what recorders add.
fn is_transport_stream(head: &[u8]) -> bool {
    [188, 192, 204].into_iter().any(|packet| {
        (0..packet).any(|first| (0..4).all(|n| head.get(first + n * packet) == Some(&0x47)))
    })
}

/// Raw H.264, H.265, MPEG-4 and MPEG streams: a start code, and what a stream begins with.
fn is_raw_stream(head: &[u8]) -> bool {
    let zeros = head.iter().take_while(|&&b| b == 0).count();
    if !(2..=16).contains(&zeros) || head.get(zeros) != Some(&1) {
        return false;
    }
    match head.get(zeros + 1..zeros + 3) {
        // H.264: parameters, a delimiter, information.
        Some([0x27 | 0x47 | 0x67, profile]) => *profile >= 0x2C,
        Some([0x09, kind]) => kind & 0x1F == 0x10,
        Some([0x06, kind]) => *kind <= 0x2D,
        // H.265: parameters, a delimiter.
        Some([0x40 | 0x42 | 0x46 | 0x4E, 0x01]) => true,
        // MPEG-4, MPEG-1 and 2, program streams.
        Some([0xB0 | 0xB3 | 0xB5 | 0xB6 | 0xBA | 0xE0..=0xEF, _]) => true,
        Some([0x00..=0x01, next]) => *next == 0 || *next == 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beginnings_are_known() {
        let packets = |size: usize, first: usize| {
            let mut bytes = vec![0xAA; size * 5];
            bytes
                .iter_mut()
                .skip(first)
                .step_by(size)
                .for_each(|b| *b = 0x47);
            bytes
        };
        for (bytes, content) in [
            (&b"\0\0\0\x18ftypmp42"[..], Content::Video),
            (b"\0\0\0\x18ftypqt  ", Content::Video),
            (b"\0\0\0\x18ftypheic", Content::OtherPicture("HEIF")),
            (b"\0\0\0\x18ftypM4A ", Content::Other),
            (b"\0\0\x01\0moov....", Content::Video),
            (b"RIFF\0\0\0\0AVI LIST", Content::Video),
            (b"RIFF\0\0\0\0WAVEfmt ", Content::Other),
            (b"DHAV\xFD\x01", Content::Video),
            (b"\0\0\0\x01\x67\x64\x00\x1F", Content::Video),
            (b"\0\0\x01\x27\x42\x00", Content::Video),
            (b"\0\0\0\x01\x40\x01\x0C", Content::Video),
            (b"\0\0\x01\xBA\x44", Content::Video),
            (b"\x89PNG\r\n\x1A\n\0", Content::Picture),
            (b"\xFF\xD8\xFF\xE0", Content::Picture),
            (b"II*\0\x08", Content::Picture),
            (b"GIF89a", Content::OtherPicture("GIF")),
            (b"", Content::Other),
            (b"BMW is a car", Content::Other),
            (b"{\"01\": [0]}", Content::Other),
            (b"\x93NUMPY\x01\0", Content::Other),
            (b"video,start,end\n", Content::Other),
        ] {
            assert_eq!(Content::of_bytes(bytes), content, "{bytes:?}");
        }
        for (size, first) in [(188, 0), (188, 7), (192, 4), (204, 0)] {
            assert_eq!(Content::of_bytes(&packets(size, first)), Content::Video);
        }
        assert_eq!(Content::of_bytes(&packets(190, 0)), Content::Other);
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Content::of_bytes(&bytes);
        }

        #[test]
        fn text_is_no_footage(text in "[ -~\n]{0,200}") {
            prop_assume!(!VIDEOS.iter().any(|m| text.as_bytes().starts_with(m)));
            let content = Content::of_bytes(text.as_bytes());
            prop_assert!(!matches!(content, Content::Picture | Content::OtherPicture("HEIF")));
        }
    }
}
