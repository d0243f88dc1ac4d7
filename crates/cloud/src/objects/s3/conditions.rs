//! Writes on the condition that nothing is there, on stores that know conditions and on others.
//!
//! Found by what a store does: a conditional write that it refuses, and not for the object's sake,
//! is done by looking first. Then two writers at the same moment are not kept apart, which people
//! are told once. Always true: what is there is not written over without the store having said,
//! in its own words, that nothing is.

use std::sync::atomic::{AtomicBool, Ordering};

use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, Result,
};

use crate::http::answer::said_in;
use crate::http::persistence::Voice;
use crate::objects::s3_like::{UNCONFIRMED, is_refusal};

/// What is known about a store's conditions.
#[derive(Debug)]
pub(super) struct Conditions {
    are_refused: AtomicBool,
    voice: Voice,
}

/// Acknowledged, and yet not there.
#[derive(Debug, thiserror::Error)]
#[error("the store took {expected} bytes without a tag for them, and has {found}")]
struct Lost {
    expected: u64,
    found: u64,
}

impl Conditions {
    pub(super) fn new(voice: Voice) -> Conditions {
        Conditions {
            are_refused: AtomicBool::new(false),
            voice,
        }
    }

    /// Writes an object as the options say, or as near to it as the store can.
    pub(super) async fn put(
        &self,
        store: &AmazonS3,
        key: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let size = payload.content_length() as u64;
        let written = match &options.mode {
            PutMode::Overwrite => store.put_opts(key, payload, options).await,
            PutMode::Create => self.create(store, key, payload, options).await,
            PutMode::Update(_) => self.update(store, key, payload, options).await,
        }?;
        match written.e_tag.as_deref() {
            Some(UNCONFIRMED) if !key.as_ref().is_empty() => confirm(store, key, size).await,
            _ => Ok(written),
        }
    }

    async fn create(
        &self,
        store: &AmazonS3,
        key: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let plain = PutOptions {
            mode: PutMode::Overwrite,
            ..options.clone()
        };
        if !self.are_refused.load(Ordering::Relaxed) {
            let refused = match store.put_opts(key, payload.clone(), options).await {
                Err(error) if self.is_refusal(&error) => error,
                // A store may take any condition for one that does not hold.
                Err(error @ Error::AlreadyExists { .. }) => error,
                other => return other,
            };
            let is_known = matches!(refused, Error::AlreadyExists { .. });
            return match store.head(key).await {
                Ok(_) if is_known => Err(refused),
                Ok(_) => Err(exists(key, refused)),
                Err(Error::NotFound { .. }) => {
                    let written = store.put_opts(key, payload, plain).await?;
                    self.note(&refused);
                    Ok(written)
                }
                Err(error) => Err(error),
            };
        }
        match store.head(key).await {
            Ok(_) => Err(exists(key, "it was looked for before the write")),
            Err(Error::NotFound { .. }) => store.put_opts(key, payload, plain).await,
            Err(error) => Err(error),
        }
    }

    /// The engine compares by itself where a store does not.
    async fn update(
        &self,
        store: &AmazonS3,
        key: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let not_done = || Error::NotImplemented {
            operation: "a write in place of a version".into(),
            implementer: store.to_string(),
        };
        if self.are_refused.load(Ordering::Relaxed) {
            return Err(not_done());
        }
        match store.put_opts(key, payload, options).await {
            Err(error) if self.is_refusal(&error) => {
                self.note(&error);
                Err(not_done())
            }
            other => other,
        }
    }

    fn is_refusal(&self, error: &Error) -> bool {
        said_in(error).is_some_and(is_refusal)
    }

    fn note(&self, refused: &Error) {
        if self.are_refused.swap(true, Ordering::Relaxed) {
            return;
        }
        let cause = said_in(refused).map_or_else(
            || "it said that the object is there".into(),
            ToString::to_string,
        );
        self.voice.warn(&format!(
            "this store has no conditional writes ({cause}): each object is looked for before it \
             is written, and two that write the same one at the same moment are not kept apart"
        ));
    }
}

fn exists(key: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::AlreadyExists {
        path: key.to_string(),
        source: source.into(),
    }
}

/// A write without a tag in its answer is looked for.
async fn confirm(store: &AmazonS3, key: &Path, size: u64) -> Result<PutResult> {
    let found = store.head(key).await?;
    if found.size == size {
        return Ok(PutResult {
            e_tag: found.e_tag,
            version: None,
            extensions: Default::default(),
        });
    }
    Err(Error::Generic {
        store: "S3",
        source: Box::new(Lost {
            expected: size,
            found: found.size,
        }),
    })
}
