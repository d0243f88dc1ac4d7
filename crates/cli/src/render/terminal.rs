//! The list of backups for a person at a terminal: as wide as the terminal, with states, sizes and
//! the zone of the times. What is piped is `console`'s, byte for byte as Barman's.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::tz::TimeZone;
use model::backup::BackupInfo;
use model::backup::id::BackupId;
use model::keep::KeepTarget;
use model::size::pretty_size;

use super::console::archival_status;

const TITLES: [&str; 6] = ["Backup ID", "Ended", "Status", "Size", "Begin WAL", "Name"];
/// What is left out where the terminal is too narrow, the least important first.
const EXPENDABLE: [&str; 3] = ["Begin WAL", "Size", "Name"];
const GAP: usize = 2;

/// Where the table is shown.
pub struct Terminal {
    /// Its width, in letters.
    pub columns: usize,
    /// The zone of the person at it.
    pub zone: TimeZone,
}

/// The table, of lines no longer than the terminal unless even that is not enough.
pub fn render_list<'a>(
    backups: impl Iterator<Item = (&'a BackupId, &'a BackupInfo)>,
    kept: &BTreeMap<BackupId, KeepTarget>,
    terminal: &Terminal,
) -> String {
    let Terminal { columns, zone } = terminal;
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(backups.map(|(id, info)| cells(id, info, (kept.get(id), zone))));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..TITLES.len())
        .map(|column| width(column).unwrap_or(0))
        .collect();
    // A column that says nothing of any backup goes first.
    let says = |column: usize| rows.iter().skip(1).any(|row| !row[column].is_empty());
    let mut shown: Vec<usize> = (0..TITLES.len())
        .filter(|c| rows.len() == 1 || says(*c))
        .collect();
    let total = |shown: &[usize]| {
        shown
            .iter()
            .map(|column| widths[*column] + GAP)
            .sum::<usize>()
    };
    for title in EXPENDABLE {
        if total(&shown) > *columns + GAP {
            shown.retain(|column| TITLES[*column] != title);
        }
    }
    let mut table = String::new();
    for row in &rows {
        let mut line = String::new();
        for column in &shown {
            let (cell, width) = (&row[*column], widths[*column]);
            let written = match TITLES[*column] {
                "Size" => write!(line, "{cell:>width$}{:GAP$}", ""),
                _ => write!(line, "{cell:<width$}{:GAP$}", ""),
            };
            written.expect("writing into a string does not fail");
        }
        table += line.trim_end();
        table += "\n";
    }
    table
}

fn cells(
    id: &BackupId,
    info: &BackupInfo,
    (kept, zone): (Option<&KeepTarget>, &TimeZone),
) -> [String; 6] {
    let ended = info.end_time.map(|time| {
        let time = time.timestamp().to_zoned(zone.clone());
        time.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    });
    let status = match archival_status(info.status, kept) {
        "" => info.status.name(),
        status => status,
    };
    [
        id.as_str().to_owned(),
        ended.unwrap_or_default(),
        status.to_owned(),
        info.cluster_size.map(pretty_size).unwrap_or_default(),
        info.begin_wal.clone().unwrap_or_default(),
        info.backup_name.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use model::backup::BackupStatus;
    use model::moment::Moment;

    use super::*;

    fn list(columns: usize, name: Option<&str>) -> String {
        let id: BackupId = "20261121T112514".parse().unwrap();
        let end: jiff::Timestamp = "2026-11-21T11:25:16Z".parse().unwrap();
        let info = BackupInfo {
            status: BackupStatus::Done,
            end_time: Some(Moment::from(end)),
            cluster_size: Some(478 << 20),
            begin_wal: Some("000000010000000000000007".to_owned()),
            backup_name: name.map(str::to_owned),
            ..BackupInfo::default()
        };
        let backups = [(&id, &info)].into_iter();
        let zone = TimeZone::UTC;
        render_list(backups, &BTreeMap::new(), &Terminal { columns, zone })
    }

    #[test]
    fn every_line_fits_the_terminal_and_says_done_size_and_zone() {
        let wide = "Backup ID        Ended                    Status       Size  \
                    Begin WAL                 Name\n\
                    20261121T112514  2026-11-21 11:25:16 UTC  DONE    478.0 MiB  \
                    000000010000000000000007  nightly\n";
        assert_eq!(list(120, Some("nightly")), wide);
        let narrow = "Backup ID        Ended                    Status       Size  Name\n\
                      20261121T112514  2026-11-21 11:25:16 UTC  DONE    478.0 MiB  nightly\n";
        assert_eq!(list(80, Some("nightly")), narrow);
        for columns in [50, 60, 70, 80, 90, 120] {
            for line in list(columns, Some("nightly")).lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
        }
        assert!(!list(120, None).contains("Name"));
    }
}
