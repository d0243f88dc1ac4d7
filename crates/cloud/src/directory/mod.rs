//! A local directory as a bucket: `file:///directory`, ours, the embedded default.
//!
//! A key is a relative path, byte for byte: nothing is encoded. Bytes go to `name#1`, are fsynced,
//! renamed (or hard-linked, for create-only) into place, and the directory is fsynced before
//! success is said: so a visible object is a complete and durable one. Deletions are fsynced too,
//! and directories that become empty go. Files get the mode that the process's umask leaves of
//! 0666; [`private_umask`] says which umask keeps a database's bytes to those who may have them.
//! The work is `object_store`'s `LocalFileSystem`; here its errors get the file's name, deleting
//! what is not there succeeds, as it does on S3, and what is no plain file is neither taken for
//! absent nor replaced.

mod access;
mod heir;
mod list;
mod lock;
mod missing;
mod what;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use engine::store::Bucket;
use engine::strangers::PassedOver;
use futures_util::stream::{BoxStream, StreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, UpdateVersion, UploadPart,
};

pub(crate) use access::NotPermitted;
pub use missing::MissingDirectory;

use self::heir::Heir;
use self::what::Purpose;

/// The name of this store in errors.
const STORE: &str = "directory";
/// A file takes parts of any size; this keeps the engine's parts as they are on S3.
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;
/// As on S3, so that a catalogue can be copied from a directory to a bucket.
const MAX_PARTS: u64 = 10_000;
/// How many deletions run at a time.
const PARALLEL_DELETIONS: usize = 8;

/// Opens `path` as a bucket; the directory must exist.
pub(crate) fn open(path: &FilePath, url: String) -> std::result::Result<Bucket, MissingDirectory> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(MissingDirectory::new(path, "it is not a directory")),
        Err(error) => return Err(MissingDirectory::of(path, &error)),
    }
    let files = LocalFileSystem::new_with_prefix(path)
        .map_err(|error| MissingDirectory::new(path, error.to_string()))?
        .with_fsync(true)
        .with_automatic_cleanup(true);
    let store = Arc::new(Directory {
        root: path.into(),
        files,
    });
    Ok(Bucket {
        objects: store.clone(),
        lister: store,
        url,
        min_part_size: MIN_PART_SIZE,
        max_parts: MAX_PARTS,
        locks: None,
        passed_over: PassedOver::default(),
    })
}

/// The umask to write with below this directory: nothing for others, ever; for the group what the
/// directory gives it, if it is closed to others. An open directory (0755) says nothing about the
/// group: every umask of 022 makes one.
pub(crate) fn private_umask(path: &FilePath) -> u32 {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.mode());
    match mode & 0o007 {
        0 => !mode & 0o070 | 0o007,
        _ => 0o077,
    }
}

#[derive(Clone, Debug)]
struct Directory {
    root: PathBuf,
    files: LocalFileSystem,
}

