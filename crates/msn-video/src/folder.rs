//! Folders of frames, one picture file each.

use std::cmp::Ordering;

use camino::{Utf8Path, Utf8PathBuf};

use crate::picture::Picture;
use crate::reader::Account;
use crate::still;
use crate::{Frame, Info, Item, Losses, Lost, Options, Resizer, SourceKind, VideoError};

/// Endings of frame files, compared without regard to case.
const FRAME_ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "tif", "tiff", "bmp"];

/// The frame files of a folder in natural order: numbers in names sort by value, so that
/// `frame2.jpg` precedes `frame10.jpg`.
///
/// Files ending in .jpg, .jpeg, .png, .tif, .tiff or .bmp in any case. Hidden files (`._x.jpg`
/// of macOS among them), other files (`Thumbs.db`) and folders are passed over.
///
/// # Errors
/// [`VideoError::Unreadable`] with the system's reason, [`VideoError::NoFrames`] where no file
/// is left.
pub fn frame_files(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, VideoError> {
    let unreadable = |reason| VideoError::Unreadable {
        path: folder.to_owned(),
        reason,
    };
    let mut files = Vec::new();
    let mut others = 0;
    for entry in folder.read_dir_utf8().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.into_path();
        // A folder named like a frame is no frame; a link to a file is one.
        if is_frame_file(&path) && !path.is_dir() {
            files.push(path);
        } else {
            others += 1;
        }
    }
    if files.is_empty() {
        return Err(VideoError::NoFrames {
            folder: folder.to_owned(),
            others,
        });
    }
    files.sort_by(|a, b| natural_order(name(a), name(b)));
    Ok(files)
}

/// True for a name that a frame file has.
pub(crate) fn is_frame_file(path: &Utf8Path) -> bool {
    !name(path).starts_with('.')
        && path.extension().is_some_and(|e| {
            FRAME_ENDINGS
                .iter()
                .any(|ending| e.eq_ignore_ascii_case(ending))
        })
}

fn name(path: &Utf8Path) -> &str {
    path.file_name().unwrap_or_default()
}

/// Compares runs of ASCII digits by value, all else by character; equal values by their text,
/// so that the order is total.
pub(crate) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (digits_a, digits_b) = (leading_digits(left), leading_digits(right));
        if !digits_a.is_empty() && !digits_b.is_empty() {
            let (value_a, value_b) = (
                digits_a.trim_start_matches('0'),
                digits_b.trim_start_matches('0'),
            );
            let order = value_a
                .len()
                .cmp(&value_b.len())
                .then_with(|| value_a.cmp(value_b));
            if order.is_ne() {
                return order;
            }
            left = &left[digits_a.len()..];
            right = &right[digits_b.len()..];
            continue;
        }
        let (mut chars_a, mut chars_b) = (left.chars(), right.chars());
        match (chars_a.next(), chars_b.next()) {
            (None, None) => return a.cmp(b),
            (x, y) if x != y => return x.cmp(&y),
            _ => (left, right) = (chars_a.as_str(), chars_b.as_str()),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    &text[..end]
}

/// The number that a name ends in, before its ending.
fn trailing_number(path: &Utf8Path) -> Option<u64> {
    let stem = path.file_stem()?;
    let start = stem.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |i| {
        i + stem[i..].chars().next().map_or(1, char::len_utf8)
    });
    stem[start..].parse().ok()
}

/// Reads a folder's frames in order.
#[derive(Debug)]
pub(crate) struct FolderSource {
    files: Vec<Utf8PathBuf>,
    next: usize,
    options: Options,
    resizer: Option<Resizer>,
    first_size: Option<crate::Size>,
}

impl FolderSource {
    pub(crate) fn open(
        folder: &Utf8Path,
        options: &Options,
    ) -> Result<(Account, Self), VideoError> {
        if let Some(rate_hz) = options.folder_hz
            && !(rate_hz > 0.0 && rate_hz <= 1000.0)
        {
            return Err(VideoError::BadRate {
                rate_hz,
                range: "above 0 and up to 1000",
            });
        }
        let files = frame_files(folder)?;
        let mut info = Info {
            source: folder.to_owned(),
            kind: SourceKind::Folder,
            size: crate::Size::new(0, 0),
            rate_hz: options.folder_hz,
            frames: Some(files.len()),
            codec: None,
            start_seconds: None,
            notes: Vec::new(),
        };
        note_numbering(&files, &mut info);
        let source = Self {
            files,
            next: 0,
            options: *options,
            resizer: None,
            first_size: None,
        };
        Ok((
            Account {
                info,
                losses: Losses::default(),
            },
            source,
        ))
    }

