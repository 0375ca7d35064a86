//! In which order the pictures of a folder follow each other, by their names.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::natural::{by_numbers, natural_order, split_ending};

/// How the names of a folder's pictures were put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FrameOrder {
    /// Each run of digits is a whole number: `1.9.jpg`, `1.10.jpg`.
    #[default]
    Numbers,
    /// Names are clocks, and what follows their last point is a fraction: `0.12.jpg`, `0.2.jpg`.
    Decimals,
}

/// Digits of whole seconds since 1970 in our times; more for milliseconds and below.
const EPOCH_DIGITS: usize = 9;

impl FrameOrder {
    /// The order of these names, which is decimal where all of them are clocks.
    ///
    /// Fractions of one length are in the same order either way. Of several lengths, they are
    /// decimals where one begins with a zero though it is longer than another (a counter has
    /// zeros in front only to make all equally long), whole numbers where one ends in a zero
    /// (`1.10`, which a clock prints as `1.1`). Else they are decimals of a clock that counts
    /// from 1970, or where they leave most numbers out.
    #[must_use]
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let clocks: Option<Vec<Clock<'_>>> = names.map(Clock::of).collect();
        let Some(clocks) = clocks else {
            return Self::Numbers;
        };
        let fractions = || clocks.iter().map(|c| c.fraction).filter(|f| !f.is_empty());
        let (Some(shortest), Some(longest)) = (
            fractions().map(str::len).min(),
            fractions().map(str::len).max(),
        ) else {
            return Self::Numbers;
        };
        if shortest == longest {
            return Self::Numbers;
        }
        // `1700000000_1` counts, unless it is a clock.
        let epoch = clocks.iter().all(|c| c.whole_digits >= EPOCH_DIGITS);
        if !epoch && clocks.iter().any(|c| matches!(c.sign, Some('_' | '-'))) {
            return Self::Numbers;
        }
        if fractions().any(|f| f.len() > shortest && f.starts_with('0')) {
            return Self::Decimals;
        }
        if fractions().any(|f| f.len() > 1 && f.ends_with('0')) {
            return Self::Numbers;
        }
        match epoch || are_sparse(&clocks) {
            true => Self::Decimals,
            false => Self::Numbers,
        }
    }

    /// Compares two names in this order; total, and equal only for equal names.
    #[must_use]
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match (self, Clock::of(a), Clock::of(b)) {
            (Self::Decimals, Some(x), Some(y)) => by_numbers(x.whole, y.whole)
                .then_with(|| x.decimals().cmp(y.decimals()))
                .then_with(|| natural_order(a, b)),
            // What is no clock comes after those that are, so that the order is total.
            (Self::Decimals, x, y) if x.is_some() != y.is_some() => y.is_some().cmp(&x.is_some()),
            _ => natural_order(a, b),
        }
    }
}

/// A name that ends in a number, as a clock would be read.
#[derive(Clone, Copy, Debug)]
struct Clock<'a> {
    /// All before the fraction and its sign.
    whole: &'a str,
    /// Digits that `whole` ends in.
    whole_digits: usize,
    /// What stands before the fraction.
    sign: Option<char>,
    fraction: &'a str,
}

impl<'a> Clock<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let (stem, _) = split_ending(name);
        let last = trailing_digits(stem);
        if last.is_empty() {
            return None;
        }
        let before = &stem[..stem.len() - last.len()];
        let whole = before.strip_suffix(['.', ',', '_', '-']).unwrap_or("");
        let digits = trailing_digits(whole);
        Some(if digits.is_empty() {
            Self {
                whole: stem,
                whole_digits: last.len(),
                sign: None,
                fraction: "",
            }
        } else {
            Self {
                whole,
                whole_digits: digits.len(),
                sign: before.chars().next_back(),
                fraction: last,
            }
        })
    }

    /// The fraction without zeros at its end: compared as text it is compared by value.
    fn decimals(&self) -> &'a str {
        self.fraction.trim_end_matches('0')
    }
}

