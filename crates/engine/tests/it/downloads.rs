//! Reading objects: whole and in order, in one request or in several, or not at all.

use std::io::Read;
use std::sync::Arc;

use engine::download::{Download, Object, Watch, open_download, open_in_ranges};
use engine::stages::Stage;
use engine::store::Bucket;
use tokio::task::spawn_blocking;

use crate::stores::{Fault, bucket, bucket_on};

/// Two ranges and a half.
const LARGE: usize = 80 << 20;
/// Four ranges.
const LARGER: usize = 128 << 20;

fn content(size: usize) -> Vec<u8> {
    (0..size / 4)
        .flat_map(|n| (n as u32).to_le_bytes())
        .collect()
}

async fn store(bucket: &Bucket, content: Vec<u8>) {
    bucket.write("k", content.into()).await.unwrap();
}

fn object(size: usize) -> Object<'static> {
    Object {
        key: "k",
        size_bytes: size as u64,
        requests: 2,
    }
}

async fn open(bucket: &Bucket, size: usize) -> Download {
    let opened = open_in_ranges(bucket, object(size), &Watch::default()).await;
    opened.unwrap()
}

async fn read_to_end(mut download: Download) -> std::io::Result<Vec<u8>> {
    let read = spawn_blocking(move || {
        let mut found = Vec::new();
        download.read_to_end(&mut found).map(|_| found)
    });
    read.await.unwrap()
}

#[tokio::test]
async fn a_large_object_comes_in_several_requests_and_in_order() {
    let (bucket, faulty) = bucket(Fault::None);
    store(&bucket, content(LARGE)).await;
    let found = read_to_end(open(&bucket, LARGE).await).await.unwrap();
    assert!(found == content(LARGE));
    let calls = faulty.calls.lock().unwrap().clone();
    assert_eq!(calls, ["put k", "get k", "get k", "get k"]);
}

/// How many requests bring one object, and then another.
async fn requests_of_two(fault: Fault) -> [usize; 2] {
    let (bucket, faulty) = bucket(fault);
    let expected = content(LARGER);
    store(&bucket, expected.clone()).await;
    let watch = Watch::default();
    let mut requests = [0; 2];
    for count in &mut requests {
        faulty.calls.lock().unwrap().clear();
        let opened = open_in_ranges(&bucket, object(LARGER), &watch).await;
        assert!(read_to_end(opened.unwrap()).await.unwrap() == expected);
        *count = faulty.calls.lock().unwrap().len();
    }
    requests
}

#[tokio::test]
async fn from_a_fast_store_the_rest_of_an_object_and_the_next_one_come_in_one_request() {
    assert_eq!(requests_of_two(Fault::None).await, [3, 1]);
}

#[tokio::test]
async fn from_a_slow_store_every_object_comes_in_many_requests() {
    assert_eq!(requests_of_two(Fault::SlowAnswers).await, [4, 4]);
}

#[tokio::test]
async fn a_large_object_comes_in_one_request_where_no_more_are_allowed() {
    let (bucket, faulty) = bucket(Fault::None);
    store(&bucket, content(LARGE)).await;
    let object = Object {
        requests: 1,
        ..object(LARGE)
    };
    let opened = open_in_ranges(&bucket, object, &Watch::default()).await;
    assert!(read_to_end(opened.unwrap()).await.unwrap() == content(LARGE));
    let calls = faulty.calls.lock().unwrap().clone();
    assert_eq!(calls, ["put k", "get k"]);
}

#[tokio::test]
async fn the_pace_of_a_fast_store_is_judged_again_from_time_to_time() {
    let (bucket, faulty) = bucket(Fault::None);
    let size = 600 << 20;
    store(&bucket, vec![0; size]).await;
    let mut download = open(&bucket, size).await;
    let count = move || std::io::copy(&mut download, &mut std::io::sink());
    let read = spawn_blocking(count).await.unwrap();
    assert_eq!(read.unwrap(), size as u64);
    // Two of 32 MiB, two of 256, and the rest.
    assert_eq!(faulty.calls.lock().unwrap().len(), 1 + 5);
}

