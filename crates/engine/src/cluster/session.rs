//! An SQL session with a server, and what the server says of itself.
//!
//! Nothing but user, database and encoding is asked for when connecting: a connection pooler
//! refuses other startup parameters. Always true: no query of a session meets a function that
//! somebody else made.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use model::backup::Tablespace;
use model::postgres::{PgVersion, SegmentSize, SystemId};
use model::wal::lsn::Lsn;
use model::wal::name::SegmentName;
use postgres::{Client, Config, Row};

use super::archiving::{ArchiverState, Archiving};
use super::facts::{ServerFacts, absolute_location};

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
    #[error("cannot {action}")]
    Denied {
        action: &'static str,
        grants: Grants,
        #[source]
        source: postgres::Error,
    },
    #[error("the server ended the session of the backup, and the backup with it")]
    Ended(#[source] postgres::Error),
    #[error("the standby was promoted: what was copied until now is of no use")]
    Promoted,
    #[error(
        "the session has got another server process: its connection pooler gives one to each \
         transaction, and PostgreSQL has ended the backup with the first"
    )]
    Swapped,
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

/// What a role needs for a backup that the server has refused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    pub role: String,
    /// Rights on functions are given in one database.
    pub database: String,
    major: u32,
}

impl fmt::Display for Grants {
    /// SQL to be run by a superuser in that database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = postgres_protocol::escape::escape_identifier(&self.role);
        let (start, stop) = match self.major {
            15.. => ("pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"),
            _ => (
                "pg_start_backup(text, boolean, boolean)",
                "pg_stop_backup(boolean, boolean)",
            ),
        };
        write!(
            f,
            "GRANT pg_read_all_settings, pg_read_all_stats TO {role}; \
             GRANT EXECUTE ON FUNCTION {start}, {stop}, pg_switch_wal(), \
             pg_create_restore_point(text) TO {role};"
        )
    }
}

/// An open session, with or without a backup in progress.
pub struct Session {
    pub(crate) client: Client,
    pub(super) version: PgVersion,
    grants: Grants,
    /// The server's process behind this session.
    pub(super) process_id: i32,
}

impl Session {
    /// Connects; every later query of this session is safe from a hostile `search_path`.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, or is older than version 13.
    pub async fn open(config: &Config) -> Result<Session, SessionError> {
        let client = Client::connect(config)
            .await
            .map_err(SessionError::Connect)?;
        let mut session = Session {
            client,
            version: PgVersion::new(0),
            grants: Grants {
                role: config.user().to_owned(),
                database: config.dbname().to_owned(),
                major: 0,
            },
            process_id: 0,
        };
        // Not even the first question may meet a function that somebody else made.
        session.set("search_path = pg_catalog").await?;
        let sql = "SELECT current_setting('server_version_num') AS version,
                          pg_backend_pid() AS process";
        let row = session.row("ask for the server's version", sql).await?;
        let version = PgVersion::new(field(&row, "the version query", "version")?);
        session.process_id = field(&row, "the version query", "process")?;
        (session.version, session.grants.major) = (version, version.major());
        if version.major() < 13 {
            return Err(SessionError::TooOld(version));
        }
        // Waiting for a checkpoint or for files to be copied is no statement gone astray.
        let mut timeouts = vec!["statement_timeout", "lock_timeout"];
        timeouts.extend((version.major() >= 14).then_some("idle_session_timeout"));
        timeouts.extend((version.major() >= 17).then_some("transaction_timeout"));
        for timeout in timeouts {
            session.set(&format!("{timeout} = 0")).await?;
        }
        Ok(session)
    }

    /// Whether something stands between us and the server: its process has another number than
    /// the one we were greeted with.
    pub fn is_pooled(&self) -> bool {
        self.client.process_id() != self.process_id
    }

    async fn set(&mut self, setting: &str) -> Result<(), SessionError> {
        let outcome = self.client.execute(&format!("SET {setting}")).await;
        outcome.map_err(|source| self.failed("set up the session", source))?;
        Ok(())
    }

