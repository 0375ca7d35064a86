//! Prints where the time of a prediction and of a training step goes, by operation and level, and
//! how much longer both take with pools than without.
//!
//! `profile [WIDTH [SIZE]]`; `RAYON_NUM_THREADS` says how many threads.
#![allow(clippy::disallowed_methods, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use burn::backend::Flex;
use msn_model::{
    Adam, Algorithm, CpuNet, CpuTraining, Isa, LossWeights, Method, MsnNet, NetConfig, Operation,
    Precision, Profile, Tensors,
};

const RUNS: usize = 101;
const WARM_UP: usize = 50;

/// Times of one operation at each level.
type Row = (Operation, [Duration; 5]);

/// What each operation and level took in one run after the other.
#[derive(Default)]
struct Runs(Vec<(Operation, usize, Vec<Duration>)>);

impl Runs {
    fn add(&mut self, profile: &Profile) {
        for &(operation, level, time) in profile.rows() {
            let mut rows = self.0.iter_mut();
            match rows.find(|(o, l, _)| (*o, *l) == (operation, level)) {
                Some((_, _, times)) => times.push(time),
                None => self.0.push((operation, level, vec![time])),
            }
        }
    }

    /// The medians: other programs disturb some runs.
    fn medians(&mut self) -> Vec<(Operation, usize, Duration)> {
        let median = |(operation, level, times): &mut (Operation, usize, Vec<Duration>)| {
            times.sort();
            (*operation, *level, times[times.len() / 2])
        };
        self.0.iter_mut().map(median).collect()
    }
}

fn table(title: &str, mut runs: Runs) {
    let medians = runs.medians();
    let mut rows: Vec<Row> = Vec::new();
    for &(operation, level, time) in &medians {
        match rows.iter_mut().find(|(o, _)| *o == operation) {
            Some((_, levels)) => levels[level] += time,
            None => {
                let mut levels = [Duration::ZERO; 5];
                levels[level] = time;
                rows.push((operation, levels));
            }
        }
    }
    let all: Duration = medians.iter().map(|(_, _, t)| *t).sum();
    let ms = |t: Duration| t.as_secs_f64() * 1e3;
    println!("\n{title}: {:.2} ms\n", ms(all));
    println!("| operation | level 1, ms | 2 | 3 | 4 | all | share |");
    println!("|---|---|---|---|---|---|---|");
    for (operation, levels) in rows {
        let sum: Duration = levels.iter().sum();
        let level = |l: usize| match levels[l] {
            Duration::ZERO => String::new(),
            t => format!("{:.3}", ms(t)),
        };
        println!(
            "| {operation:?} | {} | {} | {} | {} | {:.3} | {:.1} % |",
            level(1),
            level(2),
            level(3),
            level(4),
            ms(sum),
            100.0 * sum.as_secs_f64() / all.as_secs_f64()
        );
    }
}

/// Prints the median of `measure`, the time with pools over that without.
fn ratio(mut measure: impl FnMut() -> f64) {
    let all = (0..WARM_UP + RUNS).map(|_| measure());
    let mut all: Vec<f64> = all.skip(WARM_UP).collect();
    all.sort_by(f64::total_cmp);
    println!(
        "\nWith pools it takes {:.3} times as long as without (in turn, median; quartiles {:.3} and {:.3})",
        all[RUNS / 2],
        all[RUNS / 4],
        all[3 * RUNS / 4]
    );
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |n: usize, default: usize| {
        std::env::args()
            .nth(n)
            .map_or(default, |a| a.parse().expect("a number"))
    };
    let (width, size) = (argument(1, 16), argument(2, 128));
    let isa = Isa::detect();
    println!(
        "{isa}, {} threads, width {width}",
        rayon::current_num_threads()
    );
    let config = NetConfig {
        width,
        ..NetConfig::default()
    };
    let plain = NetConfig {
        pools: Vec::new(),
        ..config.clone()
    };
    let fresh = |config: &NetConfig| -> Result<Tensors, Box<dyn std::error::Error>> {
        Ok(MsnNet::<Flex>::new(config, 0, &Default::default())?.tensors())
    };
    let (tensors, plain_tensors) = (fresh(&config)?, fresh(&plain)?);
    let frames = |batch: usize, size: usize, channels: usize| -> Vec<f32> {
        (0..batch * size * size * channels)
            .map(|i| ((i * 31) % 255) as f32 / 127.5 - 1.0)
            .collect()
    };
    for precision in [Precision::F32, Precision::Bf16] {
        if !isa.computes_in(precision) {
            println!("no {precision} here");
            continue;
        }
        let method = Method {
            precision,
            ..Method::default()
        };
        let mut net = CpuNet::new(&config, &tensors, method)?;
        let input = frames(1, size, 4);
        let mut runs = Runs::default();
        for i in 0..WARM_UP + RUNS {
            net.profile().start();
            net.run(&input, 1, size, size).expect("a prediction");
            if i >= WARM_UP {
                runs.add(net.profile());
            }
        }
        let title = format!("Prediction, 1 x {size} px, {precision}");
        table(&title, runs);
        let time = |net: &CpuNet| {
            let start = Instant::now();
            net.run(&input, 1, size, size).expect("a prediction");
            start.elapsed().as_secs_f64()
        };
        let with = CpuNet::new(&config, &tensors, method)?;
        let without = CpuNet::new(&plain, &plain_tensors, method)?;
        ratio(|| time(&with) / time(&without));
    }
    let new = |config: &NetConfig, tensors: &Tensors| {
        CpuTraining::new(config, LossWeights::default(), tensors, Algorithm::Fastest)
    };
    let mut net = new(&config, &tensors)?;
    let side = size / 2;
    let (input, target) = (frames(8, side, 4), frames(8, side, 1));
    let step = |net: &mut CpuTraining| {
        let start = Instant::now();
        net.step(&input, &target, 8, side, side).expect("a step");
        net.update(&Adam::default(), 1e-4);
        net.write();
        start.elapsed().as_secs_f64()
    };
    let mut runs = Runs::default();
    for i in 0..WARM_UP + RUNS {
        net.profile().start();
        step(&mut net);
        if i >= WARM_UP {
            runs.add(net.profile());
        }
    }
    table(&format!("Training step, 8 x {side} px"), runs);
    let mut with = new(&config, &tensors)?;
    let mut without = new(&plain, &plain_tensors)?;
    ratio(|| step(&mut with) / step(&mut without));
    Ok(())
}
