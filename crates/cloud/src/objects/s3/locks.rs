//! Locks on objects: a retention period, or a legal hold (AWS, "Locking objects with Object Lock").
//!
//! An object's head says both to accounts that may read them. A bucket with locks has versions:
//! a deletion would only hide a locked object, and be paid for until the lock ends.

use std::sync::Arc;

use async_trait::async_trait;
use engine::store::{Lock, Locks};
use jiff::Timestamp;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::HeaderMap;
use object_store::{GetOptions, ObjectStore, Result};

/// What the head of an object said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeenLock(Lock);

/// The lock in an answer's headers, if it still holds.
pub(super) fn read_headers(headers: &HeaderMap) -> Option<SeenLock> {
    let value = |name: &str| headers.get(name)?.to_str().ok();
    if value("x-amz-object-lock-legal-hold") == Some("ON") {
        return Some(SeenLock(Lock::Held));
    }
    value("x-amz-object-lock-mode")?;
    let until = value("x-amz-object-lock-retain-until-date")?;
    match until.parse::<Timestamp>() {
        Ok(until) if until <= Timestamp::now() => None,
        Ok(until) => Some(SeenLock(Lock::Until(until))),
        // Locked, but the store does not say for how long.
        Err(_) => Some(SeenLock(Lock::Held)),
    }
}

/// Asks for the head of an object.
#[derive(Debug)]
pub(super) struct Heads(pub(super) Arc<AmazonS3>);

#[async_trait]
impl Locks for Heads {
    async fn lock_of(&self, key: &Path) -> Result<Option<Lock>> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        match self.0.get_opts(key, options).await {
            Ok(head) => Ok(head.extensions.get::<SeenLock>().map(|seen| seen.0)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::signer::{HeaderName, HeaderValue};

    use super::*;

    fn lock(headers: &[(&'static str, &'static str)]) -> Option<Lock> {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        read_headers(&headers.collect()).map(|seen| seen.0)
    }

    #[test]
    fn a_hold_and_a_period_that_has_not_ended_are_locks() {
        const MODE: (&str, &str) = ("x-amz-object-lock-mode", "GOVERNANCE");
        const UNTIL: &str = "x-amz-object-lock-retain-until-date";
        const HOLD: &str = "x-amz-object-lock-legal-hold";
        let far = "2100-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(lock(&[]), None);
        assert_eq!(lock(&[(HOLD, "OFF")]), None);
        assert_eq!(lock(&[(HOLD, "ON")]), Some(Lock::Held));
        assert_eq!(
            lock(&[MODE, (UNTIL, "2100-01-01T00:00:00Z")]),
            Some(Lock::Until(far))
        );
        assert_eq!(lock(&[MODE, (UNTIL, "2001-01-01T00:00:00.000Z")]), None);
        assert_eq!(lock(&[MODE, (UNTIL, "some day")]), Some(Lock::Held));
    }
}
