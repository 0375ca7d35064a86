//! Listings of folders: naturally ordered, without the droppings of file managers.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{DataError, natural_order};

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
    for entry in path.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_dropping(entry.file_name()) {
            continue;
        }
        // Follows links, so that a data set may be put together from them.
        if entry.path().is_dir() {
            listing.folders.push(entry.into_path());
        } else {
            listing.files.push(entry.into_path());
        }
    }
    let by_name = |a: &Utf8PathBuf, b: &Utf8PathBuf| natural_order(a.as_str(), b.as_str());
    listing.folders.sort_by(by_name);
    listing.files.sort_by(by_name);
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
