//! What a PostgreSQL server says of itself to Barman's status commands, under Barman's names.
//!
//! Always true: a server that cannot be reached is described too, by what is not known of it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::config::server::{BarmanServer, ServerStanding};
use model::wal::lsn::Lsn;
use postgres::replication::WalSender;
use postgres::{Client, Config, Environment, Error, Row, replication};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::connections;

/// BarmanFacts by Barman's names.
pub type BarmanFacts = BTreeMap<&'static str, Value>;

/// How long one server may take to answer everything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks a server; of one that is not to be connected to, nothing is known.
pub async fn gather(server: &BarmanServer, environment: &Environment) -> BarmanFacts {
    let mut facts = BarmanFacts::new();
    if matches!(server.standing(), ServerStanding::Inactive) || server.is_passive() {
        return facts;
    }
    let settings = &server.settings;
    let is_postgres_method = settings.text("backup_method") == Some("postgres");
    let is_streaming = settings.is_on("streaming_archiver");
    let asked = async {
        let config = connections::ordinary(server, environment).ok()?;
        let asking = ask_postgres(&config, server);
        timeout(PATIENCE, asking).await.ok()?.ok()
    };
    facts.extend(asked.await.unwrap_or_else(|| unknown(server)));
    if is_postgres_method || is_streaming {
        facts.extend(ask_streaming(server, environment).await);
    }
    if is_postgres_method {
        facts.extend(own_client("pg_basebackup", &facts));
        facts.insert("pg_basebackup_bwlimit", json!(true));
        facts.insert("pg_basebackup_tbls_mapping", json!(true));
    }
    if is_streaming {
        facts.extend(own_client("pg_receivexlog", &facts));
        facts.insert("pg_receivexlog_supports_slots", json!(true));
        let is_synchronous = is_synchronous(server, &facts);
        facts.insert("pg_receivexlog_synchronous", is_synchronous);
    }
    facts
}

/// Backups and WAL are streamed by this very program: there is no other one to be found.
fn own_client(program: &str, facts: &BarmanFacts) -> BarmanFacts {
    let is_known = facts
        .get("server_txt_version")
        .is_some_and(Value::is_string);
    let compatible = if is_known { json!(true) } else { Value::Null };
    let names = match program {
        "pg_basebackup" => [
            "pg_basebackup_compatible",
            "pg_basebackup_installed",
            "pg_basebackup_path",
            "pg_basebackup_version",
        ],
        _ => [
            "pg_receivexlog_compatible",
            "pg_receivexlog_installed",
            "pg_receivexlog_path",
            "pg_receivexlog_version",
        ],
    };
    let values = [compatible, json!(true), Value::Null, Value::Null];
    names.into_iter().zip(values).collect()
}

/// Whether the server waits for the receiver by its name.
fn is_synchronous(server: &BarmanServer, facts: &BarmanFacts) -> Value {
    let Some(Value::Array(names)) = facts.get("synchronous_standby_names") else {
        return Value::Null;
    };
    let own = server.settings.text("streaming_archiver_name");
    let is_ours = |name: &Value| name == "*" || name.as_str() == own;
    json!(names.iter().any(is_ours))
}

fn unknown(server: &BarmanServer) -> BarmanFacts {
    const ALWAYS: [&str; 9] = [
        "current_xlog",
        "data_directory",
        "is_in_recovery",
        "is_superuser",
        "postgres_systemid",
        "replication_slot",
        "replication_slot_support",
        "server_txt_version",
        "synchronous_standby_names",
    ];
    const ARCHIVER: [&str; 2] = ["archive_command", "archive_mode"];
    let archiver = ARCHIVER
        .iter()
        .filter(|_| server.settings.is_on("archiver"));
    let names = ALWAYS.iter().chain(["version_supported"].iter());
    let names = names.chain(archiver).copied();
    names.map(|name| (name, Value::Null)).collect()
}

async fn ask_streaming(server: &BarmanServer, environment: &Environment) -> BarmanFacts {
    let asked = async {
        let config = connections::streaming(server, environment).map_err(|it| it.to_string())?;
        let asking = async {
            let mut session = WalSender::open(&config).await?;
            let identity = session.identify().await?;
            session.close().await;
            Ok::<replication::Identity, Error>(identity)
        };
        let answered = timeout(PATIENCE, asking).await;
        let answered = answered.unwrap_or(Err(Error::Silent(PATIENCE)));
        answered.map_err(|error| error.to_string())
    };
    match asked.await {
        Ok(identity) => BarmanFacts::from([
            ("connection_error", Value::Null),
            ("streaming", json!(true)),
            ("streaming_supported", json!(true)),
            ("streaming_systemid", json!(identity.system_id.to_string())),
            ("timeline", json!(identity.timeline)),
            ("version_supported", json!(true)),
            ("xlogpos", json!(Lsn::new(identity.flushed).to_string())),
        ]),
        Err(error) => {
            let names = [
                "streaming",
                "streaming_supported",
                "streaming_systemid",
                "timeline",
                "version_supported",
                "xlogpos",
            ];
            let mut facts: BarmanFacts = names.into_iter().map(|it| (it, Value::Null)).collect();
            facts.insert("connection_error", json!(error));
            facts
        }
    }
}

