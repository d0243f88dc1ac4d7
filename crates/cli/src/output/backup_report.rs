//! What is said of a backup that `barman-cloud-backup` has taken, and whether it is a success.
//!
//! Always true: a backup that cannot be restored, although its WAL should be there, is no success.

use std::time::Instant;

use engine::backup::{BackupOutcome, MissingCause, WalFate};
use model::backup::BackupInfo;
use model::backup::id::BackupId;
use model::size::pretty_size;

use crate::failure::{Failure, Kind};
use crate::output::cloud_log::{Level, Log};

/// Says that a backup holds damaged pages.
pub fn report_damage(id: &BackupId, count: usize, log: &Log) {
    if count == 0 {
        return;
    }
    let text = format!("backup {id} holds {count} damaged pages, as the cluster does");
    log.line(Level::Warning, &text);
    log.line(
        Level::Hint,
        "Find out what lies there before the last backup from before the damage expires; \
         barman-cloud-backup-show lists the pages.",
    );
}

/// What the stage `check` of `--stats` was not: it digests every byte, checksums or not.
pub fn remark_on_checks(info: &BackupInfo) -> &'static str {
    match info.data_checksums.as_deref() {
        Some("off") => "pages were not verified: data checksums are off\n",
        _ => "",
    }
}

/// Says what a finished backup should make its owner think about. One that cannot be restored
/// yet, although its WAL should be there, is a failure.
pub fn report(outcome: &BackupOutcome, here: &Here<'_>, log: &Log) -> Result<(), Failure> {
    report_damage(&outcome.id, outcome.damaged.len(), log);
    let id = outcome.id;
    match &outcome.wal {
        WalFate::Arrived => {
            let seconds = here.began.elapsed().as_secs_f64();
            let size = outcome.info.cluster_size.map(pretty_size);
            let size = size.map_or_else(String::new, |size| format!(": {size}"));
            log.done(&format!("backup {id} is complete{size} in {seconds:.1} s"));
            Ok(())
        }
        WalFate::Elsewhere => {
            let Here { url, server, .. } = here;
            let text = format!(
                "backup {id} is complete, but no WAL of {server} was ever in {url}: it can be \
                 restored only with the WAL from where that goes"
            );
            log.line(Level::Warning, &text);
            if let Some(other) = here.other_place() {
                log.line(Level::Hint, &other);
            }
            Ok(())
        }
        WalFate::Missing(missing, cause) => {
            let what = format!(
                "backup {id} cannot be restored yet: the archive lacks {missing}; its status is \
                 WAITING_FOR_WALS"
            );
            let hint = missing_wal_hint(cause, here);
            if *cause == MissingCause::Unfinished {
                log.line(Level::Warning, &what);
                log.line(Level::Hint, &hint);
                return Ok(());
            }
            Err(Failure::new(Kind::Failed, what).with_hint(hint))
        }
    }
}

/// Where this backup is, to be compared with where its WAL goes.
pub struct Here<'a> {
    pub url: &'a str,
    pub server: &'a str,
    /// URL and server of the server's `archive_command`, if that is ours.
    pub archived_to: Option<(String, String)>,
    /// When the command began.
    pub began: Instant,
}

impl Here<'_> {
    /// What to say if `archive_command` is ours and writes somewhere else.
    fn other_place(&self) -> Option<String> {
        let (url, server) = self.archived_to.as_ref()?;
        let same_url = url.trim_end_matches('/') == self.url.trim_end_matches('/');
        (!same_url || server != self.server).then(|| {
            format!(
                "archive_command writes to {url} {server}, this backup is of {} {}.",
                self.url, self.server
            )
        })
    }
}

/// The cause, what to do about it, and how the backup becomes DONE.
fn missing_wal_hint(cause: &MissingCause, here: &Here<'_>) -> String {
    let advice = match cause {
        MissingCause::Unfinished => {
            "The server has not filled that segment. It is archived when it is full, when \
             archive_timeout ends it, or after SELECT pg_switch_wal() on the primary."
                .to_owned()
        }
        MissingCause::Foreign(found) => format!(
            "The segment of that name there was written by another system (system identifier \
             {found}): this server needs a SERVER_NAME of its own, in archive_command too."
        ),
        MissingCause::Damaged(cause) => format!("What has the name is of no use: {cause}."),
        MissingCause::Off => {
            "archive_mode is off: set it to on, set archive_command, and restart the server."
                .to_owned()
        }
        MissingCause::NoCommand => {
            "archive_command is empty: set it to barman-cloud-wal-archive with this URL and \
             SERVER_NAME, and reload the server."
                .to_owned()
        }
        MissingCause::Failing(file) => format!(
            "archive_command fails on {file}, as the view pg_stat_archiver says: the server's log \
             has its words."
        ),
        MissingCause::Sent => "archive_command has archived it, and not here.".to_owned(),
        MissingCause::Behind(Some(file)) => {
            format!("The last file that archive_command archived is {file}: it is behind.")
        }
        MissingCause::Behind(None) => {
            "archive_command has not archived anything yet, as the view pg_stat_archiver says."
                .to_owned()
        }
        MissingCause::Unknown => "Look at archive_command and at the view pg_stat_archiver of the \
                                  server that archives."
            .to_owned(),
    };
    let other = here.other_place();
    let other = other.map(|text| format!(" {text}")).unwrap_or_default();
    format!("{advice}{other} A later backup marks this one DONE once its WAL has come.")
}
