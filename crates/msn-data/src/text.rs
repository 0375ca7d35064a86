//! Text files as people and their programs leave them: any line ends, UTF-8 or UTF-16.

use camino::Utf8Path;

use crate::{DataError, LabelError};

/// Reads a text of labels.
pub(crate) fn read_text(path: &Utf8Path) -> Result<String, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    decode(&bytes).map_err(|e| DataError::label(path, e))
}

/// The text in a file's bytes, with `\n` at the end of each line: UTF-8, with or without its mark,
/// or UTF-16, as Windows' PowerShell and Excel write it.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, LabelError> {
    let utf16 = |bytes: &[u8], number: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let numbers = pairs.iter().map(|&pair| number(pair));
        let text: Option<String> = char::decode_utf16(numbers).map(Result::ok).collect();
        text.filter(|_| rest.is_empty()).ok_or(LabelError::NotText)
    };
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        // Without its mark: every other byte of what is ASCII is zero.
        [1..=0x7F, 0, 1..=0x7F, 0, ..] => utf16(bytes, u16::from_le_bytes)?,
        [0, 1..=0x7F, 0, 1..=0x7F, ..] => utf16(bytes, u16::from_be_bytes)?,
        _ => {
            if let Some(kind) = binary(bytes) {
                return Err(LabelError::OtherKind(kind));
            }
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            String::from_utf8(bytes.to_vec()).map_err(|_| LabelError::NotText)?
        }
    };
    Ok(match text.contains('\r') {
        true => text.replace("\r\n", "\n").replace('\r', "\n"),
        false => text,
    })
}

/// The kind of a file that is no text, in words, where its beginning says so.
fn binary(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 6] = [
        (b"\x93NUMPY", "an array of NumPy: let its name end in .npy"),
        (
            b"PK\x03\x04",
            "a ZIP archive (.npz or .xlsx): let its name end in .npz, or save the sheet as CSV",
        ),
        (
            b"\x89HDF",
            "an HDF5 file (.mat of version 7.3, .h5): save it as .npy, or with -v7 from MATLAB",
        ),
        (b"MATLAB 5.0", "a MAT file: let its name end in .mat"),
        (b"\x1F\x8B", "compressed by gzip: unpack it first"),
        (b"\xD0\xCF\x11\xE0", "an old Excel sheet: save it as CSV"),
    ];
    let found = KINDS.iter().find(|(magic, _)| bytes.starts_with(magic))?;
    Some(found.1)
}

/// Numbers of lines by places in a text, which are asked for in rising order.
pub(crate) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            line: 1,
        }
    }

    /// The number, from 1, of the first line with anything on it at `byte` or after.
    pub fn from(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte)
            .unwrap_or(usize::MAX)
            .min(self.text.len());
        while self.at < byte || self.text.get(self.at) == Some(&b'\n') {
            self.line += u64::from(self.text[self.at] == b'\n');
            self.at += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_text_says_what_it_is() {
        for (bytes, part) in [
            (&b"\x93NUMPY\x01\0"[..], "NumPy"),
            (b"PK\x03\x04\x14", "ZIP"),
            (b"video,\xFF\xFE", "no text"),
            (b"\xFF\xFEv\0i", "no text"),
        ] {
            let error = decode(bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(decode(b"").unwrap(), "");
    }

    proptest! {
        #[test]
        fn every_encoding_reads_as_the_same_text(
            text in "[ -~é€😀]{2}[ -~é€😀\n]{0,40}", windows in any::<bool>(), mark in any::<bool>(),
        ) {
            let written = match windows {
                true => text.replace('\n', "\r\n"),
                false => text.clone(),
            };
            let marked = format!("{}{written}", if mark { "\u{feff}" } else { "" });
            prop_assume!(binary(written.as_bytes()).is_none());
            prop_assert_eq!(&decode(marked.as_bytes()).unwrap(), &text);
            // Without a mark it must begin with ASCII to be recognised.
            if mark || text.chars().take(2).all(|c| c.is_ascii()) {
                let little: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
                prop_assert_eq!(&decode(&little).unwrap(), &text);
                let big: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
                prop_assert_eq!(&decode(&big).unwrap(), &text);
            }
        }

        #[test]
        fn lines_are_counted(lines in proptest::collection::vec("[a-z]{0,3}", 1..12)) {
            let text = lines.join("\n");
            let mut numbers = Lines::new(&text);
            let mut byte = 0;
            for (index, line) in lines.iter().enumerate() {
                if !line.is_empty() {
                    prop_assert_eq!(numbers.from(byte), index as u64 + 1);
                }
                byte += line.len() as u64 + 1;
            }
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes);
        }
    }
}
