//! Folders of frames, one picture file each.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::content::Content;
use crate::frame_order::{FrameOrder, counts_frames, name_notes};
use crate::listing::{EntryKind, FileIdentity, FolderEntry, FolderListing, list_folder};
use crate::picture::Picture;
use crate::reader::SourceState;
use crate::still;
use crate::{
    DecodeErrors, Frame, Info, Item, Levels, Lost, Options, Resizer, SourceKind, VideoError,
};

/// Endings of frame files, compared without regard to case.
const FRAME_ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "tif", "tiff", "bmp"];

/// Endings of files that are common beside footage and are none, so that nothing is read of them.
const NO_FOOTAGE: [&str; 51] = [
    "7z",
    "bz2",
    "c",
    "cfg",
    "conf",
    "cpp",
    "csv",
    "db",
    "doc",
    "docx",
    "gz",
    "h5",
    "hdf5",
    "htm",
    "html",
    "idx",
    "ini",
    "ipynb",
    "js",
    "json",
    "jsonl",
    "log",
    "m",
    "mat",
    "md",
    "md5",
    "mp3",
    "npy",
    "npz",
    "onnx",
    "pdf",
    "pickle",
    "pkl",
    "pt",
    "pth",
    "py",
    "rar",
    "rtf",
    "safetensors",
    "sh",
    "srt",
    "tar",
    "toml",
    "tsv",
    "txt",
    "vtt",
    "wav",
    "xlsx",
    "xml",
    "yaml",
    "zip",
];

/// Endings of transfers that are not done, and of backups.
const LEFTOVERS: [&str; 13] = [
    "aria2",
    "bak",
    "crdownload",
    "download",
    "filepart",
    "incomplete",
    "old",
    "orig",
    "part",
    "partial",
    "temp",
    "tmp",
    "swp",
];

/// The pictures of a folder, in the order in which they are its frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameListing {
    /// The frames. A link that leads nowhere is one, too: it is lost.
    pub frames: Vec<FolderEntry>,
    /// How their names were put in order.
    pub order: FrameOrder,
    /// Pictures that are no frames, since they are links to others, each with the one that it
    /// leads to.
    pub links: Vec<(Utf8PathBuf, Utf8PathBuf)>,
}

impl FrameListing {
    /// The frames of a folder.
    ///
    /// Pictures are files that end in .jpg, .jpeg, .png, .tif, .tiff or .bmp in any case, and
    /// files of other endings, or of none, that are pictures by their content. Each real file is
    /// one frame: of several links to one, hard links included, the first in order counts, and
    /// the file itself before links to it. Links to pictures elsewhere are frames, unless most
    /// pictures of the folder are files (a recorder's `lastsnap.jpg`); one into a hidden folder,
    /// where some tools store what is large, always is. A text that names another picture is a
    /// link that did not survive a copy.
    #[must_use]
    pub fn of(listing: &FolderListing) -> Self {
        let pictures: Vec<&FolderEntry> =
            listing.entries.iter().filter(|e| is_picture(e)).collect();
        let order = FrameOrder::of(pictures.iter().map(|entry| entry.name()));
        let links = pictures.iter().filter(|entry| entry.is_link).count();
        let mostly_files = links * 2 < pictures.len();
        let mut found = Self {
            order,
            ..Self::default()
        };
        let mut taken: BTreeMap<&FileIdentity, &FolderEntry> = BTreeMap::new();
        let files = pictures.iter().filter(|entry| !entry.is_link);
        for entry in files.chain(pictures.iter().filter(|entry| entry.is_link)) {
            let elsewhere = || target(entry).filter(|_| entry.is_link && mostly_files);
            let first = entry.identity.as_ref().and_then(|id| taken.get(id));
            let other = match first {
                Some(first) => Some(first.path.clone()),
                None => written_link(entry).or_else(elsewhere),
            };
            match other {
                Some(other) => found.links.push((entry.path.clone(), other)),
                None => {
                    if let Some(identity) = &entry.identity {
                        taken.insert(identity, entry);
                    }
                    found.frames.push((*entry).clone());
                }
            }
        }
        let by_name = |a: &FolderEntry, b: &FolderEntry| order.compare(a.name(), b.name());
        found.frames.sort_by(by_name);
        found.links.sort();
        found
    }

    /// Whether the frames' names count them, so that a number that is missing is a frame that is.
    #[must_use]
    pub fn is_numbered(&self) -> bool {
        let names: Vec<&str> = self.frames.iter().map(FolderEntry::name).collect();
        counts_frames(&names, self.order)
    }

    /// What is worth knowing of the frames' names: the order that was taken where it is not
    /// plain, numbers that are missing, several pictures of each moment.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let names: Vec<&str> = self.frames.iter().map(FolderEntry::name).collect();
        let mut notes = name_notes(&names, self.order);
        if let Some((link, other)) = self.links.first() {
            notes.push(format!(
                "{} pictures are links to others and no frames, first {} to {other}",
                self.links.len(),
                name(link)
            ));
        }
        notes
    }
}

