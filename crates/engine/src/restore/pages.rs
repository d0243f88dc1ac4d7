//! Checking the pages of a backup whose files nobody has a checksum of.
//!
//! Our backups have a manifest, and their pages were checked when they were read. Python Barman's
//! have neither; where the cluster has checksums, a flipped bit shows while the files are written.
//! What a page must look like is `model::page`'s. Always true: a bounded number of pages is named,
//! all are counted, and a page that WAL rewrites whole is not damage.

use std::sync::{Mutex, MutexGuard};

use model::damage::DamagedPage;
use model::page::{
    PAGE_SIZE, PAGES_PER_FILE, PageState, check_page, init_fork_of, relation_segment,
};
use model::wal::lsn::Lsn;

/// Pages whose checksums are wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// The first ones.
    pub pages: Vec<DamagedPage>,
    /// How many there are.
    pub count: usize,
}

/// More of them are only counted.
const MOST_NAMED: usize = 1000;

/// Finds damage from several threads.
pub struct Pages {
    /// Newer pages are WAL's business; `None` when the cluster has no checksums.
    backup_start: Option<Lsn>,
    found: Mutex<Damage>,
}

impl Pages {
    pub fn older_than(backup_start: Option<Lsn>) -> Pages {
        Pages {
            backup_start,
            found: Mutex::default(),
        }
    }

    /// The check of one file, whose path is the prefix and what follows it.
    pub fn check_of(&self, prefix: &str, path: &[u8]) -> RestoredPages<'_> {
        let Some(backup_start) = self.backup_start else {
            return RestoredPages::off();
        };
        let path = std::str::from_utf8(path).ok();
        let path = path.map(|path| format!("{prefix}{path}"));
        let relation = path.and_then(|path| Some((relation_segment(&path)?, path)));
        RestoredPages(relation.map(|(segment, file)| Relation {
            pages: self,
            backup_start,
            file,
            next_block: segment * PAGES_PER_FILE,
        }))
    }

    /// Everything that was found, but for relations that PostgreSQL makes anew from their init
    /// fork, which has this path.
    pub fn finish(&self, has_init_fork: impl Fn(&str) -> bool) -> Damage {
        let mut found = std::mem::take(&mut *self.lock());
        let named = found.pages.len();
        let is_lasting =
            |page: &DamagedPage| !init_fork_of(&page.file).is_some_and(|fork| has_init_fork(&fork));
        found.pages.retain(is_lasting);
        found.count -= named - found.pages.len();
        found
    }

    fn lock(&self) -> MutexGuard<'_, Damage> {
        self.found
            .lock()
            .expect("no thread panics while it holds it")
    }
}

/// Looks at the content of one file, front to back.
pub struct RestoredPages<'a>(Option<Relation<'a>>);

struct Relation<'a> {
    pages: &'a Pages,
    backup_start: Lsn,
    file: String,
    next_block: u32,
}

impl RestoredPages<'_> {
    /// One that finds nothing.
    pub const fn off() -> RestoredPages<'static> {
        RestoredPages(None)
    }

    /// Looks at what follows what was looked at before: whole pages, but for the end of the file.
    pub fn look_at(&mut self, content: &[u8]) {
        let Some(relation) = &mut self.0 else { return };
        for page in content.chunks(PAGE_SIZE) {
            relation.page(page);
        }
    }
}

impl Relation<'_> {
    fn page(&mut self, page: &[u8]) {
        let block = self.next_block;
        self.next_block += 1;
        let state = check_page(page, block, self.backup_start);
        let PageState::Damaged {
            expected,
            found,
            lsn,
        } = state
        else {
            return;
        };
        let mut damage = self.pages.lock();
        damage.count += 1;
        if damage.pages.len() < MOST_NAMED {
            damage.pages.push(DamagedPage {
                file: self.file.clone(),
                block,
                lsn,
                expected,
                found,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of each page is wrong: it says that it is in use, and has no checksum.
    fn damaged_pages(count: usize) -> Vec<u8> {
        let mut page = vec![0; PAGE_SIZE];
        page[7] = 1;
        page[14] = 1;
        page.repeat(count)
    }

    fn found_in(file: &str, content: &[u8]) -> Damage {
        let pages = Pages::older_than(Some(Lsn::new(1 << 40)));
        let mut check = pages.check_of("", file.as_bytes());
        for block in content.chunks(4 * PAGE_SIZE) {
            check.look_at(block);
        }
        pages.finish(|fork| fork == "base/5/77_init")
    }

    #[test]
    fn damage_is_named_by_file_and_block_and_counted_beyond_a_bound() {
        let found = found_in("base/5/16384.2", &damaged_pages(MOST_NAMED + 9));
        assert_eq!(found.count, MOST_NAMED + 9);
        assert_eq!(found.pages.len(), MOST_NAMED);
        assert_eq!(found.pages[5].file, "base/5/16384.2");
        assert_eq!(found.pages[5].block, 2 * PAGES_PER_FILE + 5);
    }

    #[test]
    fn what_is_no_relation_or_comes_anew_from_its_init_fork_is_not_damage() {
        for file in [
            "postgresql.conf",
            "base/5/77",
            "base/5/77.1",
            "base/5/77_fsm",
        ] {
            assert_eq!(
                found_in(file, &damaged_pages(3)),
                Damage::default(),
                "{file}"
            );
        }
        let off = Pages::older_than(None);
        off.check_of("", b"base/5/1").look_at(&damaged_pages(3));
        assert_eq!(off.finish(|_| false), Damage::default());
    }
}
