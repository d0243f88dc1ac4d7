//! The backup's session in PostgreSQL: facts, start, stop.
//!
//! The low-level API of the PostgreSQL manual, "Continuous Archiving", "Making a Base Backup Using
//! the Low Level API": a non-exclusive backup lives and ends with its connection, so a session
//! that is dropped has stopped the backup. Up to version 14 the functions have other names.

use jiff::Timestamp;
use jiff::tz::Offset;
use model::backup::Tablespace;
use model::moment::Moment;
use model::postgres::{PgVersion, SegmentSize, SystemId};
use model::wal::lsn::Lsn;
use postgres::{Client, Config, Row};

use super::request::CheckpointMode;

/// What must be known of a server before its backup.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    pub version: PgVersion,
    pub system_id: SystemId,
    pub segment_size: SegmentSize,
    pub data_directory: String,
    pub config_file: Option<String>,
    pub hba_file: Option<String>,
    pub ident_file: Option<String>,
    /// Files that the configuration includes, other than those above.
    pub included_files: Vec<String>,
    /// `on` or `off`.
    pub data_checksums: String,
    /// `on` or `off`; `None` before version 17.
    pub summarize_wal: Option<String>,
    pub archive_mode: String,
    pub in_recovery: bool,
    pub tablespaces: Vec<Tablespace>,
    /// The sum of all tablespaces, the default ones included, in bytes.
    pub cluster_size_bytes: u64,
}

/// Why the session failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("cannot connect to PostgreSQL")]
    Connect(#[source] postgres::ConnectError),
    #[error("cannot {action}")]
    Query {
        action: &'static str,
        #[source]
        source: postgres::Error,
    },
    #[error("PostgreSQL's answer to {query} has no usable {column}")]
    Answer {
        query: &'static str,
        column: &'static str,
    },
    #[error("tablespace {0} is an in-place tablespace, which cannot be backed up yet")]
    InPlaceTablespace(String),
    #[error("PostgreSQL {0} is too old: version 13 is the oldest that is supported")]
    TooOld(PgVersion),
}

/// An open session, with or without a backup in progress.
pub struct Session {
    client: Client,
    version: PgVersion,
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
}

impl Session {
    /// Connects; every later query of this session is safe from a hostile `search_path`.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, or is older than version 13.
    pub async fn open(config: &Config) -> Result<Session, SessionError> {
        let mut config = config.clone();
        config.pin_parameter("search_path", "pg_catalog");
        let mut client = Client::connect(&config)
            .await
            .map_err(SessionError::Connect)?;
        let sql = "SELECT current_setting('server_version_num') AS version";
        let row = one_row(&mut client, "ask for the server's version", sql).await?;
        let version = PgVersion::new(field(&row, "the version query", "version")?);
        if version.major() < 13 {
            return Err(SessionError::TooOld(version));
        }
        // Waiting for a checkpoint or for files to be copied is no statement gone astray.
        for setting in ["statement_timeout", "lock_timeout", "transaction_timeout"] {
            if setting == "transaction_timeout" && version.major() < 17 {
                continue;
            }
            let outcome = client.execute(&format!("SET {setting} = 0")).await;
            outcome.map_err(query_failed("switch timeouts off"))?;
        }
        if version.major() >= 14 {
            let sql = "SET idle_session_timeout = 0";
            let outcome = client.execute(sql).await;
            outcome.map_err(query_failed("switch the idle session timeout off"))?;
        }
        Ok(Session { client, version })
    }

    /// Gathers the facts that the record of a backup holds.
    ///
    /// # Errors
    /// When a query fails; usually a privilege is missing.
    pub async fn gather_facts(&mut self) -> Result<ServerFacts, SessionError> {
        const QUERY: &str = "the server facts query";
        self.refuse_in_place_tablespaces().await?;
        let row = one_row(&mut self.client, "ask for the server's settings", FACTS).await?;
        let text = |column| row.get(column).map(str::to_owned);
        Ok(ServerFacts {
            version: self.version,
            system_id: SystemId::new(field(&row, QUERY, "system_identifier")?),
            segment_size: SegmentSize::new(field(&row, QUERY, "wal_segment_size")?).map_err(
                |_| SessionError::Answer {
                    query: QUERY,
                    column: "wal_segment_size",
                },
            )?,
            data_directory: field(&row, QUERY, "data_directory")?,
            config_file: text("config_file"),
            hba_file: text("hba_file"),
            ident_file: text("ident_file"),
            included_files: self.gather_included_files().await?,
            data_checksums: field(&row, QUERY, "data_checksums")?,
            summarize_wal: text("summarize_wal"),
            archive_mode: field(&row, QUERY, "archive_mode")?,
            in_recovery: row.get("in_recovery") == Some("t"),
            tablespaces: self.gather_tablespaces().await?,
            cluster_size_bytes: field(&row, QUERY, "cluster_size")?,
        })
    }