    /// Asks for rows; a refusal for lack of rights says what rights a backup needs.
    pub(crate) async fn rows(
        &mut self,
        action: &'static str,
        sql: &str,
    ) -> Result<Vec<Row>, SessionError> {
        let rows = self.client.query(sql).await;
        rows.map_err(|source| self.failed(action, source))
    }

    /// The same for one row.
    pub(crate) async fn row(
        &mut self,
        action: &'static str,
        sql: &str,
    ) -> Result<Row, SessionError> {
        let rows = self.rows(action, sql).await?;
        rows.into_iter().next().ok_or(SessionError::Answer {
            query: action,
            column: "row",
        })
    }

    pub(super) fn failed(&self, action: &'static str, source: postgres::Error) -> SessionError {
        match source.sqlstate() {
            Some(INSUFFICIENT_PRIVILEGE) => SessionError::Denied {
                action,
                grants: self.grants.clone(),
                source,
            },
            _ => SessionError::Query { action, source },
        }
    }

    /// Gathers the facts that the record of a backup holds.
    ///
    /// # Errors
    /// When a query fails; usually a privilege is missing.
    pub async fn gather_facts(&mut self) -> Result<ServerFacts, SessionError> {
        const QUERY: &str = "the server facts query";
        self.refuse_in_place_tablespaces().await?;
        let row = self.row("ask for the server's settings", FACTS).await?;
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
            archiving: Archiving::of(&row),
            in_recovery: row.get("in_recovery") == Some("t"),
            spread_checkpoint: spread_checkpoint(&row),
            tablespaces: self.gather_tablespaces().await?,
            cluster_size_bytes: field(&row, QUERY, "cluster_size")?,
        })
    }

    /// In-place tablespaces are a developer's option that lies inside the data directory.
    async fn refuse_in_place_tablespaces(&mut self) -> Result<(), SessionError> {
        let sql = "SELECT spcname FROM pg_tablespace
                    WHERE pg_tablespace_location(oid) LIKE 'pg_tblspc/%'";
        let rows = self.rows("ask for in-place tablespaces", sql).await?;
        match rows.first().and_then(|row| row.get("spcname")) {
            Some(name) => Err(SessionError::InPlaceTablespace(name.to_owned())),
            None => Ok(()),
        }
    }

    /// The tablespaces that the server has now, outside of the data directory.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn gather_tablespaces(&mut self) -> Result<Vec<Tablespace>, SessionError> {
        const QUERY: &str = "the tablespaces query";
        let sql = "SELECT spcname, oid, pg_tablespace_location(oid) AS location,
                          current_setting('data_directory') AS data
                     FROM pg_tablespace WHERE pg_tablespace_location(oid) <> '' ORDER BY oid";
        let rows = self.rows("ask for the tablespaces", sql).await?;
        let tablespace = |row: &Row| {
            Ok(Tablespace {
                name: field(row, QUERY, "spcname")?,
                oid: field(row, QUERY, "oid")?,
                location: absolute_location(
                    &field::<PathBuf>(row, QUERY, "data")?,
                    &field::<String>(row, QUERY, "location")?,
                ),
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
        let rows = self
            .rows("ask for included configuration files", sql)
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| row.get("sourcefile"))
            .map(str::to_owned)
            .collect())
    }

    /// # Errors
    /// When the query fails.
    pub async fn archiver_state(&mut self) -> Result<ArchiverState, SessionError> {
        let row = self.row("ask for the archiver's progress", STATE).await?;
        let text = |column| row.get(column).map(str::to_owned);
        Ok(ArchiverState {
            archived_count: row
                .get("archived")
                .map_or(0, |text| text.parse().unwrap_or(0)),
            last_archived: text("last_archived"),
            failing: text("failing"),
            position: row
                .get("position")
                .and_then(|text| text.parse().ok())
                .unwrap_or(Lsn::new(0)),
        })
    }

    /// The segment that a primary is writing now.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn current_segment(&mut self) -> Result<Option<SegmentName>, SessionError> {
        let sql = "SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name";
        let row = self.row("ask for the current WAL segment", sql).await?;
        Ok(row.get("name").and_then(|text| text.parse().ok()))
    }
}

