//! Listings of folders: naturally ordered, without the droppings of file managers.

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::{EntryKind, list_folder};

use crate::DataError;

/// What lies in a folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub folders: Vec<Utf8PathBuf>,
    pub files: Vec<Utf8PathBuf>,
}

/// Lists a folder. `looked_for` says what it should hold, for the message where it is missing.
pub(crate) fn list(path: &Utf8Path, looked_for: &str) -> Result<Listing, DataError> {
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => DataError::Missing {
            path: path.to_owned(),
            looked_for: looked_for.to_owned(),
        },
        _ => DataError::io(path, "listed", e),
    };
    let mut listing = Listing::default();
    // What has a name that is not UTF-8 can't be meant by anything that is looked for here.
    for entry in list_folder(path).map_err(failed)?.entries {
        match entry.kind {
            _ if is_dropping(entry.name()) => {}
            EntryKind::Folder => listing.folders.push(entry.path),
            _ => listing.files.push(entry.path),
        }
    }
    Ok(listing)
}

/// Files that file managers leave behind.
pub(crate) fn is_dropping(name: &str) -> bool {
    matches!(name, ".DS_Store" | "Thumbs.db" | "desktop.ini" | "__MACOSX") || name.starts_with("._")
}

/// Whether the folder has a folder of exactly this name, also where the file system does not
/// distinguish capitals from small letters.
pub(crate) fn has_folder(path: &Utf8Path, name: &str) -> bool {
    let (parent, last) = match name.rsplit_once('/') {
        Some((parent, last)) => (path.join(parent), last),
        None => (path.to_owned(), name),
    };
    if let Some((first, _)) = name.split_once('/')
        && !has_folder(path, first)
    {
        return false;
    }
    // Entries that can't be read or named are none of these.
    let Ok(entries) = parent.read_dir_utf8() else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name() == last && entry.path().is_dir())
}

/// A file's extension in small letters, or nothing.
pub(crate) fn extension(path: &Utf8Path) -> String {
    path.extension().unwrap_or_default().to_ascii_lowercase()
}
