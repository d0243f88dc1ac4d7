//! Archiving one WAL file: check it, compress it, store it, and only then say so.
//!
//! PostgreSQL removes or recycles the file after it was told that it is archived, so the answer
//! must be true: the file was whole and belonged to this cluster, and the store has confirmed it.
//! Always true: an object is never replaced; the same name with the same content is success, with
//! other content it is an error.
//!
//! Three requests a file, on one connection (and some once an hour, see `owner`): a listing, which
//! finds the file under every codec's key, one conditional write, and a listing again: another
//! host with another codec may have written at the same time, under a key of its own. The file is
//! compressed while the connection is made and the first listing is awaited. Memory is
//! what the compressed file takes: a segment has at most 1 GiB, and the only write that every store
//! takes on the condition that nothing is there is a single one.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::PathBuf;

use model::codec::Codec;
use model::postgres::SystemId;
use model::wal::name::WalName;
use object_store::TagSet;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::error::WalArchiveError;
use super::inspect::{Inspected, inspect};
use super::lookup::{Lookup, all_of};
use super::owner::{ArchiveOwner, OwnerNote};
use super::pack::{BUFFER_BYTES, Cores, pack};
use super::receive::{Decoded, open_decoded};
use crate::causes;
use crate::repository::Shelf;
use crate::stop::StopFlag;
use crate::store::{Bucket, Written};

/// A WAL file to archive.
#[derive(Debug, Clone)]
pub struct ArchiveRequest {
    /// Where the file is; its name decides what it is.
    pub path: PathBuf,
    pub codec: Codec,
    /// The codec's own level, `None` for its default.
    pub level: Option<i32>,
    pub tags: WalTags,
    /// Where is remembered whose archive it is.
    pub owner: Option<OwnerNote>,
}

/// The tags that WAL files get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalTags {
    pub all: TagSet,
    /// What history files get instead.
    pub history: Option<TagSet>,
}

impl WalTags {
    /// The tags of one file.
    pub fn of(&self, name: &WalName) -> &TagSet {
        match (name, &self.history) {
            (WalName::History(_), Some(tags)) => tags,
            _ => &self.all,
        }
    }
}

/// What became of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archived {
    /// Stored under this key.
    Stored(String),
    /// The same content was there already under this key.
    AlreadyThere(String),
}

impl Archived {
    /// Where the file is in the store.
    pub fn key(&self) -> &str {
        match self {
            Archived::Stored(key) | Archived::AlreadyThere(key) => key,
        }
    }
}

/// Archives one WAL file.
///
/// # Errors
/// See [`WalArchiveError`]; whatever is in the store already is untouched.
pub async fn archive_wal(
    shelf: &Shelf,
    request: &ArchiveRequest,
) -> Result<Archived, WalArchiveError> {
    let path = request.path.clone();
    let inspected = on_blocking_thread(move || inspect(&path)).await?;
    let way = ArchivingWay {
        cores: Cores::All,
        lookup: &Lookup::default(),
        turns: Semaphore::new(1),
        owner: ArchiveOwner::default(),
    };
    let sent = archive_inspected(shelf, request, inspected, &way).await?;
    Ok(sent.archived)
}

/// A file that the store has.
pub(super) struct SentWal {
    pub(super) archived: Archived,
    /// Of the whole file.
    pub(super) crc32c: u32,
}

/// What depends on how many files are archived at the same time.
pub(super) struct ArchivingWay<'a> {
    pub(super) cores: Cores,
    pub(super) lookup: &'a Lookup,
    /// One for each file that is compressed: those that wait for a core leave it to the others,
    /// which are on their way to the store meanwhile.
    pub(super) turns: Semaphore,
    pub(super) owner: ArchiveOwner,
}