/// Settings that are shown as `SHOW` prints them.
const TEXTS: &str = "config_file, data_checksums, data_directory, hba_file, hot_standby, \
                     ident_file, max_replication_slots, max_wal_senders, wal_compression, \
                     wal_keep_size, wal_level";
/// Settings that are numbers.
const NUMBERS: &str = "archive_timeout, checkpoint_timeout, wal_segment_size";

async fn ask_postgres(config: &Config, server: &BarmanServer) -> Result<BarmanFacts, Error> {
    let mut client = Client::connect(config).await?;
    // Not even the first question may meet a function that somebody else made.
    client.execute("SET search_path = pg_catalog").await?;
    let version = one(
        &mut client,
        "SELECT current_setting('server_version_num')::int",
    )
    .await?;
    let version = version.and_then(|it| it.parse::<u32>().ok()).unwrap_or(0);
    let mut facts = settings(&mut client).await?;
    facts.extend(state(&mut client, version).await?);
    facts.insert("version_supported", json!(version >= 130_000));
    facts.insert("replication_slot_support", json!(true));
    let slot = server.settings.text("slot_name");
    facts.insert("replication_slot", slot_record(&mut client, slot).await?);
    if server.settings.is_on("archiver") {
        facts.extend(archiving(&mut client).await?);
    }
    client.close().await;
    Ok(facts)
}

async fn one(client: &mut Client, sql: &str) -> Result<Option<String>, Error> {
    let rows = client.query(sql).await?;
    Ok(rows.first().and_then(|row| row.get(0)).map(str::to_owned))
}

async fn settings(client: &mut Client) -> Result<BarmanFacts, Error> {
    let mut facts = BarmanFacts::new();
    // The view leaves out what the role may not see, where current_setting() would fail.
    let sql = "SELECT name, setting, CASE WHEN unit IS NULL THEN setting
                      ELSE current_setting(name) END AS shown FROM pg_settings";
    for row in client.query(sql).await? {
        let (Some(name), Some(setting)) = (row.get("name"), row.get("setting")) else {
            continue;
        };
        let known = |list: &'static str| list.split(", ").find(|it| *it == name);
        if let Some(name) = known(TEXTS) {
            facts.insert(name, json!(row.get("shown")));
        } else if let Some(name) = known(NUMBERS) {
            let number = setting.parse::<i64>().map_or(Value::Null, |it| json!(it));
            let name = match name {
                "wal_segment_size" => "xlog_segment_size",
                name => name,
            };
            facts.insert(name, number);
        } else if name == "synchronous_standby_names" {
            facts.insert("synchronous_standby_names", json!(standby_names(setting)));
        }
    }
    Ok(facts)
}

/// The names in `FIRST 2 (a, "b")`, `ANY 1 (a)`, `a, b` or `*`; of an empty list one empty name.
fn standby_names(setting: &str) -> Vec<String> {
    let list = match setting.split_once('(') {
        Some((_, list)) => list.trim_end().trim_end_matches(')'),
        None => setting,
    };
    let name = |name: &str| name.trim().trim_matches('"').to_owned();
    list.split(',').map(name).collect()
}

async fn state(client: &mut Client, version: u32) -> Result<BarmanFacts, Error> {
    let (start, stop) = match version {
        150_000.. => ("pg_backup_start(text, bool)", "pg_backup_stop(bool)"),
        _ => (
            "pg_start_backup(text, bool, bool)",
            "pg_stop_backup(bool, bool)",
        ),
    };
    // From 17 on the end of a segment is named after the one that follows.
    let last = match version {
        170_000.. => {
            "CASE WHEN (lsn - '0/0') % current_setting('wal_segment_size')::bigint = 0
                           THEN lsn - 1::numeric ELSE lsn END"
        }
        _ => "lsn",
    };
    let sql = format!(
        "SELECT split_part(current_setting('server_version'), ' ', 1) AS server_txt_version,
                pg_is_in_recovery() AS is_in_recovery,
                current_setting('is_superuser') = 'on' AS is_superuser,
                (SELECT system_identifier FROM pg_control_system()) AS postgres_systemid,
                lsn AS current_lsn,
                CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name({last}) END AS current_xlog,
                monitors AS has_monitoring_privileges,
                monitors AND has_function_privilege('{start}', 'EXECUTE')
                    AND has_function_privilege('{stop}', 'EXECUTE')
                    AND has_function_privilege('pg_switch_wal()', 'EXECUTE')
                    AND has_function_privilege('pg_create_restore_point(text)', 'EXECUTE')
                    AS has_backup_privileges
           FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                             ELSE pg_current_wal_lsn() END AS lsn,
                        current_setting('is_superuser') = 'on'
                            OR pg_has_role('pg_monitor', 'USAGE')
                            OR pg_has_role('pg_read_all_settings', 'USAGE')
                               AND pg_has_role('pg_read_all_stats', 'USAGE') AS monitors) AS it",
        last = last.replace(
            "current_setting('wal_segment_size')::bigint",
            "(SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')"
        ),
    );
    let rows = client.query(&sql).await?;
    let Some(row) = rows.first() else {
        return Ok(BarmanFacts::new());
    };
    let mut facts: BarmanFacts = ["current_lsn", "current_xlog", "postgres_systemid"]
        .into_iter()
        .chain(["server_txt_version"])
        .map(|name| (name, json!(row.get(name))))
        .collect();
    for name in ["has_backup_privileges", "has_monitoring_privileges"]
        .into_iter()
        .chain(["is_in_recovery", "is_superuser"])
    {
        facts.insert(name, json!(row.get(name) == Some("t")));
    }
    // Only who may see the size of every tablespace can add them up.
    let size = "SELECT sum(pg_tablespace_size(oid))::bigint FROM pg_tablespace";
    let size = match one(client, size).await {
        Err(Error::Server(_)) => None,
        size => size?,
    };
    facts.insert("current_size", json!(size));
    Ok(facts)
}

