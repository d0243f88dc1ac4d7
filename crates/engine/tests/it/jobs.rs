//! Jobs that write one archive after another: what a store that fails or is silent makes of them.
//!
//! A finished backup on disk is sent: it takes the same way as one of a running server, without
//! needing one.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::backup::{BackupError, BackupWorld, Rules, TakenBackup, send_taken};
use engine::progress::Silent;
use engine::stop::StopFlag;
use engine::store::TagSet;
use model::backup::{BackupInfo, BackupStatus};
use model::codec::Codec;
use model::format::backup_info;
use model::layout::Layout;
use model::postgres::{PgVersion, SystemId};
use model::wal::lsn::Lsn;

use crate::restore::control;
use crate::stores::{Fault, FaultyStore, bucket, repository};

const ID: &str = "20261121T081044";
/// Where the first archive goes that is made, and the one that stays open for the tail.
const FIRST: &str = "/data_0001.tar";
const LAST: &str = "/data_0005.tar";

/// A backup of three files that make an archive each, between archives of little ones, and of a
/// last file that a part of is sent before its archive has got the tail.
pub fn taken(directory: &Path) -> TakenBackup {
    let data = directory.join("data");
    for folder in ["base/5", "global"] {
        fs::create_dir_all(data.join(folder)).unwrap();
    }
    for file in ["base/5/1", "base/5/2", "base/5/3"] {
        fs::write(data.join(file), vec![3; 2 << 20]).unwrap();
    }
    fs::write(data.join("global/1"), vec![3; 8 << 20]).unwrap();
    fs::write(data.join("PG_VERSION"), "15\n").unwrap();
    fs::write(data.join("global/pg_control"), control()).unwrap();
    let label = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n\
                 CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\n\
                 BACKUP FROM: primary\nSTART TIME: 2026-11-21 08:10:44 UTC\n\
                 LABEL: test\nSTART TIMELINE: 1\n";
    fs::write(data.join("backup_label"), label).unwrap();
    let info = BackupInfo {
        status: BackupStatus::Done,
        version: Some(PgVersion::new(150_018)),
        systemid: Some(SystemId::new(1)),
        begin_xlog: Some(Lsn::new(0x0200_0028)),
        end_xlog: Some(Lsn::new(0x0200_0100)),
        ..BackupInfo::default()
    };
    let record = directory.join("backup.info");
    fs::write(&record, backup_info::render(&info)).unwrap();
    TakenBackup {
        id: ID.parse().unwrap(),
        directory: directory.to_path_buf(),
        record,
    }
}

struct Sent {
    outcome: Result<(), BackupError>,
    store: Arc<FaultyStore>,
    keys: Vec<String>,
}

impl Sent {
    fn calls(&self, what: &str) -> usize {
        let calls = self.store.calls.lock().unwrap();
        calls.iter().filter(|call| call.starts_with(what)).count()
    }

    /// The error with its causes.
    fn error(&self) -> String {
        let mut error: &dyn std::error::Error = self.outcome.as_ref().unwrap_err();
        let mut text = error.to_string();
        while let Some(source) = error.source() {
            text += &format!(": {source}");
            error = source;
        }
        text
    }
}

/// Sends it with so many jobs; after `patience` the work is told to stop.
async fn send(fault: Fault, jobs: usize, patience: Duration) -> Sent {
    let directory = tempfile::tempdir().unwrap();
    let taken = taken(directory.path());
    let (bucket, store) = bucket(fault);
    let stop = StopFlag::default();
    let give_up = stop.clone();
    let world = BackupWorld {
        repository: repository(&bucket, &Layout::new("", "main").unwrap()),
        tags: TagSet::default(),
        progress: Arc::new(Silent),
        stages: Arc::default(),
        stop,
    };
    let rules = Rules {
        jobs: NonZeroUsize::new(jobs).unwrap(),
        max_archive_bytes: 1 << 20,
        max_memory_bytes: None,
    };
    let timer = tokio::spawn(async move {
        tokio::time::sleep(patience).await;
        give_up.raise();
    });
    let outcome = send_taken(&taken, Codec::None, &rules, &world).await;
    timer.abort();
    let keys = store.keys().await;
    Sent {
        outcome: outcome.map(drop),
        store,
        keys,
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn every_archive_is_there_when_the_backup_is() {
    for jobs in [1, 2, 5] {
        let sent = send(Fault::None, jobs, LONG).await;
        sent.outcome.as_ref().unwrap();
        assert_eq!(sent.calls("upload"), 6, "{:?}", sent.keys);
        assert_eq!(sent.keys.len(), 7, "{:?}", sent.keys);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_the_store_refuses_in_the_end_fails_the_backup_in_its_words() {
    for (ending, jobs) in [(FIRST, 1), (FIRST, 2), (LAST, 1), (LAST, 2)] {
        let sent = send(Fault::CompleteOf(ending), jobs, LONG).await;
        let error = sent.error();
        let told = error.contains(ending) && error.contains("on purpose");
        assert!(told, "{ending} with {jobs} jobs: {error}");
        assert!(!sent.keys.iter().any(|key| key.ends_with("backup.info")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_archive_is_begun_before_the_store_has_confirmed_one() {
    let silent = Fault::SilentCompleteOf(FIRST);
    let sent = send(silent, 1, Duration::from_secs(1)).await;
    assert!(matches!(sent.outcome, Err(BackupError::Cancelled)));
    assert_eq!(sent.calls("upload"), 2, "one more, and not two");
    assert_eq!(sent.calls("abort"), 1);
    // The one after it is confirmed; without the first and the record it is garbage.
    let [only] = sent.keys.as_slice() else {
        panic!("{:?}", sent.keys)
    };
    assert!(only.ends_with("/data_0002.tar"), "{only}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_refused_while_it_waits_for_the_tail_fails_the_backup_at_once() {
    // The tail does not come before the other job has ended, which it never does by itself.
    let fault = Fault::SilentCompleteAndPartOf {
        silent: FIRST,
        refused: LAST,
    };
    let sent = send(fault, 2, LONG).await;
    let error = sent.error();
    let told = error.contains(LAST) && error.contains("on purpose");
    assert!(told, "{error}");
    assert!(!sent.keys.iter().any(|key| key.ends_with("backup.info")));
    assert!(!sent.keys.iter().any(|key| key.ends_with(LAST)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_archive_the_store_confirms_and_does_not_have_is_never_recorded() {
    let faults = [
        (Fault::Forgets(FIRST), FIRST, "it is not there"),
        (Fault::Forgets(LAST), LAST, "it is not there"),
        (Fault::Shortens(LAST), LAST, "and has 5"),
    ];
    for (fault, ending, words) in faults {
        let sent = send(fault, 2, LONG).await;
        let error = sent.error();
        assert!(error.contains(ending) && error.contains(words), "{error}");
        assert!(!sent.keys.iter().any(|key| key.ends_with("backup.info")));
    }
}
