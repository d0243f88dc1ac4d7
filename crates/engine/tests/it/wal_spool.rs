//! Fetching ahead: what a spool hands out, what it never does, and how the process that fills it
//! ends.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use engine::stop::StopFlag;
use engine::wal::error::FetchError;
use engine::wal::prefetch::{Ended, PrefetchRequest, prefetch};
use engine::wal::spool::{Spool, Taken};
use model::codec::Codec;
use model::postgres::SegmentSize;
use model::wal::name::SegmentName;

use crate::wal::{Place, SIZE, files_in, place, segment};

use crate::stores::shelf;

/// The last segments of a log and the first of the next, of 1 MiB each.
const NUMBERS: std::ops::Range<u64> = 4090..4102;

fn name_of(number: u64) -> SegmentName {
    let text = format!("00000001{:08X}{:08X}", number / 4096, number % 4096);
    text.parse().unwrap()
}

/// An archive with all of [`NUMBERS`], and a spool for it.
async fn archive_and_spool(codec: Codec) -> (Place, Spool) {
    let place = place();
    for number in NUMBERS {
        let path = place.file(&name_of(number).to_string(), &segment(number, number as u8));
        place.archive(&path, codec).await.unwrap();
        fs::remove_file(path).unwrap();
    }
    let spool = Spool::open(place.directory.path().join("spool")).unwrap();
    (place, spool)
}

async fn fill(place: &Place, spool: &Spool, stop: &StopFlag) -> Result<Ended, FetchError> {
    let request = PrefetchRequest {
        segment_size: SegmentSize::new(u64::from(SIZE)).unwrap(),
        segment_count: 4,
    };
    prefetch(
        &shelf(&place.bucket, &place.layout),
        (spool, &request),
        stop,
    )
    .await
}

fn destination(place: &Place) -> PathBuf {
    place.directory.path().join("RECOVERYXLOG")
}

/// Fills the spool for recovery that is at the first segment, and stops.
async fn filled(place: &Place, spool: &Spool) {
    spool.note_position(&name_of(NUMBERS.start)).unwrap();
    let stop = StopFlag::default();
    let stop_when_full = async {
        while spool.held().unwrap().len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.raise();
    };
    let (ended, ()) = tokio::join!(fill(place, spool, &stop), stop_when_full);
    assert_eq!(ended.unwrap(), Ended::Stopped);
}

async fn taken(place: &Place, spool: &Spool, number: u64) -> Taken {
    let (spool, destination) = (spool.clone(), destination(place));
    let taking = move || spool.take(&name_of(number), &destination).unwrap();
    tokio::task::spawn_blocking(taking).await.unwrap()
}

