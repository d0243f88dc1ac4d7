//! Which files of a data directory belong into a base backup.
//!
//! The rules follow the PostgreSQL manual, chapter "Backing Up the Data Directory", and what
//! Barman leaves out. They see only names; reading directories is the engine's work. Always true:
//! `global/pg_control`, `backup_label` and `backup_manifest` are never taken from the walk, since
//! the backup adds its own at the end.

/// What to do with one entry of a directory walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Archive the file, or the directory and what is in it.
    Take,
    /// Archive the directory itself, but nothing in it.
    TakeEmpty,
    /// Leave it out.
    Leave,
}

/// What the walk found at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
}

/// Directories whose contents PostgreSQL makes anew at start, or that belong to this host alone.
const EMPTY_DIRECTORIES: [&str; 11] = [
    "log",
    "pg_dynshmem",
    "pg_log",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_wal",
    "pg_xlog",
];

/// Files in the top directory that must not come back with a restore.
const TOP_FILES: [&str; 9] = [
    "backup_label",
    "backup_manifest",
    "postmaster.opts",
    "postmaster.pid",
    "recovery.conf",
    "recovery.signal",
    "standby.signal",
    "tablespace_map",
    ".barman-recover.info",
];

/// Directories at the top of a volume that belong to its file system and not to the server. Often
/// only root may read them.
const OF_THE_VOLUME: [&str; 4] = [".snapshot", ".snapshots", ".zfs", LOST_AND_FOUND];

/// Files that a file system keeps at its top, which only root may read (quotactl(8)).
const FILES_OF_THE_VOLUME: [&str; 4] = ["aquota.group", "aquota.user", "quota.group", "quota.user"];

/// Any of the cluster's directories may be the top of a volume, which then has this one; PostgreSQL
/// gives nothing that name.
const LOST_AND_FOUND: &str = "lost+found";

/// Directories of a data directory that are never empty while a server runs on it.
pub const NEVER_EMPTY: [&str; 4] = ["base", "global", "pg_multixact", "pg_xact"];

/// What a server of this version names its directory in every tablespace.
pub fn version_directory(major: u32, catalog_version: u32) -> String {
    format!("PG_{major}_{catalog_version}")
}

/// Judges one path relative to the data directory, written with `/`.
pub fn judge_data_entry(path: &str, kind: EntryKind) -> Verdict {
    if kind == EntryKind::Directory && EMPTY_DIRECTORIES.contains(&path) {
        return Verdict::TakeEmpty;
    }
    if TOP_FILES.contains(&path) || path == "global/pg_control" {
        return Verdict::Leave;
    }
    let of_the_volume = match kind {
        EntryKind::Directory => OF_THE_VOLUME.contains(&path),
        EntryKind::File => FILES_OF_THE_VOLUME.contains(&path),
    };
    if is_tablespace_link(path) || of_the_volume {
        return Verdict::Leave;
    }
    judge_name(path, kind)
}

/// Judges one path relative to a tablespace's location, written with `/`.
///
/// Only the server's own [`version_directory`] belongs to it: a location may be shared by several
/// versions after `pg_upgrade`.
pub fn judge_tablespace_entry(path: &str, kind: EntryKind, version_directory: &str) -> Verdict {
    let top = path.split('/').next().unwrap_or(path);
    if top != version_directory {
        return Verdict::Leave;
    }
    judge_name(path, kind)
}

/// Whether something that is neither file nor directory lies there with good reason: the sockets
/// of a server whose `unix_socket_directories` is its data directory.
pub fn is_server_socket(path: &str) -> bool {
    path.starts_with(".s.PGSQL.")
}

fn is_tablespace_link(path: &str) -> bool {
    path.strip_prefix("pg_tblspc/")
        .is_some_and(|oid| !oid.is_empty() && oid.bytes().all(|b| b.is_ascii_digit()))
}

/// Rules that hold at any depth.
fn judge_name(path: &str, kind: EntryKind) -> Verdict {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let temporary = name.starts_with("pgsql_tmp")
        || name.starts_with("pg_internal.init")
        || name == "postgresql.auto.conf.tmp"
        || name == "current_logfiles.tmp"
        || (is_database(directory) && is_temporary_relation(name));
    let of_the_volume = kind == EntryKind::Directory && name == LOST_AND_FOUND;
    if temporary || of_the_volume {
        Verdict::Leave
    } else {
        Verdict::Take
    }
}

