//! The answer to one statement text, gathered message by message.
//!
//! A refusal of the server and what we cannot hold (too much, not UTF-8, COPY) are kept in the
//! answer and the rest is skipped, so that the session goes on; a message that the protocol does
//! not allow here is an error.

use std::io;
use std::sync::Arc;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message, RowDescriptionBody};

use super::error::{Error, ServerError, Severity};
use super::row::{Column, Row};
use super::wire::{MESSAGE_LIMIT_BYTES, name_of, read_error};

/// The most text that the rows of one answer may hold. Larger things are for COPY and replication.
pub const ANSWER_LIMIT_BYTES: usize = MESSAGE_LIMIT_BYTES;

/// The answer to one statement text.
#[derive(Default)]
pub(super) struct Answer {
    columns: Arc<[Column]>,
    pub rows: Vec<Row>,
    size_bytes: usize,
    pub tag: String,
    refusal: Option<Box<ServerError>>,
    failure: Option<Error>,
}

impl Answer {
    /// Takes one message of the answer. An error means that the stream cannot be used any more.
    pub(super) fn take(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::RowDescription(body) => {
                self.rows.clear();
                self.size_bytes = 0;
                self.columns = read_columns(&body)?;
            }
            Message::DataRow(body) => self.take_row(&body)?,
            Message::CommandComplete(body) => {
                self.tag = body.tag().map_err(Error::protocol)?.to_owned();
            }
            Message::ErrorResponse(body) => {
                let refusal = read_error(body.fields()).map_err(Error::protocol)?;
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
        let ranges: Vec<_> = body.ranges().collect().map_err(Error::protocol)?;
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

    /// The complete answer, unless the server or we refused it.
    pub(super) fn finish(mut self) -> Result<Self, Error> {
        match (self.refusal.take(), self.failure.take()) {
            (Some(refusal), _) => Err(Error::Server(refusal)),
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(self),
        }
    }

    /// A server that ends the session says why before it closes the stream.
    pub(super) fn into_loss(self, lost: io::Error) -> Error {
        match self.refusal {
            Some(refusal) if refusal.severity != Severity::Error => Error::Server(refusal),
            _ => match lost.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Error::protocol(lost),
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
    let columns: Vec<Column> = fields.collect().map_err(Error::protocol)?;
    Ok(columns.into())
}
