//! A segment that is not there although later ones are.

use std::time::Duration;

use engine::wal::error::FetchError;
use engine::wal::fetch::PartialPolicy;
use model::codec::Codec;

use crate::wal::{Place, files_in, place, segment};

const MISSING: &str = "000000010000000000000003";

impl Place {
    async fn put(&self, name: &str, content: Vec<u8>) {
        let key = self.layout.wal(&name.parse().unwrap(), Codec::None);
        self.bucket.write(&key, content.into()).await.unwrap();
    }

    async fn fetch_missing(&self) -> FetchError {
        let fetched = self.fetch(MISSING, PartialPolicy::Accept).await;
        assert_eq!(files_in(self.directory.path()).len(), 0);
        fetched.unwrap_err()
    }
}

#[tokio::test]
async fn a_segment_is_missing_when_a_later_one_of_its_timeline_is_there() {
    for later in [
        "000000010000000000000004",
        "0000000100000000000000FF",
        "000000010000000700000000",
        "000000010000000000000004.partial",
    ] {
        let place = place();
        place.put("000000010000000000000002", segment(2, 1)).await;
        place.put(later, b"whatever".to_vec()).await;
        let hole = place.fetch_missing().await;
        assert!(
            matches!(&hole, FetchError::Hole { later: it, .. } if it.contains(later)),
            "{hole}"
        );
    }
}

#[tokio::test]
async fn half_a_segment_does_not_stand_in_for_one_that_is_missing() {
    let place = place();
    place
        .put(&format!("{MISSING}.partial"), segment(3, 1))
        .await;
    place.fetch(MISSING, PartialPolicy::Accept).await.unwrap();
    std::fs::remove_file(place.directory.path().join("RECOVERYXLOG")).unwrap();
    place.put("000000010000000000000004", segment(4, 1)).await;
    let hole = place.fetch_missing().await;
    assert!(matches!(hole, FetchError::Hole { .. }), "{hole}");
}

#[tokio::test]
async fn the_log_ends_where_nothing_of_the_timeline_comes_after() {
    let place = place();
    place.put("000000010000000000000002", segment(2, 1)).await;
    place
        .put("000000010000000000000003.00000028.backup", b"x".to_vec())
        .await;
    place.put("000000020000000000000004", segment(4, 1)).await;
    place
        .put("00000002.history", b"1\t0/300000\tx\n".to_vec())
        .await;
    let end = place.fetch_missing().await;
    assert!(matches!(end, FetchError::NotFound { .. }), "{end}");
}

#[tokio::test]
async fn a_timeline_has_nothing_before_its_fork() {
    let place = place();
    // Segments of 1 MiB: the fork is in segment 4.
    place
        .put("00000002.history", b"1\t0/400100\tx\n".to_vec())
        .await;
    place.put("000000020000000000000006", segment(6, 1)).await;
    for (number, is_hole) in [(3, false), (4, true), (5, true)] {
        let name = format!("00000002000000000000000{number}");
        let fetched = place.fetch(&name, PartialPolicy::Accept).await.unwrap_err();
        assert_eq!(
            matches!(fetched, FetchError::Hole { .. }),
            is_hole,
            "{name}: {fetched}"
        );
    }
    // Whatever the history says, between two segments there is a third.
    place.put("000000020000000000000002", segment(2, 1)).await;
    let fetched = place
        .fetch("000000020000000000000003", PartialPolicy::Accept)
        .await;
    assert!(matches!(fetched, Err(FetchError::Hole { .. })));
}

#[tokio::test]
async fn a_segment_that_was_overtaken_on_its_way_is_waited_for() {
    let place = place();
    place.put("000000010000000000000004", segment(4, 1)).await;
    let arrives = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        place.put(MISSING, segment(3, 9)).await;
    };
    let (fetched, ()) = tokio::join!(place.fetch(MISSING, PartialPolicy::Accept), arrives);
    assert_eq!(fetched.unwrap(), segment(3, 9));
}

#[tokio::test]
async fn what_postgresql_has_itself_is_not_missing() {
    let place = place();
    place.put("000000010000000000000004", segment(4, 1)).await;
    place.file(MISSING, &segment(3, 9));
    let own = place
        .fetch(MISSING, PartialPolicy::Accept)
        .await
        .unwrap_err();
    assert!(matches!(own, FetchError::NotFound { .. }), "{own}");
    // An old segment that waits to be overwritten.
    place.file(MISSING, &segment(1, 9));
    let recycled = place
        .fetch(MISSING, PartialPolicy::Accept)
        .await
        .unwrap_err();
    assert!(matches!(recycled, FetchError::Hole { .. }), "{recycled}");
}

#[tokio::test]
async fn a_history_is_missing_when_segments_of_its_timeline_are_there() {
    let place = place();
    let end = place.fetch("00000002.history", PartialPolicy::Accept).await;
    assert!(matches!(end, Err(FetchError::NotFound { .. })));
    let name = "000000020000000000000005";
    place.put(name, b"whatever it is".to_vec()).await;
    let hole = place.fetch("00000002.history", PartialPolicy::Accept).await;
    assert!(matches!(hole, Err(FetchError::Hole { .. })), "{hole:?}");
    // The first timeline has no history, and the third is not there.
    for name in ["00000001.history", "00000003.history"] {
        let end = place.fetch(name, PartialPolicy::Accept).await;
        assert!(matches!(end, Err(FetchError::NotFound { .. })), "{name}");
    }
}

#[tokio::test]
async fn a_history_is_missing_when_a_later_one_is_there() {
    let place = place();
    let history = b"1\t0/400100\tx\n2\t0/500100\tx\n";
    place.put("00000002.history", history.to_vec()).await;
    let end = place.fetch("00000003.history", PartialPolicy::Accept).await;
    assert!(matches!(end, Err(FetchError::NotFound { .. })));
    place.put("00000004.history", history.to_vec()).await;
    let hole = place.fetch("00000003.history", PartialPolicy::Accept).await;
    assert!(matches!(hole, Err(FetchError::Hole { .. })));
    place
        .fetch("00000002.history", PartialPolicy::Accept)
        .await
        .unwrap();
}
