//! The way of parts from the thread that fills them to the task that sends them.
//!
//! A job writes one archive after another; the last parts of one are still on the wire while the
//! next is begun. All of its archives share the places on the wire, so a job never has more than
//! `(parallel parts + 1) × part size` in memory: one part is being filled. Always true: a part is
//! queued only with its place, and gives it back when the store has it or nobody wants it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::buffers::PartBuffers;
use crate::stages::{Stage, Stages};
use crate::stop::StopFlag;

pub(super) enum QueuedPart {
    /// With its place on the wire.
    Content(Bytes, OwnedSemaphorePermit),
    End,
}

/// What the uploads of one job share.
pub struct PartWire {
    cut: StopFlag,
    places: Arc<Semaphore>,
    parallel_parts: usize,
    buffers: PartBuffers,
    stages: Arc<Stages>,
}

/// The writing end of an upload, for a blocking thread.
pub struct PartWriter {
    cut: StopFlag,
    queue: mpsc::Sender<QueuedPart>,
    places: Arc<Semaphore>,
    /// What waiting for a place is done on.
    runtime: Handle,
    stages: Arc<Stages>,
    buffers: PartBuffers,
    buffer: Vec<u8>,
    part_bytes: usize,
}

/// The sending end of an upload, for a task.
pub struct PartQueue {
    pub(super) parts: mpsc::Receiver<QueuedPart>,
    pub(super) stages: Arc<Stages>,
    /// Whether the end mark has come: nobody writes into this queue any more.
    pub(super) has_ended: bool,
    places: Arc<Semaphore>,
}

impl Drop for PartQueue {
    /// A part that is just being queued would keep its place for ever, and the writer wait for it.
    fn drop(&mut self) {
        if !self.has_ended {
            self.places.close();
        }
    }
}

impl PartWire {
    /// With places for so many parts at the same time.
    pub fn new(parallel_parts: usize, stages: &Arc<Stages>) -> PartWire {
        PartWire {
            cut: StopFlag::default(),
            places: Arc::new(Semaphore::new(parallel_parts)),
            parallel_parts,
            buffers: PartBuffers::default(),
            stages: Arc::clone(stages),
        }
    }

    /// Opens an upload's two ends, within a runtime; every part but the last has so many bytes.
    pub fn open(&self, part_bytes: usize) -> (PartWriter, PartQueue) {
        // A part has its place before it is queued: only the end mark may come on top.
        let (queue, parts) = mpsc::channel(self.parallel_parts + 1);
        let writer = PartWriter {
            cut: self.cut.clone(),
            queue,
            places: Arc::clone(&self.places),
            runtime: Handle::current(),
            stages: Arc::clone(&self.stages),
            buffers: self.buffers.clone(),
            buffer: Vec::new(),
            part_bytes,
        };
        let queue = PartQueue {
            parts,
            stages: Arc::clone(&self.stages),
            has_ended: false,
            places: Arc::clone(&self.places),
        };
        (writer, queue)
    }

    /// Makes every writer fail, at its next part or where it looks at [`PartWriter::cut_flag`].
    pub fn cut(&self) {
        self.cut.raise();
        self.places.close();
    }
}

impl PartWriter {
    /// Raised when nothing that is written can be of use any more.
    pub fn cut_flag(&self) -> StopFlag {
        self.cut.clone()
    }

    /// Sends the last part and the end mark: only now may the object appear.
    ///
    /// # Errors
    /// When the upload has failed; the cause is the upload task's result.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        self.queue
            .blocking_send(QueuedPart::End)
            .map_err(|_| upload_gone())
    }

    fn send_part(&mut self) -> io::Result<()> {
        let part = self.buffers.part(std::mem::take(&mut self.buffer));
        let began = Instant::now();
        let place = Arc::clone(&self.places).acquire_owned();
        let place = self.runtime.block_on(place).map_err(|_| upload_gone())?;
        self.stages.waited(Stage::Pack, began);
        self.queue
            .blocking_send(QueuedPart::Content(part, place))
            .map_err(|_| upload_gone())
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.capacity() == 0 {
            self.buffer = self.buffers.take(self.part_bytes);
        }
        let count = bytes.len().min(self.part_bytes - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == self.part_bytes {
            self.send_part()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn upload_gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the upload has ended")
}