/// Whether a directory holds a database's relations: its last name is a number.
pub fn is_database(directory: &str) -> bool {
    is_number(directory.rsplit('/').next().unwrap_or(directory))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Temporary relations are named `t<backend>_<relfilenode>[_fork][.segment]`.
fn is_temporary_relation(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('t') else {
        return false;
    };
    let Some((backend, relation)) = rest.split_once('_') else {
        return false;
    };
    is_number(backend) && is_number(relation_number(relation))
}

/// The number at the front of a relation's file name: what is before a fork or a segment.
fn relation_number(name: &str) -> &str {
    name.split(['_', '.']).next().unwrap_or(name)
}

/// The ending of a file that only unlogged relations have: what recovery begins them with.
pub const INIT_FORK: &str = "_init";

/// Whether a file is of an unlogged relation and need not be read: any of its forks but `_init`.
///
/// Recovery empties such a relation from that fork; reading the others would only report torn pages
/// that no WAL mends. `pg_basebackup` leaves them out too. `is_beside` tells whether a name is in
/// the file's directory.
pub fn is_unlogged_fork(name: &str, is_beside: impl FnOnce(&str) -> bool) -> bool {
    let relation = relation_number(name);
    is_number(relation)
        && !name.ends_with(INIT_FORK)
        && is_beside(&format!("{relation}{INIT_FORK}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_running_server_stay_behind() {
        use EntryKind::{Directory, File};
        let table = [
            ("PG_VERSION", File, Verdict::Take),
            ("base/1/1259", File, Verdict::Take),
            ("base/5/t3_16384", File, Verdict::Leave),
            ("base/5/t3_16384_fsm", File, Verdict::Leave),
            ("base/5/tables", File, Verdict::Take),
            ("t1_2", File, Verdict::Take),
            ("conf.d/t1_2.conf", File, Verdict::Take),
            ("base/pgsql_tmp", Directory, Verdict::Leave),
            ("global/pg_control", File, Verdict::Leave),
            ("global/pg_internal.init", File, Verdict::Leave),
            ("global/pg_internal.init.4711", File, Verdict::Leave),
            ("postmaster.pid", File, Verdict::Leave),
            ("standby.signal", File, Verdict::Leave),
            ("backup_manifest", File, Verdict::Leave),
            ("pg_wal", Directory, Verdict::TakeEmpty),
            ("pg_replslot", Directory, Verdict::TakeEmpty),
            ("log", Directory, Verdict::TakeEmpty),
            ("pg_tblspc", Directory, Verdict::Take),
            ("pg_tblspc/16384", Directory, Verdict::Leave),
            ("pg_stat", Directory, Verdict::Take),
            ("postgresql.auto.conf", File, Verdict::Take),
            ("lost+found", Directory, Verdict::Leave),
            ("base/lost+found", Directory, Verdict::Leave),
            ("conf.d/lost+found", File, Verdict::Take),
            ("aquota.user", File, Verdict::Leave),
            (".snapshot", Directory, Verdict::Leave),
            ("conf.d/.snapshot", Directory, Verdict::Take),
        ];
        for (path, kind, expected) in table {
            assert_eq!(judge_data_entry(path, kind), expected, "{path}");
        }
    }

    #[test]
    fn a_tablespace_gives_only_this_versions_directory() {
        use EntryKind::{Directory, File};
        let own = version_directory(15, 202_209_061);
        let table = [
            ("PG_15_202209061", Directory, Verdict::Take),
            ("PG_15_202209061/5/1", File, Verdict::Take),
            ("PG_15_202209061/pgsql_tmp", Directory, Verdict::Leave),
            ("PG_15_202209061/lost+found", Directory, Verdict::Leave),
            ("PG_14_202107181", Directory, Verdict::Leave),
            // Of a beta of the same version.
            ("PG_15_202204062", Directory, Verdict::Leave),
            ("PG_15_2022090611", Directory, Verdict::Leave),
            ("lost+found", Directory, Verdict::Leave),
        ];
        for (path, kind, expected) in table {
            assert_eq!(judge_tablespace_entry(path, kind, &own), expected, "{path}");
        }
    }

    fn left_out<'a>(names: &[&'a str]) -> Vec<&'a str> {
        let is_fork = |name: &str| is_unlogged_fork(name, |fork| names.contains(&fork));
        let names = names.iter().copied();
        names.filter(|name| is_fork(name)).collect()
    }

    #[test]
    fn only_relations_are_unlogged() {
        let names = ["postgresql_init", "postgresql.conf", "postgresql"];
        assert_eq!(left_out(&names), [""; 0]);
    }

    #[test]
    fn unlogged_relations_keep_only_their_init_fork() {
        let names = ["100", "100_fsm", "100_init", "100.1", "1001", "200"];
        assert_eq!(left_out(&names), ["100", "100_fsm", "100.1"]);
    }
}