async fn slot_record(client: &mut Client, slot: Option<&str>) -> Result<Value, Error> {
    let Some(slot) = slot else {
        return Ok(Value::Null);
    };
    let name = postgres_protocol::escape::escape_literal(slot);
    let sql =
        format!("SELECT active, restart_lsn FROM pg_replication_slots WHERE slot_name = {name}");
    let rows = client.query(&sql).await?;
    let record = |row: &Row| {
        let active = if row.get("active") == Some("t") {
            "True"
        } else {
            "False"
        };
        let restart = row.get("restart_lsn");
        let restart = restart.map_or_else(|| "None".to_owned(), |lsn| format!("'{lsn}'"));
        format!("Record(slot_name='{slot}', active={active}, restart_lsn={restart})")
    };
    Ok(json!(rows.first().map(record)))
}

async fn archiving(client: &mut Client) -> Result<BarmanFacts, Error> {
    let sql =
        "SELECT (SELECT setting FROM pg_settings WHERE name = 'archive_mode') AS archive_mode,
                      (SELECT setting FROM pg_settings WHERE name = 'archive_command')
                          AS archive_command,
                      archived_count, failed_count, last_archived_wal, last_failed_wal,
                      to_char(last_archived_time, 'YYYY-MM-DD HH24:MI:SS.USTZH:TZM')
                          AS last_archived_time,
                      to_char(last_failed_time, 'YYYY-MM-DD HH24:MI:SS.USTZH:TZM')
                          AS last_failed_time,
                      to_char(stats_reset, 'YYYY-MM-DD HH24:MI:SS.USTZH:TZM') AS stats_reset,
                      archived_count
                          / greatest(extract(epoch FROM now() - stats_reset), 1)::numeric
                          AS current_archived_wals_per_second,
                      last_archived_wal IS NOT NULL AND (last_failed_wal IS NULL
                          OR last_failed_wal LIKE '%.history'
                          OR last_archived_time > last_failed_time) AS is_archiving
                 FROM pg_stat_archiver";
    let rows = client.query(sql).await?;
    let Some(row) = rows.first() else {
        return Ok(BarmanFacts::new());
    };
    let text = |name: &'static str| (name, json!(row.get(name)));
    let mut facts = BarmanFacts::from([
        text("archive_mode"),
        // What is not set is shown in the server's own words.
        ("archive_command", shown_command(row)),
        text("last_archived_wal"),
        text("last_failed_wal"),
        text("last_archived_time"),
        text("last_failed_time"),
        text("stats_reset"),
        text("current_archived_wals_per_second"),
    ]);
    for name in ["archived_count", "failed_count"] {
        let number = row.get(name).and_then(|it| it.parse::<i64>().ok());
        facts.insert(name, json!(number));
    }
    let is_archiving = row.get("is_archiving") == Some("t");
    let is_on = row.get("archive_mode") != Some("off");
    facts.insert("is_archiving", json!(is_archiving && is_on));
    Ok(facts)
}

fn shown_command(row: &Row) -> Value {
    let is_off = row.get("archive_mode") == Some("off");
    if is_off {
        json!("(disabled)")
    } else {
        json!(row.get("archive_command"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_standbys_are_read_in_every_form() {
        for (setting, expected) in [
            ("", &[""][..]),
            ("*", &["*"]),
            ("a, \"b\"", &["a", "b"]),
            ("FIRST 2 (a, b)", &["a", "b"]),
            ("ANY 1 (*)", &["*"]),
        ] {
            assert_eq!(standby_names(setting), expected, "{setting}");
        }
    }
}
