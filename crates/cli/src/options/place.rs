//! A server's place in an object store, as the options say: what a command opens, tests and writes
//! to.
//!
//! [`super::every_command`] reads the options; here is what they come to.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloud::{Creation, Environment, ErrorKind, StoreEncryption};
use cloud::{Location, Persistence, StoreOptions, Voice};
use engine::repository::Shelf;
use engine::store::Bucket;
use engine::strangers::{PassedOver, Strangers};
use model::layout::Layout;
use rustix::fs::Mode;
use rustix::process::umask;

use super::providers::{AtRestFlags, BlockFlags};
use crate::failure::{Failure, Kind};
use crate::output::cloud_log::{Level, Log};
use crate::runtime;

/// A server's place in an object store: where it is, and how to get there.
#[derive(Debug, Clone)]
pub struct StorePlace {
    pub(super) location: Location,
    pub(super) options: StoreOptions,
    pub(super) layout: Layout,
    pub(super) passed_over: PassedOver,
}

/// How long a command waits for a store that is away.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// Somebody waits for the answer: a wrong address should show at once.
    People,
    /// PostgreSQL waits, and will ask again.
    Servers,
    /// Hours of work would be lost.
    Backups,
}

impl Patience {
    /// For an endpoint that never answered, of which half is sure; and for one that did.
    fn times(self) -> (Duration, Duration) {
        let (first_contact, passing) = match self {
            Patience::People => (8, 180),
            Patience::Servers => (60, 60),
            Patience::Backups => (60, 300),
        };
        (
            Duration::from_secs(first_contact),
            Duration::from_secs(passing),
        )
    }
}

/// How long a store is waited for, when the user has an opinion on it.
const PATIENCE_VARIABLE: &str = "BARMAN_STORE_PATIENCE";

fn patience_of(environment: &Environment) -> Result<Option<Duration>, Failure> {
    let Some(text) = environment.get(PATIENCE_VARIABLE) else {
        return Ok(None);
    };
    match text.parse::<u32>() {
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds.into()))),
        Err(_) => Err(Failure::new(
            Kind::Usage,
            format!("{PATIENCE_VARIABLE} must be whole seconds, and is {text:?}"),
        )),
    }
}

impl StorePlace {
    /// The same place, where Azure or Google encrypt objects as the flags say.
    pub fn encrypted_at_rest(mut self, flags: &AtRestFlags) -> Result<StorePlace, Failure> {
        flags.apply(&self.location, &mut self.options)?;
        Ok(self)
    }

    /// The same place, where Azure gets large objects in such blocks.
    pub fn in_blocks(mut self, flags: &BlockFlags) -> Result<StorePlace, Failure> {
        flags.apply(&mut self.options)?;
        Ok(self)
    }

    /// The same place, waited for as long as that, or as the environment says, with words in the
    /// log.
    pub fn awaited(mut self, patience: Patience, log: &Log) -> Result<StorePlace, Failure> {
        let (first_contact, passing) = match patience_of(&Environment::gather())? {
            Some(chosen) => (chosen, chosen),
            None => patience.times(),
        };
        let verbose = log.clone();
        self.passed_over = PassedOver::told_to(move |folder, strangers| {
            verbose.line(Level::Info, &words_about(folder, strangers));
        });
        let log = log.clone();
        self.options.persistence = Persistence {
            first_contact,
            passing,
            voice: Voice::new(move |text| log.line(Level::Warning, text)),
        };
        Ok(self)
    }

    /// The same place, where objects are encrypted like this.
    pub fn encrypted(mut self, encryption: StoreEncryption) -> StorePlace {
        self.options.encryption = encryption;
        self
    }

    /// The same place, with limits on uploads: bytes of the smallest part, and bytes a second.
    pub fn paced(mut self, min_part_size: u64, max_bandwidth: Option<NonZeroU64>) -> StorePlace {
        self.options.min_part_size = min_part_size;
        self.options.max_bandwidth = max_bandwidth;
        self
    }

    /// Where the server's objects lie in the bucket.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the requests go: what tells apart two stores that have one URL.
    pub fn address(&self) -> Result<String, Failure> {
        let environment = Environment::gather();
        Ok(cloud::address(&self.location, &self.options, &environment)?)
    }

    /// Opens the bucket.
    pub async fn open(&self) -> Result<Shelf, Failure> {
        let environment = Environment::gather();
        let bucket = cloud::open(&self.location, &self.options, &environment).await?;
        Ok(self.shelf(bucket))
    }

    fn shelf(&self, mut bucket: Bucket) -> Shelf {
        bucket.passed_over = self.passed_over.clone();
        Shelf {
            bucket,
            layout: self.layout.clone(),
        }
    }

    /// Where the store lies, if it is a directory of this host.
    pub fn directory(&self) -> Option<PathBuf> {
        self.location.directory().map(Path::to_owned)
    }

    /// Opens the bucket to write to it. What is stored holds a whole database, or leads to one: in
    /// a directory it is closed to others, and the directory itself says what its group may do, as
    /// with PostgreSQL's data directory. The umask does not: that of a server, which is also its
    /// archive_command's, closes everything to the group.
    pub async fn open_to_write(&self) -> Result<Shelf, Failure> {
        if let Some(private) = cloud::private_umask(&self.location) {
            umask(Mode::from_raw_mode(private));
        }
        self.open().await
    }

    /// Opens the bucket, and makes it first if it does not exist.
    pub async fn open_or_create(&self) -> Result<(Shelf, Creation), Failure> {
        let environment = Environment::gather();
        let opened = cloud::open_or_create(&self.location, &self.options, &environment).await?;
        let (bucket, creation) = opened;
        Ok((self.shelf(bucket), creation))
    }

    /// What `--test` does where a missing bucket would be made.
    pub fn test_connection(&self, log: &Log) -> Result<(), Failure> {
        match self.test(log) {
            Err(failure) if failure.kind == Kind::Failed => Ok(()),
            tested => tested,
        }
    }

    /// What `--test` does: one request, and the bucket must exist, else the status is 1.
    pub fn test(&self, log: &Log) -> Result<(), Failure> {
        let mut options = self.options.clone();
        let quick = Patience::People.times().0;
        options.persistence.first_contact = options.persistence.first_contact.min(quick);
        runtime::run_or_drop(async {
            let opened = cloud::open(&self.location, &options, &Environment::gather()).await;
            let bucket = opened.map_err(|error| match error.kind() {
                ErrorKind::MissingBucket => Failure {
                    kind: Kind::Failed,
                    ..error.into()
                },
                _ => error.into(),
            })?;
            cloud::check_connectivity(&bucket).await?;
            let place = bucket.address(self.layout.server_root());
            log.done(&format!("the store of {place} can be reached"));
            Ok(())
        })
    }
}

/// Names the first objects that a listing passed over.
fn words_about(folder: &str, strangers: &Strangers) -> String {
    let (count, first) = (strangers.count, strangers.first.join(", "));
    let (objects, more) = match count {
        1 => ("object", ""),
        _ if count > strangers.first.len() => ("objects", ", …"),
        _ => ("objects", ""),
    };
    format!("{count} {objects} below {folder} passed over, not of ours: {first}{more}")
}
