//! Files of a run, written whole or not at all.

use camino::Utf8Path;
use serde::Serialize;

use crate::RunError;

/// Writes a file under a temporary name and renames it; folders are made.
pub(crate) fn write_file(path: &Utf8Path, bytes: &[u8]) -> Result<(), RunError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(RunError::write(folder))?;
    }
    Ok(msn_data::write_atomically(path, bytes)?)
}

/// [`write_file`] with indented JSON, ending in a newline.
pub(crate) fn write_json(path: &Utf8Path, value: &impl Serialize) -> Result<(), RunError> {
    let text = serde_json::to_string_pretty(value).map_err(|source| RunError::Json {
        path: path.to_owned(),
        source,
    })?;
    write_file(path, (text + "\n").as_bytes())
}
