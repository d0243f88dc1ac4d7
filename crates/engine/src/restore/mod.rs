//! Restoring a base backup into an empty directory.
//!
//! Gather, plan (`model::restore::plan`), execute. The order makes any crash safe: archives are
//! extracted side by side, compared with the backup's manifest, flushed to disk, and only then is
//! `global/pg_control` put in place; without it PostgreSQL does not start. Nothing is written
//! before the plan is known to be possible.

mod claim;
mod configuration;
mod direct;
mod error;
mod extract;
mod finish;
mod gather;
mod jobs;
mod member_error;
mod pages;
mod place;
mod places;
mod read_ahead;
mod second_names;
mod verify;
mod world;
mod write_behind;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::backup::BackupInfo;
use model::backup::agreement::contradictions;
use model::restore::effort::Effort;
use model::restore::plan::{RestorePlan, plan_restore, target_directories};
use model::restore::request::{RestoreFacts, RestoreRequest, StoredObject};
use tokio::task::spawn_blocking;

pub use configuration::{Configuration, Lacking};
pub use error::{RestoreError, VerifyError};
pub use gather::{RestoreHazards, gather_hazards};
pub use member_error::ExtractError;
pub use pages::Damage;
pub use second_names::LinkPolicy;
pub use verify::{UnlistedPolicy, Verified};
pub use world::{RestoreWorld, Restored};

use crate::causes;
use crate::progress::{Event, Progress, Step, Warning};
use crate::store::key_of;
use claim::Claim;
use finish::finish;
use jobs::extract_all;
use places::place_facts;

/// Gathers the facts and decides what a restore would do; touches nothing.
///
/// # Errors
/// When the backup cannot be restored there, or the store or the file system cannot be asked.
pub async fn plan(
    request: &RestoreRequest,
    info: &BackupInfo,
    world: &RestoreWorld,
) -> Result<RestorePlan, RestoreError> {
    let prefix = format!("{}/", world.repository.bases.layout.base(&request.backup));
    let listed = world.repository.bases.bucket.list(&prefix).await?;
    let stored = |object: object_store::ObjectMeta| {
        let file = key_of(&object).strip_prefix(&prefix)?.to_owned();
        Some(StoredObject {
            file,
            size_bytes: object.size,
        })
    };
    let objects: Vec<_> = listed.into_iter().filter_map(stored).collect();
    let mut places = BTreeMap::new();
    for path in target_directories(request, info)? {
        let facts = place_facts(&path)?;
        places.insert(path, facts);
    }
    let known = RestoreFacts {
        source: world
            .repository
            .bases
            .bucket
            .address(prefix.trim_end_matches('/')),
        objects,
        places,
        account: rustix::process::geteuid().as_raw(),
    };
    let plan = plan_restore(request, info, &known)?;
    for contradiction in contradictions(info) {
        world.progress.event(Event::Warning(Warning::Contradiction {
            backup: request.backup,
            found: &contradiction,
        }));
    }
    if request.max_memory_bytes.is_some() {
        tell_effort(&plan, &*world.progress);
    }
    Ok(plan)
}

fn tell_effort(plan: &RestorePlan, progress: &dyn Progress) {
    let work = plan.work();
    let Effort { jobs, requests } = plan.effort;
    progress.event(Event::Step(Step::Effort {
        jobs: jobs.min(work.archives),
        requests,
        peak_bytes: plan.effort.peak_bytes(work),
    }));
}

/// Carries a plan out.
///
/// # Errors
/// See [`RestoreError`]; what was written stays, but cannot be started.
pub async fn execute(plan: RestorePlan, world: &RestoreWorld) -> Result<Restored, RestoreError> {
    world.progress.event(Event::Total {
        bytes: plan.download_bytes,
    });
    let claim = Arc::new(Claim::take(&plan)?);
    let extracted = extract_all(&plan, &claim, world).await?;
    let world = world.clone();
    let finished = spawn_blocking(move || finish(plan, &extracted, &claim, &world)).await;
    finished.map_err(|error| RestoreError::Worker(causes::of_worker(&error)))?
}
