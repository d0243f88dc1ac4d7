//! The runtime that a command's network work runs on, and the signals that stop it.
//!
//! Built only by a command that is about to use the network: a wrong command line, a help text or
//! a refusal costs no thread. SIGTERM, SIGINT and SIGHUP ask the work to stop and clean up; one
//! more a second or later, or some seconds without an end, ends the process at once. Either way the
//! status is 128 + the signal's number.

use std::future::Future;
use std::num::NonZeroUsize;
use std::process;
use std::time::Duration;

use engine::stop::StopFlag;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::failure::{Failure, Kind, status_of_signal};
use crate::output::cloud_log::{Level, Log};

/// How many threads wait for the network; codecs and files have threads of their own.
#[derive(Debug, Clone, Copy)]
pub enum Threads {
    /// For a command that sends or fetches one small thing: the cheapest to start.
    One,
    /// For a command that moves a whole backup with so many jobs.
    ForJobs(NonZeroUsize),
}

/// For local stores, name resolution, and whatever else blocks: tokio's default for everything.
const OTHER_BLOCKING_THREADS: usize = 512;

/// How long work may clean up after a signal, when a store or a disk does not answer any more.
/// Whatever it was doing, every prefix of it is safe.
const CLEANING_PATIENCE: Duration = Duration::from_secs(8);

/// Signals within this time are one and the same wish. GNU timeout sends its signal to the command
/// and then to the process group that the command is in, so the twin follows within milliseconds;
/// were it taken for impatience, the record of a backup would be left STARTED.
const TWINS_COME_WITHIN: Duration = Duration::from_secs(1);

/// Runs work that watches the flag, stops by itself when a signal has raised it, and cleans up.
pub fn run_until_done<T, W>(
    threads: Threads,
    log: &Log,
    work: impl FnOnce(StopFlag) -> W,
) -> Result<T, Failure>
where
    W: Future<Output = Result<T, Failure>>,
{
    let runtime = build(threads)?;
    let result = runtime.block_on(async {
        let stop = StopFlag::default();
        let mut signals = Signals::listen()?;
        let work = work(stop.clone());
        tokio::pin!(work);
        let received = tokio::select! {
            result = &mut work => return result,
            received = signals.next() => received,
        };
        log.line(
            Level::Warning,
            &format!("{}: stopping and cleaning up", received.name),
        );
        stop.raise();
        tokio::select! {
            result = &mut work => result.map_err(|failure| received.as_end_of(failure)),
            again = signals.impatient() => process::exit(again.status()),
            () = tokio::time::sleep(CLEANING_PATIENCE) => {
                let text = "the cleaning up took too long and was given up";
                Err(received.as_end_of(Failure::new(Kind::Other, text)))
            }
        }
    });
    // Threads that are stuck in a read must not hold up the end of the program.
    runtime.shutdown_background();
    result
}

/// Runs work that may be dropped at any moment: what it leaves behind is harmless.
pub fn run_or_drop<T, W>(work: W) -> Result<T, Failure>
where
    W: Future<Output = Result<T, Failure>>,
{
    let runtime = build(Threads::One)?;
    let result = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        tokio::select! {
            result = work => result,
            received = signals.next() => Err(received.as_end_of(Failure::new(
                Kind::Other,
                format!("stopped by {}", received.name),
            ))),
        }
    });
    runtime.shutdown_background();
    result
}

fn build(threads: Threads) -> Result<Runtime, Failure> {
    let no_threads = |error: std::io::Error| {
        let what = format!("cannot start threads: {error}");
        Failure::new(Kind::Other, what).with_hint(
            "Look at the limit on processes of this account (ulimit -u) and of its container or \
             service (pids.max, TasksMax).",
        )
    };
    // The runtime has no error for this: it would panic at the first file or name.
    let probe = std::thread::Builder::new()
        .spawn(|| ())
        .map_err(no_threads)?;
    let _ = probe.join();
    let mut builder = match threads {
        Threads::One => Builder::new_current_thread(),
        Threads::ForJobs(_) => Builder::new_multi_thread(),
    };
    if let Threads::ForJobs(jobs) = threads {
        // Each job keeps one busy; what the jobs wait for must find others.
        builder.max_blocking_threads(jobs.get().saturating_add(OTHER_BLOCKING_THREADS));
    }
    builder.enable_all().build().map_err(no_threads)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

#[derive(Clone, Copy)]
struct StopSignal {
    name: &'static str,
    number: u8,
}

impl Signals {
    fn listen() -> Result<Signals, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Kind::Other, format!("cannot watch signals: {error}"))
            })
        };
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            // A lost terminal must not leave work half done.
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal { name: "SIGTERM", number: 15 },
            _ = self.interrupt.recv() => StopSignal { name: "SIGINT", number: 2 },
            _ = self.hang_up.recv() => StopSignal { name: "SIGHUP", number: 1 },
        }
    }

    /// Waits for a signal that is not a twin of one that has just come.
    async fn impatient(&mut self) -> StopSignal {
        let first = Instant::now();
        loop {
            let received = self.next().await;
            if first.elapsed() >= TWINS_COME_WITHIN {
                return received;
            }
        }
    }
}

impl StopSignal {
    fn status(self) -> i32 {
        i32::from(status_of_signal(self.number))
    }

    fn as_end_of(self, failure: Failure) -> Failure {
        Failure {
            kind: Kind::Signal(self.number),
            ..failure
        }
    }
}
