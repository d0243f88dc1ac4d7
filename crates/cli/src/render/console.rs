//! Tables and sheets for people. Column widths and labels are those of Barman 3.20.1, for scripts
//! that cut columns out of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::SignedDuration;
use model::backup::id::BackupId;
use model::backup::{BackupInfo, BackupStatus};
use model::duration::human_duration;
use model::format::python_literal::Value;
use model::keep::KeepTarget;
use model::size::pretty_size;

/// How wide a label of the sheet is.
const LABEL_WIDTH: usize = 23;

/// The table of `barman-cloud-backup-list`, with its header even if there is no backup.
pub fn render_list<'a>(
    backups: impl Iterator<Item = (&'a BackupId, &'a BackupInfo)>,
    kept: &BTreeMap<BackupId, KeepTarget>,
) -> String {
    let mut table = String::new();
    row(
        &mut table,
        [
            "Backup ID",
            "End Time",
            "Begin Wal",
            "Archival Status",
            "Name",
        ],
    );
    for (id, info) in backups {
        let end = info
            .end_time
            .map(|time| time.civil().strftime("%Y-%m-%d %H:%M:%S").to_string());
        let cells = [
            id.as_str(),
            end.as_deref().unwrap_or_default(),
            info.begin_wal.as_deref().unwrap_or_default(),
            archival_status(info.status, kept.get(id)),
            info.backup_name.as_deref().unwrap_or_default(),
        ];
        row(&mut table, cells);
    }
    table
}

fn row(table: &mut String, [id, end, wal, status, name]: [&str; 5]) {
    writeln!(table, "{id:<20}{end:<25}{wal:<30}{status:<17}{name:<20}").expect(INTO_MEMORY);
}

pub fn archival_status(status: BackupStatus, kept: Option<&KeepTarget>) -> &'static str {
    match (status, kept) {
        (BackupStatus::Done, Some(KeepTarget::Full)) => "KEEP:FULL",
        (BackupStatus::Done, Some(KeepTarget::Standalone)) => "KEEP:STANDALONE",
        (BackupStatus::Done, None) => "",
        (other, _) => other.name(),
    }
}

/// The sheet of `barman-cloud-backup-show`. What the record does not hold is left out.
pub fn render_backup(id: &BackupId, info: &BackupInfo) -> String {
    let mut sheet = format!("Backup {id}:\n");
    general(&mut sheet, info);
    section(&mut sheet, "Server information", |sheet| {
        line(sheet, "Checksums", info.data_checksums.as_ref());
        line(sheet, "WAL summarizer", info.summarize_wal.as_ref());
    });
    if !info.status.is_copied() {
        sheet.push('\n');
        if let Some(error) = &info.error {
            writeln!(sheet, "  {:<LABEL_WIDTH$}: {error}", "Error").expect(INTO_MEMORY);
        }
        return sheet;
    }
    section(&mut sheet, "Snapshot information", |sheet| {
        snapshots(sheet, info)
    });
    section(&mut sheet, "Tablespaces", |sheet| {
        for tablespace in info.tablespaces.iter().flatten() {
            let place = format!("{} (oid: {})", tablespace.location, tablespace.oid);
            line(sheet, &tablespace.name, Some(place));
        }
    });
    section(&mut sheet, "Base backup information", |sheet| {
        base_backup(sheet, info)
    });
    sheet.push('\n');
    sheet
}

fn general(sheet: &mut String, info: &BackupInfo) {
    line(sheet, "Backup Name", info.backup_name.as_ref());
    line(sheet, "Server Name", info.server_name.as_ref());
    line(sheet, "System Id", info.systemid);
    line(sheet, "Status", Some(info.status.name()));
    if info.status.is_copied() {
        line(
            sheet,
            "PostgreSQL Version",
            info.version.map(|version| version.number()),
        );
        line(sheet, "PGDATA directory", info.pgdata.as_ref());
        line(
            sheet,
            "Estimated Cluster Size",
            info.cluster_size.map(pretty_size),
        );
    }
}

fn base_backup(sheet: &mut String, info: &BackupInfo) {
    line(sheet, "Backup Method", info.mode.as_ref());
    line(sheet, "Encryption", info.encryption.as_ref());
    // With hard links to an older backup, what this one added is its size.
    line(
        sheet,
        "Backup Size",
        info.deduplicated_size.or(info.size).map(pretty_size),
    );
    line(sheet, "Backup Compression", info.compression.as_ref());
    line(
        sheet,
        "Timeline",
        info.timeline.map(|timeline| timeline.number()),
    );
    line(sheet, "Begin WAL", info.begin_wal.as_ref());
    line(sheet, "End WAL", info.end_wal.as_ref());
    line(sheet, "Begin time", info.begin_time);
    line(sheet, "End time", info.end_time);
    line(sheet, "Copy time", copy_time(info).map(human_duration));
    line(sheet, "Begin Offset", info.begin_offset);
    line(sheet, "End Offset", info.end_offset);
    line(sheet, "Begin LSN", info.begin_xlog);
    line(sheet, "End LSN", info.end_xlog);
}

/// Writes what the record holds about disk snapshots, whichever provider took them.
fn snapshots(sheet: &mut String, info: &BackupInfo) {
    let Some(record) = &info.snapshots_info else {
        return;
    };
    line(sheet, "provider", record.get("provider").map(plain));
    pairs(sheet, record.get("provider_info"));
    let Some(Value::List(list)) = record.get("snapshots") else {
        return;
    };
    for snapshot in list {
        pairs(sheet, snapshot.get("provider"));
        let mount = |key| {
            snapshot
                .get("mount")
                .and_then(|mount| mount.get(key))
                .map(plain)
        };
        line(sheet, "Mount point", mount("mount_point"));
        line(sheet, "Mount options", mount("mount_options"));
    }
}

fn pairs(sheet: &mut String, dictionary: Option<&Value>) {
    let Some(Value::Dict(pairs)) = dictionary else {
        return;
    };
    for (key, value) in pairs.iter().filter(|(_, value)| *value != Value::None) {
        line(sheet, &plain(key), Some(plain(value)));
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        other => other.render(),
    }
}

/// A heading and what is below it, or nothing if nothing is.
fn section(sheet: &mut String, title: &str, fill: impl FnOnce(&mut String)) {
    let before = sheet.len();
    write!(sheet, "\n  {title}:\n").expect(INTO_MEMORY);
    let empty = sheet.len();
    fill(sheet);
    if sheet.len() == empty {
        sheet.truncate(before);
    }
}

fn line(sheet: &mut String, label: &str, value: Option<impl ToString>) {
    let Some(value) = value else { return };
    let indent = if sheet.contains("\n\n") { 4 } else { 2 };
    let width = LABEL_WIDTH + 2 - indent;
    let value = value.to_string();
    writeln!(sheet, "{:indent$}{label:<width$}: {value}", "").expect(INTO_MEMORY);
}

fn copy_time(info: &BackupInfo) -> Option<SignedDuration> {
    match info.copy_stats.as_ref()?.get("copy_time")? {
        Value::Float(seconds) => SignedDuration::try_from_secs_f64(*seconds).ok(),
        Value::Int(seconds) => Some(SignedDuration::from_secs(*seconds)),
        _ => None,
    }
}

const INTO_MEMORY: &str = "writing into a string does not fail";
