//! Times and tables for a terminal.

use std::time::Duration;

/// `4 min 05 s`, `12 s`.
pub(crate) fn time(t: Duration) -> String {
    let seconds = t.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// `1 video`, `2 videos`.
pub(crate) fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}

/// Rows of cells as lines with aligned columns.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let of = |n| count(n, "false alarm");
        assert_eq!(
            [of(0), of(1), of(2)],
            ["0 false alarms", "1 false alarm", "2 false alarms"]
        );
    }

    #[test]
    fn times_read_well() {
        let of = |s| time(Duration::from_secs(s));
        assert_eq!(
            [of(9), of(65), of(3700)],
            ["9 s", "1 min 05 s", "1 h 01 min"]
        );
    }
}
