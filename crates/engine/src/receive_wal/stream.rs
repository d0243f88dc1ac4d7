//! One connection: what it begins with, the stream of WAL, and what is told back.
//!
//! WAL is flushed, and the server told so, whenever nothing more has come: a commit that waits for
//! this receiver waits for one flush. Under a load that never pauses it is flushed all the same,
//! after so many bytes and at every end of a segment.

use std::time::Duration;

use bytes::Bytes;
use model::postgres::{SegmentSize, SystemId};
use model::wal::lsn::Lsn;
use model::wal::name::{SegmentName, WalName};
use model::wal::streaming::ResumePoint;
use model::wal::timeline::TimelineId;
use postgres::Error;
use postgres::replication::{
    NextTimeline, Replied, StreamEvent, StreamStart, WalSender, WalStream,
};
use tokio::time::Instant;

use super::error::ReceiveError;
use super::request::{ReceiveListener, ReceiveRequest, Told};
use super::segment_file::SegmentWriter;
use super::start;
use crate::durable;
use crate::stop::StopFlag;

/// How much may be written before it is flushed under a load that never pauses.
const MOST_UNFLUSHED_BYTES: u64 = 4 * 1024 * 1024;

/// How often the server hears of us when there is nothing to tell.
const REPLY_INTERVAL: Duration = Duration::from_secs(10);

/// One connection.
pub(super) struct Connected<'a> {
    pub(super) request: &'a ReceiveRequest,
    pub(super) stop: &'a StopFlag,
    pub(super) listener: ReceiveListener<'a>,
    /// Whether a stream began.
    pub(super) has_streamed: bool,
    /// The cluster that answered.
    pub(super) system_id: Option<SystemId>,
}

/// How a stream ended without an error.
enum StreamEnd {
    Stopped,
    Timeline(NextTimeline),
}

impl<'a> Connected<'a> {
    /// Receives until it is stopped.
    pub(super) async fn run(&mut self) -> Result<(), ReceiveError> {
        let mut session = WalSender::open(&self.request.replication).await?;
        let identity = session.identify().await?;
        self.check_cluster(SystemId::new(identity.system_id))?;
        if let Some(expected) = start::cluster_of(&self.request.folder)? {
            let found = SystemId::new(identity.system_id);
            if expected != found {
                return Err(ReceiveError::OtherCluster { expected, found });
            }
        }
        let size = start::segment_size(&mut session).await?;
        let received = start::look(&self.request.folder, size)?;
        for misfit in received.misfits {
            (self.listener)(Told::Misfit(misfit));
        }
        let mut point = match received.resume {
            Some(point) => point,
            None => start::first_start(&mut session, self.request, &identity, size).await?,
        };
        loop {
            self.keep_history(&mut session, point.timeline).await?;
            let mut streaming = self.begin(session, point, size).await?;
            match streaming.follow().await {
                Ok(StreamEnd::Stopped) => {
                    streaming.stream.finish().await;
                    return Ok(());
                }
                Ok(StreamEnd::Timeline(next)) => {
                    let from = point.timeline;
                    point = beginning_of(next, size);
                    (self.listener)(Told::Switched {
                        from,
                        to: point.timeline,
                        position: Lsn::new(next.begins_at),
                    });
                    session = streaming.stream.into_session();
                }
                Err(error) => {
                    // What has come is worth keeping; that it cannot be told does not matter.
                    streaming.writer.flush()?;
                    return Err(error);
                }
            }
        }
    }

    fn check_cluster(&mut self, found: SystemId) -> Result<(), ReceiveError> {
        match self.request.system_id {
            Some(expected) if expected != found => {
                Err(ReceiveError::OtherCluster { expected, found })
            }
            _ => {
                self.system_id = Some(found);
                Ok(())
            }
        }
    }

    /// Keeps the history file of a timeline, without which nobody could follow it.
    async fn keep_history(
        &self,
        session: &mut WalSender,
        timeline: TimelineId,
    ) -> Result<(), ReceiveError> {
        let name = WalName::History(timeline).to_string();
        let path = self.request.folder.join(name);
        if timeline.number() == 1 || path.exists() {
            return Ok(());
        }
        let content = session.timeline_history(timeline.number()).await?;
        durable::write_durably(&path, &content)
            .map_err(|cause| ReceiveError::file("write", &path, cause))
    }

    async fn begin(
        &mut self,
        session: WalSender,
        point: ResumePoint,
        size: SegmentSize,
    ) -> Result<Streaming<'a>, ReceiveError> {
        let start = StreamStart {
            slot: self.request.slot.as_deref(),
            timeline: point.timeline.number(),
            position: point.position.value(),
        };
        let stream = session.stream_wal(start).await?;
        let (timeline, position) = (point.timeline, point.position);
        self.has_streamed = true;
        (self.listener)(Told::Streaming { timeline, position });
        let now = Instant::now();
        Ok(Streaming {
            request: self.request,
            stop: self.stop,
            listener: self.listener,
            stream,
            writer: SegmentWriter::new(&self.request.folder, size),
            size,
            timeline,
            written: position.value(),
            flushed: position.value(),
            heard: now,
            replied: now,
            is_asked: false,
        })
    }
}

