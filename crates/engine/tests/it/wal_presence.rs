//! Looking for the WAL of a backup, whatever its record claims.

use bytes::Bytes;
use engine::store::Bucket;
use engine::wal::presence::{Header, is_of_system, missing_wal, read_header, still_missing};
use engine::wal::timelines::ways_from;
use model::backup::BackupInfo;
use model::codec::Codec;
use model::layout::Layout;
use model::postgres::{SegmentSize, SystemId};
use model::restore::forks::Way;
use model::wal::lsn::Lsn;
use model::wal::name::WalName;
use model::wal::span::WalRange;
use model::wal::timeline::TimelineId;

use crate::stores::{Fault, bucket, shelf};
use crate::wal::{SYSTEM, place, segment};

async fn archive(names: &[&str]) -> (Bucket, Layout) {
    let (bucket, _) = bucket(Fault::None);
    let layout = Layout::new("", "main").unwrap();
    for name in names {
        put(&bucket, &layout, name, Codec::Zstd, b"").await;
    }
    (bucket, layout)
}

async fn put(bucket: &Bucket, layout: &Layout, name: &str, codec: Codec, content: &'static [u8]) {
    let name: WalName = name.parse().unwrap();
    let key = layout.wal(&name, codec);
    bucket
        .write(&key, Bytes::from_static(content))
        .await
        .unwrap();
}

fn range(first: &str, last: &str) -> WalRange {
    WalRange {
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
        segment_size: SegmentSize::DEFAULT,
    }
}

#[tokio::test]
async fn segments_are_found_in_whatever_codec_and_directory() {
    let first = "0000000100000000000000FE";
    let (bucket, layout) = archive(&[first]).await;
    let second = "000000010000000100000000";
    put(&bucket, &layout, second, Codec::None, b"").await;
    let range = range(first, "000000010000000100000001");
    let missing = missing_wal(&shelf(&bucket, &layout), &range).await.unwrap();
    let told = "2 WAL files, from 0000000100000000000000FF on";
    assert_eq!(missing.to_string(), told);
    put(
        &bucket,
        &layout,
        "0000000100000000000000FF",
        Codec::Gzip,
        b"",
    )
    .await;
    let missing = still_missing(&shelf(&bucket, &layout), (&range, &missing))
        .await
        .unwrap();
    assert_eq!(missing.to_string(), "1 WAL file, 000000010000000100000001");
    put(&bucket, &layout, "000000010000000100000001", Codec::Xz, b"").await;
    let missing = still_missing(&shelf(&bucket, &layout), (&range, &missing))
        .await
        .unwrap();
    assert!(missing.is_empty());
}

/// A damaged record; counted out, the names of such a range fill any memory.
#[tokio::test]
async fn a_range_over_all_positions_is_compared_with_what_there_is() {
    let (bucket, layout) = archive(&["000000010000000000000001"]).await;
    let range = range("000000010000000000000001", "00000001FFFFFFFF000000FF");
    let missing = missing_wal(&shelf(&bucket, &layout), &range).await.unwrap();
    assert_eq!(missing.count(), (1 << 40) - 2);
    let first = missing.first().unwrap();
    assert_eq!(first.to_string(), "000000010000000000000002");
}

/// Barman records it so for a standby whose primary failed over while it was backed up.
#[tokio::test]
async fn a_range_over_two_timelines_is_asked_for_along_the_history() {
    let (first, last) = ("000000010000000000000003", "000000020000000000000005");
    let (bucket, layout) = archive(&[first, "000000020000000000000004", last]).await;
    let range = range(first, last);
    let missing = missing_wal(&shelf(&bucket, &layout), &range).await.unwrap();
    assert_eq!(missing.to_string(), "00000002.history");

    let history = b"1\t0/4000098\tno recovery target specified\n";
    put(&bucket, &layout, "00000002.history", Codec::None, history).await;
    let missing = still_missing(&shelf(&bucket, &layout), (&range, &missing))
        .await
        .unwrap();
    assert!(missing.is_empty(), "{missing}");

    let (bucket, layout) = archive(&[first, last]).await;
    put(&bucket, &layout, "00000002.history", Codec::None, history).await;
    let missing = missing_wal(&shelf(&bucket, &layout), &range).await.unwrap();
    assert_eq!(missing.to_string(), "1 WAL file, 000000020000000000000004");
}