/// Whether fractions, taken as whole numbers, leave out more than every second one.
fn are_sparse(clocks: &[Clock<'_>]) -> bool {
    let mut of_whole: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for clock in clocks.iter().filter(|c| !c.fraction.is_empty()) {
        let number = clock.fraction.parse().unwrap_or(u64::MAX);
        of_whole.entry(clock.whole).or_default().push(number);
    }
    let (mut span, mut count) = (0_u64, 0_u64);
    for numbers in of_whole.values() {
        let (least, most) = (numbers.iter().min(), numbers.iter().max());
        if let (Some(least), Some(most)) = (least, most) {
            span = span.saturating_add(most - least);
            count += numbers.len() as u64 - 1;
        }
    }
    span > count.saturating_mul(2)
}

fn trailing_digits(text: &str) -> &str {
    let digits = text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    &text[text.len() - digits..]
}

/// The number that a name ends in, before its ending.
fn trailing_number(name: &str) -> Option<u64> {
    trailing_digits(split_ending(name).0).parse().ok()
}

/// What is worth knowing of the names of a folder's pictures, which are in `order`.
pub(crate) fn name_notes(names: &[&str], order: FrameOrder) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(order_note(names, order));
    match kinds_note(names) {
        Some(note) => notes.push(note),
        // A clock leaves numbers out.
        None if order == FrameOrder::Numbers && !are_times(names) => {
            notes.extend(numbering_notes(names));
        }
        None => {}
    }
    notes
}

/// Whether names count frames: no clocks, and one picture of each moment.
pub(crate) fn counts_frames(names: &[&str], order: FrameOrder) -> bool {
    order == FrameOrder::Numbers && !are_times(names) && kinds_note(names).is_none()
}

/// Says which order was taken where the other one is another.
fn order_note(names: &[&str], order: FrameOrder) -> Option<String> {
    let clocks: Option<Vec<Clock<'_>>> = names.iter().map(|name| Clock::of(name)).collect();
    let other = match order {
        FrameOrder::Decimals => FrameOrder::Numbers,
        FrameOrder::Numbers => FrameOrder::Decimals,
    };
    let plain = clocks?
        .iter()
        .all(|c| matches!(c.sign, None | Some('_' | '-')));
    if plain && order == FrameOrder::Numbers {
        return None;
    }
    let pair = names
        .windows(2)
        .find(|pair| other.compare(pair[0], pair[1]).is_gt())?;
    let (before, after) = (pair[0], pair[1]);
    Some(match order {
        FrameOrder::Decimals => format!(
            "names are taken as clocks with decimals: {before} comes before {after}; if they \
             count, number them with as many digits each"
        ),
        FrameOrder::Numbers => format!(
            "numbers in names are taken as whole ones: {before} comes before {after}; if they \
             are clocks with decimals, give them as many digits each"
        ),
    })
}

/// Whether names are times, not counters: dates, seconds and finer since 1970, or seconds with
/// decimals that leave most numbers out.
fn are_times(names: &[&str]) -> bool {
    let long = |name: &&str| trailing_digits(split_ending(name).0).len() > EPOCH_DIGITS;
    let clocks: Option<Vec<Clock<'_>>> = names.iter().map(|name| Clock::of(name)).collect();
    let decimal = |clock: &Clock<'_>| matches!(clock.sign, Some('.' | ','));
    !names.is_empty()
        && (names.iter().all(long)
            || clocks.is_some_and(|all| all.iter().all(decimal) && are_sparse(&all)))
}

/// Names with their numbers taken out, and the names and numbers of each.
type Kinds<'a> = BTreeMap<String, (&'a str, BTreeSet<Vec<&'a str>>)>;

