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

/// Longest path that systems take, bytes: 4096 with a zero at its end.
const LONGEST_PATH: usize = 4095;

/// Finds an output that could not be written because its path is too long, before anything is
/// computed: files of these names, in a folder that may not be there yet.
///
/// # Errors
/// [`RunError::LongPath`].
pub(crate) fn check_paths<'a>(
    folder: &Utf8Path,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), RunError> {
    let absolute = camino::absolute_utf8(folder).unwrap_or_else(|_| folder.to_owned());
    for name in names {
        let path = absolute.join("curves").join(format!("{name}.svg"));
        // A file that is being written has a dot before its name and seven bytes behind it.
        let bytes = path.as_str().len() + 8;
        if bytes > LONGEST_PATH {
            return Err(RunError::LongPath {
                path,
                bytes,
                limit: LONGEST_PATH,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_too_long_is_found() {
        let deep = vec!["d".repeat(200); 21].join("/");
        assert!(check_paths("/out".into(), ["01"].into_iter()).is_ok());
        let error = check_paths("/out".into(), ["01", &deep].into_iter()).unwrap_err();
        assert!(matches!(&error, RunError::LongPath { .. }), "{error}");
    }
}
