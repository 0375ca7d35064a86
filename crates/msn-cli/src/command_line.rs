//! The command line as a user would type it again, and JSON as commands print it.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// The command line, quoted where a shell wants it.
pub(crate) fn command_line() -> String {
    quoted(std::env::args().skip(1))
}

/// `msn` with these words, quoted where a shell wants it.
pub(crate) fn quoted(words: impl IntoIterator<Item = String>) -> String {
    let mut line = "msn".to_owned();
    for word in words {
        let plain = word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_=.,/:".contains(c))
            && !word.is_empty();
        let _ = if plain {
            write!(line, " {word}")
        } else {
            write!(line, " '{}'", word.replace('\'', r"'\''"))
        };
    }
    line
}

/// Prints indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("JSON can't hold this")?;
    println!("{text}");
    Ok(())
}

/// Prints indented JSON with its format's name and version.
pub(crate) fn print_versioned(format: &'static str, value: &impl Serialize) -> Result<()> {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        format: &'static str,
        #[serde(flatten)]
        content: &'a T,
    }
    print_json(&Versioned {
        format,
        content: value,
    })
}
