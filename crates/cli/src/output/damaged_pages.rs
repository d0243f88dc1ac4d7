//! The words for damaged pages that a restore found in a backup without a manifest.

use engine::restore::Damage;

use crate::output::cloud_log::{Level, Log};

/// More pages are only counted.
const MOST_PAGES: usize = 50;

/// A page that was being written while Barman copied it looks as a damaged one does.
pub fn warn_of_damage(damage: &Damage, log: &Log) {
    if damage.count == 0 {
        return;
    }
    for page in damage.pages.iter().take(MOST_PAGES) {
        log.line(Level::Warning, &page.to_string());
    }
    let text = format!(
        "{} pages of the backup have wrong checksums, and it has no manifest to compare them with",
        damage.count
    );
    log.line(Level::Warning, &text);
    log.line(
        Level::Hint,
        "WAL mends pages that were being written while the backup ran. Let PostgreSQL recover, \
         stop it, and run pg_checksums --check: what it still finds is damaged.",
    );
}
