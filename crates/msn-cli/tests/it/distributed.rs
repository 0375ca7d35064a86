//! Training in several processes that `mpirun` starts.
#![cfg(unix)]

use camino::Utf8Path;

use crate::{msn, resume::scene, stdout, temporary};

/// Some thirty steps an epoch.
const TRAIN: [&str; 6] = [
    "train", "scene", "width=4", "size=32", "crop=24", "batch=12",
];

/// Exit code and standard error of a command that is refused.
fn refused(command: &mut assert_cmd::Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), errors)
}

#[test]
fn a_list_of_devices_names_mpirun() {
    let (_guard, dir) = temporary();
    let (code, errors) = refused(msn(&dir).args(["train", ".", "--device", "cuda:0,cuda:1"]));
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("mpirun -n 2 msn train"), "{errors}");
}

/// Copies that know nothing of each other would write the same folder.
#[cfg(not(feature = "mpi"))]
#[test]
fn without_mpi_several_processes_are_refused() {
    let (_guard, dir) = temporary();
    scene(&dir);
    for variable in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] {
        let train = |count: &str| {
            let mut command = msn(&dir);
            command.args(TRAIN).arg("--dry-run").env(variable, count);
            command
        };
        let (code, errors) = refused(&mut train("2"));
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains("started 2 processes"), "{errors}");
        assert!(errors.contains("--features mpi"), "{errors}");
        stdout(&mut train("1"));
    }
}

#[cfg(feature = "mpi")]
mod with_mpi {
    use std::{
        fs::File,
        io::ErrorKind,
        process::{Child, Command, Stdio},
        time::{Duration, Instant},
    };

    use camino::Utf8PathBuf;

    use super::*;
    use crate::resume::{checkpoints, metrics, wait_for};

    fn losses(dir: &Utf8Path, run: &str) -> Vec<f64> {
        let value = |line: &String| line.split(',').nth(3).unwrap().parse().unwrap();
        metrics(dir, run)[1..].iter().map(value).collect()
    }

    /// Ranks that `mpirun` started, which do not outlive their test.
    struct Job {
        mpirun: Child,
        errors: Utf8PathBuf,
        output: Utf8PathBuf,
    }

    impl Drop for Job {
        fn drop(&mut self) {
            if !matches!(self.mpirun.try_wait(), Ok(None)) {
                return;
            }
            // It ends its ranks when it is asked to end, not when it is killed.
            let pid = self.mpirun.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = self.mpirun.wait();
        }
    }

    impl Job {
        /// Starts ranks, on as few cores as there are and as root where the tests are; `None` where
        /// there is no `mpirun`.
        fn start(dir: &Utf8Path, ranks: usize, args: &[&str]) -> Option<Self> {
            Self::with_last(dir, ranks, "true", args)
        }

        /// The same, with a shell command that the last rank runs before, such as one that changes
        /// its words (`set -- "$@" more`) or its folder.
        fn with_last(dir: &Utf8Path, ranks: usize, last: &str, args: &[&str]) -> Option<Self> {
            let script = format!(
                "[ $OMPI_COMM_WORLD_RANK != {} ] || {last}; exec {} \"$@\"",
                ranks - 1,
                assert_cmd::cargo::cargo_bin("msn").display()
            );
            let (errors, output) = (dir.join("errors.txt"), dir.join("output.txt"));
            let started = Command::new("mpirun")
                .current_dir(dir)
                .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
                .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
                // Ranks that wait leave the cores to those that compute.
                .env("OMPI_MCA_mpi_yield_when_idle", "1")
                .env("RAYON_NUM_THREADS", "1")
                .args(["--oversubscribe", "-n", &ranks.to_string()])
                .args(["sh", "-c", &script, "msn"])
                .args(args)
                .stdin(Stdio::null())
                .stdout(File::create(&output).unwrap())
                .stderr(File::create(&errors).unwrap())
                .spawn();
            match started {
                Ok(mpirun) => Some(Self {
                    mpirun,
                    errors,
                    output,
                }),
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    eprintln!("skipped: there is no mpirun");
                    None
                }
                Err(e) => panic!("{e}"),
            }
        }

        fn errors(&self) -> String {
            std::fs::read_to_string(&self.errors).unwrap()
        }

        fn output(&self) -> String {
            std::fs::read_to_string(&self.output).unwrap()
        }

