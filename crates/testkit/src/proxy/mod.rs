//! An HTTP proxy on loopback that stands before a store and spoils chosen requests: it drops the
//! connection, answers an error, waits, forwards but loses the answer, or cuts the answer short.
//! It also remembers every request, so that tests can count.
//!
//! Requests go to the upstream as they came, `Host` included, so signatures stay valid. Each
//! connection carries one request; bodies of requests are held in memory.

mod http;
mod rule;

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use rule::{Fault, Rule};

use http::Request;
use rule::Counted;

const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// A request that passed, or was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRequest {
    /// The method, such as `PUT`.
    pub method: String,
    /// Path and query as sent, such as `/bucket/key?partNumber=7&uploadId=x`.
    pub target: String,
    /// Header names, in lower case, and values, as sent.
    pub headers: Vec<(String, String)>,
    /// The length of the body.
    pub body_bytes: u64,
    /// What was done to it, if anything.
    pub fault: Option<Fault>,
}

/// A running proxy. Dropping it refuses further connections.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    rules: Mutex<Vec<Counted>>,
    seen: Mutex<Vec<SeenRequest>>,
    closed: Mutex<bool>,
}

impl FaultProxy {
    /// A proxy before `upstream`, an address such as `127.0.0.1:8333` that speaks plain HTTP.
    pub fn before(upstream: &str) -> FaultProxy {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .unwrap_or_else(|error| panic!("cannot listen on loopback: {error}"));
        let address = listener.local_addr();
        let port = address
            .unwrap_or_else(|error| panic!("a listener has no port: {error}"))
            .port();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            rules: Mutex::default(),
            seen: Mutex::default(),
            closed: Mutex::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || serving.accept(&listener));
        FaultProxy { port, shared }
    }

    /// The URL that clients are to use.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Adds a rule. Of several rules that fit a request the first one added counts.
    pub fn spoil(&self, rule: Rule) {
        lock(&self.shared.rules).push(Counted::new(rule));
    }

    /// Forgets all rules.
    pub fn heal(&self) {
        lock(&self.shared.rules).clear();
    }

    /// All requests so far, in the order in which they had been read.
    pub fn requests(&self) -> Vec<SeenRequest> {
        lock(&self.shared.seen).clone()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        lock(&self.shared.seen).clear();
    }

    /// How many requests had this method and this text in their target.
    pub fn count(&self, method: &str, target_has: &str) -> usize {
        let seen = lock(&self.shared.seen);
        seen.iter()
            .filter(|seen| seen.method == method && seen.target.contains(target_has))
            .count()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        *lock(&self.shared.closed) = true;
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if *lock(&self.closed) {
                return;
            }
            let Ok(client) = client else { continue };
            let shared = Arc::clone(&self);
            // An error here is the client's: it sees its connection end.
            std::thread::spawn(move || shared.serve(&client));
        }
    }

    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(IDLE_TIMEOUT))?;
        let Some(request) = Request::read(client)? else {
            return Ok(());
        };
        let fault = self.judge(&request);
        match fault {
            Some(Fault::Drop) => return client.shutdown(Shutdown::Both),
            Some(Fault::Answer(status)) => return answer(client, status, "SlowDown"),
            Some(Fault::Refuse(status, code)) => return answer(client, status, code),
            Some(Fault::Say(text)) => {
                let mut client = client;
                client.write_all(text.as_bytes())?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::Delay(time)) => std::thread::sleep(time),
            Some(Fault::LoseAnswer | Fault::CutAnswerAfter(_)) | None => {}
        }
        let upstream = TcpStream::connect(&self.upstream)?;
        upstream.set_read_timeout(Some(IDLE_TIMEOUT))?;
        request.send(&upstream)?;
        match fault {
            Some(Fault::LoseAnswer) => {
                io::copy(&mut &upstream, &mut io::sink())?;
            }
            Some(Fault::CutAnswerAfter(bytes)) => http::relay(&upstream, client, Some(bytes))?,
            _ => http::relay(&upstream, client, None)?,
        }
        client.shutdown(Shutdown::Both)
    }

    fn judge(&self, request: &Request) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let fault = rules
            .iter_mut()
            .find_map(|rule| rule.judge(&request.method, &request.target));
        lock(&self.seen).push(SeenRequest {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body_bytes: request.body.len() as u64,
            fault,
        });
        fault
    }
}

fn answer(mut client: &TcpStream, status: u16, code: &str) -> io::Result<()> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>spoilt</Message></Error>"
    );
    write!(
        client,
        "HTTP/1.1 {status} Spoilt\r\ncontent-type: application/xml\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len(),
    )?;
    client.shutdown(Shutdown::Write)
}

// A thread that panicked while it held one of these left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
