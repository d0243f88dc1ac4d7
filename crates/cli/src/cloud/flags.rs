//! The options that every cloud command has: verbosity, the provider, and how to reach it.

use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{ArgAction, Args};
use cloud::{Creation, DEFAULT_READ_TIMEOUT, Encryption, Environment, ErrorKind};
use cloud::{Location, Persistence, Provider, StoreOptions, Voice};
use engine::settling::Settled;
use engine::store::Bucket;
use model::backup::catalogue::{BackupRef, Catalogue};
use model::backup::id::BackupId;
use model::backup::{BackupInfo, BackupStatus};
use model::cloud::Layout;
use rustix::fs::Mode;
use rustix::process::umask;

use super::providers::{AtRestFlags, AzureFlags, BlockFlags};
use crate::arguments;
use crate::failure::{Exit, Failure};
use crate::log::{Level, Log};
use crate::runtime;

/// Options of every cloud command.
#[derive(Debug, Args)]
pub struct Common {
    /// Say more: -v tells the steps of the work; so does -vv
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Say less: -q only errors, -qq nothing but the exit status
    #[arg(short, long, action = ArgAction::Count)]
    quiet: u8,
    /// Only check that the bucket can be reached and exists: exit 0, 1 (no bucket) or 2
    #[arg(short, long)]
    pub test: bool,
    /// Whose object store it is: s3://BUCKET/PATH, gs://BUCKET/PATH or
    /// https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH; a file:// URL needs no provider
    #[arg(long, value_name = "PROVIDER", default_value = Provider::AwsS3.name())]
    #[arg(value_parser = PossibleValuesParser::new(Provider::ALL.map(Provider::name)))]
    cloud_provider: String,
    #[command(flatten)]
    s3: S3,
    #[command(flatten)]
    azure: AzureFlags,
}

/// Options of object stores that speak S3.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reaching S3")]
struct S3 {
    /// Address of an S3 service other than AWS, such as https://s3.example.org:8333; without it,
    /// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL of the environment
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Section of the AWS configuration and credentials files
    #[arg(short = 'P', long, visible_alias = "profile", value_name = "NAME")]
    aws_profile: Option<String>,
    /// Give up on a connection that stays silent this long [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    read_timeout: Option<u64>,
    /// Bucket in the host name (virtual) or in the path of a request (path)
    #[arg(long, value_name = "STYLE")]
    #[arg(value_parser = PossibleValuesParser::new(["auto", "virtual", "path"]))]
    addressing_style: Option<String>,
}

/// More threads and connections than any machine or store has a use for.
const MOST_JOBS: u64 = 1024;

/// Reads `--jobs`. What is sized by the number of jobs relies on its bounds.
pub fn jobs() -> impl TypedValueParser<Value = NonZeroUsize> {
    let bounded = RangedU64ValueParser::<usize>::new().range(1..=MOST_JOBS);
    bounded.map(|jobs| NonZeroUsize::new(jobs).expect("the range begins at 1"))
}

/// How results are written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Console,
    /// For programs.
    Json,
}

impl Format {
    /// Reads `--format`: like Barman, whatever is not `console` means JSON.
    pub fn from_word(word: &str) -> Format {
        if word == "console" {
            Format::Console
        } else {
            Format::Json
        }
    }
}

/// A server's place in an object store: where it is, and how to get there.
#[derive(Debug, Clone)]
pub struct Place {
    location: Location,
    options: StoreOptions,
    layout: Layout,
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
            Exit::Usage,
            format!("{PATIENCE_VARIABLE} must be whole seconds, and is {text:?}"),
        )),
    }
}

impl Common {
    /// The log with the verbosity that was asked for.
    pub fn log(&self) -> Log {
        Log::new(self.verbose, self.quiet)
    }

    /// Reads the URL and the options of the store.
    pub fn place(&self, url: &str, server_name: &str) -> Result<Place, Failure> {
        let provider: Provider = self.cloud_provider.parse()?;
        let location = Location::parse(url, provider)?;
        let layout = Layout::new(location.prefix(), server_name)?;
        if layout.has_empty_parts() && !location.has_empty_parts() {
            let what = format!(
                "{} has an empty part between two slashes",
                layout.server_root()
            );
            let hint = "Such keys can be used in S3 and Google Cloud Storage only.";
            return Err(Failure::new(Exit::Usage, what).with_hint(hint));
        }
        let s3 = &self.s3;
        let mut options = StoreOptions {
            endpoint_url: s3.endpoint_url.clone(),
            profile: s3.aws_profile.clone(),
            read_timeout: s3
                .read_timeout
                .map_or(DEFAULT_READ_TIMEOUT, Duration::from_secs),
            addressing_style: s3.addressing_style.as_deref().map(str::parse).transpose()?,
            ..StoreOptions::default()
        };
        options.azure.credential = self.azure.kind()?;
        Ok(Place {
            location,
            options,
            layout,
        })
    }
}