        /// Exit code of `mpirun` and standard error of all ranks, after at most two minutes.
        fn ends(&mut self) -> (Option<i32>, String) {
            let began = Instant::now();
            loop {
                if let Some(status) = self.mpirun.try_wait().unwrap() {
                    return (status.code(), self.errors());
                }
                assert!(
                    began.elapsed() < Duration::from_secs(120),
                    "{}",
                    self.errors()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }

        /// Sends a signal to one rank.
        fn signal(&self, rank: usize, signal: &str) {
            let pid = ranks_of(self.mpirun.id())[rank].to_string();
            let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
            assert!(sent.success());
        }
    }

    /// Whether a process computes, and does not only wait for its parent to take notice of its end.
    fn runs(pid: u32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let state = status.lines().find_map(|l| l.strip_prefix("State:"));
        state.is_some_and(|state| !state.trim().starts_with('Z'))
    }

    /// The processes that an `mpirun` started, by rank.
    fn ranks_of(mpirun: u32) -> Vec<u32> {
        let mut ranks = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
                continue;
            };
            let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
            let status = read("status").unwrap_or_default();
            let parent = status.lines().find_map(|l| l.strip_prefix("PPid:"));
            if parent.and_then(|p| p.trim().parse().ok()) != Some(mpirun) {
                continue;
            }
            let environment = read("environ").unwrap_or_default();
            let mut variables = environment.split('\0');
            let rank = variables.find_map(|v| v.strip_prefix("OMPI_COMM_WORLD_RANK="));
            if let Some(rank) = rank.and_then(|r| r.parse::<usize>().ok()) {
                ranks.push((rank, pid));
            }
        }
        ranks.sort_unstable();
        ranks.into_iter().map(|(_, pid)| pid).collect()
    }

    fn train(dir: &Utf8Path, ranks: usize, more: &[&str]) -> Option<Job> {
        Job::start(dir, ranks, &[&TRAIN[..], more].concat())
    }

    /// Whether the first step has the same loss, and the next ones to rounding that grows: Adam's
    /// first steps have the size of the rate, also where a gradient is rounding alone.
    fn alike(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (i, (a, b)) in a.iter().zip(b).take(6).enumerate() {
            let most = if i == 0 { 1e-6 } else { 1e-2 };
            assert!((a - b).abs() < most * a.abs(), "step {}: {a} {b}", i + 1);
        }
    }

    #[test]
    fn any_number_of_ranks_is_one_training_and_rank_0_alone_writes() {
        let (_guard, dir) = temporary();
        scene(&dir);
        stdout(msn(&dir).args(TRAIN).args(["epochs=2", "--out", "one"]));
        let one = losses(&dir, "one");
        for ranks in [2, 3] {
            let run = format!("ranks-{ranks}");
            let Some(mut job) = train(&dir, ranks, &["epochs=2", "--out", &run]) else {
                return;
            };
            let (code, errors) = job.ends();
            assert_eq!(code, Some(0), "{errors}");
            alike(&one, &losses(&dir, &run));
            assert!(dir.join(&run).join("weights/best.safetensors").exists());
            assert!(dir.join(&run).join("eval.json").exists());
            // Said once, and every step is in the table once.
            assert_eq!(
                job.output().matches("run folder: ").count(),
                1,
                "{}",
                job.output()
            );
            assert_eq!(
                errors.matches("reading 4 training videos").count(),
                1,
                "{errors}"
            );
            let steps: Vec<usize> = metrics(&dir, &run)[1..]
                .iter()
                .map(|line| line.split(',').next().unwrap().parse().unwrap())
                .collect();
            assert_eq!(steps, (1..=steps.len()).collect::<Vec<_>>());
            // A finished run is finished for all.
            let mut again = train(&dir, ranks, &["epochs=2", "--out", &run, "--resume"]).unwrap();
            assert_eq!(again.ends().0, Some(0));
            assert_eq!(again.output().matches("finished run").count(), 1);
        }
    }

    #[test]
    fn burns_own_operations_are_shared_alike() {
        let (_guard, dir) = temporary();
        scene(&dir);
        let plain = ["epochs=1", "--kernels", "plain", "--out"];
        stdout(msn(&dir).args(TRAIN).args(plain).arg("one"));
        let Some(mut job) = train(&dir, 2, &[&plain[..], &["two"]].concat()) else {
            return;
        };
        let (code, errors) = job.ends();
        assert_eq!(code, Some(0), "{errors}");
        alike(&losses(&dir, "one"), &losses(&dir, "two"));
    }

    #[test]
    fn a_killed_rank_ends_all_and_any_number_goes_on() {
        let (_guard, dir) = temporary();
        scene(&dir);
        let run = dir.join("run");
        let more = ["--out", "run", "--checkpoint-steps", "5", "epochs=60"];
        for killed in [1, 0] {
            let resume: &[&str] = if killed == 0 { &["--resume"] } else { &[] };
            let before = checkpoints(&run);
            let Some(mut job) = train(&dir, 2, &[&more[..], resume].concat()) else {
                return;
            };
            wait_for("checkpoint", || checkpoints(&run) != before);
            let ranks = ranks_of(job.mpirun.id());
            job.signal(killed, "-KILL");
            let (code, errors) = job.ends();
            assert_eq!(code, Some(128 + 9), "{errors}");
            let sentence = format!("process rank {killed} with PID 0 on node");
            assert!(errors.contains(&sentence), "{errors}");
            for pid in ranks {
                // The launcher ends a moment before the last of them.
                wait_for("end of all ranks", || !runs(pid));
            }
        }
        let whole = metrics(&dir, "run").len();
        // Alone, then as three, of which one is interrupted: all stop after the same step.
        let resumed = [&more[..], &["--resume"]].concat();
        for (ranks, interrupted) in [(1, 0), (3, 2)] {
            let before = checkpoints(&run);
            let mut job = train(&dir, ranks, &resumed).unwrap();
            wait_for("checkpoint", || checkpoints(&run) != before);
            job.signal(interrupted, "-INT");
            let (code, errors) = job.ends();
            assert_eq!(code, Some(130), "{errors}");
            assert!(errors.contains("going on after step"), "{errors}");
            let saved = "interrupted, and saved: `msn train --resume --out";
            assert_eq!(errors.matches(saved).count(), 1, "{errors}");
        }
        let steps: Vec<usize> = metrics(&dir, "run")[1..]
            .iter()
            .map(|line| line.split(',').next().unwrap().parse().unwrap())
            .collect();
        assert!(steps.len() > whole);
        assert_eq!(steps, (1..=steps.len()).collect::<Vec<_>>());
    }

    #[test]
    fn ranks_that_do_not_fit_are_told_why() {
        let (_guard, dir) = temporary();
        scene(&dir);
        let Some(mut uneven) = train(&dir, 2, &["batch=9", "--out", "a"]) else {
            return;
        };
        let (code, errors) = uneven.ends();
        assert_eq!(code, Some(2), "{errors}");
        assert_eq!(errors.matches("give batch=10").count(), 1, "{errors}");
        assert!(!dir.join("a").exists());

        let mut dry = train(&dir, 2, &["--dry-run"]).unwrap();
        let (code, errors) = dry.ends();
        assert_eq!(code, Some(2), "{errors}");

        // The last rank differs: in a setting, in one that it alone would refuse, in its footage.
        let other = dir.join("other");
        std::fs::create_dir(&other).unwrap();
        let fewer = ["--train", "3", "--test", "1", "--seconds", "10"];
        stdout(msn(&other).args(["data", "synth", "scene"]).args(fewer));
        let args = [&TRAIN[..], &["--out", "b"]].concat();
        for (ranks, last, sentence) in [
            (
                3,
                "set -- \"$@\" seed=5",
                "rank 2 has the setting `seed = 5`, rank 0 `seed = 0`",
            ),
            (
                2,
                "set -- \"$@\" batch=9",
                "rank 1 has the setting `batch = 9`, rank 0 `batch = 12`",
            ),
            (2, "cd other", "rank 1 has other training frames"),
        ] {
            let mut odd = Job::with_last(&dir, ranks, last, &args).unwrap();
            let (code, errors) = odd.ends();
            assert_eq!(code, Some(1), "{last}: {errors}");
            assert_eq!(errors.matches(sentence).count(), 1, "{errors}");
            assert!(!dir.join("b").exists(), "{last}");
        }
    }

    #[test]
    fn footage_of_one_rank_that_is_too_short_ends_all() {
        let (_guard, dir) = temporary();
        scene(&dir);
        // Seven frames hold clips of five, but the training part of their split holds none.
        let train = dir.join("short/scene/train/01");
        std::fs::create_dir_all(&train).unwrap();
        for frame in 0..7 {
            let image = image::GrayImage::new(32, 32);
            image.save(train.join(format!("{frame:03}.png"))).unwrap();
        }
        let args = [&TRAIN[..], &["--out", "run"]].concat();
        let Some(mut job) = Job::with_last(&dir, 2, "cd short", &args) else {
            return;
        };
        let (code, errors) = job.ends();
        assert_eq!(code, Some(1), "{errors}");
        let sentence = "error: rank 1 of 2: no training video has the 5 unbroken frames";
        assert!(errors.contains(sentence), "{errors}");
        assert!(!dir.join("run").exists());
    }

    /// No thread can have so large a stack, and a program can't go on without threads.
    #[test]
    fn a_panic_of_one_rank_ends_all() {
        let (_guard, dir) = temporary();
        scene(&dir);
        let args = [&TRAIN[..], &["--out", "run"]].concat();
        let last = "export RUST_MIN_STACK=100000000000000000";
        let Some(mut job) = Job::with_last(&dir, 2, last, &args) else {
            return;
        };
        let (code, errors) = job.ends();
        assert_eq!(code, Some(101), "{errors}");
        assert!(
            errors.contains("error: rank 1 of 2: internal: "),
            "{errors}"
        );
    }

    #[test]
    fn an_error_of_one_rank_ends_all_with_its_sentence() {
        let (_guard, dir) = temporary();
        scene(&dir);
        std::fs::create_dir(dir.join("full")).unwrap();
        std::fs::write(dir.join("full/notes.txt"), "").unwrap();
        // Rank 0 alone looks at the run folder; the other waits for it.
        let Some(mut job) = train(&dir, 2, &["--out", "full"]) else {
            return;
        };
        let (code, errors) = job.ends();
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("error: rank 0 of 2: "), "{errors}");
        assert!(errors.contains("is not empty"), "{errors}");
    }
}