    /// Goes to the file at place `index`.
    pub(crate) fn seek(&mut self, index: usize) {
        self.next = index;
    }

    pub(crate) fn next(&mut self, account: &mut Account) -> Result<Option<Item>, VideoError> {
        let index = self.next;
        let Some(path) = self.files.get(index) else {
            return Ok(None);
        };
        self.next += 1;
        match still::read(path, self.options.color) {
            Ok(still) => {
                if still.alpha {
                    account.info.note("transparency is ignored");
                }
                let picture = self.fit(still.picture, account)?;
                let place = f64::from(u32::try_from(index).unwrap_or(u32::MAX));
                let seconds = self.options.folder_hz.map(|hz| place / hz);
                Ok(Some(Item::Frame(Frame {
                    index,
                    source_index: index,
                    seconds,
                    source_seconds: seconds,
                    picture,
                })))
            }
            Err(reason) => {
                let reason = format!("{path}: {reason}");
                account.losses.frames += 1;
                account.losses.bytes += std::fs::metadata(path).map_or(0, |m| m.len());
                account.losses.reason(reason.clone());
                Ok(Some(Item::Lost(Lost { index, reason })))
            }
        }
    }

    fn fit(&mut self, picture: Picture, account: &mut Account) -> Result<Picture, VideoError> {
        let first = *self.first_size.get_or_insert_with(|| {
            account.info.size = picture.size;
            picture.size
        });
        if picture.size != first {
            account.info.note_sizes(first);
        }
        let target = self.options.size.unwrap_or(first);
        if picture.size == target {
            return Ok(picture);
        }
        let color = self.options.color;
        self.resizer
            .get_or_insert_with(|| Resizer::new(target, color))
            .resize(&picture)
    }
}

/// Frames count by their place; a hole in the numbers is worth a note.
fn note_numbering(files: &[Utf8PathBuf], info: &mut Info) {
    let mut holes: u64 = 0;
    let mut example = None;
    let mut twice = None;
    for pair in files.windows(2) {
        let [a, b] = pair else { continue };
        let (Some(x), Some(y)) = (trailing_number(a), trailing_number(b)) else {
            continue;
        };
        if y > x.saturating_add(1) {
            holes = holes.saturating_add(y - x - 1);
            example.get_or_insert((a, b));
        } else if x == y {
            twice.get_or_insert((a, b));
        }
    }
    if let Some((a, b)) = example {
        info.note(format!(
            "{holes} numbers are missing, first between {} and {}: frames count by their place",
            name(a),
            name(b)
        ));
    }
    if let Some((a, b)) = twice {
        info.note(format!(
            "{} and {} have one number: both count",
            name(a),
            name(b)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_sort_by_value() {
        let mut names = [
            "10_a", "f10", "1_b", "f9", "f09", "f1a", "a", "2", "f010b2", "f10b10",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "1_b", "2", "10_a", "a", "f1a", "f09", "f9", "f10", "f010b2", "f10b10"
            ]
        );
    }

    #[test]
    fn trailing_numbers() {
        let number = |name: &str| trailing_number(Utf8Path::new(name));
        assert_eq!(number("a/img_007.jpg"), Some(7));
        assert_eq!(number("012.png"), Some(12));
        assert_eq!(number("é3.png"), Some(3));
        assert_eq!(number("x.png"), None);
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in "[0-9a-c]{0,8}", b in "[0-9a-c]{0,8}", c in "[0-9a-c]{0,8}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b).is_eq(), a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
        }

        #[test]
        fn numbered_names_sort_as_numbers(mut n in prop::collection::vec(0..100_000u32, 1..20)) {
            let mut names: Vec<_> = n.iter().map(|i| format!("f{i}.png")).collect();
            names.sort_by(|a, b| natural_order(a, b));
            n.sort_unstable();
            let sorted: Vec<_> = n.iter().map(|i| format!("f{i}.png")).collect();
            prop_assert_eq!(names, sorted);
        }
    }
}