impl Common {
    /// The options with which another command reaches the same store, credentials apart. What this
    /// run has from its environment is among them: a server has another one.
    pub fn words_for_a_server(&self) -> Vec<String> {
        let from = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok());
        let s3 = &self.s3;
        let is_s3 = self.cloud_provider == Provider::AwsS3.name();
        let given = |value: &Option<String>, names: &[&str]| {
            let set = || from(names).filter(|value| is_s3 && !value.is_empty());
            value.clone().or_else(set)
        };
        let provider = Some(self.cloud_provider.clone()).filter(|_| !is_s3);
        let endpoint = given(
            &s3.endpoint_url,
            &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
        );
        let options = [
            ("--cloud-provider", provider),
            ("--endpoint-url", endpoint),
            ("--aws-profile", given(&s3.aws_profile, &["AWS_PROFILE"])),
            ("--addressing-style", s3.addressing_style.clone()),
            (
                "--read-timeout",
                s3.read_timeout.map(|seconds| seconds.to_string()),
            ),
            ("--azure-credential", self.azure.word().map(str::to_owned)),
        ];
        let given = options
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        given
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect()
    }
}

impl Place {
    /// The same place, where Azure or Google encrypt objects as the flags say.
    pub fn encrypted_at_rest(mut self, flags: &AtRestFlags) -> Result<Place, Failure> {
        flags.apply(&self.location, &mut self.options)?;
        Ok(self)
    }

    /// The same place, where Azure gets large objects in such blocks.
    pub fn in_blocks(mut self, flags: &BlockFlags) -> Result<Place, Failure> {
        flags.apply(&mut self.options)?;
        Ok(self)
    }

    /// The same place, waited for as long as that, or as the environment says, with words in the
    /// log.
    pub fn awaited(mut self, patience: Patience, log: &Log) -> Result<Place, Failure> {
        let (first_contact, passing) = match patience_of(&Environment::gather())? {
            Some(chosen) => (chosen, chosen),
            None => patience.times(),
        };
        let log = log.clone();
        self.options.persistence = Persistence {
            first_contact,
            passing,
            voice: Voice::new(move |text| log.line(Level::Warning, text)),
        };
        Ok(self)
    }

    /// The same place, where objects are encrypted like this.
    pub fn encrypted(mut self, encryption: Encryption) -> Place {
        self.options.encryption = encryption;
        self
    }

    /// The same place, with limits on uploads: bytes of the smallest part, and bytes a second.
    pub fn paced(mut self, min_part_size: u64, max_bandwidth: Option<NonZeroU64>) -> Place {
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
    pub async fn open(&self) -> Result<Bucket, Failure> {
        Ok(cloud::open(&self.location, &self.options, &Environment::gather()).await?)
    }

    /// Where the store lies, if it is a directory of this host.
    pub fn directory(&self) -> Option<PathBuf> {
        match &self.location {
            Location::Directory { path } => Some(path.clone()),
            _ => None,
        }
    }

    /// Opens the bucket to write to it. What is stored holds a whole database, or leads to one: in
    /// a directory it is closed to others, and the directory itself says what its group may do, as
    /// with PostgreSQL's data directory. The umask does not: that of a server, which is also its
    /// archive_command's, closes everything to the group.
    pub async fn open_to_write(&self) -> Result<Bucket, Failure> {
        if let Some(private) = cloud::private_umask(&self.location) {
            umask(Mode::from_raw_mode(private));
        }
        self.open().await
    }

    /// Opens the bucket, and makes it first if it does not exist.
    pub async fn open_or_create(&self) -> Result<(Bucket, Creation), Failure> {
        let environment = Environment::gather();
        Ok(cloud::open_or_create(&self.location, &self.options, &environment).await?)
    }

    /// What `--test` does where a missing bucket would be made.
    pub fn test_connection(&self, log: &Log) -> Result<(), Failure> {
        match self.test(log) {
            Err(failure) if failure.exit == Exit::Failed => Ok(()),
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
                    exit: Exit::Failed,
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

/// Warns of records that cannot be read where a name or a shortcut could mean one of them.
pub fn warn_of_unreadable(backups: &Catalogue, wanted: &BackupRef, log: &Log) {
    if matches!(wanted, BackupRef::Id(_)) {
        return;
    }
    for (id, reason) in backups.unreadable() {
        let text = format!("the record of backup {id} is left out: {reason}");
        log.line(Level::Warning, &text);
    }
}

/// Says which backups have another status than their records had.
pub fn report_settled(settled: &[Settled], log: &Log) {
    for Settled { id, status, error } in settled {
        match error {
            Some(error) => log.line(Level::Warning, &format!("backup {id} is {status}: {error}")),
            None => log.line(Level::Info, &format!("the WAL of backup {id} has arrived")),
        }
    }
}

/// Warns where a shortcut led to a backup that is not complete: there was no better one.
pub fn warn_of_waiting(wanted: &BackupRef, (id, info): (&BackupId, &BackupInfo), log: &Log) {
    let is_shortcut = !matches!(wanted, BackupRef::Id(_) | BackupRef::Name(_));
    if is_shortcut && info.status == BackupStatus::WaitingForWals {
        let text = format!(
            "no backup is complete: `{wanted}` means {id}, which cannot be restored before its \
             WAL has arrived"
        );
        log.line(Level::Warning, &text);
    }
}

/// Writes a result to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Exit::Other,
            format!("cannot write to standard output: {error}"),
        )
    };
    arguments::print(text).map_err(failed)
}
