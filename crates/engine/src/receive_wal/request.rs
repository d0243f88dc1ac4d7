//! What a receiver is asked to do, and what it tells while it does it.

use std::path::PathBuf;
use std::time::Duration;

use model::postgres::SystemId;
use model::wal::lsn::Lsn;
use model::wal::name::SegmentName;
use model::wal::timeline::TimelineId;
use postgres::Config;

use super::error::ReceiveError;

/// What is to be received, and where to.
#[derive(Debug, Clone)]
pub struct ReceiveRequest {
    /// The replication connection.
    pub replication: Config,
    /// An ordinary connection to the same server, for what older ones tell in SQL alone.
    pub plain: Config,
    pub slot: Option<String>,
    /// The directory of received WAL; it must be there.
    pub folder: PathBuf,
    /// The cluster whose backups are kept beside this WAL, if that is known.
    pub system_id: Option<SystemId>,
    pub patience: SilenceLimits,
}

/// How long the server may say nothing.
#[derive(Debug, Clone, Copy)]
pub struct SilenceLimits {
    /// After this time it is asked for a sign of life.
    pub ask_after: Duration,
    /// After this time the connection counts as lost.
    pub lost_after: Duration,
}

impl Default for SilenceLimits {
    fn default() -> SilenceLimits {
        // What a server does with a silent receiver by default (wal_sender_timeout).
        SilenceLimits {
            ask_after: Duration::from_secs(20),
            lost_after: Duration::from_secs(60),
        }
    }
}

/// What a receiver tells while it runs.
#[derive(Debug)]
pub enum Told<'a> {
    /// A stream began.
    Streaming { timeline: TimelineId, position: Lsn },
    /// A segment is complete.
    Segment(SegmentName),
    /// A timeline ended, and another begins.
    Switched {
        from: TimelineId,
        to: TimelineId,
        position: Lsn,
    },
    /// A file has a segment's name and not its size: it counts for nothing, and is received again
    /// if it comes after all that is complete.
    Misfit(SegmentName),
    /// The connection was lost, or could not be made again; the next attempt follows after this.
    Lost {
        error: &'a ReceiveError,
        retry_in: Duration,
    },
}

/// Hears what a receiver tells.
pub type ReceiveListener<'a> = &'a (dyn Fn(Told<'_>) + Sync);
