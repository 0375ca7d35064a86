//! Names of videos in tables, so that whoever reads a table has them back as they are.

/// What readers of tables take for a missing or a truth value, in lower case.
const WORDS: [&str; 20] = [
    "", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "f",
    "false", "n/a", "na", "nan", "none", "null", "t", "true", "?",
];

/// A video's name as tables have it: as it is, or with `./` before it where a reader of tables would
/// take it for something else. `001` would become the number 1, `NA` a missing value, in quotes or
/// not; `./001` is a path to the same video and stays text.
#[must_use]
pub fn table_name(name: &str) -> String {
    let bare = name.trim();
    let lower = bare.to_ascii_lowercase();
    let hexadecimal = lower
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let other = bare.parse::<f64>().is_ok()
        || hexadecimal
        || WORDS.contains(&lower.as_str())
        || bare.len() != name.len()
        || name.starts_with("./");
    match other {
        true => format!("./{name}"),
        false => name.to_owned(),
    }
}

/// The name of the video that a table names so: `./` before it is no part of it.
#[must_use]
pub fn plain_name(in_table: &str) -> &str {
    in_table.strip_prefix("./").unwrap_or(in_table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_would_be_numbers_get_a_path() {
        for name in [
            "001", "1e5", "+1", "1.", "inf", "NaN", "NA", "null", "True", "T", "0x1F", " a", "a ",
        ] {
            assert_eq!(table_name(name), format!("./{name}"));
        }
        for name in [
            "a.mp4",
            "01_0014",
            "2024-01-01",
            "cam/001",
            "001.avi",
            "Test001",
        ] {
            assert_eq!(table_name(name), name);
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "([ -~]{0,8}|[./0-9a-fNA]{0,5}|\\PC{0,6})") {
            let written = table_name(&name);
            prop_assert_eq!(plain_name(&written), name.as_str());
            prop_assert!(written.parse::<f64>().is_err());
            prop_assert!(!WORDS.contains(&written.to_lowercase().trim()) || written.trim().is_empty());
        }
    }
}