/// Whether an entry is taken for a picture, by its name or else by its content.
fn is_picture(entry: &FolderEntry) -> bool {
    match entry.kind {
        EntryKind::Folder | EntryKind::Special => false,
        EntryKind::Nowhere => is_frame_file(&entry.path),
        EntryKind::File => media(entry) == Some(Media::Picture),
    }
}

/// Footage that a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// A picture: a frame of its folder.
    Picture,
    /// A video.
    Video,
    /// A picture of a kind that is no frame, by its name.
    OtherPicture(&'static str),
    /// Either of these under the ending of a transfer that is not done, or of a backup.
    Leftover,
}

/// What an ordinary file is: by its ending where that is one of pictures, videos or of something
/// else that is common, and by its content where not. Hidden files are nothing.
#[must_use]
pub fn media(entry: &FolderEntry) -> Option<Media> {
    if entry.kind != EntryKind::File || entry.name().starts_with('.') {
        return None;
    }
    if is_frame_file(&entry.path) {
        return Some(Media::Picture);
    }
    if crate::is_video_file(&entry.path) {
        return Some(Media::Video);
    }
    let ending = entry.path.extension().unwrap_or_default();
    if NO_FOOTAGE.iter().any(|e| ending.eq_ignore_ascii_case(e)) {
        return None;
    }
    let leftover =
        entry.name().ends_with('~') || LEFTOVERS.iter().any(|e| ending.eq_ignore_ascii_case(e));
    match Content::of(&entry.path).ok()? {
        Content::Video | Content::Picture if leftover => Some(Media::Leftover),
        Content::Video => Some(Media::Video),
        Content::Picture => Some(Media::Picture),
        Content::OtherPicture(kind) => Some(Media::OtherPicture(kind)),
        Content::Other => None,
    }
}

/// Where a link to a picture elsewhere leads; nothing where it leads into a hidden folder.
fn target(entry: &FolderEntry) -> Option<Utf8PathBuf> {
    let path = entry.path.canonicalize_utf8().ok()?;
    let folder = entry.path.parent()?.canonicalize_utf8().ok()?;
    let beyond = path
        .components()
        .zip(folder.components())
        .take_while(|(a, b)| a == b)
        .count();
    let hidden = path
        .components()
        .skip(beyond)
        .any(|part| part.as_str().starts_with('.'));
    (!hidden).then_some(path)
}

/// The picture that a text in the place of a picture names, as links become on systems without.
fn written_link(entry: &FolderEntry) -> Option<Utf8PathBuf> {
    if entry.kind != EntryKind::File || !(1..=1024).contains(&entry.bytes) {
        return None;
    }
    let text = std::fs::read_to_string(&entry.path).ok()?;
    let text = text.trim_end_matches(['\r', '\n', '\0']);
    if text.is_empty() || text.contains(|c: char| c.is_control()) {
        return None;
    }
    let other = entry.path.parent()?.join(text);
    let same = || FileIdentity::of(&other).ok() == entry.identity;
    (other.is_file() && is_frame_file(&other) && !same()).then_some(other)
}

/// The frame files of a folder in their order: numbers in names sort by value, so that
/// `frame2.jpg` precedes `frame10.jpg`. See [`FrameListing::of`] and [`FrameOrder::of`].
///
/// Hidden files (`._x.jpg` of macOS among them), other files (`Thumbs.db`) and folders are passed
/// over.
///
/// # Errors
/// [`VideoError::Unreadable`] with the system's reason, [`VideoError::NoFrames`] where no file
/// is left.
pub fn frame_files(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, VideoError> {
    let frames = frame_listing(folder)?.frames.into_iter();
    Ok(frames.map(|entry| entry.path).collect())
}

/// The frames of a folder, at least one.
///
/// # Errors
/// Those of [`frame_files`].
pub fn frame_listing(folder: &Utf8Path) -> Result<FrameListing, VideoError> {
    let listing = list_folder(folder).map_err(|reason| VideoError::Unreadable {
        path: folder.to_owned(),
        reason,
    })?;
    let found = FrameListing::of(&listing);
    if found.frames.is_empty() {
        return Err(VideoError::NoFrames {
            folder: folder.to_owned(),
            others: listing.entries.len() + listing.not_utf8.len(),
        });
    }
    Ok(found)
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
        let listing = frame_listing(folder)?;
        let mut info = Info {
            source: folder.to_owned(),
            kind: SourceKind::Folder,
            size: crate::Size::new(0, 0),
            rate_hz: options.folder_hz,
            frames: Some(listing.frames.len()),
            codec: None,
            start_seconds: None,
            notes: Vec::new(),
        };
        for note in listing.notes() {
            info.note(note);
        }
        let frames = listing.frames.into_iter();
        let source = Self {
            files: frames.map(|entry| entry.path).collect(),
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

    /// Goes to the first file at a time or later; `false` without a rate.
    pub(crate) fn seek_time(&mut self, seconds: f64) -> bool {
        let Some(hz) = self.options.folder_hz else {
            return false;
        };
        // The cast saturates: a time too far is past the end.
        self.next = (seconds * hz - 1e-6).ceil().max(0.0) as usize;
        true
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
