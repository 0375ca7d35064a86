//! Folders of frames, one picture file each.

use camino::{Utf8Path, Utf8PathBuf};

use crate::natural::natural_order;
use crate::picture::Picture;
use crate::reader::SourceState;
use crate::still;
use crate::{
    DecodeErrors, Frame, Info, Item, Levels, Lost, Options, Resizer, SourceKind, VideoError,
};

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

/// True if a name ends as pictures do (`.jpg`, `.png`, `.tif`, ...) and is not hidden.
#[must_use]
pub fn is_frame_file(path: &Utf8Path) -> bool {
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
    levels: Levels,
}

impl FolderSource {
    pub(crate) fn open(
        folder: &Utf8Path,
        options: &Options,
    ) -> Result<(SourceState, Self), VideoError> {
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
            levels: Levels::new(options.stretch),
        };
        Ok((
            SourceState {
                info,
                errors: DecodeErrors::default(),
            },
            source,
        ))
    }

    pub(crate) fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Goes to the file of index `index`.
    pub(crate) fn seek(&mut self, index: usize) {
        self.next = index;
    }

    pub(crate) fn next(&mut self, state: &mut SourceState) -> Result<Option<Item>, VideoError> {
        let index = self.next;
        let Some(path) = self.files.get(index) else {
            if let Some(note) = self.levels.note() {
                state.info.note(note);
            }
            return Ok(None);
        };
        self.next += 1;
        match still::read(path, self.options.color, &mut self.levels) {
            Ok(still) => {
                if still.damaged {
                    if state.errors.damaged == 0 {
                        let reason = format!(
                            "{path}: more data than the picture has room for, so it is damaged"
                        );
                        state.errors.reason(reason);
                    }
                    state.errors.damaged += 1;
                }
                if still.alpha {
                    state.info.note("transparency is ignored");
                }
                let picture = self.fit(still.picture, state)?;
                let seconds = self.options.folder_hz.map(|hz| index as f64 / hz);
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
                state.errors.lost += 1;
                state.errors.bytes += std::fs::metadata(path).map_or(0, |m| m.len());
                state.errors.reason(reason.clone());
                Ok(Some(Item::Lost(Lost { index, reason })))
            }
        }
    }

    fn fit(&mut self, picture: Picture, state: &mut SourceState) -> Result<Picture, VideoError> {
        let first = *self.first_size.get_or_insert_with(|| {
            state.info.size = picture.size;
            picture.size
        });
        if picture.size != first {
            state.info.note_sizes(first);
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

/// Frames are indexed by their order; a hole in the numbers is worth a note.
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
            "{holes} numbers are missing, first between {} and {}: frames are counted in order",
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

    #[test]
    fn trailing_numbers() {
        let number = |name: &str| trailing_number(Utf8Path::new(name));
        assert_eq!(number("a/img_007.jpg"), Some(7));
        assert_eq!(number("012.png"), Some(12));
        assert_eq!(number("é3.png"), Some(3));
        assert_eq!(number("x.png"), None);
    }
}
