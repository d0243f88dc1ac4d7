//! Segments of another cluster: on their way into an archive, and out of one.

use std::path::Path;
use std::time::Duration;

use engine::stop::StopFlag;
use engine::wal::archive::{ArchiveRequest, WalTags, archive_wal};
use engine::wal::error::FetchError;
use engine::wal::error::WalArchiveError;
use engine::wal::fetch::{FetchRequest, PartialPolicy, fetch_wal};
use engine::wal::owner::OwnerNote;
use engine::wal::spool::{Spool, Taken};
use model::codec::Codec;
use model::wal::segment::BadSegmentCause;

use crate::stores::{Fault, bucket, shelf};
use crate::wal::{Place, SYSTEM, place, place_on, segment};

/// A segment of another cluster.
fn foreign(number: u64) -> Vec<u8> {
    let mut content = segment(number, 9);
    content[24..32].copy_from_slice(&(SYSTEM + 1).to_le_bytes());
    content
}

async fn archive(
    place: &Place,
    name: &str,
    content: &[u8],
    note: Option<&Path>,
) -> Result<(), WalArchiveError> {
    let request = ArchiveRequest {
        path: place.file(name, content),
        codec: Codec::Gzip,
        level: None,
        tags: WalTags::default(),
        owner: note.map(|folder| OwnerNote::open(folder, "us").unwrap()),
    };
    let archived = archive_wal(&shelf(&place.bucket, &place.layout), &request).await;
    archived.map(drop)
}

fn is_foreign(archived: &Result<(), WalArchiveError>) -> bool {
    matches!(archived, Err(WalArchiveError::ForeignArchive { .. }))
}

#[tokio::test]
async fn a_segment_of_another_cluster_is_not_archived_under_a_free_name() {
    let place = place();
    archive(&place, "000000010000000000000003", &segment(3, 1), None)
        .await
        .unwrap();
    for name in [
        "000000010000000000000004",
        "000000010000000000000002",
        "000000020000000000000004",
    ] {
        let number = name[23..].parse().unwrap();
        let refused = archive(&place, name, &foreign(number), None).await;
        assert!(is_foreign(&refused), "{name}: {refused:?}");
        archive(&place, name, &segment(number, 1), None)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_archive_that_two_clusters_share_already_is_not_closed_to_either() {
    let place = place();
    archive(&place, "000000010000000000000003", &segment(3, 1), None)
        .await
        .unwrap();
    let key = place
        .layout
        .wal(&"000000010000000000000008".parse().unwrap(), Codec::None);
    place.bucket.write(&key, foreign(8).into()).await.unwrap();
    // As one that pg_upgrade made goes on where its predecessor was.
    archive(&place, "000000010000000000000009", &foreign(9), None)
        .await
        .unwrap();
    archive(&place, "000000010000000000000004", &segment(4, 1), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn whose_archive_it_is_is_asked_once() {
    let (bucket, store) = bucket(Fault::None);
    let place = place_on(bucket);
    let notes = tempfile::tempdir().unwrap();
    let folder = notes.path().join("notes");
    archive(
        &place,
        "000000010000000000000003",
        &segment(3, 1),
        Some(&folder),
    )
    .await
    .unwrap();
    store.calls.lock().unwrap().clear();
    archive(
        &place,
        "000000010000000000000004",
        &segment(4, 1),
        Some(&folder),
    )
    .await
    .unwrap();
    let calls = store.calls.lock().unwrap().clone();
    assert!(
        calls.iter().all(|call| !call.starts_with("get")),
        "{calls:?}"
    );
    // The note is about one cluster.
    let refused = archive(
        &place,
        "000000010000000000000005",
        &foreign(5),
        Some(&folder),
    )
    .await;
    assert!(is_foreign(&refused), "{refused:?}");
}

#[tokio::test]
async fn a_neighbour_that_cannot_be_read_is_no_witness() {
    let place = place_on(bucket(Fault::Withheld("3.gz")).0);
    archive(&place, "000000010000000000000003", &segment(3, 1), None)
        .await
        .unwrap();
    archive(&place, "000000010000000000000004", &segment(4, 1), None)
        .await
        .unwrap();
    let key = place
        .layout
        .wal(&"000000010000000000000004".parse().unwrap(), Codec::Gzip);
    place.bucket.delete(&key).await.unwrap();
    archive(&place, "000000010000000000000004", &segment(4, 1), None)
        .await
        .unwrap();
}

/// A data directory of the cluster whose control file is the fixture's.
fn data_directory(place: &Place) -> (std::path::PathBuf, u64) {
    let data = place.directory.path().join("data");
    std::fs::create_dir_all(data.join("global")).unwrap();
    std::fs::create_dir_all(data.join("pg_wal")).unwrap();
    let fixture = "../model/fixtures/pg_control-15";
    let content = std::fs::read(fixture).unwrap();
    let system_id = u64::from_le_bytes(*content.first_chunk().unwrap());
    std::fs::write(data.join("global/pg_control"), content).unwrap();
    (data, system_id)
}

#[tokio::test]
async fn recovery_gets_segments_of_its_own_cluster_only() {
    let place = place();
    let (data, system_id) = data_directory(&place);
    let mut own = segment(4, 1);
    own[24..32].copy_from_slice(&system_id.to_le_bytes());
    for (name, content) in [("3", segment(3, 1)), ("4", own.clone())] {
        let name = format!("00000001000000000000000{name}");
        let key = place.layout.wal(&name.parse().unwrap(), Codec::None);
        place.bucket.write(&key, content.into()).await.unwrap();
    }
    let fetch = async |name: &str| {
        let request = FetchRequest {
            name: name.parse().unwrap(),
            destination: data.join("pg_wal/RECOVERYXLOG"),
            partial: PartialPolicy::Accept,
            longest_wait: Duration::ZERO,
        };
        fetch_wal(
            &shelf(&place.bucket, &place.layout),
            request,
            &StopFlag::default(),
        )
        .await
    };
    let refused = fetch("000000010000000000000003").await;
    let Err(FetchError::Segment { source, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        matches!(source.cause, BadSegmentCause::ForeignCluster { .. }),
        "{source}"
    );
    fetch("000000010000000000000004").await.unwrap();
    assert_eq!(
        std::fs::read(data.join("pg_wal/RECOVERYXLOG")).unwrap(),
        own
    );
}

#[tokio::test]
async fn a_spooled_segment_of_another_cluster_is_thrown_away() {
    let place = place();
    let (data, _) = data_directory(&place);
    let folder = place.directory.path().join("spool");
    let spool = Spool::open(folder.clone()).unwrap();
    let content = segment(3, 1);
    let name = format!("000000010000000000000003.{:08X}", crc32c::crc32c(&content));
    std::fs::write(folder.join(&name), content).unwrap();
    let wanted = "000000010000000000000003".parse().unwrap();
    let taken = spool
        .take(&wanted, &data.join("pg_wal/RECOVERYXLOG"))
        .unwrap();
    assert!(matches!(taken, Taken::Refused(_)), "{taken:?}");
    assert!(!folder.join(name).exists());
}
