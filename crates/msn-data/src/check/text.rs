//! A check as text for people.

use std::fmt::Write;

use super::{Check, LabelCheck, Severity, SplitCheck};
use crate::PassedOver;

impl Check {
    /// The check as text: what was found, then what is wrong.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!(
            "{}: layout `{}`{}",
            self.root,
            self.layout,
            self.sheet
                .as_ref()
                .map(|name| format!(", {name}"))
                .unwrap_or_default()
        )];
        lines.push(split_line("train", &self.train));
        lines.push(split_line("test", &self.test));
        match &self.labels {
            Some(labels) => label_lines(labels, self.test.frames, &mut lines),
            None => lines.push("labels: none".to_owned()),
        }
        for count in &self.counts {
            let sign = if count.expected == count.found {
                "as known"
            } else {
                "NOT as known"
            };
            lines.push(format!(
                "{}: {} ({sign}: {})",
                count.what,
                grouped(count.found),
                grouped(count.expected)
            ));
        }
        for trap in &self.traps {
            lines.push(format!("known: {trap}"));
        }
        // What may have been meant is among the problems.
        let others = self.passed_over.iter().filter(|p| !p.is_notable());
        let others: Vec<PassedOver> = others.cloned().collect();
        lines.extend(PassedOver::sentences(&others));
        for problem in &self.problems {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let path = problem
                .path
                .as_ref()
                .filter(|path| !problem.reason.contains(path.as_str()))
                .map(|path| format!("{path}: "))
                .unwrap_or_default();
            lines.push(format!("{severity}: {path}{}", problem.reason));
        }
        if self.problems.is_empty() {
            lines.push("no problems".to_owned());
        }
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}

fn split_line(name: &str, split: &SplitCheck) -> String {
    if split.videos == 0 {
        return format!("{name}: no videos");
    }
    let mut line = format!(
        "{name}: {} videos, {} frames ({} to {} each)",
        grouped(split.videos),
        grouped(split.frames),
        grouped(split.shortest),
        grouped(split.longest)
    );
    if split.lost > 0 {
        let _ = write!(line, ", {} lost", grouped(split.lost));
    }
    let several = split.sizes.len() > 1;
    for size in &split.sizes {
        let _ = write!(line, ", {} x {}", size.width, size.height);
        if several {
            let _ = write!(line, " ({})", size.videos);
        }
    }
    let several = split.rates.len() > 1;
    for rate in &split.rates {
        match rate.rate_hz {
            Some(hz) => {
                let _ = write!(line, ", {hz:.3} Hz");
            }
            None => line.push_str(", no rate"),
        }
        if several {
            let _ = write!(line, " ({})", rate.videos);
        }
    }
    line
}

fn label_lines(labels: &LabelCheck, frames: usize, lines: &mut Vec<String>) {
    let paths: Vec<&str> = labels.paths.iter().map(|p| p.as_str()).collect();
    lines.push(format!(
        "labels: {} of {} frames anomalous in {} spans; {} ({}), hash {}",
        grouped(labels.anomalous),
        grouped(frames),
        grouped(labels.spans),
        paths.join(", "),
        labels.format,
        labels.hash
    ));
    if let Some(version) = &labels.version {
        lines.push(format!("labels are the version of {version}"));
    }
    for (what, videos) in [
        ("without an anomalous frame", &labels.normal_throughout),
        ("without a normal frame", &labels.anomalous_throughout),
    ] {
        if !videos.is_empty() {
            lines.push(format!("{what}: {}", videos.join(", ")));
        }
    }
    for path in &labels.unused {
        lines.push(format!("not used: {path}"));
    }
}

/// A number with commas between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_648), "1,648");
        assert_eq!(grouped(1_082_014), "1,082,014");
    }
}
