//! `barman-cloud-wal-archive`: PostgreSQL hands over a finished WAL file.

use std::path::PathBuf;

use clap::{FromArgMatches, Parser};
use cloud::Environment;
use engine::wal::archive::{ArchiveRequest, Archived, WalTags, archive_wal};
use engine::wal::archive_ahead::{Ahead, archive_ahead};
use engine::wal::archived_notes::ArchivedNotes;
use engine::wal::inspect::wal_name;
use engine::wal::owner::OwnerNote;
use model::wal::ahead::fingerprint;

use super::CloudCommand;
use crate::failure::{Failure, Kind};
use crate::options::compression::WalCompression;
use crate::options::encryption::EncryptionFlags;
use crate::options::every_command::Common;
use crate::options::hook;
use crate::options::place::{Patience, StorePlace};
use crate::options::providers::{AtRestFlags, BlockFlags};
use crate::options::tags::{HistoryTagFlags, TagFlags};
use crate::output::cloud_log::{Level, Log};
use crate::runtime;
use crate::unsupported::Unsupported;

/// Put one WAL file into an object store; made to be PostgreSQL's archive_command.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where the WAL goes: s3://BUCKET/PATH, file:///DIRECTORY, or see --cloud-provider
    destination_url: String,
    /// Name of the server
    server_name: String,
    /// The WAL file: %p in archive_command
    wal_path: Option<PathBuf>,
    /// Archive up to N finished segments at a time, the next ones too [barman-rs only]
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=64))]
    parallel: u16,
    /// Where is noted what is archived [default: /tmp/barman-SERVER-HASH] [barman-rs only]
    #[arg(long, value_name = "DIR")]
    prefetch_cache_dir: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    compression: WalCompression,
    /// A number, or low, medium, high; what is out of the algorithm's range is cut to it
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    #[arg(help_heading = "Compression (at most one)")]
    compression_level: Option<String>,
    #[command(flatten)]
    encryption: EncryptionFlags,
    #[command(flatten)]
    tags: TagFlags,
    #[command(flatten)]
    history_tags: HistoryTagFlags,
    #[command(flatten)]
    at_rest: AtRestFlags,
    #[command(flatten)]
    blocks: BlockFlags,
}

const AFTER_HELP: &str = "\
What happens: the file is checked (its name, its size, its header), compressed and stored; the \
command ends with 0 only when the object store has it. A segment that is there already with the \
same content is fine; one with other content is an error.

Example, in postgresql.conf:
  archive_mode = on
  archive_command = 'barman-cloud-wal-archive --zstd s3://backups/pg main %p'

With -p 4 one call archives up to four finished segments at a time, and PostgreSQL's next three \
calls end at once. Each segment is checked and stored as without it.

As pre_archive_script or pre_archive_retry_script of a Barman server, without WAL_PATH, the file \
is the one that Barman is about to archive.

Exit status:
  0  the file is in the object store 3  the command line is wrong, or this is no WAL file
  1  the file could not be archived  4  something else, such as a bucket that does not exist
  2  the object store is unreachable 130, 143  stopped by SIGINT or SIGTERM
PostgreSQL keeps the file and tries again after every status but 0.";

impl Args {
    /// What is asked for; the path is empty where none was given.
    fn request(&self) -> Result<ArchiveRequest, Failure> {
        let codec = self.compression.codec();
        let level = self
            .compression_level
            .as_ref()
            .map(|word| codec.level(word))
            .transpose()?;
        if let Some(path) = &self.wal_path {
            wal_name(path)?;
        }
        Ok(ArchiveRequest {
            path: self.wal_path.clone().unwrap_or_default(),
            codec,
            level: level.flatten(),
            tags: WalTags {
                all: self.tags.read()?,
                history: self.history_tags.read()?,
            },
            owner: None,
        })
    }
}

fn no_path() -> Failure {
    Failure::new(Kind::Usage, "no WAL file is given")
        .with_hint("End archive_command with %p: barman-cloud-wal-archive URL SERVER_NAME %p")
}

/// The URL and the server's name in an `archive_command` that is this command, behind whatever
/// path and before whatever follows; `None` for any other.
pub fn place_in(archive_command: &str) -> Option<(String, String)> {
    let words = shlex::split(archive_command)?;
    let is_ours = |word: &String| word.rsplit('/').next() == Some("barman-cloud-wal-archive");
    let start = words.iter().position(is_ours)?;
    let ends = |word: &&String| !matches!(word.as_str(), "&&" | "||" | ";" | "|" | ">>" | ">");
    let words = words[start..].iter().take_while(ends);
    let matches = super::command_line::<Args>("barman-cloud-wal-archive")
        .try_get_matches_from(words)
        .ok()?;
    let args = Args::from_arg_matches(&matches).ok()?;
    Some((args.destination_url, args.server_name))
}

