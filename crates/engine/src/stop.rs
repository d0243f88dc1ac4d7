//! The one way to stop: a flag that threads look at and tasks wait for.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

/// A stop flag that blocking threads look at between blocks, and tasks wait for.
#[derive(Debug, Clone)]
pub struct StopFlag(Arc<watch::Sender<bool>>);

impl Default for StopFlag {
    fn default() -> StopFlag {
        StopFlag(Arc::new(watch::Sender::new(false)))
    }
}

impl StopFlag {
    /// Asks every holder to stop.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// Whether someone asked to stop.
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until someone asks to stop.
    pub async fn raised(&self) {
        let mut flag = self.0.subscribe();
        // The sender lives as long as this value.
        let _ = flag.wait_for(|raised| *raised).await;
    }

    /// An error when someone asked to stop.
    ///
    /// # Errors
    /// Of a kind that no loop tries again.
    pub fn check(&self) -> io::Result<()> {
        if self.is_raised() {
            Err(io::Error::other("stopped"))
        } else {
            Ok(())
        }
    }
}
