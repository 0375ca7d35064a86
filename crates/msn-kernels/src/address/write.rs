//! Writing: queries of a training step change the items (METHOD.md, A pool).

use super::Lookup;
use crate::threads::map_tasks;

/// New items with a norm below this are not taken.
const SMALLEST_ITEM: f64 = 1e-6;
/// A sum of weights below this counts as this.
const SMALLEST_WEIGHT: f64 = 1e-12;

/// How queries change items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteRule {
    /// `m <- unit(momentum m + (1 - momentum) mean)` with this momentum in 0..1, or
    /// `m <- unit(m + sum)` without.
    pub momentum: Option<f32>,
    /// Whether a query's weight is relative to the best of its item's own queries, not of all.
    pub own_maximum: bool,
}

/// The items, `[M, D]`, after the queries of `lookup`: each query changes its most similar item.
/// Items without queries, or that would vanish, stay bit-equal.
///
/// # Panics
/// If `items` has not the size of the items that were looked up.
pub fn write_items(lookup: &Lookup, items: &mut [f32], rule: WriteRule) {
    let (count, features) = (lookup.items, lookup.shape.channels);
    assert_eq!(
        items.len(),
        count * features,
        "the length of {count} items of {features} features"
    );
    let temperature = lookup.how.map_or(1.0, |h| f64::from(h.temperature));
    let queries = lookup.shape.pixels();
    if queries == 0 {
        return;
    }
    let nearest = |k: usize| {
        let row = lookup.similarities_of(k);
        (1..count).fold(0, |best, i| if row[i] > row[best] { i } else { best })
    };
    let mut owners = Vec::with_capacity(queries);
    let mut top = vec![f32::NEG_INFINITY; count];
    for k in 0..queries {
        let owner = nearest(k);
        owners.push(owner);
        let row = lookup.similarities_of(k);
        if rule.own_maximum {
            top[owner] = top[owner].max(row[owner]);
        } else {
            for (t, s) in top.iter_mut().zip(row) {
                *t = t.max(*s);
            }
        }
    }
    // One item is one task: its queries are taken in their order.
    let new = map_tasks(count, |i| {
        let mut sum = vec![0.0_f64; features];
        let mut total = 0.0_f64;
        for k in (0..queries).filter(|&k| owners[k] == i) {
            let weight = (f64::from(lookup.similarities_of(k)[i] - top[i]) / temperature).exp();
            total += weight;
            for (s, q) in sum.iter_mut().zip(lookup.query(k)) {
                *s += weight * f64::from(*q);
            }
        }
        let old = &items[i * features..][..features];
        if !owners.contains(&i) {
            return old.to_vec();
        }
        let divisor = total.max(SMALLEST_WEIGHT);
        let mut new: Vec<f64> = sum
            .iter()
            .zip(old)
            .map(|(s, m)| match rule.momentum {
                Some(momentum) => {
                    f64::from(momentum) * f64::from(*m) + (1.0 - f64::from(momentum)) * s / divisor
                }
                None => f64::from(*m) + s,
            })
            .collect();
        let norm = new.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm < SMALLEST_ITEM {
            return old.to_vec();
        }
        new.iter_mut().for_each(|v| *v /= norm);
        new.into_iter().map(|v| v as f32).collect()
    });
    for (to, new) in items.chunks_exact_mut(features).zip(new) {
        to.copy_from_slice(&new);
    }
}
