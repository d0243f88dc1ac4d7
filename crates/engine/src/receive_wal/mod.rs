//! Receives WAL over a replication connection into a directory, as pg_receivewal lays it out.
//!
//! [`start`] finds where to go on, [`stream`] follows one connection, [`segment_file`] writes; here
//! is what holds over connections: one lock is the caller's, lost connections are made again, and
//! what does not pass by itself ends the receiver.
//!
//! Always true: the server is told that WAL is flushed only after the disk has it, so that a commit
//! which waits for this receiver is safe; and WAL of two clusters never meets in a directory.

mod error;
mod request;
mod reset;
mod segment_file;
mod start;
mod stream;

use std::time::Duration;

use postgres::replication::WalSender;
use postgres::{Config, Error};

use crate::stop::StopFlag;
pub use error::ReceiveError;
pub use request::{ReceiveListener, ReceiveRequest, SilenceLimits, Told};
pub use reset::{Reset, reset};
pub use start::slot_position;
use stream::Connected;

/// Receives until it is stopped.
///
/// # Errors
/// When the first connection fails, and later for what does not pass by itself: a slot that is
/// gone, WAL that the server no longer has, a disk that is full.
pub async fn receive(
    request: &ReceiveRequest,
    stop: &StopFlag,
    listener: ReceiveListener<'_>,
) -> Result<(), ReceiveError> {
    let mut request = request.clone();
    let mut attempt = 0;
    let mut has_streamed = false;
    loop {
        let mut connected = Connected {
            request: &request,
            stop,
            listener,
            has_streamed: false,
            system_id: None,
        };
        let ended = connected.run().await;
        let (streamed, system_id) = (connected.has_streamed, connected.system_id);
        request.system_id = request.system_id.or(system_id);
        if streamed {
            (attempt, has_streamed) = (0, true);
        }
        let error = match ended {
            Ok(()) => return Ok(()),
            Err(error) if has_streamed && error.passes() => error,
            Err(error) => return Err(error),
        };
        let retry_in = pause(attempt);
        attempt += 1;
        let error = &error;
        listener(Told::Lost { error, retry_in });
        if tokio::time::timeout(retry_in, stop.raised()).await.is_ok() {
            return Ok(());
        }
    }
}

/// How long to wait before the next attempt: a second, and twice as long each time up to a half
/// minute.
fn pause(attempt: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(attempt).min(30))
}

/// Creates the slot.
///
/// # Errors
/// When there is one, or the server refuses.
pub async fn create_slot(replication: &Config, slot: &str) -> Result<(), Error> {
    let mut session = WalSender::open(replication).await?;
    session.create_slot(slot).await?;
    session.close().await;
    Ok(())
}

/// Drops the slot.
///
/// # Errors
/// When there is none, it is in use, or the server refuses.
pub async fn drop_slot(replication: &Config, slot: &str) -> Result<(), Error> {
    let mut session = WalSender::open(replication).await?;
    session.drop_slot(slot).await?;
    session.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_ever_more_seldom_but_do_not_end() {
        let seconds = [0, 1, 2, 3, 4, 5, 6, 1_000].map(|attempt| pause(attempt).as_secs());
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
