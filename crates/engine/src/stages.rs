//! Where the time of a backup or a restore goes: how long each stage worked, and how long it waited
//! for another one.
//!
//! Every stage adds what it took as it goes, once per block: that costs less than can be measured,
//! so it is always done. Always true: a stage's time is that of all its threads and requests
//! together, side by side or not, and waiting for another stage is never counted as work.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A stage of the pipelines, in the order in which bytes go through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Opening and reading the files of the cluster.
    Read,
    /// Page checksums and the CRC-32C of the manifest; a restore's waits for what another thread
    /// unpacks, and for blocks that are being written.
    Check,
    /// Tar and codec; waits for a part to be taken off its hands. Threads that share a codec's work
    /// are not seen, only their caller.
    Pack,
    /// Parts on the wire; waits while there is none to send.
    Upload,
    /// Chunks from the wire; waits while nobody takes them.
    Download,
    /// Codec and tar; waits for chunks.
    Unpack,
    /// Making and writing files.
    Write,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 7] = [
        Stage::Read,
        Stage::Check,
        Stage::Pack,
        Stage::Upload,
        Stage::Download,
        Stage::Unpack,
        Stage::Write,
    ];
}

/// What a stage took so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTime {
    pub busy: Duration,
    pub blocked: Duration,
    /// Bytes that it took in.
    pub bytes: u64,
}

/// The times of all stages, added to from any thread.
#[derive(Debug, Default)]
pub struct Stages {
    cells: [Cell; Stage::ALL.len()],
}

#[derive(Debug, Default)]
struct Cell {
    busy_nanos: AtomicU64,
    blocked_nanos: AtomicU64,
    bytes: AtomicU64,
}

impl Stages {
    /// Adds work that began then and ends now.
    pub fn worked(&self, stage: Stage, since: Instant) {
        add(&self.cells[stage as usize].busy_nanos, since.elapsed());
    }

    /// Adds bytes that a stage took in.
    pub fn moved(&self, stage: Stage, bytes: usize) {
        let cell = &self.cells[stage as usize].bytes;
        cell.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Adds waiting that began then and ends now.
    pub fn waited(&self, stage: Stage, since: Instant) {
        add(&self.cells[stage as usize].blocked_nanos, since.elapsed());
    }

    /// What a stage took so far.
    pub fn of(&self, stage: Stage) -> StageTime {
        let cell = &self.cells[stage as usize];
        let duration = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        let (busy, blocked) = (duration(&cell.busy_nanos), duration(&cell.blocked_nanos));
        StageTime {
            // Where a stage's work encloses its waiting, both were counted.
            busy: busy.saturating_sub(enclosed(stage, blocked)),
            blocked,
            bytes: cell.bytes.load(Ordering::Relaxed),
        }
    }
}

/// A reader or writer whose calls are the work of a stage.
pub struct Timed<T> {
    inner: T,
    stage: Stage,
    stages: Arc<Stages>,
}

impl<T> Timed<T> {
    pub fn new(inner: T, stage: Stage, stages: &Arc<Stages>) -> Timed<T> {
        Timed {
            inner,
            stage,
            stages: Arc::clone(stages),
        }
    }

    /// Does the last of the work.
    pub fn end<O>(self, work: impl FnOnce(T) -> O) -> O {
        let began = Instant::now();
        let done = work(self.inner);
        self.stages.worked(self.stage, began);
        done
    }
}

impl<W: Write> Write for Timed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let began = Instant::now();
        let count = self.inner.write(bytes)?;
        self.stages.worked(self.stage, began);
        self.stages.moved(self.stage, count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Timed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let count = self.inner.read(buffer)?;
        self.stages.worked(self.stage, began);
        self.stages.moved(self.stage, count);
        Ok(count)
    }
}

fn add(cell: &AtomicU64, duration: Duration) {
    // Five centuries fit.
    cell.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
}

/// Waiting that happens inside of what is measured as work: a codec calls its sink or its source.
fn enclosed(stage: Stage, blocked: Duration) -> Duration {
    match stage {
        Stage::Pack | Stage::Unpack => blocked,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_inside_of_work_is_not_counted_as_work() {
        let stages = Stages::default();
        let long_ago = Instant::now() - Duration::from_secs(5);
        let since = Instant::now() - Duration::from_secs(2);
        stages.waited(Stage::Pack, since);
        stages.worked(Stage::Pack, long_ago);
        stages.waited(Stage::Upload, since);
        stages.worked(Stage::Upload, long_ago);
        stages.moved(Stage::Pack, 7);
        let (pack, upload) = (stages.of(Stage::Pack), stages.of(Stage::Upload));
        assert_eq!((pack.busy.as_secs(), pack.blocked.as_secs()), (3, 2));
        assert_eq!((upload.busy.as_secs(), upload.blocked.as_secs()), (5, 2));
        assert_eq!(pack.bytes, 7);
    }

    #[test]
    fn every_stage_has_a_cell_of_its_own() {
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, index);
        }
    }
}