/// An error of a file operation, with the file's name.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: {source}", path.display())]
struct FileError {
    verb: &'static str,
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Directory {
    fn file(&self, key: &Path) -> PathBuf {
        self.root.join(key.as_ref())
    }

    /// Puts the file's name into errors that lack it; typed ones stay what they are.
    fn named(&self, verb: &'static str, key: &Path, error: Error) -> Error {
        named(verb, self.file(key), error)
    }

    /// Writes a file in place of the version that was read, and of no other. Whoever replaces or
    /// deletes a file holds the lock of its folder meanwhile.
    async fn replace(
        &self,
        key: &Path,
        payload: PutPayload,
        (version, options): (UpdateVersion, PutOptions),
    ) -> Result<PutResult> {
        let file = self.file(key);
        let lock = on_blocking_thread(move || lock::of_folder(&file)).await?;
        // Without a lock the caller compares by itself, as well as it can.
        let _lock = lock.ok_or_else(|| Error::NotImplemented {
            operation: "a write in place of a version".into(),
            implementer: STORE.into(),
        })?;
        if self.files.head(key).await?.e_tag != version.e_tag {
            return Err(Error::Precondition {
                path: key.to_string(),
                source: "it has changed since it was read".into(),
            });
        }
        let options = PutOptions {
            mode: PutMode::Overwrite,
            ..options
        };
        self.files.put_opts(key, payload, options).await
    }

    /// Makes sure that the key's place holds a plain file or nothing.
    async fn check_plain(&self, key: &Path, purpose: Purpose) -> Result<()> {
        let (root, file) = (self.root.clone(), self.file(key));
        let checked = on_blocking_thread(move || what::check_plain(&root, &file, purpose)).await?;
        checked.map_err(|error| {
            let verb = match purpose {
                Purpose::Read => "read",
                Purpose::Replace => "write",
            };
            generic(verb, self.file(key), Box::new(error))
        })
    }

    /// Makes sure that the key's place can be written to; says who gets what is written there.
    async fn prepare(&self, key: &Path) -> Result<Option<Heir>> {
        self.check_plain(key, Purpose::Replace).await?;
        let (root, file) = (self.root.clone(), self.file(key));
        on_blocking_thread(move || Heir::of(&root, &file)).await
    }

    async fn remove(&self, key: Path) -> Result<Path> {
        let file = self.file(&key);
        let _lock = on_blocking_thread(move || lock::of_folder(&file)).await?;
        match self.files.delete(&key).await {
            Ok(()) => {}
            Err(Error::NotFound { .. }) => return Ok(key),
            Err(error) => return Err(self.named("delete", &key, error)),
        }
        let file = self.file(&key);
        let sync = on_blocking_thread(move || sync_nearest_directory(&file)).await?;
        sync.map_err(|error| generic("sync the directory of", self.file(&key), Box::new(error)))?;
        Ok(key)
    }
}

fn named(verb: &'static str, path: PathBuf, error: Error) -> Error {
    match error {
        Error::Generic { source, .. } | Error::PermissionDenied { source, .. } => {
            generic(verb, path, source)
        }
        typed => typed,
    }
}

fn generic(
    verb: &'static str,
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> Error {
    if access::is_refusal(&*source) {
        return Error::PermissionDenied {
            path: path.display().to_string(),
            source: Box::new(NotPermitted::new(verb, &path)),
        };
    }
    let is_of_this_file = what::is_no_object(&*source);
    let source = Box::new(FileError { verb, path, source });
    if is_of_this_file {
        return Error::NotSupported { source };
    }
    Error::Generic {
        store: STORE,
        source,
    }
}

async fn hand_over(heir: Option<Heir>, file: PathBuf) -> Result<()> {
    let Some(heir) = heir else { return Ok(()) };
    let path = file.clone();
    let handed = on_blocking_thread(move || heir.inherit(&path)).await?;
    handed.map_err(|error| generic("give away", file, Box::new(error)))
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::JoinError { source })
}

/// Makes a deletion durable: the nearest ancestor left after the clean-up of empty directories.
fn sync_nearest_directory(file: &FilePath) -> io::Result<()> {
    for directory in file.ancestors().skip(1) {
        match fs::File::open(directory) {
            Ok(directory) => return directory.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for Directory {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let heir = self.prepare(location).await?;
        let put = match opts.mode.clone() {
            PutMode::Update(version) => self.replace(location, payload, (version, opts)).await,
            _ => self.files.put_opts(location, payload, opts).await,
        };
        let put = put.map_err(|error| self.named("write", location, error))?;
        hand_over(heir, self.file(location)).await?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let heir = self.prepare(location).await?;
        let upload = self.files.put_multipart_opts(location, opts).await;
        let upload = upload.map_err(|error| self.named("write", location, error))?;
        Ok(Box::new(FileUpload {
            path: self.file(location),
            heir,
            upload,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check_plain(location, Purpose::Read).await?;
        let got = self.files.get_opts(location, options).await;
        got.map_err(|error| self.named("read", location, error))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deletions = locations.map(move |key| {
            let store = store.clone();
            async move { store.remove(key?).await }
        });
        deletions.buffered(PARALLEL_DELETIONS).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let heir = self.prepare(to).await?;
        let copied = self.files.copy_opts(from, to, options).await;
        copied.map_err(|error| self.named("copy to", to, error))?;
        hand_over(heir, self.file(to)).await
    }
}

#[async_trait]
impl PaginatedListStore for Directory {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        opts: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let (root, prefix) = (self.root.clone(), prefix.unwrap_or("").to_owned());
        let page = on_blocking_thread(move || list::list_page(&root, &prefix, &opts)).await?;
        page.map_err(|error| match fs::metadata(&self.root) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                let source = MissingDirectory::of(&self.root, &missing);
                Error::Generic {
                    store: STORE,
                    source: Box::new(source),
                }
            }
            _ => Error::Generic {
                store: STORE,
                source: Box::new(error),
            },
        })
    }
}

/// A multipart upload whose errors name the file.
#[derive(Debug)]
struct FileUpload {
    path: PathBuf,
    heir: Option<Heir>,
    upload: Box<dyn MultipartUpload>,
}

#[async_trait]
impl MultipartUpload for FileUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let path = self.path.clone();
        let part = self.upload.put_part(data);
        Box::pin(async move { part.await.map_err(|error| named("write", path, error)) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let completed = self.upload.complete().await;
        let completed = completed.map_err(|error| named("complete", self.path.clone(), error))?;
        hand_over(self.heir.take(), self.path.clone()).await?;
        Ok(completed)
    }

    async fn abort(&mut self) -> Result<()> {
        let aborted = self.upload.abort().await;
        aborted.map_err(|error| named("abort the writing of", self.path.clone(), error))
    }
}
