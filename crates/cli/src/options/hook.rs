//! What a Barman server tells its hook scripts: the variables `BARMAN_*`.
//!
//! Facts: Barman's manual, "Hook Scripts". Always true: without `BARMAN_HOOK` none of the others
//! is looked at.

use std::path::PathBuf;

use cloud::Environment;
use engine::backup::TakenBackup;

use crate::failure::{Failure, Kind};

/// The backup that the server has just taken, if this is one of its backup hooks.
///
/// # Errors
/// When it is another hook, another phase, or the backup is not DONE.
pub fn taken_backup(environment: &Environment) -> Result<Option<TakenBackup>, Failure> {
    let Some(hook) = environment.get("BARMAN_HOOK") else {
        return Ok(None);
    };
    let phase = environment.get("BARMAN_PHASE").unwrap_or_default();
    if !matches!(hook, "backup_script" | "backup_retry_script") || phase != "post" {
        let what = format!("barman-cloud-backup is no script for the hook {hook}, phase {phase}");
        let hint = "Name it in post_backup_script or post_backup_retry_script.";
        return Err(Failure::new(Kind::Other, what).with_hint(hint));
    }
    let status = environment.get("BARMAN_STATUS").unwrap_or_default();
    if status != "DONE" {
        let what = format!("there is nothing to send: the backup's status is {status}");
        let hint = "Take it with barman backup --wait: its WAL must have arrived, too.";
        return Err(Failure::new(Kind::NotDone, what).with_hint(hint));
    }
    let directory = PathBuf::from(required(environment, "BARMAN_BACKUP_DIR")?);
    let id = required(environment, "BARMAN_BACKUP_ID")?;
    let id = id.parse().map_err(|error| {
        let what = format!("BARMAN_BACKUP_ID is of no use: {error}");
        Failure::new(Kind::Other, what)
    })?;
    // Barman names the record only since 3.13.3.
    let record = environment.get("BARMAN_BACKUP_INFO_PATH");
    let record = record.map_or_else(|| directory.join(model::layout::RECORD), PathBuf::from);
    Ok(Some(TakenBackup {
        id,
        directory,
        record,
    }))
}

/// The WAL file that the server is about to archive, if this is one of its WAL hooks.
///
/// # Errors
/// When it is another hook, another phase, or the file is not named.
pub fn incoming_wal(environment: &Environment) -> Result<Option<PathBuf>, Failure> {
    let Some(hook) = environment.get("BARMAN_HOOK") else {
        return Ok(None);
    };
    let phase = environment.get("BARMAN_PHASE").unwrap_or_default();
    if !matches!(hook, "archive_script" | "archive_retry_script") || phase != "pre" {
        let what =
            format!("barman-cloud-wal-archive is no script for the hook {hook}, phase {phase}");
        let hint = "Name it in pre_archive_script or pre_archive_retry_script.";
        return Err(Failure::new(Kind::Usage, what).with_hint(hint));
    }
    let file = required(environment, "BARMAN_FILE").map_err(|failure| Failure {
        kind: Kind::Usage,
        ..failure
    })?;
    Ok(Some(PathBuf::from(file)))
}

fn required<'a>(environment: &'a Environment, name: &str) -> Result<&'a str, Failure> {
    let missing = || Failure::new(Kind::Other, format!("{name} is not set, as in every hook"));
    environment.get(name).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: [(&str, &str); 6] = [
        ("BARMAN_HOOK", "backup_retry_script"),
        ("BARMAN_PHASE", "post"),
        ("BARMAN_STATUS", "DONE"),
        ("BARMAN_BACKUP_DIR", "/srv/barman/main/base/20261121T081044"),
        ("BARMAN_BACKUP_ID", "20261121T081044"),
        (
            "BARMAN_BACKUP_INFO_PATH",
            "/srv/barman/main/meta/backup.info",
        ),
    ];

    /// The environment of a hook, with one variable other than it should be.
    fn but(name: &str, value: &str) -> Environment {
        HOOK.into_iter().chain([(name, value)]).collect()
    }

    #[test]
    fn a_wal_hook_says_which_file_is_coming() {
        let incoming = "/srv/barman/main/incoming/000000010000000000000003";
        let asked = |hook, phase, file| {
            let words = [
                ("BARMAN_HOOK", hook),
                ("BARMAN_PHASE", phase),
                ("BARMAN_FILE", file),
            ];
            incoming_wal(&words.into_iter().collect()).map_err(|failure| failure.kind)
        };
        let found = Ok(Some(PathBuf::from(incoming)));
        assert_eq!(asked("archive_script", "pre", incoming), found);
        assert_eq!(asked("archive_retry_script", "pre", incoming), found);
        assert_eq!(asked("", "pre", incoming), Ok(None));
        for (hook, phase, file) in [
            ("archive_script", "post", incoming),
            ("archive_script", "", incoming),
            ("backup_script", "pre", incoming),
            ("archive_script", "pre", ""),
        ] {
            assert_eq!(asked(hook, phase, file), Err(Kind::Usage), "{hook} {phase}");
        }
    }

    #[test]
    fn a_hook_says_where_the_backup_is() {
        assert!(taken_backup(&Environment::default()).unwrap().is_none());
        let taken = taken_backup(&HOOK.into_iter().collect()).unwrap().unwrap();
        assert_eq!(taken.id.as_str(), "20261121T081044");
        assert!(taken.record.ends_with("meta/backup.info"));
        let old = taken_backup(&but("BARMAN_BACKUP_INFO_PATH", ""));
        let old = old.unwrap().unwrap();
        assert_eq!(old.record, taken.directory.join(model::layout::RECORD));
    }

    #[test]
    fn what_is_no_finished_backup_is_refused() {
        let cases = [
            ("BARMAN_STATUS", "WAITING_FOR_WALS", Kind::NotDone),
            ("BARMAN_PHASE", "pre", Kind::Other),
            ("BARMAN_HOOK", "delete_script", Kind::Other),
            ("BARMAN_BACKUP_DIR", "", Kind::Other),
            ("BARMAN_BACKUP_ID", "yesterday", Kind::Other),
        ];
        for (name, value, kind) in cases {
            let refused = taken_backup(&but(name, value)).unwrap_err();
            assert_eq!(refused.kind, kind, "{name}={value}");
        }
    }
}
