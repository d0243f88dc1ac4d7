//! The options that every cloud command has: verbosity, the provider, and how to reach it.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{ArgAction, Args};
use cloud::{DEFAULT_READ_TIMEOUT, Location, Provider, StoreOptions};
use engine::strangers::PassedOver;
use model::layout::Layout;

use super::place::StorePlace;
use super::providers::AzureFlags;
use crate::failure::{Failure, Kind};
use crate::output::cloud_log::Log;

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

impl Common {
    /// The log with the verbosity that was asked for.
    pub fn log(&self) -> Log {
        Log::new(self.verbose, self.quiet)
    }

    /// Reads the URL and the options of the store.
    pub fn place(&self, url: &str, server_name: &str) -> Result<StorePlace, Failure> {
        let provider: Provider = self.cloud_provider.parse()?;
        let location = Location::parse(url, provider)?;
        let layout = Layout::new(location.prefix(), server_name)?;
        if layout.has_empty_parts() && !location.has_empty_parts() {
            let what = format!(
                "{} has an empty part between two slashes",
                layout.server_root()
            );
            let hint = "Such keys can be used in S3 and Google Cloud Storage only.";
            return Err(Failure::new(Kind::Usage, what).with_hint(hint));
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
        Ok(StorePlace {
            location,
            options,
            layout,
            passed_over: PassedOver::default(),
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
