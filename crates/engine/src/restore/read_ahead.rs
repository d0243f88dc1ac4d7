//! Decompressing on a thread of its own, ahead of the thread that makes files of it.
//!
//! Most archives are unpacked side by side, and every core has one. A backup of fewer archives
//! than jobs, such as Barman's of a single data directory, leaves cores idle: there a second
//! thread pays. Always true: an end that the source did not reach is an error.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Instant;

use crate::stages::{Stage, Stages};

const BLOCK_BYTES: usize = 256 * 1024;
/// Blocks that wait to be taken.
const WAITING_BLOCKS: usize = 4;

/// What another thread reads.
pub struct ReadAhead {
    filled: Receiver<io::Result<Vec<u8>>>,
    spent: Sender<Vec<u8>>,
    current: Vec<u8>,
    position: usize,
    is_at_end: bool,
    stages: Arc<Stages>,
}

impl ReadAhead {
    /// Opens the source and begins to read it, all on the other thread, which ends with the
    /// source, with its first error, or when this value is dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start<R: Read>(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
        stages: &Arc<Stages>,
    ) -> io::Result<ReadAhead> {
        let (filler, filled) = sync_channel(WAITING_BLOCKS);
        let (spent, spent_receiver) = channel();
        thread::Builder::new().spawn(move || {
            let last = open().and_then(|source| read_all(source, &filler, &spent_receiver));
            // An empty block marks the end. The reader may have gone.
            let _ = filler.send(last.map(|()| Vec::new()));
        })?;
        Ok(ReadAhead {
            filled,
            spent,
            current: Vec::new(),
            position: 0,
            is_at_end: false,
            stages: Arc::clone(stages),
        })
    }

    fn next_block(&mut self) -> io::Result<()> {
        let ended = |_| io::Error::other("the decompressing thread ended unexpectedly");
        let began = Instant::now();
        let next = self.filled.recv().map_err(ended)??;
        self.stages.waited(Stage::Check, began);
        self.is_at_end = next.is_empty();
        let used = std::mem::replace(&mut self.current, next);
        // The thread may have ended, and needs no more blocks then.
        let _ = self.spent.send(used);
        self.position = 0;
        Ok(())
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.current.len() && !self.is_at_end {
            self.next_block()?;
        }
        let mut rest = &self.current[self.position..];
        let count = rest.read(buffer)?;
        self.position += count;
        Ok(count)
    }
}

/// Reads until the end, or until nobody takes blocks any more.
fn read_all(
    mut source: impl Read,
    filler: &SyncSender<io::Result<Vec<u8>>>,
    spent: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let mut block = spent.try_recv().unwrap_or_default();
        block.clear();
        (&mut source)
            .take(BLOCK_BYTES as u64)
            .read_to_end(&mut block)?;
        if block.is_empty() || filler.send(Ok(block)).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start<R: Read>(open: impl FnOnce() -> io::Result<R> + Send + 'static) -> ReadAhead {
        ReadAhead::start(open, &Arc::default()).unwrap()
    }

    #[test]
    fn everything_comes_in_order_and_the_end_stays_the_end() {
        for size in [0, 1, BLOCK_BYTES, 9 * BLOCK_BYTES + 5] {
            let content: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let source = content.clone();
            let mut ahead = start(move || Ok(io::Cursor::new(source)));
            let mut found = Vec::new();
            ahead.read_to_end(&mut found).unwrap();
            assert!(found == content, "{size} bytes");
            assert_eq!(ahead.read(&mut [0; 8]).unwrap(), 0);
        }
    }

    #[test]
    fn what_goes_wrong_over_there_is_an_error_here() {
        let failing = || Err::<io::Empty, _>(io::Error::other("no codec"));
        let mut ahead = start(failing);
        let error = ahead.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.to_string(), "no codec");
        let panicking = || -> io::Result<io::Empty> { panic!("on purpose") };
        let mut ahead = start(panicking);
        assert!(ahead.read(&mut [0; 8]).is_err());
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_thread() {
        let (alive, ended) = channel::<()>();
        let endless = move || {
            let source = io::repeat(7);
            Ok(Held {
                source,
                _alive: alive,
            })
        };
        let mut ahead = start(endless);
        ahead.read_exact(&mut [0; 8]).unwrap();
        drop(ahead);
        assert!(ended.recv().is_err(), "the thread's end closes the channel");
    }

    struct Held {
        source: io::Repeat,
        _alive: Sender<()>,
    }

    impl Read for Held {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.source.read(buffer)
        }
    }
}
