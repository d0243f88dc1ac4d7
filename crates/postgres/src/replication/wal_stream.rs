//! A stream of WAL: what comes, what is told back, and how a timeline ends.
//!
//! Always true: a message that is not what the protocol has there is an error, and so is WAL that
//! does not begin where the one before ended.

use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes};
use postgres_protocol::message::frontend;

use super::session::{ANSWER_PATIENCE, Reply, WalSender};
use super::values::{number, quoted, read_position, text, write_position};
use crate::client::error::Error;

/// From where WAL is wanted.
#[derive(Debug, Clone, Copy)]
pub struct StreamStart<'a> {
    pub slot: Option<&'a str>,
    pub timeline: u32,
    pub position: u64,
}

/// The timeline that follows the one that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextTimeline {
    pub timeline: u32,
    /// Where it left the one before.
    pub begins_at: u64,
}

/// What comes in a stream.
#[derive(Debug)]
pub enum StreamEvent {
    /// WAL from this position on.
    Wal { position: u64, bytes: Bytes },
    /// A sign of life; whether it asks for one of ours.
    KeepAlive { wants_reply: bool },
    /// The timeline has ended, and which one comes next. The stream is over.
    TimelineEnd(NextTimeline),
}

/// What is told to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replied {
    /// The first position that is not written.
    pub written: u64,
    /// The first position that a power cut could still take. A commit before it is safe.
    pub flushed: u64,
    /// Whether the server is asked for a sign of life at once.
    pub wants_reply: bool,
}

/// A stream of WAL.
#[derive(Debug)]
pub struct WalStream {
    session: WalSender,
    /// The next byte.
    position: u64,
    /// The server ended the copy, and the next timeline is being read.
    is_ending: bool,
    following: Option<NextTimeline>,
}

impl WalSender {
    /// Starts streaming.
    ///
    /// # Errors
    /// When the server refuses: no such slot, another receiver uses it, WAL that is gone.
    pub async fn stream_wal(mut self, start: StreamStart<'_>) -> Result<WalStream, Error> {
        let slot = start.slot.map(|name| format!("SLOT {} ", quoted(name)));
        let command = format!(
            "START_REPLICATION {}PHYSICAL {} TIMELINE {}",
            slot.unwrap_or_default(),
            write_position(start.position),
            start.timeline,
        );
        self.send(&command).await?;
        let first = tokio::time::timeout(ANSWER_PATIENCE, self.next()).await;
        let (is_ending, following) = match first.unwrap_or(Err(Error::Silent(ANSWER_PATIENCE)))? {
            Reply::Copying => (false, None),
            // Nothing of this timeline is left to send: what comes next is told at once.
            Reply::Row(row) => (true, Some(next_timeline(&row)?)),
            _ => return Err(Error::Protocol("no stream of WAL".to_owned())),
        };
        Ok(WalStream {
            session: self,
            position: start.position,
            is_ending,
            following,
        })
    }
}

impl WalStream {
    /// Waits for what comes next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the session ends or the server breaks the protocol; the stream is useless then.
    pub async fn next(&mut self) -> Result<StreamEvent, Error> {
        if self.is_ending {
            return self.end().await;
        }
        match self.session.next().await? {
            Reply::Data(body) => self.read(body),
            Reply::CopyDone => {
                frontend::copy_done(self.session.client.wire().outgoing());
                self.is_ending = true;
                self.end().await
            }
            // A server that shuts down ends its command instead of the copy.
            Reply::Done => Err(Error::Lost(std::io::Error::new(
                std::io::ErrorKind::ConnectionAborted,
                "the server is shutting down",
            ))),
            _ => Err(Error::Protocol("something else than WAL".to_owned())),
        }
    }

    fn read(&mut self, mut body: Bytes) -> Result<StreamEvent, Error> {
        let short = |_| Error::Protocol("a message of WAL that ends too early".to_owned());
        match body.try_get_u8().map_err(short)? {
            b'w' => {
                let position = body.try_get_u64().map_err(short)?;
                let _server_end = body.try_get_u64().map_err(short)?;
                let _sent_at = body.try_get_i64().map_err(short)?;
                if position != self.position {
                    return Err(Error::Protocol(format!(
                        "WAL from {} where {} comes next",
                        write_position(position),
                        write_position(self.position)
                    )));
                }
                let end = position.checked_add(body.len() as u64);
                let past = || Error::Protocol("WAL past the last position".to_owned());
                self.position = end.ok_or_else(past)?;
                Ok(StreamEvent::Wal {
                    position,
                    bytes: body,
                })
            }
            b'k' => {
                let _server_end = body.try_get_u64().map_err(short)?;
                let _sent_at = body.try_get_i64().map_err(short)?;
                let wants_reply = body.try_get_u8().map_err(short)? != 0;
                Ok(StreamEvent::KeepAlive { wants_reply })
            }
            other => Err(Error::Protocol(format!(
                "a message of kind {:?} among the WAL",
                char::from(other)
            ))),
        }
    }

    /// Ends our side of the copy too, and reads which timeline comes next.
    async fn end(&mut self) -> Result<StreamEvent, Error> {
        self.flush().await?;
        loop {
            match self.session.next().await? {
                Reply::Row(row) => self.following = Some(next_timeline(&row)?),
                Reply::Done => {}
                Reply::Ready => break,
                _ => return Err(Error::Protocol("WAL after its end".to_owned())),
            }
        }
        let none = || Error::Protocol("a timeline that ended without a next one".to_owned());
        self.following
            .map(StreamEvent::TimelineEnd)
            .ok_or_else(none)
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.session
            .client
            .wire()
            .flush()
            .await
            .map_err(Error::Lost)
    }

    /// Tells the server how far we are.
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn reply(&mut self, replied: Replied) -> Result<(), Error> {
        let mut body = Vec::with_capacity(34);
        body.put_u8(b'r');
        body.put_u64(replied.written);
        body.put_u64(replied.flushed);
        // Nothing is ever replayed here.
        body.put_u64(0);
        body.put_i64(now());
        body.put_u8(u8::from(replied.wants_reply));
        let message = frontend::CopyData::new(&body[..]).map_err(Error::protocol)?;
        message.write(self.session.client.wire().outgoing());
        self.flush().await
    }

    /// Ends a stream that is not wanted any more.
    pub async fn finish(mut self) {
        if !self.is_ending {
            frontend::copy_done(self.session.client.wire().outgoing());
        }
        // The farewell is sent with it; nothing depends on either.
        self.session.close().await;
    }

    /// The session after the timeline's end, for the next stream.
    pub fn into_session(self) -> WalSender {
        self.session
    }
}

fn next_timeline(row: &[Option<Bytes>]) -> Result<NextTimeline, Error> {
    let row = row.to_vec();
    Ok(NextTimeline {
        timeline: number(&row, 0)?,
        begins_at: read_position(text(&row, 1)?)?,
    })
}

/// Microseconds since 2000, as the protocol counts.
fn now() -> i64 {
    const YEAR_2000: Duration = Duration::from_secs(946_684_800);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + YEAR_2000);
    let micros = since.unwrap_or_default().as_micros();
    i64::try_from(micros).unwrap_or(i64::MAX)
}
