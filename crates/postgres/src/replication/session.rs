//! A session with a WAL sender, which knows a handful of commands and no SQL.
//!
//! Always true: a command is waited for a limited time, and no message is larger than
//! [`MESSAGE_LIMIT_BYTES`].

use std::time::Duration;

use bytes::Bytes;
use postgres_protocol::message::frontend;
use tokio::time::timeout;

use super::values::{Values, number, position, read_row, text};
use crate::client::error::{Error, ServerError};
use crate::client::wire::Frame;
use crate::{Client, Config};

/// The largest message of a WAL sender that is accepted. It sends 128 KiB of WAL at a time.
pub const MESSAGE_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// How long a command that is answered from memory may take.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// A session with a WAL sender.
#[derive(Debug)]
pub struct WalSender {
    pub(super) client: Client,
    major: u32,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub system_id: u64,
    pub timeline: u32,
    /// Up to where its WAL is flushed.
    pub flushed: u64,
}

/// What a WAL sender says, one thing at a time.
pub(super) enum Reply {
    Row(Values),
    /// A command is complete.
    Done,
    /// The next command may come.
    Ready,
    /// Messages of a copy follow in both directions.
    Copying,
    Data(Bytes),
    /// The copy has ended.
    CopyDone,
}

impl WalSender {
    /// Connects; `config` is what [`replication::config`](super::config) makes.
    ///
    /// # Errors
    /// When no server of the list gives a session.
    pub async fn open(config: &Config) -> Result<WalSender, Error> {
        let mut client = Client::connect(config).await?;
        client.wire().limit_bytes = MESSAGE_LIMIT_BYTES;
        let version = client.parameter("server_version").unwrap_or_default();
        let major = version.split(|c: char| !c.is_ascii_digit()).next();
        let major = major.and_then(|it| it.parse().ok());
        let major = major.ok_or_else(|| Error::Protocol(format!("server version {version:?}")))?;
        Ok(WalSender { client, major })
    }

    /// The server's major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Asks which cluster this is, and where it is.
    ///
    /// # Errors
    /// When the server refuses, or the session ends.
    pub async fn identify(&mut self) -> Result<Identity, Error> {
        let row = self.row("IDENTIFY_SYSTEM").await?;
        Ok(Identity {
            system_id: number(&row, 0)?,
            timeline: number(&row, 1)?,
            flushed: position(&row, 2)?,
        })
    }

    /// Asks for a setting, as SQL's `SHOW`.
    ///
    /// # Errors
    /// When there is no such setting, or the role may not see it.
    pub async fn show(&mut self, setting: &str) -> Result<String, Error> {
        let row = self.row(&format!("SHOW {setting}")).await?;
        Ok(text(&row, 0)?.to_owned())
    }

    /// Asks for the history file of a timeline: its bytes, in whatever encoding its words are.
    ///
    /// # Errors
    /// When the server has no such file.
    pub async fn timeline_history(&mut self, timeline: u32) -> Result<Bytes, Error> {
        let row = self.row(&format!("TIMELINE_HISTORY {timeline}")).await?;
        let content = row.into_iter().nth(1).flatten();
        content.ok_or_else(|| Error::Protocol("a history without content".to_owned()))
    }

    /// Says good-bye.
    pub async fn close(self) {
        self.client.close().await;
    }

    pub(super) async fn row(&mut self, command: &str) -> Result<Values, Error> {
        let rows = self.rows(command).await?;
        let what = || Error::Protocol(format!("no row for {command}"));
        rows.into_iter().next().ok_or_else(what)
    }

    pub(super) async fn rows(&mut self, command: &str) -> Result<Vec<Values>, Error> {
        let ask = async {
            self.send(command).await?;
            self.rest_of_answer().await
        };
        timeout(ANSWER_PATIENCE, ask)
            .await
            .unwrap_or(Err(Error::Silent(ANSWER_PATIENCE)))
    }

    pub(super) async fn send(&mut self, command: &str) -> Result<(), Error> {
        let wire = self.client.wire();
        frontend::query(command, wire.outgoing()).map_err(Error::Statement)?;
        wire.flush().await.map_err(Error::Lost)
    }

    /// Reads rows until the server is ready for the next command.
    pub(super) async fn rest_of_answer(&mut self) -> Result<Vec<Values>, Error> {
        let mut rows = Vec::new();
        loop {
            match self.next().await? {
                Reply::Row(row) => rows.push(row),
                Reply::Ready => return Ok(rows),
                Reply::Done => {}
                Reply::Copying | Reply::Data(_) | Reply::CopyDone => {
                    return Err(Error::Protocol("a copy that nobody asked for".to_owned()));
                }
            }
        }
    }

    /// Waits for the next thing that the server says. Dropping the future loses nothing, unless
    /// the server was just refusing something.
    pub(super) async fn next(&mut self) -> Result<Reply, Error> {
        loop {
            let frame = self.client.wire().receive_frame().await;
            let frame = frame.map_err(lost)?;
            return Ok(match frame.tag {
                b'D' => Reply::Row(read_row(frame.body)?),
                b'C' => Reply::Done,
                b'Z' => Reply::Ready,
                b'W' => Reply::Copying,
                b'd' => Reply::Data(frame.body),
                b'c' => Reply::CopyDone,
                b'E' => return Err(self.refused(frame).await),
                // Descriptions of rows, notices, settings: nothing that is not known by place.
                b'T' | b'N' | b'S' | b'A' => continue,
                other => {
                    let text = format!("a message of kind {:?}", char::from(other));
                    return Err(Error::Protocol(text));
                }
            });
        }
    }

    /// What the server refused with. It is ready for another command afterwards, or gone.
    async fn refused(&mut self, frame: Frame) -> Error {
        let refusal: ServerError = match frame.into_error() {
            Ok(refusal) => refusal,
            Err(error) => return Error::protocol(error),
        };
        let until_ready = async {
            while let Ok(frame) = self.client.wire().receive_frame().await {
                if frame.tag == b'Z' {
                    break;
                }
            }
        };
        let _ = timeout(ANSWER_PATIENCE, until_ready).await;
        Error::Server(Box::new(refusal))
    }
}

fn lost(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => {
            Error::protocol(error)
        }
        _ => Error::Lost(error),
    }
}
