//! Messages over a byte stream: framing, limits, and the server's errors as values.
//!
//! What is to be sent waits in a buffer until it is flushed, so a request whose future is dropped
//! halfway leaves no broken frame behind: the next flush goes on where it stopped.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{ErrorFields, Header, Message};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::{ServerError, Severity};

/// A byte stream to a server: a socket, TLS on a socket, or a pipe in tests.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Transport for T {}

/// The largest message before the session stands. libpq allows 30,000 bytes for an error then.
pub(crate) const GREETING_LIMIT_BYTES: usize = 64 * 1024;

/// The largest message of a session: a row that no answer may hold is not even buffered.
pub(crate) const MESSAGE_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// The limit for saying good-bye and for a cancel request without `connect_timeout`.
pub(super) const SHORT_WAIT: Duration = Duration::from_secs(5);

/// A transport with its buffers.
pub(crate) struct Wire {
    transport: Box<dyn Transport>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// The largest message that is accepted now.
    pub limit_bytes: usize,
}

impl Wire {
    pub(crate) fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            incoming: BytesMut::with_capacity(8 * 1024),
            outgoing: BytesMut::new(),
            limit_bytes: GREETING_LIMIT_BYTES,
        }
    }

    /// Where messages to be sent are written.
    pub(crate) fn outgoing(&mut self) -> &mut BytesMut {
        &mut self.outgoing
    }

    /// Sends everything that waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.transport.write_all_buf(&mut self.outgoing).await?;
        self.transport.flush().await
    }

    /// Ends the stream.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.transport.shutdown().await
    }

    /// Waits for the next message. Dropping the future loses no bytes.
    pub(crate) async fn receive(&mut self) -> io::Result<Message> {
        loop {
            if self.header()?.is_some()
                && let Some(message) = Message::parse(&mut self.incoming)?
            {
                return Ok(message);
            }
            self.read_more().await?;
        }
    }

    /// Waits for the next message and takes it as it came, for what `postgres-protocol` does not
    /// know: replication. Dropping the future loses no bytes.
    pub(crate) async fn receive_frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some((tag, length)) = self.header()?
                && self.incoming.len() > length
            {
                self.incoming.advance(HEADER_BYTES);
                let body = self.incoming.split_to(length + 1 - HEADER_BYTES).freeze();
                return Ok(Frame { tag, body });
            }
            self.incoming.reserve(READ_BYTES);
            self.read_more().await?;
        }
    }

    /// The kind of the next message and its length, without the byte of the kind.
    fn header(&self) -> io::Result<Option<(u8, usize)>> {
        let Some(header) = Header::parse(&self.incoming)? else {
            return Ok(None);
        };
        // A length beyond the limit means that this is no PostgreSQL, or no friend.
        let length = header.len().unsigned_abs() as usize;
        if length > self.limit_bytes {
            let text = format!("a message of {} bytes", header.len());
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        Ok(Some((header.tag(), length)))
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.transport.read_buf(&mut self.incoming).await? == 0 {
            let text = "the server closed the connection unexpectedly";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
        }
        Ok(())
    }
}

/// A message as it came.
pub(crate) struct Frame {
    pub tag: u8,
    pub body: Bytes,
}

/// The kind and the length.
const HEADER_BYTES: usize = 5;

/// What is read at a time where much is to come: two of the largest messages of a WAL stream.
const READ_BYTES: usize = 256 * 1024;

impl Frame {
    /// What an error message says.
    pub(crate) fn into_error(self) -> io::Result<ServerError> {
        let mut whole = BytesMut::with_capacity(self.body.len() + HEADER_BYTES);
        let length = u32::try_from(self.body.len() + 4).map_err(io::Error::other)?;
        whole.extend_from_slice(&[self.tag]);
        whole.extend_from_slice(&length.to_be_bytes());
        whole.extend_from_slice(&self.body);
        match Message::parse(&mut whole)? {
            Some(Message::ErrorResponse(body)) => read_error(body.fields()),
            _ => Err(io::Error::new(ErrorKind::InvalidData, "no error message")),
        }
    }
}

/// Reads the fields of an error or a notice. Text in another encoding than UTF-8, which a server
/// may use before it knows ours, is shown with replacement characters.
pub(crate) fn read_error(mut fields: ErrorFields<'_>) -> io::Result<ServerError> {
    let mut error = ServerError {
        severity: Severity::Error,
        severity_text: String::new(),
        sqlstate: String::new(),
        message: String::new(),
        detail: None,
        hint: None,
    };
    while let Some(field) = fields.next()? {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'S' => error.severity_text = text,
            b'V' => error.severity = severity(&text),
            b'C' => error.sqlstate = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            _ => {}
        }
    }
    Ok(error)
}

fn severity(text: &str) -> Severity {
    match text {
        "ERROR" => Severity::Error,
        "FATAL" => Severity::Fatal,
        "PANIC" => Severity::Panic,
        _ => Severity::Notice,
    }
}

/// What a message is called in the protocol's manual, roughly.
pub(super) fn name_of(message: &Message) -> &'static str {
    match message {
        Message::AuthenticationSaslContinue(_) | Message::AuthenticationSaslFinal(_) => {
            "a SASL message"
        }
        Message::AuthenticationOk => "an end of authentication",
        Message::CopyData(_) | Message::CopyDone => "COPY data",
        Message::CopyInResponse(_) | Message::CopyOutResponse(_) => "the start of a COPY",
        Message::DataRow(_) => "a row",
        Message::RowDescription(_) => "a row description",
        Message::ReadyForQuery(_) => "the readiness for a query",
        Message::NoticeResponse(_) => "a notice",
        _ => "a message out of place",
    }
}
