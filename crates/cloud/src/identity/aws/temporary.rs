//! Credentials that expire, and what gives them out.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use object_store::aws::AwsCredential;

use super::error::AwsIdentityError;

/// Credentials, and until when they hold.
pub(super) struct Temporary {
    pub(super) credential: Arc<AwsCredential>,
    pub(super) expires: Option<Timestamp>,
}

/// A service, or a program, that gives out credentials that expire.
#[async_trait]
pub(super) trait Issuer: std::fmt::Debug + Send + Sync {
    async fn issue(&self) -> Result<Temporary, AwsIdentityError>;
}

impl std::fmt::Debug for Temporary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Temporary {{ expires: {:?} }}", self.expires)
    }
}

impl Temporary {
    pub(super) fn holds_for(&self, time: SignedDuration, now: Timestamp) -> bool {
        self.expires
            .is_none_or(|expires| expires.duration_since(now) > time)
    }
}
