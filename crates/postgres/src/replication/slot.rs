//! Physical replication slots: made, dropped, and asked where they stand.
//!
//! A WAL sender of version 15 and later can be asked; with older ones an ordinary session asks.

use super::session::WalSender;
use super::values::{number, optional, quoted, read_position};
use crate::Client;
use crate::client::error::Error;

/// Where a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlotPosition {
    /// From here on the server keeps WAL; nothing before somebody used the slot.
    pub restart: Option<u64>,
    /// The timeline of that position, where the server tells it.
    pub timeline: Option<u32>,
}

impl WalSender {
    /// Creates a slot that will outlive this session.
    ///
    /// # Errors
    /// With SQLSTATE 42710 when there is one of this name.
    pub async fn create_slot(&mut self, name: &str) -> Result<(), Error> {
        let command = format!("CREATE_REPLICATION_SLOT {} PHYSICAL", quoted(name));
        self.rows(&command).await.map(drop)
    }

    /// Drops a slot that nobody uses.
    ///
    /// # Errors
    /// With SQLSTATE 42704 when there is none of this name, 55006 when it is in use.
    pub async fn drop_slot(&mut self, name: &str) -> Result<(), Error> {
        let command = format!("DROP_REPLICATION_SLOT {}", quoted(name));
        self.rows(&command).await.map(drop)
    }

    /// Asks a server of version 15 or later for a slot; nothing when there is none.
    ///
    /// # Errors
    /// When it is a logical slot, or the session ends.
    pub async fn read_slot(&mut self, name: &str) -> Result<Option<SlotPosition>, Error> {
        let command = format!("READ_REPLICATION_SLOT {}", quoted(name));
        let row = self.row(&command).await?;
        if optional(&row, 0)?.is_none() {
            return Ok(None);
        }
        let restart = optional(&row, 1)?.map(read_position).transpose()?;
        let timeline = optional(&row, 2)?.map(|_| number(&row, 2)).transpose()?;
        Ok(Some(SlotPosition { restart, timeline }))
    }
}

/// Asks any server for a physical slot, in SQL; nothing when there is none.
///
/// # Errors
/// When the role may not see it, or the session ends.
pub async fn query_slot(client: &mut Client, name: &str) -> Result<Option<SlotPosition>, Error> {
    let name = postgres_protocol::escape::escape_literal(name);
    let sql = format!(
        "SELECT restart_lsn FROM pg_catalog.pg_replication_slots
          WHERE slot_name OPERATOR(pg_catalog.=) {name}"
    );
    let rows = client.query(&sql).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let restart = row.get(0).map(read_position).transpose()?;
    let timeline = None;
    Ok(Some(SlotPosition { restart, timeline }))
}
