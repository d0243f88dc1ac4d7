//! As much of HTTP/1.1 as the proxy needs: to read one request whole, and to pass an answer on.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_BODY_BYTES: u64 = 1024 * 1024 * 1024;

/// A request as it came.
#[derive(Debug)]
pub(super) struct Request {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without chunk framing.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads a request; nothing when the client says nothing.
    pub(super) fn read(client: &TcpStream) -> io::Result<Option<Request>> {
        let mut reader = BufReader::new(client);
        let Some(head) = read_head(&mut reader)? else {
            return Ok(None);
        };
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words
            .next()
            .ok_or_else(|| bad("a request without a target"))?
            .to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Request {
            method,
            target,
            headers,
            body: Vec::new(),
        };
        if request.header("expect").is_some() {
            (&*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.body = request.read_body(&mut reader)?;
        Ok(Some(request))
    }

    /// Sends it on, asking that the connection be closed after the answer.
    pub(super) fn send(&self, upstream: &TcpStream) -> io::Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let ours = [
            "connection",
            "expect",
            "transfer-encoding",
            "content-length",
        ];
        for (name, value) in self
            .headers
            .iter()
            .filter(|(name, _)| !ours.contains(&&**name))
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.body.len();
        head.push_str(&format!(
            "content-length: {length}\r\nconnection: close\r\n\r\n"
        ));
        let mut upstream = upstream;
        upstream.write_all(head.as_bytes())?;
        upstream.write_all(&self.body)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| &**value)
    }

    fn read_body(&self, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self
            .header("transfer-encoding")
            .is_some_and(|coding| coding.contains("chunked"))
        {
            while let Some(length) = read_chunk_length(reader)? {
                read_exactly(reader, length, &mut body)?;
                read_line(reader)?;
            }
            while !read_line(reader)?.is_empty() {}
            return Ok(body);
        }
        let length = self.header("content-length").unwrap_or("0");
        let length = length
            .parse()
            .map_err(|_| bad("a content-length that is no number"))?;
        read_exactly(reader, length, &mut body)?;
        Ok(body)
    }
}

/// Passes an answer on until the upstream closes, or until so many bytes of its body have passed.
pub(super) fn relay(
    upstream: &TcpStream,
    client: &TcpStream,
    body_bytes: Option<u64>,
) -> io::Result<()> {
    let mut reader = BufReader::new(upstream);
    let mut client = client;
    let Some(bytes) = body_bytes else {
        io::copy(&mut reader, &mut client)?;
        return Ok(());
    };
    let head = read_head(&mut reader)?.ok_or_else(|| bad("an upstream without an answer"))?;
    client.write_all(head.as_bytes())?;
    io::copy(&mut reader.take(bytes), &mut client)?;
    Ok(())
}

// With its empty line; `None` at the end of the stream.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let before = head.len();
        reader
            .by_ref()
            .take(MAX_HEAD_BYTES as u64)
            .read_until(b'\n', &mut head)?;
        if head.len() == before {
            return if before == 0 {
                Ok(None)
            } else {
                Err(bad("half a head"))
            };
        }
        if head.len() > MAX_HEAD_BYTES {
            return Err(bad("too long a head"));
        }
    }
    String::from_utf8(head)
        .map(Some)
        .map_err(|_| bad("a head that is not text"))
}

fn read_chunk_length(reader: &mut impl BufRead) -> io::Result<Option<u64>> {
    let line = read_line(reader)?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    let length = u64::from_str_radix(digits, 16).map_err(|_| bad("a chunk without a length"))?;
    Ok((length > 0).then_some(length))
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader
        .by_ref()
        .take(MAX_HEAD_BYTES as u64)
        .read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_exactly(reader: &mut impl Read, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if body.len() as u64 + length > MAX_BODY_BYTES {
        return Err(bad("too long a body"));
    }
    let read = reader.take(length).read_to_end(body)?;
    if read as u64 == length {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the proxy met {what}"))
}
