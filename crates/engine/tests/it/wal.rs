//! WAL files into the archive and back.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::codec::Encoder;
use engine::stop::StopFlag;
use engine::store::Bucket;
use engine::wal::archive::{ArchiveRequest, Archived, WalTags, archive_wal};
use engine::wal::error::FetchError;
use engine::wal::error::WalArchiveError;
use engine::wal::fetch::{FetchRequest, PartialPolicy, fetch_wal};
use model::codec::Codec;
use model::layout::Layout;
use model::wal::segment::BadSegmentCause;

use crate::stores::{Fault, bucket, shelf};

pub const SIZE: u32 = 1024 * 1024;
pub const SYSTEM: u64 = 7_710_533_701_824_798_486;

/// A segment of 1 MiB with the long header of PostgreSQL 15 (`XLogLongPageHeaderData`).
pub fn segment(number: u64, filler: u8) -> Vec<u8> {
    let mut content = vec![filler; SIZE as usize];
    content[0..2].copy_from_slice(&0xD110u16.to_le_bytes());
    content[2..4].copy_from_slice(&2u16.to_le_bytes());
    content[4..8].copy_from_slice(&1u32.to_le_bytes());
    content[8..16].copy_from_slice(&(number * u64::from(SIZE)).to_le_bytes());
    content[16..24].fill(0);
    content[24..32].copy_from_slice(&SYSTEM.to_le_bytes());
    content[32..36].copy_from_slice(&SIZE.to_le_bytes());
    content[36..40].copy_from_slice(&8192u32.to_le_bytes());
    content
}

pub struct Place {
    pub directory: tempfile::TempDir,
    pub bucket: Bucket,
    pub layout: Layout,
}

pub fn place() -> Place {
    place_on(bucket(Fault::None).0)
}

pub fn place_on(bucket: Bucket) -> Place {
    let directory = tempfile::tempdir().unwrap();
    Place {
        directory,
        bucket,
        layout: Layout::new("p", "main").unwrap(),
    }
}

impl Place {
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub async fn archive(&self, path: &Path, codec: Codec) -> Result<Archived, WalArchiveError> {
        let request = ArchiveRequest {
            path: path.to_path_buf(),
            codec,
            level: None,
            tags: WalTags::default(),
            owner: None,
        };
        archive_wal(&shelf(&self.bucket, &self.layout), &request).await
    }

    pub async fn fetch(&self, name: &str, partial: PartialPolicy) -> Result<Vec<u8>, FetchError> {
        let destination = self.directory.path().join("RECOVERYXLOG");
        let name = name.parse().unwrap();
        let request = FetchRequest {
            name,
            destination: destination.clone(),
            partial,
            longest_wait: Duration::from_secs(2),
        };
        fetch_wal(
            &shelf(&self.bucket, &self.layout),
            request,
            &StopFlag::default(),
        )
        .await?;
        Ok(std::fs::read(destination).unwrap())
    }
}

const NAME: &str = "000000010000000000000003";

#[tokio::test]
async fn a_segment_comes_back_in_every_codec() {
    for codec in Codec::ALL {
        let place = place();
        let path = place.file(NAME, &segment(3, 9));
        assert!(matches!(
            place.archive(&path, codec).await.unwrap(),
            Archived::Stored(_)
        ));
        let content = place.fetch(NAME, PartialPolicy::Accept).await.unwrap();
        assert_eq!(content, segment(3, 9), "{codec:?}");
    }
}

#[tokio::test]
async fn archiving_the_same_segment_again_is_success() {
    let place = place();
    let path = place.file(NAME, &segment(3, 9));
    place.archive(&path, Codec::Gzip).await.unwrap();
    let again = place.archive(&path, Codec::Gzip).await.unwrap();
    assert!(matches!(again, Archived::AlreadyThere(_)));
}

#[tokio::test]
async fn other_content_under_the_same_name_is_refused_and_the_stored_one_untouched() {
    let place = place();
    let path = place.file(NAME, &segment(3, 9));
    place.archive(&path, Codec::Zstd).await.unwrap();
    place.file(NAME, &segment(3, 8));
    let refused = place.archive(&path, Codec::Zstd).await;
    assert!(matches!(refused, Err(WalArchiveError::Conflict { .. })));
    assert_eq!(
        place.fetch(NAME, PartialPolicy::Accept).await.unwrap(),
        segment(3, 9)
    );
}

#[tokio::test]
async fn another_codec_does_not_hide_other_content() {
    let place = place();
    let path = place.file(NAME, &segment(3, 9));
    place.archive(&path, Codec::None).await.unwrap();
    let again = place.archive(&path, Codec::Gzip).await.unwrap();
    assert!(matches!(again, Archived::AlreadyThere(_)));
    place.file(NAME, &segment(3, 8));
    let refused = place.archive(&path, Codec::Gzip).await;
    assert!(matches!(refused, Err(WalArchiveError::Conflict { .. })));
}

