//! Answers that a healthy store does not give: too many requests, a wrong clock, a bucket that
//! vanishes under a backup.

use testkit::proxy::{Fault, Rule};

use crate::faults::{Spoilt, large_cluster};
use crate::product::SERVER;
use crate::seen::{latest_status, refused};

#[test]
fn too_many_requests_are_waited_out() {
    let spoilt = Spoilt::new();
    let cluster = spoilt.store.archiving_cluster(15, "").start();
    for (skip, status) in [(0, 429), (5, 503), (11, 429)] {
        let busy = Rule::new(Fault::Refuse(status, "SlowDown"));
        spoilt.proxy.spoil(busy.after(skip).times(2));
    }
    spoilt.backup(&cluster, &[]).run().success();
    assert_eq!(latest_status(&spoilt.store), "DONE");
}

#[test]
fn a_wrong_clock_is_told_at_once_with_its_remedy() {
    let spoilt = Spoilt::new();
    let skewed = Rule::new(Fault::Refuse(403, "RequestTimeTooSkewed"));
    spoilt.proxy.spoil(skewed.always());
    let list = spoilt.store.command("barman-cloud-backup-list");
    let list = spoilt
        .through(list.args([&spoilt.store.url(), SERVER]))
        .run();
    refused(
        list,
        4,
        &["RequestTimeTooSkewed", "HINT: Set this machine's clock"],
    );
    assert_eq!(
        spoilt.proxy.requests().len(),
        2,
        "once more with a fresh signature; asking again would not help"
    );
}

#[test]
fn a_bucket_that_vanishes_under_a_backup_fails_it() {
    let spoilt = Spoilt::new();
    let cluster = large_cluster(&spoilt.store);
    let gone = || Rule::new(Fault::Refuse(404, "NoSuchBucket")).always();
    spoilt
        .proxy
        .spoil(gone().method("PUT").target_has("partNumber=").after(2));
    let finished = spoilt.backup(&cluster, &["-J", "1"]).run();
    refused(
        finished,
        1,
        &[
            &spoilt.store.url(),
            "NoSuchBucket",
            "HINT: Create the bucket",
        ],
    );
    assert_eq!(latest_status(&spoilt.store), "FAILED");
    spoilt.proxy.heal();
    spoilt.proxy.spoil(gone());
    let finished = spoilt.backup(&cluster, &[]).run();
    refused(finished, 4, &["NoSuchBucket"]);
}