/// Says where a folder holds several pictures of each moment.
fn kinds_note(names: &[&str]) -> Option<String> {
    let mut kinds: Kinds<'_> = BTreeMap::new();
    for &name in names {
        let numbers: Vec<&str> = name
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map(|digits| digits.trim_start_matches('0'))
            .collect();
        let mut shape = String::new();
        for c in split_ending(name).0.chars() {
            match c.is_ascii_digit() {
                true if shape.ends_with('#') => {}
                true => shape.push('#'),
                false => shape.push(c),
            }
        }
        if numbers.is_empty() {
            continue;
        }
        let (stem, ending) = split_ending(name);
        let numbers = numbers.into_iter().take(digit_runs(stem)).collect();
        shape.push('.');
        shape.push_str(&ending.to_ascii_lowercase());
        let (_, of_kind) = kinds.entry(shape).or_insert((name, BTreeSet::new()));
        of_kind.insert(numbers);
    }
    let (first, largest) = kinds.values().max_by_key(|(_, numbers)| numbers.len())?;
    let shared = |numbers: &BTreeSet<_>| largest.intersection(numbers).count();
    let doubles: Vec<_> = kinds
        .values()
        .filter(|(name, numbers)| {
            name != first && shared(numbers) > 1 && shared(numbers) * 2 >= numbers.len()
        })
        .collect();
    let moments = doubles.iter().map(|(_, numbers)| shared(numbers)).max()?;
    let examples: Vec<&str> = std::iter::once(*first)
        .chain(doubles.iter().map(|(name, _)| *name))
        .collect();
    Some(format!(
        "{} kinds of pictures with the same numbers ({}): {moments} moments count {} times; leave \
         one kind in the folder",
        examples.len(),
        examples.join(", "),
        examples.len()
    ))
}

fn digit_runs(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .count()
}

