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

/// Judges one path relative to the data directory, written with `/`.
pub fn judge_data_entry(path: &str, kind: EntryKind) -> Verdict {
    if kind == EntryKind::Directory && EMPTY_DIRECTORIES.contains(&path) {
        return Verdict::TakeEmpty;
    }
    if TOP_FILES.contains(&path) || path == "global/pg_control" {
        return Verdict::Leave;
    }
    if is_tablespace_link(path) {
        return Verdict::Leave;
    }
    judge_name(path)
}

/// Judges one path relative to a tablespace's location, written with `/`.
///
/// Only the directory of this major version belongs to the server: a location may be shared by
/// several versions after `pg_upgrade`.
pub fn judge_tablespace_entry(path: &str, major: u32) -> Verdict {
    let top = path.split('/').next().unwrap_or(path);
    if !top.starts_with(&format!("PG_{major}_")) {
        return Verdict::Leave;
    }
    judge_name(path)
}

fn is_tablespace_link(path: &str) -> bool {
    path.strip_prefix("pg_tblspc/")
        .is_some_and(|oid| !oid.is_empty() && oid.bytes().all(|b| b.is_ascii_digit()))
}

/// Rules that hold at any depth.
fn judge_name(path: &str) -> Verdict {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let temporary = name.starts_with("pgsql_tmp")
        || name.starts_with("pg_internal.init")
        || name == "postgresql.auto.conf.tmp"
        || name == "current_logfiles.tmp"
        || (is_database(directory) && is_temporary_relation(name));
    if temporary {
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
        ];
        for (path, kind, expected) in table {
            assert_eq!(judge_data_entry(path, kind), expected, "{path}");
        }
    }

    #[test]
    fn a_tablespace_gives_only_this_versions_directory() {
        assert_eq!(
            judge_tablespace_entry("PG_15_202209061/5/1", 15),
            Verdict::Take
        );
        assert_eq!(
            judge_tablespace_entry("PG_14_202107181", 15),
            Verdict::Leave
        );
        assert_eq!(judge_tablespace_entry("lost+found", 15), Verdict::Leave);
        assert_eq!(
            judge_tablespace_entry("PG_15_202209061/pgsql_tmp", 15),
            Verdict::Leave
        );
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