#[tokio::test]
async fn a_segment_of_a_server_without_anything_is_told_from_the_end_of_an_archive() {
    let place = place();
    let nothing = place.fetch(NAME, PartialPolicy::Accept).await;
    assert!(matches!(nothing, Err(FetchError::NothingThere { .. })));
    let path = place.file(NAME, &segment(3, 9));
    place.archive(&path, Codec::None).await.unwrap();
    let end = place
        .fetch("000000010000000000000004", PartialPolicy::Accept)
        .await;
    assert!(matches!(end, Err(FetchError::NotFound { .. })));
}

#[tokio::test]
async fn a_file_that_is_not_a_sound_segment_never_reaches_the_store() {
    let (bucket, store) = bucket(Fault::None);
    let place = place_on(bucket);
    let truncated = &segment(3, 9)[..4096];
    let recycled = segment(2, 9);
    for content in [truncated, &recycled, &vec![0; SIZE as usize], b""] {
        let path = place.file(NAME, content);
        let refused = place.archive(&path, Codec::None).await;
        assert!(
            matches!(refused, Err(WalArchiveError::Segment { .. })),
            "{refused:?}"
        );
    }
    let path = place.file("notes.txt", b"hello");
    let refused = place.archive(&path, Codec::None).await;
    assert!(matches!(refused, Err(WalArchiveError::NotWal(_))));
    assert!(store.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_fails_acknowledges_nothing() {
    let place = place_on(bucket(Fault::Put).0);
    let path = place.file(NAME, &segment(3, 9));
    let failed = place.archive(&path, Codec::None).await;
    assert!(matches!(failed, Err(WalArchiveError::Store(_))));
}

#[tokio::test]
async fn a_complete_segment_wins_over_a_partial_one() {
    let place = place();
    let partial = place.file(&format!("{NAME}.partial"), &segment(3, 1));
    place.archive(&partial, Codec::Gzip).await.unwrap();
    assert_eq!(
        place.fetch(NAME, PartialPolicy::Accept).await.unwrap(),
        segment(3, 1)
    );
    let refused = place.fetch(NAME, PartialPolicy::Refuse).await;
    assert!(matches!(refused, Err(FetchError::NotFound { .. })));
    let whole = place.file(NAME, &segment(3, 2));
    place.archive(&whole, Codec::Lz4).await.unwrap();
    assert_eq!(
        place.fetch(NAME, PartialPolicy::Accept).await.unwrap(),
        segment(3, 2)
    );
}

#[tokio::test]
async fn a_backup_label_does_not_hide_or_stand_in_for_its_segment() {
    let place = place();
    let label = "START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n\
                 STOP WAL LOCATION: 0/3000100 (file 000000010000000000000003)\n\
                 CHECKPOINT LOCATION: 0/3000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n\
                 START TIME: 2026-11-21 08:10:44 UTC\nLABEL: x\nSTART TIMELINE: 1\n\
                 STOP TIME: 2026-11-21 08:10:45 UTC\nSTOP TIMELINE: 1\n";
    let path = place.file(&format!("{NAME}.00000028.backup"), label.as_bytes());
    place.archive(&path, Codec::Gzip).await.unwrap();
    let missing = place.fetch(NAME, PartialPolicy::Accept).await;
    assert!(matches!(missing, Err(FetchError::NotFound { .. })));
}

#[tokio::test]
async fn a_damaged_object_leaves_the_destination_alone() {
    let place = place();
    let key = place.layout.wal(&NAME.parse().unwrap(), Codec::None);
    let cut = segment(3, 9)[..SIZE as usize - 1].to_vec();
    place.bucket.write(&key, cut.into()).await.unwrap();
    let refused = place.fetch(NAME, PartialPolicy::Accept).await;
    assert!(matches!(refused, Err(FetchError::Segment { .. })));
    assert_eq!(
        std::fs::read_dir(place.directory.path()).unwrap().count(),
        0
    );
}

/// What lies in the directory beside the destination.
pub fn files_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_larger_than_its_header_says_is_cut_off_while_it_comes() {
    let place = place();
    let key = place.layout.wal(&NAME.parse().unwrap(), Codec::Zstd);
    // Little to send, much to unpack.
    let mut encoder = Encoder::create(Codec::Zstd, None, Vec::new()).unwrap();
    encoder.write_all(&segment(3, 9)).unwrap();
    for _ in 0..256 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    place.bucket.write(&key, bomb.into()).await.unwrap();
    let refused = place.fetch(NAME, PartialPolicy::Accept).await;
    let Err(FetchError::Segment { source, .. }) = refused else {
        panic!("{refused:?}")
    };
    let BadSegmentCause::Length { found, .. } = source.cause else {
        panic!("{source:?}")
    };
    assert!(found < 2 * u64::from(SIZE), "{found}");
    assert!(files_in(place.directory.path()).is_empty());

    let history = "00000002.history";
    let key = place.layout.wal(&history.parse().unwrap(), Codec::None);
    let long = vec![b'\n'; 2 << 20];
    place.bucket.write(&key, long.into()).await.unwrap();
    let refused = place.fetch(history, PartialPolicy::Accept).await;
    assert!(matches!(refused, Err(FetchError::TooLong { .. })));
}

#[tokio::test]
async fn what_a_killed_fetch_left_is_removed_and_a_stopped_one_leaves_nothing() {
    let place = place();
    let path = place.file(NAME, &segment(3, 9));
    place.archive(&path, Codec::Gzip).await.unwrap();
    place.file(".barman-RECOVERYXLOG.gone.tmp", b"half");
    let request = FetchRequest {
        name: NAME.parse().unwrap(),
        destination: place.directory.path().join("RECOVERYXLOG"),
        partial: PartialPolicy::Accept,
        longest_wait: Duration::ZERO,
    };
    let stop = StopFlag::default();
    stop.raise();
    let stopped = fetch_wal(&shelf(&place.bucket, &place.layout), request, &stop).await;
    assert!(matches!(stopped, Err(FetchError::Stopped)));
    assert_eq!(files_in(place.directory.path()), [NAME]);
}

#[tokio::test]
async fn what_cannot_be_compared_is_not_called_different() {
    let place = place();
    let path = place.file(NAME, &segment(3, 9));
    let key = place.layout.wal(&NAME.parse().unwrap(), Codec::Gzip);
    place.archive(&path, Codec::Gzip).await.unwrap();
    let whole = place.bucket.read(&key).await.unwrap();
    let half = whole.slice(..whole.len() / 2);
    place.bucket.write(&key, half).await.unwrap();
    let again = place.archive(&path, Codec::Gzip).await;
    assert!(
        matches!(again, Err(WalArchiveError::Compare { .. })),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_pipe_under_a_segments_name_is_refused_at_once() {
    let place = place();
    let path = place.directory.path().join(NAME);
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let refused = place.archive(&path, Codec::None).await;
    assert!(matches!(refused, Err(WalArchiveError::Content { .. })));
}

// wal-g#62: neither sees the other's object when it looks, for each has a key of its own.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_that_store_one_name_in_two_codecs_at_once_only_one_is_told_that_it_is_there()
{
    let (mut agreed, mut refused) = (0, 0);
    for round in 0..60 {
        let one = place();
        let other = place_on(one.bucket.clone());
        let same = round % 3 == 0;
        let contents = [segment(3, 1), segment(3, if same { 1 } else { 2 })];
        let paths = [one.file(NAME, &contents[0]), other.file(NAME, &contents[1])];
        let (first, second) = tokio::join!(
            one.archive(&paths[0], Codec::None),
            other.archive(&paths[1], Codec::Gzip)
        );
        let outcomes = [first.is_ok(), second.is_ok()];
        let stored = one.bucket.list("").await.unwrap();
        if same {
            assert_eq!(outcomes, [true, true], "{first:?} {second:?}");
            agreed += 1;
            continue;
        }
        for outcome in [first, second] {
            let conflict = matches!(outcome, Err(WalArchiveError::Conflict { .. }));
            assert!(outcome.is_ok() || conflict, "{outcome:?}");
        }
        match outcomes {
            [true, true] => panic!("round {round}: both are told that theirs is archived"),
            // Both took theirs away, and PostgreSQL will ask both again.
            [false, false] => assert!(stored.is_empty(), "{stored:?}"),
            [is_first, _] => {
                assert_eq!(stored.len(), 1, "{stored:?}");
                let fetched = one.fetch(NAME, PartialPolicy::Refuse).await.unwrap();
                assert!(fetched == contents[usize::from(!is_first)]);
            }
        }
        refused += 1;
    }
    assert_eq!((agreed, refused), (20, 40));
}

#[tokio::test]
async fn a_name_that_is_there_twice_is_compared_with_both() {
    let place = place();
    let path = place.file(NAME, &segment(3, 9));
    place.archive(&path, Codec::Gzip).await.unwrap();
    // An older release, or Barman, let another host put this here.
    let key = place.layout.wal(&NAME.parse().unwrap(), Codec::None);
    place
        .bucket
        .write(&key, segment(3, 8).into())
        .await
        .unwrap();
    for filler in [9, 8] {
        let path = place.file(NAME, &segment(3, filler));
        let refused = place.archive(&path, Codec::Zstd).await;
        assert!(
            matches!(refused, Err(WalArchiveError::Conflict { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(
        place.bucket.list("").await.unwrap().len(),
        2,
        "nothing of it is ours to delete"
    );
}
