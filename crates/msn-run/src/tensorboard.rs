//! TensorBoard event files: scalars alone.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

use camino::{Utf8Path, Utf8PathBuf};
use prost::Message;

use crate::RunError;

/// The parts of TensorFlow's `event.proto` and `summary.proto` that scalars need.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// Optional, so that a zero is written too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The event file of a run, written anew by each process from what the run's tables hold: so no
/// step is in it twice.
pub(crate) struct Events {
    path: Utf8PathBuf,
    file: BufWriter<File>,
    /// When the training would have begun without an interruption, seconds since 1970.
    start: f64,
}

impl Events {
    /// Begins the file of a folder, in the place of an earlier one. `seconds`: how long the training
    /// has run.
    pub fn create(folder: &Utf8Path, seconds: f64) -> Result<Self, RunError> {
        std::fs::create_dir_all(folder).map_err(RunError::write(folder))?;
        let listing = msn_video::list_folder(folder).map_err(RunError::write(folder))?;
        for path in listing.entries.into_iter().map(|entry| entry.path) {
            if path.file_name().is_some_and(|n| n.contains("tfevents")) {
                std::fs::remove_file(&path).map_err(RunError::write(path))?;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0.0, |since| since.as_secs_f64());
        let path = folder.join(format!("events.out.tfevents.{now:.0}.msn"));
        let file = File::create(&path).map_err(RunError::write(&path))?;
        let mut events = Self {
            path,
            file: BufWriter::new(file),
            start: now - seconds,
        };
        events.record(&Event {
            wall_time: events.start,
            file_version: Some("brain.Event:2".into()),
            ..Event::default()
        })?;
        Ok(events)
    }

    /// Adds scalars of a step, `seconds` after the training began.
    pub fn scalars(
        &mut self,
        step: usize,
        seconds: f64,
        values: impl Iterator<Item = (String, f64)>,
    ) -> Result<(), RunError> {
        // Event files hold f32.
        let value = |(tag, value): (String, f64)| Value {
            tag,
            simple_value: Some(value as f32),
        };
        self.record(&Event {
            wall_time: self.start + seconds,
            step: i64::try_from(step).unwrap_or(i64::MAX),
            file_version: None,
            summary: Some(Summary {
                value: values.map(value).collect(),
            }),
        })
    }

    /// A TFRecord: length and data, each with its checksum.
    fn record(&mut self, event: &Event) -> Result<(), RunError> {
        let data = event.encode_to_vec();
        let length = (data.len() as u64).to_le_bytes();
        let parts = [&length[..], &checksum(&length), &data, &checksum(&data)];
        let mut write = || parts.iter().try_for_each(|part| self.file.write_all(part));
        write().map_err(RunError::write(&self.path))
    }

    pub fn flush(&mut self) -> Result<(), RunError> {
        self.file.flush().map_err(RunError::write(&self.path))
    }
}

/// TFRecord's masked CRC-32C.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let crc = crc32c::crc32c(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