const STATE: &str = "SELECT archived_count AS archived, last_archived_wal AS last_archived,
       CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity')
            THEN last_failed_wal END AS failing,
       CASE WHEN pg_is_in_recovery()
            THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_insert_lsn() END AS position
  FROM pg_stat_archiver";

/// SQLSTATE `insufficient_privilege` (PostgreSQL manual, "PostgreSQL Error Codes").
pub(super) const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// What PostgreSQL aims at (manual, `checkpoint_completion_target`).
fn spread_checkpoint(row: &Row) -> Duration {
    let figure = |column| row.get(column).and_then(|text| text.parse::<f64>().ok());
    let timeout = figure("checkpoint_timeout").unwrap_or(300.0);
    let target = figure("checkpoint_completion_target").unwrap_or(0.9);
    Duration::try_from_secs_f64((timeout * target).round()).unwrap_or_default()
}

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
       current_setting('archive_command') AS archive_command,
       current_setting('archive_library', true) AS archive_library,
       (SELECT count(*) FROM pg_stat_get_wal_senders() WHERE state IS DISTINCT FROM 'backup')
         + (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical') AS receivers,
       (SELECT setting FROM pg_settings WHERE name = 'checkpoint_timeout') AS checkpoint_timeout,
       current_setting('checkpoint_completion_target') AS checkpoint_completion_target,
       pg_is_in_recovery() AS in_recovery,
       (SELECT sum(pg_tablespace_size(oid))::bigint FROM pg_tablespace) AS cluster_size";

pub(super) fn field<T: std::str::FromStr>(
    row: &Row,
    query: &'static str,
    column: &'static str,
) -> Result<T, SessionError> {
    let value = row.get(column).and_then(|text| text.parse().ok());
    value.ok_or(SessionError::Answer { query, column })
}

#[cfg(test)]
mod tests {
    use postgres::Environment;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Startup parameters that PgBouncer takes (its manual, `ignore_startup_parameters`).
    const POOLED: [&str; 4] = ["user", "database", "client_encoding", "application_name"];

    /// Greets as PgBouncer does, and refuses the first statement so that the test ends.
    async fn pool(mut socket: TcpStream) {
        let mut heard = [0; 4096];
        let count = socket.read(&mut heard).await.unwrap();
        let text = String::from_utf8_lossy(&heard[8..count]).into_owned();
        let names = text.split('\0').step_by(2).filter(|name| !name.is_empty());
        let refused = names.into_iter().find(|name| !POOLED.contains(name));
        let (fields, fatal) = match refused {
            Some(name) => (format!("unsupported startup parameter: {name}"), true),
            None => ("a statement was heard".to_owned(), false),
        };
        let error = format!("SFATAL\0VFATAL\0C08P01\0M{fields}\0\0");
        let error = message(b'E', error.as_bytes());
        if fatal {
            socket.write_all(&error).await.unwrap();
            return;
        }
        let greeting = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
        socket.write_all(&greeting).await.unwrap();
        let _ = socket.read(&mut heard).await;
        socket.write_all(&error).await.unwrap();
    }

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    #[tokio::test]
    async fn a_pooler_that_refuses_startup_parameters_gives_a_session() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            pool(socket).await;
        });
        let text =
            format!("host=127.0.0.1 port={port} user=anna sslmode=disable application_name=backup");
        let config = Config::from_conninfo(&text, &Environment::empty()).unwrap();
        let error = Session::open(&config).await.err().expect("it ends there");
        let text = crate::causes::in_one_line(&error);
        assert!(text.contains("a statement was heard"), "{text}");
    }

    #[test]
    fn grants_are_those_of_the_version_and_name_the_role_safely() {
        let grants = |major| Grants {
            role: "a\"b".to_owned(),
            database: "postgres".to_owned(),
            major,
        };
        let new = grants(15).to_string();
        assert!(new.contains("pg_backup_start(text, boolean)"), "{new}");
        assert!(new.ends_with("TO \"a\"\"b\";"), "{new}");
        let old = grants(14).to_string();
        assert!(old.contains("pg_stop_backup(boolean, boolean)"), "{old}");
    }
}
