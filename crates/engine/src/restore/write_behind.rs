//! Writing large files on a thread of its own, while the next block of them is unpacked.
//!
//! A direct write waits for the disk; whoever unpacks need not. Always true: no more than
//! [`BLOCKS`] blocks exist, they are written in the order in which they came, and when
//! [`WriteBehind::end`] has returned, nothing is written any more.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Instant;

use super::direct::{AlignedBuffer, NewFile};
use super::member_error::ExtractError;
use crate::stages::{Stage, Stages};

/// One is filled, one is written, and one lies between them.
const BLOCKS: usize = 3;

/// A file, and where it is.
pub struct Output {
    pub file: NewFile,
    pub path: PathBuf,
}

impl Output {
    /// Writes what follows what was written before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, content: &[u8], stages: &Stages) -> Result<(), ExtractError> {
        let began = Instant::now();
        let written = self.file.write(content);
        stages.worked(Stage::Write, began);
        stages.moved(Stage::Write, content.len());
        written.map_err(|source| ExtractError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

enum Order {
    /// What follows belongs into this file.
    Begin(Output),
    Write(AlignedBuffer),
}

/// The thread, and the blocks that it has not.
pub struct WriteBehind<'scope> {
    orders: Sender<Order>,
    spent: Receiver<AlignedBuffer>,
    idle: Vec<AlignedBuffer>,
    thread: ScopedJoinHandle<'scope, Result<(), ExtractError>>,
    stages: Arc<Stages>,
}

impl<'scope> WriteBehind<'scope> {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(
        scope: &'scope Scope<'scope, '_>,
        stages: &Arc<Stages>,
    ) -> io::Result<WriteBehind<'scope>> {
        let (orders, orders_receiver) = channel();
        let (spent_sender, spent) = channel();
        let its_stages = Arc::clone(stages);
        let write = move || write_all(&orders_receiver, &spent_sender, &its_stages);
        Ok(WriteBehind {
            orders,
            spent,
            idle: (0..BLOCKS).map(|_| AlignedBuffer::new()).collect(),
            thread: Builder::new().spawn_scoped(scope, write)?,
            stages: Arc::clone(stages),
        })
    }

    /// A block to fill; waits until one was written. None when the thread has failed.
    pub fn block(&mut self) -> Option<AlignedBuffer> {
        self.idle.pop().or_else(|| {
            let began = Instant::now();
            let block = self.spent.recv().ok();
            self.stages.waited(Stage::Check, began);
            block
        })
    }

    /// Whether it writes nothing any more, since it has failed.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Takes a block back that need not be written.
    pub fn put_back(&mut self, block: AlignedBuffer) {
        self.idle.push(block);
    }

    /// The blocks that follow belong into this file.
    pub fn begin(&mut self, output: Output) {
        self.order(Order::Begin(output));
    }

    /// Has a block written some time.
    pub fn write(&mut self, block: AlignedBuffer) {
        self.order(Order::Write(block));
    }

    fn order(&mut self, order: Order) {
        // A thread that has failed takes none: `block` and `end` tell.
        let _ = self.orders.send(order);
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// The first failure; this thread has written nothing after it.
    pub fn end(self) -> Result<(), ExtractError> {
        drop(self.orders);
        let written = self.thread.join();
        written.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn write_all(
    orders: &Receiver<Order>,
    spent: &Sender<AlignedBuffer>,
    stages: &Stages,
) -> Result<(), ExtractError> {
    let mut output = None;
    loop {
        let began = Instant::now();
        let order = orders.recv();
        stages.waited(Stage::Write, began);
        match order {
            Ok(Order::Begin(next)) => output = Some(next),
            Ok(Order::Write(block)) => {
                let output: &mut Output = output.as_mut().expect("a file begins before its blocks");
                output.write(block.content(), stages)?;
                // At the end nobody waits for it.
                let _ = spent.send(block);
            }
            Err(_) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::thread;

    use super::*;

    fn output(path: &Path, file: File) -> Output {
        Output {
            file: NewFile::new(file, u64::MAX),
            path: path.to_path_buf(),
        }
    }

    fn filled(behind: &mut WriteBehind<'_>, content: &[u8]) -> Option<AlignedBuffer> {
        let mut block = behind.block()?;
        block.fill(&mut &*content).unwrap();
        Some(block)
    }

    #[test]
    fn blocks_arrive_in_order_in_the_files_that_they_were_for() {
        let place = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..5 * AlignedBuffer::BYTES + 77)
            .map(|n| (n / 9 % 251) as u8)
            .collect();
        let paths = ["a", "b"].map(|name| place.path().join(name));
        thread::scope(|scope| {
            let mut behind = WriteBehind::start(scope, &Arc::default()).unwrap();
            for path in &paths {
                behind.begin(output(path, File::create(path).unwrap()));
                for piece in content.chunks(AlignedBuffer::BYTES) {
                    let block = filled(&mut behind, piece).unwrap();
                    behind.write(block);
                }
            }
            behind.end().unwrap();
        });
        for path in &paths {
            assert!(std::fs::read(path).unwrap() == content);
        }
    }

    #[test]
    fn a_failed_write_is_told_with_its_path_and_ends_the_supply_of_blocks() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("f");
        File::create(&path).unwrap();
        thread::scope(|scope| {
            let mut behind = WriteBehind::start(scope, &Arc::default()).unwrap();
            behind.begin(output(&path, File::open(&path).unwrap()));
            let mut count = 0;
            while let Some(block) = filled(&mut behind, b"not allowed") {
                behind.write(block);
                count += 1;
            }
            assert_eq!(count, BLOCKS);
            let error = behind.end().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("cannot write {}", path.display())
            );
        });
    }
}
