//! A restore that is allowed less memory does less at a time.

use std::num::NonZeroUsize;
use std::time::Duration;

use engine::restore::{RestoreError, execute, plan};
use model::layout::Layout;
use model::restore::request::RestoreRequest;
use tokio::time::{sleep, timeout};

use crate::restore::{ID, finished, request, world};
use crate::stores::{Fault, bucket};

const ARCHIVES: usize = 9;
const MIB: u64 = 1 << 20;

/// How many archives eight jobs are reading when none of them is answered.
async fn archives_at_a_time(max_memory_bytes: Option<u64>) -> usize {
    let (bucket, store) = bucket(Fault::SilentReadOf(".tar.zst"));
    let layout = Layout::new("", "main").unwrap();
    let base = layout.base(&ID.parse().unwrap());
    bucket
        .write(&format!("{base}/data.tar.zst"), "".into())
        .await
        .unwrap();
    for number in 1..ARCHIVES {
        let key = format!("{base}/data_{number:04}.tar.zst");
        bucket.write(&key, "".into()).await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let (world, give_up) = world(bucket, layout);
    let request = RestoreRequest {
        jobs: NonZeroUsize::new(8).unwrap(),
        max_memory_bytes,
        ..request(directory.path())
    };
    let plan = plan(&request, &finished(), &world).await.unwrap();
    let planned = plan.effort.jobs;
    let restoring = tokio::spawn(async move { execute(plan, &world).await });
    let reads = || {
        let calls = store.calls.lock().unwrap();
        calls.iter().filter(|call| call.starts_with("get")).count()
    };
    let all_began = async {
        while reads() < planned {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), all_began).await.unwrap();
    // One too many would have been asked for by now, too.
    sleep(Duration::from_millis(100)).await;
    let found = reads();
    give_up.raise();
    let outcome = restoring.await.unwrap();
    assert!(matches!(outcome, Err(RestoreError::Cancelled)));
    found
}

#[tokio::test]
async fn fewer_archives_are_read_at_a_time_when_memory_is_limited() {
    assert_eq!(archives_at_a_time(None).await, 8);
    assert_eq!(archives_at_a_time(Some(1000 * MIB)).await, 8);
    assert_eq!(archives_at_a_time(Some(64 * MIB)).await, 2);
    assert_eq!(archives_at_a_time(Some(36 * MIB)).await, 1);
}
