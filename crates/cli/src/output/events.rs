//! The words for what the engine tells while it works.

use std::time::Duration;

use engine::progress::{NotArchived, NotRestored, Step, Unverifiable, Warning};
use model::backup::Tablespace;
use model::size::pretty_size;
use model::wal::lsn::Lsn;

/// A step of the work, in a line.
pub fn step(step: &Step) -> String {
    match step {
        Step::StartingBackup(id) => format!("starting backup {id}"),
        Step::SendingBackup(id) => format!("sending backup {id}"),
        Step::RestoringBackup(id) => format!("restoring backup {id}"),
        Step::PagesUnverified(why) => format!("pages are not verified: {}", unverifiable(*why)),
        Step::Copying { file_count, bytes } => {
            format!("copying {file_count} files, {}", pretty_size(*bytes))
        }
        Step::WaitingForWal { last } => format!("waiting for WAL up to {last}"),
        Step::WalArrived(id) => format!("the WAL of backup {id} has arrived"),
        Step::Effort {
            jobs,
            requests,
            peak_bytes,
        } => {
            let peak_mib = peak_bytes.div_ceil(1024 * 1024);
            format!("jobs: {jobs}, requests of each: {requests}, memory: {peak_mib} MiB")
        }
        Step::ComparingWithManifest => "comparing with the backup manifest".to_owned(),
        Step::Flushing => "flushing to disk".to_owned(),
    }
}

fn unverifiable(why: Unverifiable) -> &'static str {
    match why {
        Unverifiable::ChecksumsOff => {
            "data checksums are off (pg_checksums --enable switches them on)"
        }
        Unverifiable::OtherPageSize => "the server was built with other sizes of pages",
    }
}

/// What is wrong though work goes on, in a line.
pub fn warning(warning: &Warning<'_>) -> String {
    match warning {
        Warning::NotArchived { path, why } => {
            format!("{} is not archived: {}", path.display(), not_archived(*why))
        }
        Warning::Shrank {
            path,
            missing_bytes,
        } => format!(
            "{path} shrank while it was read: the last {missing_bytes} bytes of its copy are zeros"
        ),
        Warning::DamagedPage(page) => page.to_string(),
        Warning::NoRestorePoint { cause } => (*cause).to_owned(),
        Warning::CannotSeeWal { cause } => format!("cannot see which WAL has arrived: {cause}"),
        Warning::CannotSettle { cause } => {
            format!("cannot look after backups that wait for WAL: {cause}")
        }
        Warning::Settled {
            backup,
            status,
            cause,
        } => format!("backup {backup} is {status}: {cause}"),
        Warning::RecordUnsaved { backup, cause } => {
            format!("the record of {backup} still says STARTED: {cause}")
        }
        Warning::PartsLeft { backup, cause } => {
            format!("parts of the deleted backup {backup} are left: {cause}")
        }
        Warning::Contradiction { backup, found } => {
            format!("the record of backup {backup} contradicts itself: {found}")
        }
        Warning::NotRestored { path, why } => {
            format!("{} is left out: {}", path.display(), not_restored(*why))
        }
        Warning::Unlisted { path } => format!("{path} is in the backup, but not in its manifest"),
        Warning::TablespaceInside(tablespace) => inside(tablespace),
        Warning::TablespaceMadeMeanwhile(tablespace) => made_meanwhile(tablespace),
        Warning::ConfigurationNotArchived { files } => format!(
            "the configuration includes files outside the data directory, which are not in the \
             backup; keep copies of them: {}",
            files.join(", ")
        ),
        Warning::PooledSession => POOLED.to_owned(),
        Warning::OtherSystem {
            backup,
            theirs,
            ours,
        } => format!(
            "backup {backup} is of another system (system identifier {theirs}) than the server \
             (system identifier {ours}): a cluster made anew, as by initdb or pg_upgrade, should \
             have a name of its own"
        ),
        Warning::NameTaken { name, by } => format!(
            "backup {by} has the name {name:?} already: the name will lead to neither, only their \
             ids will"
        ),
        Warning::ForeignManifest { begin } => foreign_manifest(*begin),
        Warning::UnknownAccount { id } => format!(
            "the restored files belong to account {id}, which this host does not know: change \
             their owner to the server's account before you start it"
        ),
    }
}

const POOLED: &str = "the session goes through a connection pooler, which must leave it one server \
                      process for the whole backup (pool_mode = session)";

fn inside(Tablespace { name, location, .. }: &Tablespace) -> String {
    format!(
        "tablespace {name} lies inside the data directory, at {location}: PostgreSQL advises \
         against it, and a restore to another place must give it another place too"
    )
}

fn made_meanwhile(Tablespace { name, location, .. }: &Tablespace) -> String {
    format!(
        "tablespace {name} was made while the backup was taken: recovery makes it anew and stops \
         if the directory {location} is not there"
    )
}

fn foreign_manifest(begin: Option<Lsn>) -> String {
    let begin = begin.map_or_else(String::new, |begin| format!(": it begins at {begin}"));
    format!(
        "the backup_manifest in the archives is another backup's{begin}; it was removed, and the \
         files were compared with nothing"
    )
}

fn not_archived(why: NotArchived) -> &'static str {
    match why {
        NotArchived::LinkToNothing => "it is a link to nothing",
        NotArchived::NoRegularFile => "it is no regular file",
        NotArchived::LeadsBack => "it leads back to where it lies",
    }
}

fn not_restored(why: NotRestored<'_>) -> String {
    match why {
        NotRestored::Rule(rule) => rule.to_owned(),
        NotRestored::Link { to } => format!("it is a link to {to}"),
        NotRestored::LeadsOut => "it is a link that leads out of the target directory".to_owned(),
        NotRestored::LinkToNothing { to } => {
            format!("it is a link to {to}, which is not there")
        }
    }
}

/// How long the server has been at its checkpoint.
pub fn checkpoint(waited: Duration, usual: Option<Duration>) -> String {
    let waited = clock(waited);
    match usual {
        Some(usual) => format!(
            "waiting for the server's checkpoint, which usually takes up to {} \
             (--immediate-checkpoint hurries it): {waited} so far",
            clock(usual)
        ),
        None => format!("waiting for the server's checkpoint: {waited} so far"),
    }
}

/// Which WAL is waited for, and for how long.
pub fn wal_wait(
    next: &str,
    waited: Duration,
    patience: Duration,
    last_archived: Option<&str>,
) -> String {
    let archived = last_archived.map(|name| format!("; the server has archived up to {name}"));
    format!(
        "waiting for WAL file {next} ({} of {} s){}",
        waited.as_secs(),
        patience.as_secs(),
        archived.unwrap_or_default()
    )
}

/// Minutes and seconds: `4:30`.
fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_with_what_they_are_for_and_how_long() {
        let seconds = Duration::from_secs;
        assert_eq!(
            checkpoint(seconds(72), Some(seconds(270))),
            "waiting for the server's checkpoint, which usually takes up to 4:30 \
             (--immediate-checkpoint hurries it): 1:12 so far"
        );
        assert_eq!(
            wal_wait(
                "000000010000000000000052",
                seconds(12),
                seconds(30),
                Some("x")
            ),
            "waiting for WAL file 000000010000000000000052 (12 of 30 s); the server has archived \
             up to x"
        );
    }
}
