//! One session with a server, over the simple query protocol.
//!
//! Statements run one after another; dropping a future in the middle of one is safe, the rest of
//! its answer is skipped before the next. There is no limit on how long a statement runs, because
//! only the caller knows (a backup's checkpoint may take an hour): wrap the call in
//! `tokio::time::timeout` and use [`Client::cancel_token`] when it strikes. Dropping a client
//! closes its socket, upon which the server ends the session and a backup in progress with it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::time::timeout;

use super::answer::Answer;
use super::authenticate::{NOTICE_LIMIT, SessionFacts};
use super::cancel::CancelToken;
use super::error::{Error, ServerError};
use super::route::Route;
use super::row::Row;
use super::wire::{SHORT_WAIT, Wire, read_error};

/// A session with a PostgreSQL server.
pub struct Client {
    wire: Wire,
    parameters: BTreeMap<String, String>,
    notices: Vec<ServerError>,
    cancel: CancelToken,
    encrypted: bool,
    /// Answers that were asked for and not read to their end.
    unread_answers: usize,
    /// The stream cannot be used any more.
    broken: bool,
}

impl Client {
    /// The session that was opened on this wire by this route.
    pub(super) fn new(wire: Wire, facts: SessionFacts, route: Route, encrypted: bool) -> Self {
        let SessionFacts {
            parameters,
            process_id,
            secret_key,
            notices,
        } = facts;
        let cancel = CancelToken::new(route, process_id, secret_key);
        let (unread_answers, broken) = (0, false);
        Self {
            wire,
            parameters,
            notices,
            cancel,
            encrypted,
            unread_answers,
            broken,
        }
    }

    /// Runs SQL and returns its rows; of several statements, those of the last that returns any.
    ///
    /// Every value is text in PostgreSQL's output format. Several statements in one text are one
    /// transaction (PostgreSQL manual, "Multiple Statements in a Simple Query").
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        Ok(self.run(sql).await?.rows)
    }

    /// Runs SQL and returns the last statement's command tag, such as `CREATE TABLE`.
    pub async fn execute(&mut self, sql: &str) -> Result<String, Error> {
        Ok(self.run(sql).await?.tag)
    }

    /// The stream of messages itself, for a session that speaks the replication protocol.
    pub(crate) fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Asks for an empty answer: whether the server is still there.
    pub async fn check_alive(&mut self) -> Result<(), Error> {
        self.run("").await.map(|_| ())
    }

    /// Waits until the session ends, and says why. For a session that is idle: nobody needs to ask
    /// the server anything to learn at once that it is gone. The future may be dropped.
    pub async fn ended(&mut self) -> Error {
        while !self.broken {
            if let Err(error) = self.read_answer().await {
                self.broken = true;
                return error;
            }
        }
        Error::Closed
    }

    /// Whether the session was not seen to end; to be sure, use [`Client::check_alive`].
    pub fn is_open(&self) -> bool {
        !self.broken
    }

    /// A parameter that the server reports by itself, such as `server_version`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The process that serves this session, as in `pg_stat_activity`.
    pub fn process_id(&self) -> i32 {
        self.cancel.process_id()
    }

    /// Whether the session runs over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Takes the notices and warnings since the last call, at most 100 of them.
    pub fn take_notices(&mut self) -> Vec<ServerError> {
        std::mem::take(&mut self.notices)
    }

    /// What can stop a running statement from another task.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Says good-bye, so that the server logs no lost connection. Waits five seconds at most.
    pub async fn close(mut self) {
        if self.broken {
            return;
        }
        frontend::terminate(self.wire.outgoing());
        let farewell = async {
            self.wire.flush().await?;
            self.wire.shutdown().await
        };
        // Nothing depends on the farewell: the server notices the closed socket as well.
        let _ = timeout(SHORT_WAIT, farewell).await;
    }

    async fn run(&mut self, sql: &str) -> Result<Answer, Error> {
        if self.broken {
            return Err(Error::Closed);
        }
        match self.exchange(sql).await {
            Ok(answer) => answer.finish(),
            Err(error) => {
                self.broken |= !matches!(error, Error::Statement(_));
                Err(error)
            }
        }
    }

    async fn exchange(&mut self, sql: &str) -> Result<Answer, Error> {
        while self.unread_answers > 0 {
            self.read_answer().await?;
        }
        if sql.contains('\0') {
            return Err(Error::Statement(io::Error::other(
                "it contains a zero byte",
            )));
        }
        frontend::query(sql, self.wire.outgoing()).map_err(Error::Statement)?;
        self.unread_answers += 1;
        self.read_answer().await
    }

    /// Reads until the server is ready again. What the server refuses, and what we cannot hold, is
    /// kept in the answer: the stream stays usable. An error means that it does not.
    async fn read_answer(&mut self) -> Result<Answer, Error> {
        let mut answer = Answer::default();
        // Inside the loop and not before: an answer to COPY waits to be sent as well.
        loop {
            if !self.wire.outgoing().is_empty()
                && let Err(lost) = self.wire.flush().await
            {
                return Err(self.read_last_words(lost).await);
            }
            let message = match self.wire.receive().await {
                Ok(message) => message,
                Err(lost) => return Err(answer.into_loss(lost)),
            };
            match message {
                Message::ReadyForQuery(_) => {
                    self.unread_answers = self.unread_answers.saturating_sub(1);
                    return Ok(answer);
                }
                Message::ParameterStatus(body) => {
                    let name = body.name().map_err(Error::protocol)?.to_owned();
                    let value = body.value().map_err(Error::protocol)?.to_owned();
                    self.parameters.insert(name, value);
                }
                Message::NoticeResponse(body) => {
                    if self.notices.len() < NOTICE_LIMIT {
                        self.notices
                            .push(read_error(body.fields()).map_err(Error::protocol)?);
                    }
                }
                Message::CopyInResponse(_) => {
                    let reason = "COPY FROM STDIN is not supported here";
                    frontend::copy_fail(reason, self.wire.outgoing()).map_err(Error::protocol)?;
                }
                other => answer.take(other)?,
            }
        }
    }

    /// A server that ended the session has said why before our words failed to reach it.
    async fn read_last_words(&mut self, lost: io::Error) -> Error {
        let mut answer = Answer::default();
        while let Ok(Ok(message)) = timeout(SHORT_WAIT, self.wire.receive()).await {
            if matches!(message, Message::ErrorResponse(_)) && answer.take(message).is_err() {
                break;
            }
        }
        answer.into_loss(lost)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("place", &self.cancel.place())
            .field("process_id", &self.process_id())
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}
