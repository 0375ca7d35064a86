//! Files of a run, written whole or not at all.

use std::io::Read;

use camino::Utf8Path;

use crate::EvalError;

/// Writes a file under a temporary name, flushes it, and renames it; folders are made.
///
/// # Errors
/// [`EvalError::Write`].
pub fn write_file(path: &Utf8Path, content: &[u8]) -> Result<(), EvalError> {
    write_file_from(path, &mut &*content)
}

/// [`write_file`] with all that `content` still has.
///
/// # Errors
/// [`EvalError::Write`].
pub fn write_file_from(path: &Utf8Path, content: &mut dyn Read) -> Result<(), EvalError> {
    let failed = |source| EvalError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    msn_data::write_atomically_from(path, content).map_err(|e| failed(e.source))
}
