//! One session with a server, over the simple query protocol.
//!
//! Statements run one after another; dropping a future in the middle of one is safe, the rest of
//! its answer is skipped before the next. There is no limit on how long a statement runs, because
//! only the caller knows (a backup's checkpoint may take an hour): wrap the call in
//! `tokio::time::timeout` and use [`Client::cancel_token`] when it strikes. Dropping a client
//! closes its socket, upon which the server ends the session and a backup in progress with it.

mod authenticate;
mod connect;
pub mod error;
mod route;
pub mod row;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message, RowDescriptionBody};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::config::Config;
use authenticate::{NOTICE_LIMIT, SessionFacts, name_of};
use error::{ConnectError, Error, ServerError, Severity};
use route::Route;
use row::{Column, Row};
use wire::{Wire, read_error};

/// The most text that the rows of one answer may hold. Larger things are for COPY and replication.
pub const ANSWER_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// The limit for saying good-bye and for a cancel request without `connect_timeout`.
const SHORT_WAIT: Duration = Duration::from_secs(5);

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

/// The answer to one statement text.
#[derive(Default)]
struct Answer {
    columns: Arc<[Column]>,
    rows: Vec<Row>,
    size_bytes: usize,
    tag: String,
    refusal: Option<Box<ServerError>>,
    failure: Option<Error>,
}

impl Client {
    /// Connects to the first server of the list that gives a session.
    pub async fn connect(config: &Config) -> Result<Self, ConnectError> {
        connect::connect(config).await
    }

    fn new(wire: Wire, facts: SessionFacts, route: Route, encrypted: bool) -> Self {
        let SessionFacts {
            parameters,
            process_id,
            secret_key,
            notices,
        } = facts;
        let cancel = CancelToken {
            route,
            process_id,
            secret_key,
        };
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

    /// Asks for an empty answer: whether the server is still there.
    pub async fn check_alive(&mut self) -> Result<(), Error> {
        self.run("").await.map(|_| ())
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
        self.cancel.process_id
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
        let answer = match self.exchange(sql).await {
            Ok(answer) => answer,
            Err(error) => {
                self.broken |= !matches!(error, Error::Statement(_));
                return Err(error);
            }
        };
        match (answer.refusal, answer.failure) {
            (Some(refusal), _) => Err(Error::Server(refusal)),
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(Answer {
                refusal: None,
                failure: None,
                ..answer
            }),
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
            if !self.wire.outgoing().is_empty() {
                self.wire.flush().await.map_err(Error::Lost)?;
            }
            let message = match self.wire.receive().await {
                Ok(message) => message,
                Err(lost) => return Err(answer.into_loss(lost)),
            };
            match message {
                Message::ReadyForQuery(_) => {
                    self.unread_answers -= 1;
                    return Ok(answer);
                }
                Message::ParameterStatus(body) => {
                    let name = body.name().map_err(protocol)?.to_owned();
                    let value = body.value().map_err(protocol)?.to_owned();
                    self.parameters.insert(name, value);
                }
                Message::NoticeResponse(body) => {
                    if self.notices.len() < NOTICE_LIMIT {
                        self.notices
                            .push(read_error(body.fields()).map_err(protocol)?);
                    }
                }
                Message::CopyInResponse(_) => {
                    let reason = "COPY FROM STDIN is not supported here";
                    frontend::copy_fail(reason, self.wire.outgoing()).map_err(protocol)?;
                }
                other => answer.take(other)?,
            }
        }
    }
}

impl Answer {
    fn take(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::RowDescription(body) => {
                self.rows.clear();
                self.size_bytes = 0;
                self.columns = read_columns(&body)?;
            }
            Message::DataRow(body) => self.take_row(&body)?,
            Message::CommandComplete(body) => {
                self.tag = body.tag().map_err(protocol)?.to_owned();
            }
            Message::ErrorResponse(body) => {
                let refusal = read_error(body.fields()).map_err(protocol)?;
                self.refusal.get_or_insert(Box::new(refusal));
            }
            Message::CopyOutResponse(_) => {
                let text = "COPY TO STDOUT is not supported here".to_owned();
                self.failure.get_or_insert(Error::Protocol(text));
            }
            Message::EmptyQueryResponse
            | Message::NotificationResponse(_)
            | Message::CopyData(_)
            | Message::CopyDone => {}
            other => return Err(Error::Protocol(name_of(&other).to_owned())),
        }
        Ok(())
    }

