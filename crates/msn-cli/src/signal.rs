//! Ctrl-C, SIGTERM and SIGHUP while something runs: what is done is saved.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use anyhow::Result;
use signal_hook::{
    SigId,
    consts::{SIGINT, SIGTERM},
    flag, low_level,
};

/// Catches the signals while it lives. A second one ends the process at once.
pub(crate) struct Signals {
    caught: Arc<AtomicUsize>,
    registered: Vec<SigId>,
}

impl Signals {
    pub fn catch() -> Result<Self> {
        let (caught, again) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut registered = Vec::new();
        for signal in signals() {
            let number = usize::try_from(signal)?;
            // In this order: the first signal sets the flag that the second one finds.
            registered.push(flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&again),
            )?);
            registered.push(flag::register(signal, Arc::clone(&again))?);
            registered.push(flag::register_usize(signal, Arc::clone(&caught), number)?);
        }
        Ok(Self { caught, registered })
    }

    /// The signal, if there was one.
    pub fn caught(&self) -> Option<u8> {
        u8::try_from(self.caught.load(Ordering::Relaxed))
            .ok()
            .filter(|&signal| signal != 0)
    }
}

/// The signals that end what runs. Where SIGHUP is ignored, as `nohup` wants it, it stays so.
fn signals() -> Vec<i32> {
    let mut all = vec![SIGINT, SIGTERM];
    #[cfg(unix)]
    if !is_ignored(signal_hook::consts::SIGHUP) {
        all.push(signal_hook::consts::SIGHUP);
    }
    all
}

/// Whether the process was started with a signal ignored, as far as the system says.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// Work that was stopped by a signal: exit code 128 + signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted, {state}: {way_on}")]
pub(crate) struct Interrupted {
    pub signal: u8,
    /// What has become of the work so far, as in "and saved".
    pub state: &'static str,
    /// How to go on, for the user.
    pub way_on: String,
}
