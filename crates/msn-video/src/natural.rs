//! Order of names by number, not by text: `2_label` before `10_label`.

use std::cmp::Ordering;

/// Compares two names or paths so that runs of ASCII digits count as numbers, and all else by
/// character; folder by folder, and in each name what stands before its ending (`.jpg`) first:
/// `img.jpg` precedes `img-2.jpg` and `img (2).jpg`.
///
/// Names that differ only in leading zeros are ordered by their text, so the order is total and
/// equal only for equal names.
///
/// ```
/// let mut names = vec!["10_label", "1_label", "2_label"];
/// names.sort_by(|a, b| msn_video::natural_order(a, b));
/// assert_eq!(names, ["1_label", "2_label", "10_label"]);
/// ```
#[must_use]
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('/'), b.split('/'));
    loop {
        match (left.next(), right.next()) {
            (Some(x), Some(y)) => {
                let ((stem_x, ending_x), (stem_y, ending_y)) = (split_ending(x), split_ending(y));
                let order = by_numbers(stem_x, stem_y).then_with(|| by_numbers(ending_x, ending_y));
                if order.is_ne() {
                    return order;
                }
            }
            (None, None) => return a.cmp(b),
            (x, y) => return x.is_some().cmp(&y.is_some()),
        }
    }
}

/// A name without its ending, and its ending without the dot: at most five letters and digits with
/// a letter among them, so that `12.5` has none; `264` and `265` are endings all the same.
pub(crate) fn split_ending(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, ending))
            if !stem.is_empty()
                && ending.len() <= 5
                && ending.bytes().all(|b| b.is_ascii_alphanumeric())
                && (ending.bytes().any(|b| b.is_ascii_alphabetic())
                    || matches!(ending, "264" | "265")) =>
        {
            (stem, ending)
        }
        _ => (name, ""),
    }
}

/// Compares runs of digits as numbers and all else by character; equal also where only leading
/// zeros differ.
pub(crate) fn by_numbers(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (digits_a, digits_b) = (leading_digits(left), leading_digits(right));
        if !digits_a.is_empty() && !digits_b.is_empty() {
            let (value_a, value_b) = (
                digits_a.trim_start_matches('0'),
                digits_b.trim_start_matches('0'),
            );
            let order = value_a
                .len()
                .cmp(&value_b.len())
                .then_with(|| value_a.cmp(value_b));
            if order.is_ne() {
                return order;
            }
            left = &left[digits_a.len()..];
            right = &right[digits_b.len()..];
            continue;
        }
        let (mut chars_a, mut chars_b) = (left.chars(), right.chars());
        match (chars_a.next(), chars_b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) if x != y => return x.cmp(&y),
            _ => (left, right) = (chars_a.as_str(), chars_b.as_str()),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_sort_by_value() {
        let mut names = [
            "10_a", "f10", "1_b", "f9", "f09", "f1a", "a", "2", "f010b2", "f10b10",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "1_b", "2", "10_a", "a", "f1a", "f09", "f9", "f10", "f010b2", "f10b10"
            ]
        );
    }

    #[test]
    fn numbers_count_as_numbers() {
        let mut names = [
            "clip10", "clip9", "clip", "clip09", "1_2", "1_10", "01_0014", "01_0002",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "01_0002", "1_2", "1_10", "01_0014", "clip", "clip09", "clip9", "clip10"
            ]
        );
    }

    #[test]
    fn stems_come_before_endings() {
        let mut names = [
            "img (2).jpg",
            "img-2.jpg",
            "img.jpg",
            "1-2.jpg",
            "1.jpg",
            "1.png",
            "2.bmp",
            "cam.1/2.avi",
            "cam/10.avi",
            "cam/9.avi",
            "cam/9-1.avi",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "1.jpg",
                "1.png",
                "1-2.jpg",
                "2.bmp",
                "cam/9.avi",
                "cam/9-1.avi",
                "cam/10.avi",
                "cam.1/2.avi",
                "img.jpg",
                "img (2).jpg",
                "img-2.jpg"
            ]
        );
    }

    proptest! {
        #[test]
        fn paths_have_a_total_order(
            a in "[0-2a./ -]{0,8}", b in "[0-2a./ -]{0,8}", c in "[0-2a./ -]{0,8}",
        ) {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b).is_eq(), a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
        }

        #[test]
        fn endings_decide_last(a in "[a-b0-2_ -]{1,6}", b in "[a-b0-2_ -]{1,6}") {
            let order = |x: &str, y: &str| natural_order(&format!("{a}.{x}"), &format!("{b}.{y}"));
            if by_numbers(&a, &b).is_ne() {
                prop_assert_eq!(order("jpg", "png"), by_numbers(&a, &b));
                prop_assert_eq!(order("png", "jpg"), by_numbers(&a, &b));
            }
        }

        #[test]
        fn the_order_is_total(a in "[0-9a-c]{0,8}", b in "[0-9a-c]{0,8}", c in "[0-9a-c]{0,8}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b).is_eq(), a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
        }

        #[test]
        fn numbered_names_sort_as_numbers(mut n in prop::collection::vec(0..100_000u32, 1..20)) {
            let mut names: Vec<_> = n.iter().map(|i| format!("f{i}.png")).collect();
            names.sort_by(|a, b| natural_order(a, b));
            n.sort_unstable();
            let sorted: Vec<_> = n.iter().map(|i| format!("f{i}.png")).collect();
            prop_assert_eq!(names, sorted);
        }

        #[test]
        fn equal_only_for_equal_names(a in "[a-b0-2_]{0,6}", b in "[a-b0-2_]{0,6}", c in "[a-b0-2_]{0,6}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b) == Ordering::Equal, a == b);
            if natural_order(&a, &b) != Ordering::Greater
                && natural_order(&b, &c) != Ordering::Greater
            {
                prop_assert_ne!(natural_order(&a, &c), Ordering::Greater);
            }
        }

        #[test]
        fn numbers_order_by_value(a in 0u64..2000, b in 0u64..2000) {
            let (x, y) = (format!("{a}_label"), format!("{b:05}_label"));
            if a != b {
                prop_assert_eq!(natural_order(&x, &y), a.cmp(&b));
            }
        }
    }
}