    fn take_row(&mut self, body: &DataRowBody) -> Result<(), Error> {
        self.size_bytes = self.size_bytes.saturating_add(body.buffer().len());
        if self.size_bytes > ANSWER_LIMIT_BYTES {
            self.rows.clear();
            self.failure
                .get_or_insert(Error::TooLarge(ANSWER_LIMIT_BYTES));
        }
        if self.failure.is_some() {
            return Ok(());
        }
        let ranges: Vec<_> = body.ranges().collect().map_err(protocol)?;
        if ranges.len() != self.columns.len() {
            return Err(Error::Protocol(
                "a row of another width than described".to_owned(),
            ));
        }
        let mut values = Vec::with_capacity(ranges.len());
        for (column, range) in self.columns.iter().zip(ranges) {
            let bytes = range.map(|range| body.buffer()[range].to_vec());
            match bytes.map(String::from_utf8).transpose() {
                Ok(text) => values.push(text),
                Err(_) => {
                    self.failure = Some(Error::NotUtf8(column.name.clone()));
                    return Ok(());
                }
            }
        }
        self.rows.push(Row {
            columns: Arc::clone(&self.columns),
            values,
        });
        Ok(())
    }

    /// A server that ends the session says why before it closes the stream.
    fn into_loss(self, lost: io::Error) -> Error {
        match self.refusal {
            Some(refusal) if refusal.severity != Severity::Error => Error::Server(refusal),
            _ => match lost.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => protocol(lost),
                _ => Error::Lost(lost),
            },
        }
    }
}

fn read_columns(body: &RowDescriptionBody) -> Result<Arc<[Column]>, Error> {
    let fields = body.fields().map(|field| {
        Ok(Column {
            name: field.name().to_owned(),
            type_oid: field.type_oid(),
        })
    });
    let columns: Vec<Column> = fields.collect().map_err(protocol)?;
    Ok(columns.into())
}

fn protocol(error: io::Error) -> Error {
    Error::Protocol(error.to_string())
}

/// Stops the statement that a session runs, from anywhere.
#[derive(Clone)]
pub struct CancelToken {
    route: Route,
    process_id: i32,
    secret_key: i32,
}

impl CancelToken {
    /// Asks the server to stop what the session is doing, with the same protection as the session.
    ///
    /// The server does not say whether there was anything to stop; the session's own call ends
    /// with SQLSTATE 57014 if there was.
    pub async fn cancel(&self) -> Result<(), ConnectError> {
        let limit = self.route.config.connect_timeout.unwrap_or(SHORT_WAIT);
        let result = timeout(limit, self.send()).await;
        result
            .unwrap_or(Err(error::Cause::TimedOut(limit)))
            .map_err(|cause| {
                let failure = error::Failure {
                    place: self.route.place(),
                    cause,
                };
                ConnectError {
                    failures: vec![failure],
                }
            })
    }

    async fn send(&self) -> Result<(), error::Cause> {
        let (mut transport, _) = self.route.open().await?;
        let mut request = bytes::BytesMut::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut request);
        transport
            .write_all(&request)
            .await
            .map_err(error::Cause::Broken)?;
        transport.flush().await.map_err(error::Cause::Broken)?;
        // The server closes the connection once the request is under way.
        let mut rest = [0; 16];
        let _ = transport.read(&mut rest).await;
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("place", &self.cancel.route.place())
            .field("process_id", &self.cancel.process_id)
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("place", &self.route.place())
            .field("process_id", &self.process_id)
            .finish_non_exhaustive()
    }
}