#[tokio::test]
async fn an_object_comes_whole_however_often_its_answers_break_off() {
    for (requests, gets) in [(1, 16), (2, 18)] {
        let (bucket, faulty) = bucket(Fault::AnswersBreakOffAfter(5 << 20));
        store(&bucket, content(LARGE)).await;
        let object = Object {
            requests,
            ..object(LARGE)
        };
        let opened = open_in_ranges(&bucket, object, &Watch::default()).await;
        assert!(read_to_end(opened.unwrap()).await.unwrap() == content(LARGE));
        assert_eq!(faulty.calls.lock().unwrap().len(), 1 + gets);
    }
}

#[tokio::test]
async fn answers_that_bring_hardly_anything_are_an_error() {
    for size in [4 << 20, LARGE] {
        let (bucket, _) = bucket(Fault::AnswersBreakOffAfter(4096));
        store(&bucket, content(size)).await;
        let error = read_to_end(open(&bucket, size).await).await.unwrap_err();
        let expected = "cannot read the rest of memory://bucket/k";
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_small_object_comes_in_one_request() {
    let (bucket, faulty) = bucket(Fault::None);
    store(&bucket, content(4096)).await;
    let found = read_to_end(open(&bucket, 4096).await).await.unwrap();
    assert_eq!(found, content(4096));
    assert_eq!(faulty.calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_object_that_is_replaced_in_the_middle_is_an_error() {
    let (bucket, _) = bucket(Fault::None);
    store(&bucket, content(LARGE)).await;
    let download = open(&bucket, LARGE).await;
    store(&bucket, vec![7; LARGE]).await;
    let error = read_to_end(download).await.unwrap_err();
    assert!(error.to_string().contains("replaced"), "{error}");
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_is_an_error() {
    for reads in [1, 2] {
        let inner = Arc::default();
        let (sound, _) = bucket_on(Arc::clone(&inner), Fault::None);
        store(&sound, content(LARGE)).await;
        let (failing, _) = bucket_on(inner, Fault::ReadsAfter(reads));
        let error = read_to_end(open(&failing, LARGE).await).await.unwrap_err();
        assert!(error.to_string().contains("memory://bucket/k"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_short_is_an_error() {
    let (bucket, _) = bucket(Fault::ShortAnswers);
    for size in [4096, LARGE] {
        store(&bucket, content(size)).await;
        let error = read_to_end(open(&bucket, size).await).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    }
}

#[tokio::test]
async fn a_raised_flag_ends_reading() {
    let (bucket, _) = bucket(Fault::None);
    store(&bucket, content(LARGE)).await;
    let watch = Watch::default();
    watch.stop.raise();
    let whole = open_download(&bucket, "k", &watch).await.unwrap();
    let ranges = open_in_ranges(&bucket, object(LARGE), &watch).await;
    for download in [whole, ranges.unwrap()] {
        let error = read_to_end(download).await.unwrap_err();
        assert_eq!(error.to_string(), "stopped");
    }
}

#[tokio::test]
async fn what_came_is_counted() {
    let (bucket, _) = bucket(Fault::None);
    store(&bucket, content(LARGE)).await;
    let watch = Watch::default();
    let download = open_in_ranges(&bucket, object(LARGE), &watch).await;
    read_to_end(download.unwrap()).await.unwrap();
    assert_eq!(watch.stages.of(Stage::Download).bytes, LARGE as u64);
}

#[tokio::test]
async fn a_large_object_of_a_store_without_ranges_comes_in_one_request() {
    let (bucket, faulty) = bucket(Fault::Ranges);
    store(&bucket, content(LARGE)).await;
    let found = read_to_end(open(&bucket, LARGE).await).await.unwrap();
    assert!(found == content(LARGE));
    let calls = faulty.calls.lock().unwrap().clone();
    assert_eq!(calls, ["put k", "get k", "get k"]);
}
