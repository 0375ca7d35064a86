//! Messages as lines of JSON.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use serde::{Serialize, de::DeserializeOwned};

use super::BEAT;

/// A longer line is no message.
const LONGEST: u64 = 1 << 20;

/// One end of a connection.
pub(super) struct Lines {
    reader: BufReader<TcpStream>,
    part: Vec<u8>,
    /// When something last came in.
    pub heard: Instant,
}

/// What a look at a connection gave.
pub(super) enum Heard<T> {
    Message(T),
    /// Nothing for now.
    Silence,
    /// Nothing will come any more.
    End,
}

impl Lines {
    pub fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_read_timeout(Some(BEAT))?;
        Ok(Self {
            reader: BufReader::new(stream),
            part: Vec::new(),
            heard: Instant::now(),
        })
    }

    /// Waits for a message, at most a beat.
    pub fn next<T: DeserializeOwned>(&mut self) -> Heard<T> {
        let left = LONGEST.saturating_sub(u64::try_from(self.part.len()).unwrap_or(LONGEST));
        let mut reader = (&mut self.reader).take(left);
        match reader.read_until(b'\n', &mut self.part) {
            Ok(_) if self.part.last() == Some(&b'\n') => {
                let message = serde_json::from_slice(&self.part);
                self.part.clear();
                self.heard = Instant::now();
                message.map_or(Heard::End, Heard::Message)
            }
            Ok(_) => Heard::End,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Heard::Silence
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => Heard::Silence,
            Err(_) => Heard::End,
        }
    }
}

/// Sends a message.
pub(super) fn say(mut stream: &TcpStream, message: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}
