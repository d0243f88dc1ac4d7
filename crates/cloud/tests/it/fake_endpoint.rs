//! An endpoint that answers as told: for what a healthy server never does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request's treatment: wait, then answer with a status line and a body.
#[derive(Clone, Copy)]
pub struct Answer {
    pub delay: Duration,
    pub status: &'static str,
    pub body: &'static str,
}

pub struct FakeEndpoint {
    pub url: String,
    pub requests: Arc<AtomicUsize>,
}

/// Serves `answers` in turn, one connection each; the last one for ever.
pub async fn serve(answers: Vec<Answer>) -> FakeEndpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(respond(stream, answers[number.min(answers.len() - 1)]));
        }
    });
    FakeEndpoint { url, requests }
}

async fn respond(mut stream: TcpStream, answer: Answer) {
    let (mut head, mut byte) = (Vec::new(), [0u8]);
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    tokio::time::sleep(answer.delay).await;
    let text = format!(
        "HTTP/1.1 {}\r\nETag: \"e\"\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
        answer.status,
        answer.body.len(),
        answer.body
    );
    // The client may have given up waiting.
    drop(stream.write_all(text.as_bytes()).await);
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In lower case, with their values.
    pub head: String,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn is(&self, method: &str, word: &str) -> bool {
        self.method == method && self.target.contains(word)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &&str| line.starts_with(&format!("{name}: "));
        let line = self.head.lines().find(line)?;
        Some(line[name.len() + 2..].trim())
    }
}

/// What is answered: a status line, header lines and a body.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: &'static str,
    pub headers: Vec<String>,
    pub body: String,
}

pub fn reply(status: &'static str, body: impl Into<String>) -> Reply {
    Reply {
        status,
        headers: vec![],
        body: body.into(),
    }
}

impl Reply {
    pub fn with(mut self, header: impl Into<String>) -> Reply {
        self.headers.push(header.into());
        self
    }
}

/// An endpoint that a function plays; it gets the number of the request, too.
pub struct Player {
    pub url: String,
    pub seen: Arc<Mutex<Vec<Asked>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Player {
    /// Refuses connections from now on; the port is free.
    pub async fn go_away(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }

    pub fn requests(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let line = |asked: &Asked| format!("{} {}", asked.method, asked.target);
        seen.iter().map(line).collect()
    }

    /// How many requests had this method and this in their address.
    pub fn count(&self, method: &str, word: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|asked| asked.is(method, word)).count()
    }
}

pub async fn play(answer: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Player {
    play_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
}

/// The same where something listens already.
pub fn play_on(
    listener: TcpListener,
    answer: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
) -> Player {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let (answer, noted) = (Arc::new(answer), Arc::clone(&seen));
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (answer, noted) = (Arc::clone(&answer), Arc::clone(&noted));
            tokio::spawn(async move {
                let Some(asked) = read(&mut stream).await else {
                    return;
                };
                let number = {
                    let mut noted = noted.lock().unwrap();
                    noted.push(asked.clone());
                    noted.len() - 1
                };
                let reply = answer(number, &asked);
                let mut text = format!("HTTP/1.1 {}\r\nConnection: close\r\n", reply.status);
                for header in &reply.headers {
                    text.push_str(&format!("{header}\r\n"));
                }
                let has_length = |header: &String| header.starts_with("Transfer-Encoding");
                if !reply.headers.iter().any(has_length) && !reply.status.starts_with("204") {
                    text.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
                }
                text.push_str("\r\n");
                if asked.method != "HEAD" {
                    text.push_str(&reply.body);
                }
                // The client may have given up waiting.
                drop(stream.write_all(text.as_bytes()).await);
            });
        }
    });
    Player { url, seen, serving }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    let mut asked = Asked {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Asked::default()
    };
    asked.head = head.to_ascii_lowercase();
    let length = asked.header("content-length").unwrap_or("0");
    asked.body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut asked.body).await.ok()?;
    Some(asked)
}
