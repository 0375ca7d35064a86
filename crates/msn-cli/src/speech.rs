//! What the program prints. It goes on where nobody can hear it: a training must not end because its
//! log is full or its reader is gone.
//!
//! The macros take the places of those of the same names, which panic.

use std::{
    fmt,
    io::{self, Write as _},
    sync::OnceLock,
};

/// Why standard output failed first.
static STDOUT: OnceLock<io::Error> = OnceLock::new();

macro_rules! eprintln {
    ($($text:tt)*) => { $crate::speech::to_stderr(format_args!($($text)*)) };
}

macro_rules! print {
    ($($text:tt)*) => { $crate::speech::to_stdout(format_args!($($text)*), "") };
}

macro_rules! println {
    () => { $crate::speech::to_stdout(format_args!(""), "\n") };
    ($($text:tt)*) => { $crate::speech::to_stdout(format_args!($($text)*), "\n") };
}

/// A line on standard error, if it can be written.
pub(crate) fn to_stderr(text: fmt::Arguments<'_>) {
    // In one piece, so that lines of several processes do not mix.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Text on standard output; the first failure is kept for the program's end, and what comes after it
/// is lost.
pub(crate) fn to_stdout(text: fmt::Arguments<'_>, end: &str) {
    if STDOUT.get().is_some() {
        return;
    }
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_fmt(format_args!("{text}{end}")) {
        let _ = STDOUT.set(error);
    }
}

/// Whether all of standard output was written. A reader such as `head` that has seen enough is no
/// failure.
pub(crate) fn flushed() -> io::Result<()> {
    let failed = match STDOUT.get() {
        // An error can't be cloned.
        Some(error) => Err(match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        }),
        None => io::stdout().flush(),
    };
    match failed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