#[tokio::test]
async fn recovery_that_is_followed_gets_every_segment_from_the_spool() {
    let (place, spool) = archive_and_spool(Codec::Zstd).await;
    spool.note_position(&name_of(NUMBERS.start)).unwrap();
    let stop = StopFlag::default();
    let recover = async {
        for number in NUMBERS.skip(1) {
            while !matches!(taken(&place, &spool, number).await, Taken::Placed(_)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let content = fs::read(destination(&place)).unwrap();
            assert_eq!(content, segment(number, number as u8), "{number}");
            assert!(spool.held().unwrap().len() <= 5);
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), recover);
    let (ended, recovered) = tokio::join!(fill(&place, &spool, &stop), in_time);
    assert_eq!(ended.unwrap(), Ended::NothingMore);
    recovered.unwrap();
    assert!(spool.held().unwrap().is_empty());
}

#[tokio::test]
async fn a_stopped_prefetch_leaves_whole_segments_and_nothing_else() {
    let (place, spool) = archive_and_spool(Codec::None).await;
    fs::write(spool.folder().join(".barman-x.gone.tmp"), "half").unwrap();
    filled(&place, &spool).await;
    let held = spool.held().unwrap();
    let expected = (1..5).map(|ahead| name_of(NUMBERS.start + ahead));
    assert!(held.into_iter().eq(expected));
    assert_eq!(files_in(spool.folder()).len(), 5, "four and the position");
}

#[tokio::test]
async fn what_was_spoilt_in_the_spool_is_never_handed_out() {
    let (place, spool) = archive_and_spool(Codec::Gzip).await;
    filled(&place, &spool).await;
    let file_of = |number: u64| {
        let begin = format!("{}.", name_of(number));
        let files = files_in(spool.folder()).into_iter();
        let name = { files }.find(|name| name.starts_with(&begin)).unwrap();
        spool.folder().join(name)
    };
    let first = NUMBERS.start + 1;
    // A flipped bit far from the header; a lost end; another segment's content; too old.
    let mut content = fs::read(file_of(first)).unwrap();
    content[SIZE as usize - 1] ^= 1;
    fs::write(file_of(first), content).unwrap();
    let cut = File::options().write(true).open(file_of(first + 1));
    cut.unwrap().set_len(u64::from(SIZE) / 2).unwrap();
    fs::copy(file_of(first + 3), file_of(first + 2)).unwrap();
    let old = File::options().write(true).open(file_of(first + 3));
    let long_ago = SystemTime::now() - Duration::from_secs(3 * 3600);
    old.unwrap().set_modified(long_ago).unwrap();
    for number in first..first + 4 {
        let refused = taken(&place, &spool, number).await;
        assert!(matches!(refused, Taken::Refused(_)), "{refused:?}");
        assert!(!destination(&place).exists());
        let gone = taken(&place, &spool, number).await;
        assert!(matches!(gone, Taken::Absent), "{gone:?}");
    }
}

#[tokio::test]
async fn a_segment_that_nobody_finishes_is_not_waited_for() {
    let (place, spool) = archive_and_spool(Codec::None).await;
    let name = name_of(NUMBERS.start + 1);
    fs::write(
        spool.folder().join(format!(".barman-{name}.gone.tmp")),
        "half",
    )
    .unwrap();
    let began = SystemTime::now();
    let absent = taken(&place, &spool, NUMBERS.start + 1).await;
    assert!(matches!(absent, Taken::Absent));
    assert!(began.elapsed().unwrap() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_damaged_object_ends_the_prefetch_and_is_not_kept() {
    let (place, spool) = archive_and_spool(Codec::None).await;
    let third = name_of(NUMBERS.start + 3);
    let key = place
        .layout
        .wal(&third.to_string().parse().unwrap(), Codec::None);
    let damaged = segment(NUMBERS.start + 4, 0);
    place.bucket.write(&key, damaged.into()).await.unwrap();
    spool.note_position(&name_of(NUMBERS.start)).unwrap();
    let ended = fill(&place, &spool, &StopFlag::default()).await;
    assert!(matches!(ended, Err(FetchError::Segment { .. })));
    assert!(!spool.held().unwrap().contains(&third));
}

#[tokio::test]
async fn a_spool_that_is_taken_away_ends_the_prefetch() {
    let (place, spool) = archive_and_spool(Codec::None).await;
    spool.note_position(&name_of(NUMBERS.start)).unwrap();
    let stop = StopFlag::default();
    let remove = async {
        while spool.held().is_ok_and(|held| held.len() < 4) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fs::remove_dir_all(spool.folder()).unwrap();
    };
    let (ended, ()) = tokio::join!(fill(&place, &spool, &stop), remove);
    assert_eq!(ended.unwrap(), Ended::Idle);
}

#[test]
fn one_process_at_a_time_fills_a_spool_and_none_while_it_rests() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::open(place.path().join("spool")).unwrap();
    let lock = spool.lock().unwrap();
    assert!(spool.lock().is_none());
    assert!(spool.adopt(&lock.0).is_some());
    spool.note_trouble("the disk is full");
    lock.rest_for(Duration::from_secs(60));
    drop(lock);
    assert!(spool.lock().is_none());
    assert_eq!(spool.trouble().as_deref(), Some("the disk is full"));
    let stranger = File::create(place.path().join("other")).unwrap();
    assert!(spool.adopt(&stranger).is_none());
}
