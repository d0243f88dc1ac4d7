//! Deleting many objects with one request, and one by one where that does not do it.
//!
//! Some stores have no such request (Google's S3 interface, riak_cs), some want another header with
//! it, and some refuse it to accounts that may well delete. Whatever a request for many did not
//! delete is deleted singly, and what the store says to that counts. Always true: a store that
//! refused it once is not asked for it again.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{Error, Result};

use crate::failure::{ErrorKind, diagnose};
use crate::http::answer::said_in;

/// The two ways of one store.
pub(crate) trait DeletionWays: Send + Sync {
    /// With one request.
    fn many(&self, paths: Vec<Path>) -> BoxStream<'static, Result<Path>>;

    /// With a request for each.
    fn singly(&self, paths: Vec<Path>) -> BoxStream<'static, Result<Path>>;

    /// Whether a request for many could name these.
    fn may_be_sent(&self, paths: &[Path]) -> bool;

    /// Whether the store refused to delete many at once.
    fn is_refused(&self) -> &AtomicBool;
}

/// Deletes no more objects than a request can name.
pub(crate) async fn delete(
    ways: &impl DeletionWays,
    paths: Vec<Result<Path>>,
) -> Vec<Result<Path>> {
    let (known, mut unlisted): (Vec<_>, Vec<_>) = paths.into_iter().partition(Result::is_ok);
    let known: Vec<Path> = known.into_iter().flatten().collect();
    if !ways.may_be_sent(&known) || ways.is_refused().load(Ordering::Relaxed) {
        unlisted.extend(ways.singly(known).collect::<Vec<_>>().await);
        return unlisted;
    }
    let answers: Vec<_> = ways.many(known.clone()).collect().await;
    // A request that is refused as a whole has one answer, which may be that it is not there.
    let is_each_done = answers.len() == known.len() && answers.iter().all(is_done);
    let failure = answers.iter().find_map(|answer| answer.as_ref().err());
    let failure = failure.filter(|it| diagnose(*it).kind != ErrorKind::Unreachable);
    let Some(failure) = failure.filter(|_| !is_each_done) else {
        unlisted.extend(answers);
        return unlisted;
    };
    // A refusal of each object comes with a status that says that all is well.
    let is_refused = said_in(failure).is_none_or(|said| !said.status.is_success());
    // Who may delete nothing at all is told so after one request, not after a thousand.
    let mut known = known.into_iter();
    let first = ways.singly(known.by_ref().take(1).collect());
    let mut deleted: Vec<_> = first.collect().await;
    if deleted.iter().all(is_done) {
        deleted.extend(ways.singly(known.collect()).collect::<Vec<_>>().await);
        let all_done = deleted.iter().all(is_done);
        ways.is_refused()
            .fetch_or(is_refused && all_done, Ordering::Relaxed);
    }
    unlisted.extend(deleted);
    unlisted
}

/// In requests of so many objects, one after another.
pub(crate) fn in_chunks(
    ways: impl DeletionWays + Clone + 'static,
    most_at_once: usize,
    locations: BoxStream<'static, Result<Path>>,
) -> BoxStream<'static, Result<Path>> {
    locations
        .chunks(most_at_once)
        .then(move |paths| {
            let ways = ways.clone();
            async move { delete(&ways, paths).await }
        })
        .flat_map(stream::iter)
        .boxed()
}

/// What comes when there is no client to delete with.
pub(crate) fn only(error: Error) -> BoxStream<'static, Result<Path>> {
    stream::iter([Err(error)]).boxed()
}

fn is_done(answer: &Result<Path>) -> bool {
    matches!(answer, Ok(_) | Err(Error::NotFound { .. }))
}