/// Somebody promoted a copy without `archive_mode = off`, and the original lives on.
#[tokio::test]
async fn a_timeline_that_goes_on_after_it_was_left_is_found() {
    let info = BackupInfo {
        timeline: Some(TimelineId::new(1)),
        end_xlog: Some(Lsn::new(0x0300_0100)),
        ..BackupInfo::default()
    };
    let (bucket, layout) = archive(&["000000010000000000000004"]).await;
    let ways = || async {
        ways_from(&shelf(&bucket, &layout), &info)
            .await
            .unwrap()
            .unwrap()
    };
    assert_eq!(ways().await.way, Way::Straight);
    let history = b"1\t0/4000098\tno recovery target specified\n";
    put(&bucket, &layout, "00000002.history", Codec::None, history).await;
    let found = ways().await;
    assert!(matches!(&found.way, Way::Over(forks) if forks.len() == 1));
    assert_eq!(found.went_on, None);
    put(
        &bucket,
        &layout,
        "000000010000000000000005",
        Codec::Gzip,
        b"",
    )
    .await;
    let went_on = ways().await.went_on.unwrap();
    assert_eq!(
        (went_on.timeline, went_on.parent),
        (TimelineId::new(2), TimelineId::new(1))
    );
    let history = b"1\t0/2000098\tno recovery target specified\n";
    put(&bucket, &layout, "00000003.history", Codec::None, history).await;
    let newest = TimelineId::new(3);
    assert_eq!(ways().await.way, Way::Astray { newest });
}

#[tokio::test]
async fn a_segments_header_says_whose_it_is_whatever_the_codec() {
    for codec in Codec::ALL {
        let place = place();
        let name = "000000010000000000000003";
        let path = place.file(name, &segment(3, 1));
        place.archive(&path, codec).await.unwrap();
        let header = |name: &str| {
            let segment = name.parse().unwrap();
            let (bucket, layout) = (place.bucket.clone(), place.layout.clone());
            async move {
                read_header(&shelf(&bucket, &layout), segment)
                    .await
                    .unwrap()
            }
        };
        let found = header(name).await;
        assert_eq!(found, Header::Of(SystemId::new(SYSTEM)), "{codec:?}");
        let next = "000000010000000000000004";
        assert_eq!(header(next).await, Header::Absent, "{codec:?}");
        // Another segment's content under this name, and no segment at all.
        put(&place.bucket, &place.layout, next, codec, b"no segment").await;
        let found = header(next).await;
        assert!(matches!(found, Header::Damaged(_)), "{codec:?}: {found:?}");
    }
}

#[tokio::test]
async fn another_systems_wal_under_the_right_names_does_not_count() {
    let place = place();
    for number in [3, 4] {
        let name = format!("00000001000000000000000{number}");
        let path = place.file(&name, &segment(number, 1));
        place.archive(&path, Codec::Gzip).await.unwrap();
    }
    let mut range = range("000000010000000000000003", "000000010000000000000004");
    range.segment_size = SegmentSize::new(1 << 20).unwrap();
    let at = shelf(&place.bucket, &place.layout);
    for (system, expected) in [
        (Some(SYSTEM), true),
        (Some(SYSTEM + 1), false),
        (None, true),
    ] {
        let system = system.map(SystemId::new);
        let found = is_of_system(&at, &range, system).await.unwrap();
        assert_eq!(found, expected, "{system:?}");
    }
}