    /// In-place tablespaces are a developer's option that lies inside the data directory.
    async fn refuse_in_place_tablespaces(&mut self) -> Result<(), SessionError> {
        let sql = "SELECT spcname FROM pg_tablespace
                    WHERE pg_tablespace_location(oid) NOT LIKE '/%'
                      AND pg_tablespace_location(oid) <> ''";
        let rows = self.client.query(sql).await;
        let rows = rows.map_err(query_failed("ask for in-place tablespaces"))?;
        match rows.first().and_then(|row| row.get("spcname")) {
            Some(name) => Err(SessionError::InPlaceTablespace(name.to_owned())),
            None => Ok(()),
        }
    }

    async fn gather_tablespaces(&mut self) -> Result<Vec<Tablespace>, SessionError> {
        const QUERY: &str = "the tablespaces query";
        let sql = "SELECT spcname, oid, pg_tablespace_location(oid) AS location
                     FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY oid";
        let rows = self.client.query(sql).await;
        let rows = rows.map_err(query_failed("ask for the tablespaces"))?;
        let tablespace = |row: &Row| {
            Ok(Tablespace {
                name: field(row, QUERY, "spcname")?,
                oid: field(row, QUERY, "oid")?,
                location: field(row, QUERY, "location")?,
            })
        };
        rows.iter().map(tablespace).collect()
    }

    async fn gather_included_files(&mut self) -> Result<Vec<String>, SessionError> {
        let sql = "SELECT DISTINCT sourcefile FROM pg_settings
                    WHERE sourcefile IS NOT NULL
                      AND sourcefile <> current_setting('config_file')
                      AND sourcefile <> current_setting('data_directory') || '/postgresql.auto.conf'
                    ORDER BY 1";
        let rows = self.client.query(sql).await;
        let rows = rows.map_err(query_failed("ask for included configuration files"))?;
        Ok(rows
            .iter()
            .filter_map(|row| row.get("sourcefile"))
            .map(str::to_owned)
            .collect())
    }

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
        let row = one_row(&mut self.client, "start the backup", &sql).await?;
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
        let sql = format!("SELECT lsn, labelfile, {NOW} AS time FROM {call}");
        let row = one_row(&mut self.client, "stop the backup", &sql).await?;
        Ok(Stopped {
            lsn: lsn(&row, "lsn")?,
            time: time(&row)?,
            label: field(&row, "the backup stop", "labelfile")?,
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
                Err(error) if error.sqlstate() == Some("42501") => {}
                Err(source) => return Err(query_failed("mark the backup's end")(source)),
            }
        }
        Ok(())
    }

    /// Asks for nothing, so that no middle box closes an idle connection.
    ///
    /// # Errors
    /// When the connection is gone: the server has then ended the backup.
    pub async fn keep_alive(&mut self) -> Result<(), SessionError> {
        let outcome = self.client.check_alive().await;
        outcome.map_err(query_failed("keep the backup session alive"))
    }
}

/// The server's clock as text that [`Timestamp`] parses, whatever `DateStyle` is.
const NOW: &str =
    "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

const FACTS: &str =
    "SELECT (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
       (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS wal_segment_size,
       current_setting('data_directory') AS data_directory,
       current_setting('config_file') AS config_file,
       current_setting('hba_file') AS hba_file,
       current_setting('ident_file') AS ident_file,
       current_setting('data_checksums') AS data_checksums,
       current_setting('summarize_wal', true) AS summarize_wal,
       current_setting('archive_mode') AS archive_mode,
       pg_is_in_recovery() AS in_recovery,
       (SELECT sum(pg_tablespace_size(oid))::bigint FROM pg_tablespace) AS cluster_size";

async fn one_row(
    client: &mut Client,
    action: &'static str,
    sql: &str,
) -> Result<Row, SessionError> {
    let rows = client.query(sql).await.map_err(query_failed(action))?;
    rows.into_iter().next().ok_or(SessionError::Answer {
        query: action,
        column: "row",
    })
}

/// A string as an SQL literal.
fn quoted(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text)
}

fn query_failed(action: &'static str) -> impl FnOnce(postgres::Error) -> SessionError {
    move |source| SessionError::Query { action, source }
}

fn field<T: std::str::FromStr>(
    row: &Row,
    query: &'static str,
    column: &'static str,
) -> Result<T, SessionError> {
    let value = row.get(column).and_then(|text| text.parse().ok());
    value.ok_or(SessionError::Answer { query, column })
}

fn lsn(row: &Row, column: &'static str) -> Result<Lsn, SessionError> {
    field(row, "the backup function", column)
}

fn time(row: &Row) -> Result<Moment, SessionError> {
    let timestamp: Timestamp = field(row, "the server's clock", "time")?;
    Ok(Moment::new(timestamp, Offset::UTC))
}