impl CloudCommand for Args {
    const UNSUPPORTED: &'static [&'static [Unsupported]] = &[];

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        let place = self
            .common
            .place(&self.destination_url, &self.server_name)?
            .awaited(Patience::Servers, log)?
            .encrypted_at_rest(&self.at_rest)?
            .in_blocks(&self.blocks)?
            .encrypted(self.encryption.read()?);
        let mut request = self.request()?;
        if self.common.test {
            return place.test(log);
        }
        if self.wal_path.is_none() {
            request.path = hook::incoming_wal(&Environment::gather())?.ok_or_else(no_path)?;
        }
        let file_count = usize::from(self.parallel);
        let folder = notes_folder(&place, self.prefetch_cache_dir)?;
        request.owner = folder.owner_note();
        let notes = match file_count {
            0 | 1 => None,
            _ => folder.open_notes(log),
        };
        let Some(notes) = notes else {
            let archived = runtime::run_or_drop(async {
                let shelf = place.open_to_write().await?;
                Ok(archive_wal(&shelf, &request).await?)
            })?;
            say(&request, &archived, log);
            return Ok(());
        };
        if let Ok(Some(key)) = notes.key_of(&request.path) {
            log.line(
                Level::Info,
                &format!("{} was stored ahead, as {key}", request.path.display()),
            );
            return Ok(());
        }
        let ahead = Ahead {
            file_count,
            notes: &notes,
        };
        let archived = runtime::run_or_drop(async {
            let shelf = place.open_to_write().await?;
            Ok(archive_ahead(&shelf, &request, ahead).await?)
        })?;
        say(&request, &archived.requested, log);
        for (path, error) in archived.failed {
            let what = Failure::from(error).what;
            let text = format!("{} is not stored ahead: {what}", path.display());
            log.line(Level::Warning, &text);
        }
        log.line(
            Level::Info,
            &format!("{} more are stored ahead", archived.stored_count),
        );
        Ok(())
    }
}

fn say(request: &ArchiveRequest, archived: &Archived, log: &Log) {
    let path = request.path.display();
    let said = match archived {
        Archived::Stored(key) => format!("{path} is stored as {key}"),
        Archived::AlreadyThere(key) => format!("{path} was stored before, as {key}"),
    };
    log.line(Level::Info, &said);
}

/// Where is noted what the archive has.
struct NotesFolder {
    path: PathBuf,
    /// Tells this store and server from all others.
    own: String,
}

fn notes_folder(place: &StorePlace, chosen: Option<PathBuf>) -> Result<NotesFolder, Failure> {
    let root = place.layout().server_root();
    let server = root.rsplit('/').next().unwrap_or_default();
    let own = fingerprint(&[&place.address()?, root]);
    let usual = || std::env::temp_dir().join(format!("barman-{server}-{own}"));
    let folder = chosen.unwrap_or_else(usual);
    // What has no absolute path cannot be opened either, and that is said.
    let path = std::path::absolute(&folder).unwrap_or(folder);
    Ok(NotesFolder { path, own })
}

impl NotesFolder {
    /// Whose archive it is; without the note every file asks the store.
    fn owner_note(&self) -> Option<OwnerNote> {
        OwnerNote::open(&self.path, &self.own).ok()
    }

    /// The notes of what is archived ahead; without them nothing is.
    fn open_notes(&self, log: &Log) -> Option<ArchivedNotes> {
        let opened = ArchivedNotes::open(&self.path, &self.own).map_err(Failure::from);
        let said = |failure: Failure| {
            let text = format!("nothing is stored ahead: {}", failure.what);
            log.line(Level::Warning, &text);
        };
        opened.map_err(said).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_from_an_archive_command() {
        let place = |command: &str| place_in(command);
        let expected = Some(("s3://b/p".to_owned(), "shop".to_owned()));
        for command in [
            "barman-cloud-wal-archive s3://b/p shop %p",
            "/usr/local/bin/barman-cloud-wal-archive --zstd -p 4 's3://b/p' shop \"%p\"",
            "env HOME=/x barman-cloud-wal-archive -P prod s3://b/p shop %p >> /tmp/log 2>&1",
            "test ! -f /stop && barman-cloud-wal-archive s3://b/p shop %p && true",
        ] {
            assert_eq!(place(command), expected, "{command}");
        }
        for command in [
            "",
            "cp %p /x/%f",
            "barman-cloud-wal-archive 'half",
            "barman-cloud-wal-archive",
        ] {
            assert_eq!(place(command), None, "{command}");
        }
    }
}
