//! The bytes of one answer on their way to the reader.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use super::pace::Pace;
use crate::stages::{Stage, Stages};
use crate::stop::StopFlag;

/// What a download looks at, and tells.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Raised, it ends the stream with an error, whatever the store is doing.
    pub stop: StopFlag,
    pub stages: Arc<Stages>,
    /// Of the store that it is from.
    pub pace: Arc<Pace>,
}

/// Bytes of a range where several come side by side. Of the next one only what fits into queues and
/// sockets comes while this one is read: the larger they are, the less two connections are ahead of
/// one.
pub(super) const RANGE_BYTES: u64 = 32 * 1024 * 1024;

/// The bytes of one answer, as they come.
pub struct Incoming {
    pub(super) queue: mpsc::Receiver<io::Result<Bytes>>,
    pub(super) current: Bytes,
    pub(super) missing_bytes: u64,
    pub(super) stages: Arc<Stages>,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let began = Instant::now();
            let chunk = self.queue.blocking_recv();
            self.stages.waited(Stage::Unpack, began);
            match chunk {
                Some(chunk) => self.current = chunk?,
                None if self.missing_bytes == 0 => return Ok(0),
                None => return Err(ends_early(self.missing_bytes)),
            }
            let count = self.current.len() as u64;
            let missing = self.missing_bytes.checked_sub(count);
            self.missing_bytes = missing.ok_or_else(too_long)?;
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the store's answer is longer than it said",
    )
}

fn ends_early(missing_bytes: u64) -> io::Error {
    let text = format!("the store's answer ended {missing_bytes} bytes early");
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}
