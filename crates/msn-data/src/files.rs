//! Files that are there as a whole or not at all.

use std::io::{self, Read, Write as _};

use atomic_write_file::AtomicWriteFile;
use camino::{Utf8Path, Utf8PathBuf};

/// A file that can't be read, or a folder that can't be listed.
#[derive(Debug, thiserror::Error)]
#[error("can't read {path}: {source}")]
pub struct ReadError {
    /// As it was given, or found below what was given.
    pub path: Utf8PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl ReadError {
    /// Turns the system's error about a path into this.
    pub fn at(path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self { path, source }
    }
}

/// A file that can't be written, or a folder that can't be made. What was there before is still
/// there.
#[derive(Debug, thiserror::Error)]
#[error("can't write {path}: {source}")]
pub struct WriteError {
    /// As it was to be named in the end.
    pub path: Utf8PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl WriteError {
    /// Turns the system's error about a path into this.
    pub fn at(path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self { path, source }
    }
}

/// Writes a file whole or not at all: under a temporary name in its folder, flushed to the disk,
/// then renamed. Readers see the old content or the new one; the folder must exist.
///
/// # Errors
/// [`WriteError`] with the system's reason.
pub fn write_atomically(path: &Utf8Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_atomically_from(path, &mut &*bytes)
}

/// [`write_atomically`] with all that `content` still has.
///
/// # Errors
/// [`WriteError`] with the system's reason, also where `content` can't be read.
pub fn write_atomically_from(path: &Utf8Path, content: &mut dyn Read) -> Result<(), WriteError> {
    let mut write = || -> io::Result<()> {
        let mut file = AtomicWriteFile::open(path)?;
        io::copy(content, &mut file)?;
        file.flush()?;
        file.commit()
    };
    write().map_err(WriteError::at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some bytes, then fails.
    struct Broken(&'static [u8]);

    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::Error::other("unplugged")),
                n => Ok(n),
            }
        }
    }

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let path = folder.join("file");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"newer").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        let error = write_atomically_from(&path, &mut Broken(b"half")).unwrap_err();
        assert_eq!(error.to_string(), format!("can't write {path}: unplugged"));
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        // Nothing else is left.
        assert_eq!(folder.read_dir_utf8().unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Utf8Path| path.metadata().unwrap().permissions().mode();
            std::fs::write(folder.join("plain"), "").unwrap();
            assert_eq!(mode(&path), mode(&folder.join("plain")));
        }
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = write_atomically("no/such/file".into(), b"").unwrap_err();
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }
}
