//! The same pool in plain `f64` loops: slow, easy to check by eye, what the tests compare with.

use crate::{PoolConfig, Write, WriteMax};

/// Rows of equal length.
pub type Rows = Vec<Vec<f64>>;

/// `x / max(|x|, 1e-12)` of each row.
pub fn unit(rows: &Rows) -> Rows {
    let one = |x: &Vec<f64>| {
        let norm = norm(x).max(1e-12);
        x.iter().map(|v| v / norm).collect()
    };
    rows.iter().map(one).collect()
}

/// cosine / temperature, `[K, M]`.
pub fn similarity(queries: &Rows, items: &Rows, config: &PoolConfig) -> Rows {
    let row = |q: &Vec<f64>| {
        items
            .iter()
            .map(|m| dot(q, m) / config.temperature)
            .collect()
    };
    queries.iter().map(row).collect()
}

/// Reading weights, `[K, M]`.
pub fn address(queries: &Rows, items: &Rows, config: &PoolConfig) -> Rows {
    let row = |s: &Vec<f64>| {
        let mut sorted = s.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let least = if config.top_k == 0 {
            f64::NEG_INFINITY
        } else {
            sorted[config.top_k - 1]
        };
        let e: Vec<f64> = s
            .iter()
            .map(|&v| {
                if v >= least {
                    (v - sorted[0]).exp()
                } else {
                    0.0
                }
            })
            .collect();
        let total: f64 = e.iter().sum();
        e.iter().map(|v| v / total).collect()
    };
    similarity(queries, items, config).iter().map(row).collect()
}

/// What the queries read, `[K, D]`.
pub fn read(queries: &Rows, items: &Rows, config: &PoolConfig) -> Rows {
    let row = |a: &Vec<f64>| {
        let feature = |d: usize| a.iter().zip(items).map(|(w, m)| w * m[d]).sum();
        (0..config.features).map(feature).collect()
    };
    address(queries, items, config).iter().map(row).collect()
}

/// The items after a write, `[M, D]`.
pub fn write(queries: &Rows, items: &Rows, config: &PoolConfig) -> Rows {
    let s = similarity(queries, items, config);
    let mut new = Rows::new();
    for (m, item) in items.iter().enumerate() {
        let own: Vec<usize> = (0..queries.len())
            .filter(|&k| first_largest(&s[k], None) == m)
            .collect();
        if own.is_empty() {
            new.push(item.clone());
            continue;
        }
        let among: Vec<usize> = match config.write_max {
            WriteMax::All => (0..queries.len()).collect(),
            WriteMax::Own => own.clone(),
        };
        let top = among
            .iter()
            .map(|&k| s[k][m])
            .fold(f64::NEG_INFINITY, f64::max);
        let v: Vec<f64> = own.iter().map(|&k| (s[k][m] - top).exp()).collect();
        let total = v.iter().sum::<f64>().max(1e-12);
        let gathered = |d: usize| {
            own.iter()
                .zip(&v)
                .map(|(&k, v)| v * queries[k][d])
                .sum::<f64>()
        };
        let value: Vec<f64> = (0..item.len())
            .map(|d| match config.write {
                Write::Sum => item[d] + gathered(d),
                Write::Mean => {
                    config.momentum * item[d] + (1.0 - config.momentum) * gathered(d) / total
                }
            })
            .collect();
        let too_short = norm(&value) < 1e-6;
        new.push(if too_short {
            item.clone()
        } else {
            unit(&vec![value]).remove(0)
        });
    }
    new
}

/// Mean over queries and features of (query - nearest item)^2.
pub fn compactness(queries: &Rows, items: &Rows, config: &PoolConfig) -> f64 {
    let d = distance(queries, items, config);
    d.iter().sum::<f64>() / d.len() as f64
}

/// Mean of max(0, |q - nearest| - |q - second nearest| + 1).
pub fn separateness(queries: &Rows, items: &Rows, config: &PoolConfig) -> f64 {
    let s = similarity(queries, items, config);
    let apart = |q: &Vec<f64>, m: &Vec<f64>| {
        q.iter()
            .zip(m)
            .map(|(a, b)| (a - b + 1e-6).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let one = |(q, s): (&Vec<f64>, &Vec<f64>)| {
        let first = first_largest(s, None);
        let second = first_largest(s, Some(first));
        (apart(q, &items[first]) - apart(q, &items[second]) + 1.0).max(0.0)
    };
    queries.iter().zip(&s).map(one).sum::<f64>() / queries.len() as f64
}

/// (mean entropy of the addressing - entropy of its mean) / log M.
pub fn information(queries: &Rows, items: &Rows, config: &PoolConfig) -> f64 {
    let a = address(queries, items, config);
    let entropy = |p: &[f64]| -p.iter().map(|&v| v * v.max(1e-12).ln()).sum::<f64>();
    let n = a.len() as f64;
    let mean: Vec<f64> = (0..items.len())
        .map(|m| a.iter().map(|row| row[m]).sum::<f64>() / n)
        .collect();
    (a.iter().map(|row| entropy(row)).sum::<f64>() / n - entropy(&mean)) / (items.len() as f64).ln()
}

/// Squared distance to the nearest item, mean over features, `[K]`.
pub fn distance(queries: &Rows, items: &Rows, config: &PoolConfig) -> Vec<f64> {
    let s = similarity(queries, items, config);
    let one = |(q, s): (&Vec<f64>, &Vec<f64>)| {
        let near = &items[first_largest(s, None)];
        q.iter()
            .zip(near)
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>()
            / q.len() as f64
    };
    queries.iter().zip(&s).map(one).collect()
}

fn first_largest(s: &[f64], without: Option<usize>) -> usize {
    let mut best: Option<usize> = None;
    for i in (0..s.len()).filter(|&i| Some(i) != without) {
        if best.is_none_or(|b| s[i] > s[b]) {
            best = Some(i);
        }
    }
    best.unwrap_or(0)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}
