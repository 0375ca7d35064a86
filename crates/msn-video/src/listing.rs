//! What lies in a folder: links followed, each file with its identity.

use std::fs::Metadata;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::natural::natural_order;

/// Which file a path leads to: the same for all links to one file, hard links included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIdentity(Number);

#[cfg(unix)]
type Number = (u64, u64);
#[cfg(not(unix))]
type Number = std::path::PathBuf;

impl FileIdentity {
    /// The identity of what a path leads to.
    ///
    /// # Errors
    /// The system's reason: nothing is there, or it may not be looked at.
    pub fn of(path: &Utf8Path) -> io::Result<Self> {
        Self::new(path, &std::fs::metadata(path)?)
    }

    #[cfg(unix)]
    fn new(_: &Utf8Path, data: &Metadata) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        Ok(Self((data.dev(), data.ino())))
    }

    #[cfg(not(unix))]
    fn new(path: &Utf8Path, _: &Metadata) -> io::Result<Self> {
        Ok(Self(path.as_std_path().canonicalize()?))
    }
}

/// What an entry of a folder leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An ordinary file.
    File,
    /// A folder.
    Folder,
    /// A pipe, a socket or a device: opening it may never end.
    Special,
    /// A link that leads nowhere, or round in circles.
    Nowhere,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its path: that of the folder and its name.
    pub path: Utf8PathBuf,
    /// What it leads to.
    pub kind: EntryKind,
    /// Whether it is a symbolic link.
    pub is_link: bool,
    /// Bytes of an ordinary file.
    pub bytes: u64,
    /// Which file or folder it leads to; `None` where the system does not say.
    pub identity: Option<FileIdentity>,
}

impl FolderEntry {
    fn new(path: Utf8PathBuf, is_link: bool) -> Self {
        let mut entry = Self {
            path,
            kind: EntryKind::File,
            is_link,
            bytes: 0,
            identity: None,
        };
        match std::fs::metadata(&entry.path) {
            Ok(data) => {
                entry.identity = FileIdentity::new(&entry.path, &data).ok();
                entry.bytes = data.len();
                entry.kind = match (data.is_dir(), data.is_file()) {
                    (true, _) => EntryKind::Folder,
                    (_, true) => EntryKind::File,
                    _ => EntryKind::Special,
                };
            }
            Err(_) if is_link => entry.kind = EntryKind::Nowhere,
            // It is there, and whoever reads it gets the system's reason.
            Err(_) => {}
        }
        entry
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.path.file_name().unwrap_or_default()
    }
}

/// What lies in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderListing {
    /// Entries in natural order of their names.
    pub entries: Vec<FolderEntry>,
    /// Paths of entries whose names are not UTF-8, which nothing here can open; what is not UTF-8
    /// in them is replaced.
    pub not_utf8: Vec<Utf8PathBuf>,
}

/// Lists a folder. An entry that can't be looked at is listed all the same.
///
/// # Errors
/// The system's reason, where the folder itself can't be listed.
pub fn list_folder(folder: &Utf8Path) -> io::Result<FolderListing> {
    let mut listing = FolderListing::default();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(utf8) = name.to_str() else {
            listing
                .not_utf8
                .push(folder.join(name.to_string_lossy().as_ref()));
            continue;
        };
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        listing
            .entries
            .push(FolderEntry::new(folder.join(utf8), is_link));
    }
    let by_name = |a: &FolderEntry, b: &FolderEntry| natural_order(a.name(), b.name());
    listing.entries.sort_by(by_name);
    listing.not_utf8.sort();
    Ok(listing)
}
