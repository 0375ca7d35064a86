//! Order of names by number, not by text: `2_label` before `10_label`.

use std::cmp::Ordering;

/// Compares two names so that runs of digits count as numbers.
///
/// Names that differ only in leading zeros are ordered by their bytes, so the order is total
/// and equal only for equal names.
///
/// ```
/// let mut names = vec!["10_label", "1_label", "2_label"];
/// names.sort_by(|a, b| msn_data::natural_order(a, b));
/// assert_eq!(names, ["1_label", "2_label", "10_label"]);
/// ```
#[must_use]
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        match (left.first(), right.first()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (number, rest) = split_number(left);
                let (other, other_rest) = split_number(right);
                let order = number.len().cmp(&other.len()).then(number.cmp(other));
                if order != Ordering::Equal {
                    return order;
                }
                (left, right) = (rest, other_rest);
            }
            (Some(x), Some(y)) => {
                if x != y {
                    return x.cmp(y);
                }
                (left, right) = (&left[1..], &right[1..]);
            }
        }
    }
}

/// Splits leading digits, without their leading zeros, from the rest.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let zeros = number.iter().take_while(|&&c| c == b'0').count();
    (&number[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use super::natural_order;
    use proptest::prelude::*;
    use std::cmp::Ordering;

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

    proptest! {
        #[test]
        fn order_is_total(a in "[a-b0-2_]{0,6}", b in "[a-b0-2_]{0,6}", c in "[a-b0-2_]{0,6}") {
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
