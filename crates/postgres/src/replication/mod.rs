//! Physical replication: a session with a WAL sender, what it can be asked, and the way into a
//! stream of WAL.
//!
//! Source: PostgreSQL manual, "Streaming Replication Protocol" and "Message Formats". [`session`]
//! speaks the protocol, [`slot`] looks after slots, [`wal_stream`] follows WAL.

mod session;
mod slot;
mod values;
mod wal_stream;

use crate::config::ConfigError;
use crate::conninfo;
use crate::{Config, Environment};
pub use session::{Identity, MESSAGE_LIMIT_BYTES, WalSender};
pub use slot::{SlotPosition, query_slot};
pub use wal_stream::{NextTimeline, Replied, StreamEvent, StreamStart, WalStream};

/// The settings of a replication session: those of `text`, with what replication needs set over
/// them and the name that the server shows.
///
/// # Errors
/// As [`Config::from_conninfo`].
pub fn config(
    text: &str,
    application_name: &str,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let mut settings = conninfo::parse(text)?;
    settings.set("replication", "true")?;
    // The passfile's entries for replication have this word for a database.
    settings.set("dbname", "replication")?;
    settings.set("options", "-cdatestyle=iso")?;
    settings.set("application_name", application_name)?;
    Config::resolve(settings, environment)
}
