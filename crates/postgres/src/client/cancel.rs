//! Stopping a running statement from outside its session.
//!
//! The request travels on a connection of its own, with the session's protection. Source:
//! PostgreSQL manual, "Canceling Requests in Progress".

use std::fmt;

use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::error::{Cause, ConnectError, Failure};
use super::route::Route;
use super::wire::SHORT_WAIT;

/// Stops the statement that a session runs, from anywhere.
#[derive(Clone)]
pub struct CancelToken {
    route: Route,
    process_id: i32,
    secret_key: i32,
}

impl CancelToken {
    pub(super) fn new(route: Route, process_id: i32, secret_key: i32) -> Self {
        Self {
            route,
            process_id,
            secret_key,
        }
    }

    pub(super) fn process_id(&self) -> i32 {
        self.process_id
    }

    pub(super) fn place(&self) -> String {
        self.route.place()
    }

    /// Asks the server to stop what the session is doing, with the same protection as the session.
    ///
    /// The server does not say whether there was anything to stop; the session's own call ends
    /// with SQLSTATE 57014 if there was.
    pub async fn cancel(&self) -> Result<(), ConnectError> {
        let limit = self.route.config.connect_timeout.unwrap_or(SHORT_WAIT);
        let result = timeout(limit, self.send()).await;
        result
            .unwrap_or(Err(Cause::TimedOut(limit)))
            .map_err(|cause| {
                let failure = Failure {
                    place: self.route.place(),
                    cause,
                };
                ConnectError {
                    role: self.route.config.user.clone(),
                    failures: vec![failure],
                }
            })
    }

    async fn send(&self) -> Result<(), Cause> {
        let (mut transport, _) = self.route.open().await?;
        let mut request = bytes::BytesMut::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut request);
        transport.write_all(&request).await.map_err(Cause::Broken)?;
        transport.flush().await.map_err(Cause::Broken)?;
        // The server closes the connection once the request is under way.
        let mut rest = [0; 16];
        let _ = transport.read(&mut rest).await;
        Ok(())
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
