//! An endpoint that answers as told: for what a healthy server never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
