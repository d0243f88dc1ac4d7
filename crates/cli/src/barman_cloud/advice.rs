//! Advice in the words of the `barman-cloud-*` commands: their names and their options.

use std::path::PathBuf;

use crate::failure::Advice;
use crate::render::next_steps::quote;

/// The sentence that a hint gives.
pub fn words(advice: &Advice) -> Option<String> {
    let sentence = match advice {
        Advice::Sentence(sentence) => sentence,
        Advice::ListBackups => "barman-cloud-backup-list shows the backups that there are.",
        Advice::ListBackupEnds => "barman-cloud-backup-list shows when each backup ended.",
        Advice::ReleaseKeep => "barman-cloud-backup-keep --release lets it go.",
        Advice::SetKeepAnew => "Set or release it anew with barman-cloud-backup-keep.",
        Advice::DeleteByIds => {
            "Set the clock of this host. If it is right, delete backups by their ids: \
             barman-cloud-backup-delete -b."
        }
        Advice::SetArchiveCommand => {
            "Set archive_mode = on and archive_command to barman-cloud-wal-archive, and restart \
             the server."
        }
        Advice::ChooseByTarget => {
            "Say auto in place of the backup: it takes the newest one that ended by the target."
        }
        Advice::MoreMemory => "Give --max-memory more, or leave it out.",
        Advice::MoreMemoryOrSmallerParts => {
            "Give --max-memory more, or leave it out. A smaller --min-chunk-size needs less."
        }
        Advice::AcceptDamage => {
            "Look at the disk and the log of the server; without --fail-on-damage the backup is \
             taken as it is."
        }
        Advice::SkipLinks => {
            "Barman archives links that lie in the data directory. If you trust the backup, empty \
             the directory and add --skip-links: everything else is restored."
        }
        Advice::KeepUnlisted => {
            "Somebody may have put them into the archive. If you know them, empty the directory \
             and add --keep-unlisted."
        }
        Advice::EmptyDirectory => {
            "Restore into an empty directory; --tablespace NAME:LOCATION moves a tablespace."
        }
        Advice::MakeRoom => {
            "Make room, or restore to another place; --tablespace NAME:LOCATION moves a \
             tablespace, --no-space-check begins nevertheless."
        }
        Advice::RemoveLeftovers(path) => {
            let place = quote(&path.display().to_string());
            return Some(format!(
                "Remove it and start again: rm -r {place}; the same with what that restore put \
                 into directories of tablespaces."
            ));
        }
        Advice::ConfirmPlaces(all) => return Some(confirmation(all)),
    };
    Some(sentence.to_owned())
}

/// The options that confirm what the record says. It may say something that a shell understands:
/// then nobody should copy it.
fn confirmation(all: &[(String, PathBuf)]) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let option = |(name, location): &(String, PathBuf)| {
        let location = location.to_string_lossy();
        let plain = name.chars().chain(location.chars()).all(is_plain);
        plain.then(|| format!("--tablespace {name}:{location}"))
    };
    let options: Option<Vec<_>> = all.iter().map(option).collect();
    let options = options.map_or_else(
        || "--tablespace NAME:LOCATION for each tablespace".to_owned(),
        |options| options.join(" "),
    );
    format!(
        "To restore it there, add {options}; or make the directory and give it to the server's \
         account."
    )
}