/// A timeline is received from the beginning of the segment that it begins in.
fn beginning_of(next: NextTimeline, size: SegmentSize) -> ResumePoint {
    ResumePoint {
        timeline: TimelineId::new(next.timeline),
        position: Lsn::new(next.begins_at - next.begins_at % size.bytes()),
    }
}

struct Streaming<'a> {
    request: &'a ReceiveRequest,
    stop: &'a StopFlag,
    listener: ReceiveListener<'a>,
    stream: WalStream,
    writer: SegmentWriter,
    size: SegmentSize,
    timeline: TimelineId,
    /// The first position that is not written, and that is not flushed.
    written: u64,
    flushed: u64,
    /// When the server last said something, and when we last did.
    heard: Instant,
    replied: Instant,
    /// Whether it was asked for a sign of life since.
    is_asked: bool,
}

impl Streaming<'_> {
    async fn follow(&mut self) -> Result<StreamEnd, ReceiveError> {
        self.reply().await?;
        loop {
            let event = match self.event_at_hand().await? {
                Some(event) => event,
                None => {
                    if self.writer.has_unflushed() {
                        self.flush().await?;
                    }
                    match self.wait().await? {
                        Some(event) => event,
                        None => return Ok(StreamEnd::Stopped),
                    }
                }
            };
            self.heard = Instant::now();
            self.is_asked = false;
            match event {
                StreamEvent::Wal { position, bytes } => {
                    self.take(position, &bytes)?;
                    if self.written - self.flushed >= MOST_UNFLUSHED_BYTES {
                        self.flush().await?;
                    }
                }
                StreamEvent::KeepAlive { wants_reply: true } => self.flush().await?,
                StreamEvent::KeepAlive { wants_reply: false } => {}
                StreamEvent::TimelineEnd(next) => {
                    self.writer.flush()?;
                    return Ok(StreamEnd::Timeline(next));
                }
            }
            if self.stop.is_raised() {
                self.flush().await?;
                return Ok(StreamEnd::Stopped);
            }
        }
    }

    /// What has come already, if anything.
    async fn event_at_hand(&mut self) -> Result<Option<StreamEvent>, ReceiveError> {
        tokio::select! {
            biased;
            event = self.stream.next() => Ok(Some(event?)),
            // The runtime looks at the socket before this is ready.
            () = tokio::task::yield_now() => Ok(None),
        }
    }

    /// Waits for what comes next, or for a wish to stop: then there is nothing.
    async fn wait(&mut self) -> Result<Option<StreamEvent>, ReceiveError> {
        loop {
            let until = self.next_deed();
            tokio::select! {
                biased;
                event = self.stream.next() => return Ok(Some(event?)),
                () = self.stop.raised() => return Ok(None),
                () = tokio::time::sleep_until(until) => self.tick().await?,
            }
        }
    }

    /// When something is due although nothing comes.
    fn next_deed(&self) -> Instant {
        let patience = self.request.patience;
        let silence = if self.is_asked {
            self.heard + patience.lost_after
        } else {
            self.heard + patience.ask_after
        };
        silence.min(self.replied + REPLY_INTERVAL)
    }

    async fn tick(&mut self) -> Result<(), ReceiveError> {
        let patience = self.request.patience;
        let silent = self.heard.elapsed();
        if silent >= patience.lost_after {
            return Err(Error::Silent(silent).into());
        }
        self.is_asked |= silent >= patience.ask_after;
        self.reply().await
    }

    /// Writes WAL into its segments.
    fn take(&mut self, position: u64, bytes: &Bytes) -> Result<(), ReceiveError> {
        let mut rest = &bytes[..];
        let mut position = position;
        while !rest.is_empty() {
            let lsn = Lsn::new(position);
            let room = self.size.bytes() - lsn.offset(self.size);
            let count = usize::try_from(room).unwrap_or(usize::MAX).min(rest.len());
            let (piece, after) = rest.split_at(count);
            let name = SegmentName::from_lsn(self.timeline, lsn, self.size);
            let complete = self.writer.write(name, lsn, piece)?;
            position += count as u64;
            rest = after;
            self.written = position;
            if let Some(name) = complete {
                self.flushed = position;
                (self.listener)(Told::Segment(name));
            }
        }
        Ok(())
    }

    /// Flushes what is written, and says so.
    async fn flush(&mut self) -> Result<(), ReceiveError> {
        let began = Instant::now();
        self.writer.flush()?;
        // While a slow disk holds us up, the server has not been silent.
        self.heard += began.elapsed();
        self.flushed = self.written;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<(), ReceiveError> {
        let replied = Replied {
            written: self.written,
            flushed: self.flushed,
            wants_reply: self.is_asked,
        };
        let lost_after = self.request.patience.lost_after;
        let told = tokio::time::timeout(lost_after, self.stream.reply(replied)).await;
        told.unwrap_or(Err(Error::Silent(lost_after)))?;
        self.replied = Instant::now();
        Ok(())
    }
}
