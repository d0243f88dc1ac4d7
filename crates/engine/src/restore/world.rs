//! What every step of a restore works with, and what comes of it.

use std::sync::Arc;

use model::restore::plan::RestorePlan;

use super::configuration::Configuration;
use super::pages::Damage;
use super::second_names::LinkPolicy;
use super::verify::{UnlistedPolicy, Verified};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::stages::Stages;
use crate::stop::StopFlag;

/// What a restore works with.
#[derive(Clone)]
pub struct RestoreWorld {
    /// Where the backup is.
    pub repository: Repository,
    pub links: LinkPolicy,
    pub unlisted: UnlistedPolicy,
    pub progress: Arc<dyn Progress>,
    /// Where the time goes.
    pub stages: Arc<Stages>,
    /// Raised when the restore is to be given up.
    pub stop: StopFlag,
}

/// A finished restore.
#[derive(Debug)]
pub struct Restored {
    pub plan: RestorePlan,
    pub file_count: usize,
    pub verified: Verified,
    pub configuration: Configuration,
    /// Pages with wrong checksums, if only their checksums can tell.
    pub damage: Damage,
}
