//! One trainer a run folder.

use std::fs::{File, TryLockError};

use camino::{Utf8Path, Utf8PathBuf};

use crate::RunError;

/// Keeps other processes from training in a run folder while it lives; `run.lock` in the folder.
#[derive(Debug)]
pub struct RunLock {
    path: Utf8PathBuf,
    _file: File,
}

impl RunLock {
    pub(crate) fn take(folder: &Utf8Path) -> Result<Self, RunError> {
        let path = folder.join("run.lock");
        let file = File::create(&path).map_err(RunError::write(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _file: file }),
            Err(TryLockError::WouldBlock) => Err(RunError::Locked {
                folder: folder.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(RunError::write(path)(source)),
        }
    }

    /// Ends the lock of a finished run and leaves no file behind.
    pub(crate) fn release(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
