//! A backup in an SQL session: start, heartbeat, stop.
//!
//! The low-level API of the PostgreSQL manual, "Continuous Archiving", "Making a Base Backup Using
//! the Low Level API": a non-exclusive backup lives and ends with its connection, so a session
//! that is dropped has stopped the backup. Up to version 14 the functions have other names.

use jiff::Timestamp;
use jiff::tz::Offset;
use model::moment::Moment;
use model::wal::lsn::Lsn;
use postgres::Row;

use super::session::{INSUFFICIENT_PRIVILEGE, Session, SessionError, field};

/// How the backup's first checkpoint is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointMode {
    /// Spread over `checkpoint_completion_target`: gentle, takes minutes.
    Spread,
    /// At once, as fast as the disks allow.
    Immediate,
}

/// Where and when a backup began.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    pub lsn: Lsn,
    pub time: Moment,
}

/// What PostgreSQL says at the end of a backup.
#[derive(Debug, Clone)]
pub struct Stopped {
    pub lsn: Lsn,
    pub time: Moment,
    /// The text of the `backup_label` file.
    pub label: String,
    /// The text of the `tablespace_map` file: the tablespaces there were when the backup began.
    pub tablespace_map: String,
}

/// The kind of server that a backup was begun on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedOn {
    Primary,
    Standby,
}

impl Session {
    /// Starts the backup: from here on the files may be copied.
    ///
    /// # Errors
    /// When the role may not do it, or another obstacle PostgreSQL names.
    pub async fn start(
        &mut self,
        label: &str,
        checkpoint: CheckpointMode,
    ) -> Result<Started, SessionError> {
        let label = quoted(label);
        let fast = checkpoint == CheckpointMode::Immediate;
        let call = if self.version.major() >= 15 {
            format!("pg_backup_start({label}, {fast})")
        } else {
            format!("pg_start_backup({label}, {fast}, false)")
        };
        let sql = format!("SELECT {call} AS lsn, {NOW} AS time");
        let row = self.row("start the backup", &sql).await?;
        Ok(Started {
            lsn: lsn(&row, "lsn")?,
            time: time(&row)?,
        })
    }

    /// Stops the backup.
    ///
    /// # Errors
    /// When PostgreSQL refuses; the backup is then not usable.
    pub async fn stop(&mut self) -> Result<Stopped, SessionError> {
        // Whether the WAL has arrived is checked in the bucket, with a deadline.
        let call = if self.version.major() >= 15 {
            "pg_backup_stop(false)"
        } else {
            "pg_stop_backup(false, false)"
        };
        let sql = format!("SELECT lsn, labelfile, spcmapfile, {NOW} AS time FROM {call}");
        let row = self.row("stop the backup", &sql).await?;
        Ok(Stopped {
            lsn: lsn(&row, "lsn")?,
            time: time(&row)?,
            label: field(&row, "the backup stop", "labelfile")?,
            tablespace_map: row.get("spcmapfile").unwrap_or_default().to_owned(),
        })
    }

    /// Names the end of the backup, so that it can be a recovery target, and closes the segment
    /// that holds it. A role that may not do either loses nothing but the name.
    ///
    /// # Errors
    /// When PostgreSQL fails otherwise; the backup is usable all the same.
    pub async fn mark_end(&mut self, restore_point: &str) -> Result<(), SessionError> {
        let name = quoted(restore_point);
        for sql in [
            format!("SELECT pg_create_restore_point({name})"),
            "SELECT pg_switch_wal()".to_owned(),
        ] {
            match self.client.query(&sql).await {
                Ok(_) => {}
                Err(error) if error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) => {}
                Err(source) => return Err(self.failed("mark the backup's end", source)),
            }
        }
        Ok(())
    }

    /// Says something, so that no middle box closes an idle connection, and asks whether the
    /// backup still goes on. `begun_on` is where it was begun.
    ///
    /// # Errors
    /// When the connection is gone, or the backup cannot end well any more.
    pub async fn keep_alive(&mut self, begun_on: StartedOn) -> Result<(), SessionError> {
        let sql = "SELECT pg_backend_pid() AS process, pg_is_in_recovery() AS in_recovery";
        let row = self.row("keep the backup session alive", sql).await?;
        if field::<i32>(&row, "the question for the process", "process")? != self.process_id {
            return Err(SessionError::Swapped);
        }
        match (begun_on, row.get("in_recovery")) {
            (StartedOn::Standby, Some("f")) => Err(SessionError::Promoted),
            _ => Ok(()),
        }
    }

    /// Waits until the server ends the session, which ends the backup. May be dropped.
    pub async fn ended(&mut self) -> SessionError {
        SessionError::Ended(self.client.ended().await)
    }
}

/// The server's clock as text that [`Timestamp`] parses, whatever `DateStyle` is.
const NOW: &str =
    "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

/// A string as an SQL literal.
fn quoted(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text)
}

fn lsn(row: &Row, column: &'static str) -> Result<Lsn, SessionError> {
    field(row, "the backup function", column)
}

fn time(row: &Row) -> Result<Moment, SessionError> {
    let timestamp: Timestamp = field(row, "the server's clock", "time")?;
    Ok(Moment::new(timestamp, Offset::UTC))
}
