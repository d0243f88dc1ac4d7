//! Archiving ahead: what PostgreSQL is told, what is only noted, and what never is.

use std::path::{Path, PathBuf};

use engine::store::Written;
use engine::wal::archive::{ArchiveRequest, WalTags};
use engine::wal::archive_ahead::{Ahead, ArchivedAhead, archive_ahead};
use engine::wal::archived_notes::ArchivedNotes;
use engine::wal::error::WalArchiveError;
use model::codec::Codec;
use object_store::TagSet;

use crate::stores::{Fault, bucket, shelf};
use crate::wal::{Place, SIZE, place, place_on, segment};

/// Segments of 1 MiB: 4096 in a log.
fn name_of(number: u64) -> String {
    format!("00000001{:08X}{:08X}", number / 4096, number % 4096)
}

/// Makes finished segments as PostgreSQL leaves them.
fn finished(place: &Place, numbers: impl IntoIterator<Item = u64>) {
    let status = place.directory.path().join("archive_status");
    std::fs::create_dir_all(&status).unwrap();
    for number in numbers {
        place.file(&name_of(number), &segment(number, 9));
        std::fs::write(status.join(format!("{}.ready", name_of(number))), "").unwrap();
    }
}

fn notes_of(place: &Place) -> ArchivedNotes {
    ArchivedNotes::open(&place.directory.path().join("notes"), "us").unwrap()
}

fn path_of(place: &Place, number: u64) -> PathBuf {
    place.directory.path().join(name_of(number))
}

async fn archive(place: &Place, number: u64) -> Result<ArchivedAhead, WalArchiveError> {
    let request = ArchiveRequest {
        path: path_of(place, number),
        codec: Codec::Gzip,
        level: None,
        tags: WalTags::default(),
        owner: None,
    };
    let ahead = Ahead {
        file_count: 4,
        notes: &notes_of(place),
    };
    archive_ahead(&shelf(&place.bucket, &place.layout), &request, ahead).await
}

fn noted(place: &Place) -> Vec<u64> {
    let notes = notes_of(place);
    let is_noted = |number: &u64| {
        let path = path_of(place, *number);
        path.exists() && notes.key_of(&path).unwrap().is_some()
    };
    (4090..4110).filter(is_noted).collect()
}

async fn has(place: &Place, number: u64) -> bool {
    let key = place
        .layout
        .wal(&name_of(number).parse().unwrap(), Codec::Gzip);
    place.bucket.exists(&key).await.unwrap()
}

#[tokio::test]
async fn the_next_finished_segments_are_stored_and_noted_over_the_end_of_a_log() {
    let place = place();
    finished(&place, 4094..4100);
    let done = archive(&place, 4094).await.unwrap();
    assert_eq!((done.stored_count, done.failed.len()), (3, 0));
    assert_eq!(noted(&place), [4095, 4096, 4097]);
    for number in 4094..4098 {
        assert!(has(&place, number).await, "{number}");
    }
    assert!(!has(&place, 4098).await);
}

#[tokio::test]
async fn a_gap_ends_what_is_stored_ahead() {
    let place = place();
    finished(&place, [4094, 4095, 4097]);
    let done = archive(&place, 4094).await.unwrap();
    assert_eq!(done.stored_count, 1);
    assert_eq!(noted(&place), [4095]);
}

#[tokio::test]
async fn a_bad_segment_ahead_is_neither_stored_nor_noted_and_the_requested_one_is() {
    let place = place();
    finished(&place, 4094..4098);
    place.file(&name_of(4096), &segment(4096, 9)[..SIZE as usize / 2]);
    let done = archive(&place, 4094).await.unwrap();
    assert_eq!(done.failed.len(), 1);
    assert!(matches!(done.failed[0].1, WalArchiveError::Segment { .. }));
    assert_eq!(noted(&place), [4095, 4097]);
    assert!(!has(&place, 4096).await);
    // And when PostgreSQL asks for it, it is refused.
    let refused = archive(&place, 4096).await;
    assert!(matches!(refused, Err(WalArchiveError::Segment { .. })));
}

#[tokio::test]
async fn a_requested_segment_that_fails_is_not_acknowledged_though_others_are_stored() {
    let place = place();
    finished(&place, 4094..4098);
    let key = place
        .layout
        .wal(&name_of(4094).parse().unwrap(), Codec::Gzip);
    let other = place
        .bucket
        .create(&key, "other".into(), &TagSet::default())
        .await
        .unwrap();
    assert_eq!(other, Written::Created);
    let refused = archive(&place, 4094).await;
    assert!(matches!(refused, Err(WalArchiveError::Compare { .. })));
    assert!(!noted(&place).contains(&4094));
}

#[tokio::test]
async fn what_the_store_did_not_take_is_never_noted() {
    for most in 0..5 {
        let (bucket, store) = bucket(Fault::After(most));
        let place = place_on(bucket);
        finished(&place, 4094..4098);
        let done = archive(&place, 4094).await;
        let keys = store.keys().await;
        assert_eq!(keys.len(), most.min(4));
        let is_stored = |number: u64| keys.iter().any(|key| key.contains(&name_of(number)));
        assert_eq!(done.is_ok(), is_stored(4094));
        for number in noted(&place) {
            assert!(is_stored(number), "{number} after {most}: {keys:?}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_segment_goes_alone() {
    let place = place();
    finished(&place, 4094..4096);
    let history = "1\t0/3000148\tno reason\n";
    let path: &Path = &place.file("00000002.history", history.as_bytes());
    let request = ArchiveRequest {
        path: path.to_path_buf(),
        codec: Codec::None,
        level: None,
        tags: WalTags::default(),
        owner: None,
    };
    let ahead = Ahead {
        file_count: 4,
        notes: &notes_of(&place),
    };
    let done = archive_ahead(&shelf(&place.bucket, &place.layout), &request, ahead).await;
    assert_eq!(done.unwrap().stored_count, 0);
}
