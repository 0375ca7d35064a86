//! Files that are there as a whole or not at all.

use std::io::{self, Read};

use camino::Utf8Path;
use tempfile::NamedTempFile;

/// A file under a temporary name, which others may read once it has its own, as any new file.
pub(crate) fn begin(folder: &Utf8Path, prefix: &str) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Writes a file: under a temporary name in its folder, flushed, then renamed.
///
/// # Errors
/// The system's.
pub fn write_whole(path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_from(path, &mut &*bytes)
}

/// [`write_whole`] with all that `content` still has.
///
/// # Errors
/// The system's.
pub fn write_whole_from(path: &Utf8Path, content: &mut dyn Read) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_str().is_empty());
    let mut file = begin(folder.unwrap_or(Utf8Path::new(".")), ".tmp")?;
    io::copy(content, &mut file)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
