//! Multipart uploads: an object appears whole or not at all.

use std::io::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use engine::stop::StopFlag;
use engine::upload::{Destination, PartWire, PartWriter, Uploaded, upload};
use object_store::TagSet;

use crate::stores::{Fault, bucket};

const PART: usize = 64 * 1024;
fn untagged(key: &str) -> Destination<'_> {
    static NO_TAGS: LazyLock<TagSet> = LazyLock::new(TagSet::default);
    Destination {
        key,
        tags: &NO_TAGS,
    }
}

async fn upload_bytes(
    fault: Fault,
    bytes: usize,
    finish: bool,
) -> (bool, Vec<String>, Vec<String>) {
    let (bucket, store) = bucket(fault);
    let (mut writer, queue) = PartWire::new(2, &Arc::default()).open(PART);
    let write = tokio::task::spawn_blocking(move || {
        writer.write_all(&vec![7; bytes])?;
        if finish { writer.finish() } else { Ok(()) }
    });
    let never = StopFlag::default();
    let (uploaded, _written) = tokio::join!(upload(&bucket, untagged("k"), queue, &never), write);
    let complete =
        matches!(uploaded, Ok(Uploaded::Complete { bytes: sent }) if sent == bytes as u64);
    let calls = store.calls.lock().unwrap().clone();
    (complete, store.keys().await, calls)
}

#[tokio::test]
async fn a_finished_upload_is_there_with_all_its_bytes() {
    for bytes in [0, 1, PART, 10 * PART + 1] {
        let (complete, keys, _) = upload_bytes(Fault::None, bytes, true).await;
        assert!(complete, "{bytes} bytes");
        assert_eq!(keys, ["k"]);
    }
}

#[tokio::test]
async fn a_writer_that_goes_away_leaves_nothing() {
    let (complete, keys, calls) = upload_bytes(Fault::None, 10 * PART, false).await;
    assert!(!complete);
    assert!(keys.is_empty());
    assert!(calls.contains(&"abort".to_owned()));
}

// scylladb#19533: the second completion is told that there is no such upload.
#[tokio::test]
async fn an_upload_whose_last_answer_was_lost_is_complete_when_the_object_is_there() {
    let (complete, keys, calls) = upload_bytes(Fault::LostComplete, 2 * PART, true).await;
    assert!(complete);
    assert_eq!(keys, ["k"]);
    assert!(!calls.contains(&"abort".to_owned()), "{calls:?}");
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_leaves_nothing() {
    for fault in [Fault::Part(1), Fault::Part(7), Fault::Complete] {
        let (complete, keys, calls) = upload_bytes(fault, 10 * PART, true).await;
        assert!(!complete, "{fault:?}");
        assert!(keys.is_empty(), "{fault:?}");
        assert!(calls.contains(&"abort".to_owned()), "{fault:?}");
    }
}

#[tokio::test]
async fn a_raised_flag_ends_an_upload_that_gets_no_answer() {
    for fault in [Fault::SilentPart, Fault::SilentComplete] {
        let (bucket, store) = bucket(fault);
        let (mut writer, queue) = PartWire::new(2, &Arc::default()).open(PART);
        let write = tokio::task::spawn_blocking(move || {
            writer.write_all(&vec![7; 10 * PART])?;
            writer.finish()
        });
        let stop = StopFlag::default();
        let raise = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stop.raise();
        };
        let (uploaded, _written, ()) =
            tokio::join!(upload(&bucket, untagged("k"), queue, &stop), write, raise);
        assert_eq!(uploaded.unwrap(), Uploaded::Abandoned);
        assert!(store.keys().await.is_empty());
        assert!(store.calls.lock().unwrap().contains(&"abort".to_owned()));
    }
}

/// Writes so many parts on a thread; what it returns says whether that went well.
fn write(mut writer: PartWriter, parts: usize) -> tokio::task::JoinHandle<std::io::Result<()>> {
    tokio::task::spawn_blocking(move || {
        writer.write_all(&vec![7; parts * PART])?;
        writer.finish()
    })
}

#[tokio::test]
async fn the_uploads_of_a_job_share_the_places_on_the_wire() {
    let wire = PartWire::new(2, &Arc::default());
    let (first, first_queue) = wire.open(PART);
    let (second, second_queue) = wire.open(PART);
    write(first, 2).await.unwrap().unwrap();
    let second = write(second, 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished(), "both places are taken");
    let (bucket, _) = bucket(Fault::None);
    let never = StopFlag::default();
    let uploaded = upload(&bucket, untagged("k"), first_queue, &never).await;
    assert!(matches!(uploaded, Ok(Uploaded::Complete { .. })));
    second.await.unwrap().unwrap();
    drop(second_queue);
}

#[tokio::test]
async fn writers_on_a_wire_that_was_cut_fail() {
    let wire = PartWire::new(1, &Arc::default());
    let (writer, _queue) = wire.open(PART);
    let writing = write(writer, 2);
    wire.cut();
    assert!(writing.await.unwrap().is_err());
}

#[tokio::test]
async fn a_writer_whose_upload_has_ended_fails() {
    let wire = PartWire::new(1, &Arc::default());
    let (writer, queue) = wire.open(PART);
    drop(queue);
    assert!(write(writer, 2).await.unwrap().is_err());
}

/// A part that is queued in the very moment in which the upload ends must not keep its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_never_waits_for_an_upload_that_ended_while_it_wrote() {
    for spins in 0..2_000 {
        let wire = PartWire::new(1, &Arc::default());
        let (mut writer, queue) = wire.open(16);
        let writing = tokio::task::spawn_blocking(move || writer.write_all(&[7; 64]));
        for _ in 0..spins % 400 {
            std::hint::spin_loop();
        }
        drop(queue);
        let ended = tokio::time::timeout(Duration::from_secs(20), writing).await;
        assert!(ended.expect("the writer hangs").unwrap().is_err());
    }
}