/// Frames are indexed by their order; a hole in the numbers is worth a note.
fn numbering_notes(names: &[&str]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut holes: u64 = 0;
    let mut example = None;
    let mut twice = None;
    for pair in names.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let (Some(x), Some(y)) = (trailing_number(a), trailing_number(b)) else {
            continue;
        };
        if y > x.saturating_add(1) {
            holes = holes.saturating_add(y - x - 1);
            example.get_or_insert((a, b));
        } else if x == y && by_numbers(split_ending(a).0, split_ending(b).0).is_eq() {
            twice.get_or_insert((a, b));
        }
    }
    if let Some((a, b)) = example {
        notes.push(format!(
            "{holes} numbers are missing, first between {a} and {b}: frames are counted in order"
        ));
    }
    if let Some((a, b)) = twice {
        notes.push(format!("{a} and {b} have one number: both count"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted<'a>(names: &[&'a str]) -> (FrameOrder, Vec<&'a str>) {
        let order = FrameOrder::of(names.iter().copied());
        let mut names = names.to_vec();
        names.sort_by(|a, b| order.compare(a, b));
        (order, names)
    }

    #[test]
    fn trailing_numbers() {
        assert_eq!(trailing_number("img_007.jpg"), Some(7));
        assert_eq!(trailing_number("012.png"), Some(12));
        assert_eq!(trailing_number("é3.png"), Some(3));
        assert_eq!(trailing_number("x.png"), None);
    }

    #[test]
    fn clocks_and_counters_are_told_apart() {
        use FrameOrder::{Decimals, Numbers};
        for (order, names) in [
            (
                Decimals,
                &[
                    "1700000000.0979037.jpg",
                    "1700000000.296752.jpg",
                    "1700000001.1.jpg",
                ][..],
            ),
            (
                Decimals,
                &["0.0.png", "0.04.png", "0.16.png", "0.2.png", "1.0.png"],
            ),
            (
                Decimals,
                &["cam1_1700000000.5.jpg", "cam1_1700000000.75.jpg"],
            ),
            (Decimals, &["1700000000_0979037.jpg", "1700000000_5.jpg"]),
            (
                Decimals,
                &["1700000000,25.jpg", "1700000000,5.jpg", "1700000001.jpg"],
            ),
            // Sections and their frames, with and without zeros in front.
            (
                Numbers,
                &["1.1.jpg", "1.2.jpg", "1.9.jpg", "1.10.jpg", "2.1.jpg"],
            ),
            (Numbers, &["1.08.jpg", "1.99.jpg", "1.100.jpg"]),
            (
                Numbers,
                &["1.7.jpg", "1.8.jpg", "1.9.jpg", "1.11.jpg", "1.12.jpg"],
            ),
            (Numbers, &["shot_2_9.jpg", "shot_2_11.jpg"]),
            // Nanoseconds that lack their zeros.
            (
                Numbers,
                &["1700000000.5000000.png", "1700000000.100000000.png"],
            ),
            // A folder with other names.
            (
                Numbers,
                &["1700000000.9.jpg", "1700000000.11.jpg", "cover.jpg"],
            ),
        ] {
            let mut shuffled = names.to_vec();
            shuffled.reverse();
            assert_eq!(sorted(&shuffled), (order, names.to_vec()));
        }
    }

    #[test]
    fn the_order_taken_is_said_where_it_is_not_plain() {
        let note = |names: &[&str]| {
            let (order, names) = sorted(names);
            name_notes(&names, order)
        };
        let clock = note(&["0.0.png", "0.04.png", "0.16.png", "0.2.png"]);
        assert_eq!(clock.len(), 1, "{clock:?}");
        assert!(
            clock[0].contains("0.16.png comes before 0.2.png"),
            "{clock:?}"
        );
        let counter = note(&["1.9.jpg", "1.10.jpg"]);
        assert!(
            counter[0].contains("1.9.jpg comes before 1.10.jpg"),
            "{counter:?}"
        );
        assert_eq!(note(&["001.jpg", "002.jpg"]), [""; 0]);
        assert_eq!(note(&["0.25.jpg", "0.50.jpg"])[..], [""; 0]);
        assert_eq!(note(&["20240501100001.jpg", "20240501100009.jpg"]), [""; 0]);
    }

    #[test]
    fn two_kinds_of_one_moment_are_noted() {
        for names in [
            [
                "00001-analyse.jpg",
                "00001-capture.jpg",
                "00002-analyse.jpg",
                "00002-capture.jpg",
            ],
            ["1.jpg", "1.png", "2.jpg", "2.png"],
            ["ir_01.png", "ir_02.png", "rgb_1.png", "rgb_2.png"],
        ] {
            let notes = name_notes(&names, FrameOrder::Numbers);
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert!(notes[0].starts_with("2 kinds of pictures"), "{notes:?}");
            assert!(notes[0].contains("2 moments count 2 times"), "{notes:?}");
        }
        for names in [
            ["a_1.jpg", "a_2.jpg", "b_3.jpg", "b_4.jpg"],
            ["1.jpg", "2.jpg", "3.jpg", "4.png"],
        ] {
            let notes = name_notes(&names, FrameOrder::Numbers);
            assert!(!notes.iter().any(|n| n.contains("kinds")), "{notes:?}");
        }
    }

    proptest! {
        #[test]
        fn both_orders_are_total(
            a in "[0-2a.]{0,7}", b in "[0-2a.]{0,7}", c in "[0-2a.]{0,7}",
        ) {
            for order in [FrameOrder::Numbers, FrameOrder::Decimals] {
                prop_assert_eq!(order.compare(&a, &b), order.compare(&b, &a).reverse());
                prop_assert_eq!(order.compare(&a, &b).is_eq(), a == b);
                if order.compare(&a, &b).is_le() && order.compare(&b, &c).is_le() {
                    prop_assert!(order.compare(&a, &c).is_le());
                }
            }
        }

        #[test]
        fn clocks_sort_as_their_numbers(
            micros in proptest::collection::btree_set(0_u64..3_000_000, 2..30),
        ) {
            // As most languages print a float: without zeros at the end.
            let name = |&t: &u64| {
                let text = format!("{}.{:06}", 1_700_000_000 + t / 1_000_000, t % 1_000_000);
                let text = text.trim_end_matches('0');
                format!("{}{}.jpg", text, if text.ends_with('.') { "0" } else { "" })
            };
            let right: Vec<String> = micros.iter().map(name).collect();
            let shuffled: Vec<&str> = right.iter().rev().map(String::as_str).collect();
            prop_assert_eq!(sorted(&shuffled).1, right.iter().map(String::as_str).collect::<Vec<_>>());
        }

        #[test]
        fn counters_sort_as_their_numbers(sections in 1_u64..4, frames in 10_u64..120) {
            let all = (1..=sections).flat_map(|s| (1..=frames).map(move |f| format!("{s}.{f}.png")));
            let right: Vec<String> = all.collect();
            let shuffled: Vec<&str> = right.iter().rev().map(String::as_str).collect();
            prop_assert_eq!(sorted(&shuffled).1, right.iter().map(String::as_str).collect::<Vec<_>>());
        }

        #[test]
        fn any_names_have_notes(names in proptest::collection::vec("[0-2a._é-]{0,7}", 0..8)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (order, names) = sorted(&names);
            let _ = name_notes(&names, order);
        }
    }
}