pub(super) async fn archive_inspected(
    shelf: &Shelf,
    request: &ArchiveRequest,
    inspected: Inspected,
    way: &ArchivingWay<'_>,
) -> Result<SentWal, WalArchiveError> {
    let name = inspected.name;
    let (codec, level, cores) = (request.codec, request.level, way.cores);
    let owner = refuse_foreign(
        shelf,
        request,
        &way.owner,
        inspected.system_id.map(|system_id| (name, system_id)),
    );
    let packing = async {
        let _turn = way.turns.acquire().await;
        on_blocking_thread(move || pack(inspected, (codec, level), cores)).await
    };
    // In whatever codec it is there: a change of the codec must not hide other content.
    let looking = async { Ok(way.lookup.find(shelf, &name).await?) };
    let (found, packed, ()) = tokio::try_join!(looking, packing, owner)?;
    let (crc32c, inspected) = (packed.crc32c, packed.inspected);
    if let Some((first, _)) = found.first() {
        for (key, codec) in &found {
            confirm(&shelf.bucket, (key, *codec), &inspected).await?;
        }
        let archived = Archived::AlreadyThere(first.clone());
        return Ok(SentWal { archived, crc32c });
    }
    let key = shelf.layout.wal(&name, codec);
    let tags = request.tags.of(&name);
    let archived = match shelf.bucket.create(&key, packed.payload, tags).await? {
        Written::Created => {
            look_again(shelf, &key, &inspected).await?;
            Archived::Stored(key)
        }
        Written::AlreadyExists => {
            confirm(&shelf.bucket, (&key, codec), &inspected).await?;
            Archived::AlreadyThere(key)
        }
    };
    Ok(SentWal { archived, crc32c })
}

/// Two hosts may have stored one name at the same time, each in its codec; the later of them, or
/// both, see the other object here. With other content there, the own object is taken away: it was
/// not acknowledged yet. Of two objects with the same content both stay.
async fn look_again(
    shelf: &Shelf,
    own: &str,
    inspected: &Inspected,
) -> Result<(), WalArchiveError> {
    for (key, codec) in all_of(shelf, &inspected.name).await? {
        if key == own {
            continue;
        }
        match confirm(&shelf.bucket, (&key, codec), inspected).await {
            // The other host has taken its object away.
            Err(WalArchiveError::Store(error)) if error.is_not_found() => {}
            Err(conflict @ WalArchiveError::Conflict { .. }) => {
                shelf.bucket.delete(own).await?;
                return Err(conflict);
            }
            compared => compared?,
        }
    }
    Ok(())
}

/// A segment goes into an archive of its own cluster only, or into an empty one.
async fn refuse_foreign(
    shelf: &Shelf,
    request: &ArchiveRequest,
    owner: &ArchiveOwner,
    segment: Option<(WalName, SystemId)>,
) -> Result<(), WalArchiveError> {
    let Some((WalName::Segment(name) | WalName::Partial(name), system_id)) = segment else {
        return Ok(());
    };
    let note = request.owner.as_ref();
    match owner.foreign(shelf, note, (&name, system_id)).await? {
        None => Ok(()),
        Some(foreign) => Err(WalArchiveError::ForeignArchive {
            path: request.path.clone(),
            system_id,
            existing: foreign.object,
            found: foreign.system_id,
        }),
    }
}

pub(super) async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WalArchiveError> + Send + 'static,
) -> Result<T, WalArchiveError> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| WalArchiveError::Worker(causes::of_worker(&error)))?
}

/// An object of that name exists: success if it holds the same bytes.
async fn confirm(
    bucket: &Bucket,
    (key, codec): (&str, Codec),
    inspected: &Inspected,
) -> Result<(), WalArchiveError> {
    let never = StopFlag::default();
    let stored = open_decoded(bucket, (key, codec), &never).await?;
    let existing = bucket.address(key);
    let path = inspected.path.clone();
    let file = inspected.file.try_clone();
    on_blocking_thread(move || compare((path, file), stored, existing)).await
}

/// That the contents could not be compared does not mean that they differ.
fn compare(
    (path, file): (PathBuf, io::Result<File>),
    stored: Decoded,
    existing: String,
) -> Result<(), WalArchiveError> {
    let rewound = file.and_then(|mut file| file.rewind().map(|()| file));
    let file = rewound.map_err(|source| WalArchiveError::Read {
        path: path.clone(),
        source,
    })?;
    let local = BufReader::with_capacity(BUFFER_BYTES, file);
    let same = stored.open().map_err(Side::Stored);
    match same.and_then(|stored| same_content(local, stored)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(WalArchiveError::Conflict { path, existing }),
        Err(Side::Local(source)) => Err(WalArchiveError::Read { path, source }),
        Err(Side::Stored(source)) => Err(WalArchiveError::Compare {
            path,
            existing,
            source,
        }),
    }
}

/// Which side could not be read.
enum Side {
    Local(io::Error),
    Stored(io::Error),
}

fn same_content(mut local: impl Read, mut stored: impl Read) -> Result<bool, Side> {
    let (mut one, mut other) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    loop {
        let count = fill(&mut local, &mut one).map_err(Side::Local)?;
        let stored = fill(&mut stored, &mut other).map_err(Side::Stored)?;
        if stored != count || one[..count] != other[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
