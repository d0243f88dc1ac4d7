//! What long work tells its caller: typed events, worded by the front end.

use std::time::Duration;

/// Receives events from worker threads and tasks; must be quick and must not block.
pub trait Progress: Send + Sync {
    /// Called for every event, from any thread.
    fn event(&self, event: Event<'_>);
}

/// Something a person may want to know while work goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// The server makes the checkpoint that a backup begins with; told every second. `usual` is
    /// how long one that is spread out takes, `None` for one that is made at once.
    Checkpoint {
        waited: Duration,
        usual: Option<Duration>,
    },
    /// Everything is copied, and WAL is missing from `next` on; told several times a second.
    /// `waited` and `patience` begin anew when something gets on.
    WaitingForWal {
        next: &'a str,
        waited: Duration,
        patience: Duration,
        last_archived: Option<&'a str>,
    },
    /// Work of this many bytes begins (known or estimated).
    Total { bytes: u64 },
    /// This many more bytes are done.
    Advance { bytes: u64 },
    /// A step worth a line in the log.
    Step { text: &'a str },
    /// Something is wrong, but work goes on.
    Warning { text: &'a str },
}

/// Ignores every event.
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event<'_>) {}
}
