//! A local directory as a place for objects; the store itself is `crate::directory`.

use std::fs;
use std::path::Path;

use async_trait::async_trait;
use engine::store::Bucket;

use super::create::{CreateError, Creation};
use super::open_error::OpenError;
use super::place::ObjectPlace;
use crate::directory::{self, MissingDirectory};

/// A directory that is a bucket.
pub(crate) struct DirectoryPlace<'a> {
    pub(crate) path: &'a Path,
    pub(crate) url: String,
}

#[async_trait]
impl ObjectPlace for DirectoryPlace<'_> {
    fn address(&self) -> Result<String, OpenError> {
        let real = self.path.canonicalize();
        let real = real.map_err(|error| MissingDirectory::of(self.path, &error))?;
        Ok(real.display().to_string())
    }

    fn open(&self) -> Result<Bucket, OpenError> {
        Ok(directory::open(self.path, self.url.clone())?)
    }

    async fn open_or_create(&self) -> Result<(Bucket, Creation), CreateError> {
        let creation = if self.path.is_dir() {
            Creation::WasThere
        } else {
            Creation::Created
        };
        // Opening it tells a file in its place from a directory.
        let made = fs::create_dir_all(self.path);
        let made = made.map_err(|error| MissingDirectory::of(self.path, &error));
        made.map_err(OpenError::from)?;
        Ok((self.open()?, creation))
    }
}
