//! Reading on another thread, so that decoding overlaps what is done with the frames.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use camino::Utf8Path;

use crate::{DecodeErrors, Info, Item, Options, PacedReader, VideoError};

/// A [`PacedReader`] on a thread of its own, some frames ahead of whoever takes them.
///
/// An `Err` ends it. Dropping it ends the thread.
#[derive(Debug)]
pub struct ReadAhead {
    info: Info,
    errors: DecodeErrors,
    /// Gone at the end.
    items: Option<Receiver<Result<Item, VideoError>>>,
    thread: Option<JoinHandle<Option<(Info, DecodeErrors)>>>,
}

/// Opens a source as [`PacedReader::open`] does, and reads up to `frames` frames ahead (at least one).
///
/// # Errors
/// Those of [`PacedReader::open`].
pub fn open_ahead(
    path: &Utf8Path,
    options: &Options,
    rate_hz: Option<f64>,
    frames: usize,
) -> Result<ReadAhead, VideoError> {
    let (opened, first) = sync_channel(1);
    let (sender, items) = sync_channel(frames.max(1));
    let (path, options) = (path.to_owned(), *options);
    let thread = std::thread::spawn(move || read(&path, &options, rate_hz, &opened, &sender));
    // The thread sends one message before all others, also where it fails.
    match first.recv() {
        Ok(Ok(info)) => Ok(ReadAhead {
            info,
            errors: DecodeErrors::default(),
            items: Some(items),
            thread: Some(thread),
        }),
        Ok(Err(error)) => Err(error),
        Err(_) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("a reader that sends nothing has panicked"),
        },
    }
}

fn read(
    path: &Utf8Path,
    options: &Options,
    rate_hz: Option<f64>,
    opened: &SyncSender<Result<Info, VideoError>>,
    sender: &SyncSender<Result<Item, VideoError>>,
) -> Option<(Info, DecodeErrors)> {
    let mut paced = match PacedReader::open(path, options, rate_hz) {
        Ok(paced) => paced,
        Err(error) => {
            let _ = opened.send(Err(error));
            return None;
        }
    };
    // Where nobody listens any more, there is nothing left to do.
    if opened.send(Ok(paced.info().clone())).is_ok() {
        for item in paced.by_ref() {
            if sender.send(item).is_err() {
                break;
            }
        }
    }
    Some((paced.info().clone(), paced.decode_errors().clone()))
}

impl ReadAhead {
    /// The source's properties; notes that were added while reading come at the end.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// What was lost: known at the end.
    pub fn decode_errors(&self) -> &DecodeErrors {
        &self.errors
    }
}

impl Iterator for ReadAhead {
    type Item = Result<Item, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.items.as_ref()?.recv().ok();
        if next.is_none() {
            self.items = None;
            match self.thread.take().map(JoinHandle::join) {
                Some(Ok(Some((info, errors)))) => (self.info, self.errors) = (info, errors),
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                Some(Ok(None)) | None => {}
            }
        }
        next
    }
}

impl std::iter::FusedIterator for ReadAhead {}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // The thread waits for a free slot: it sees that nobody takes more, and ends.
        self.items = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
