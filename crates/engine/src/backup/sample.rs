//! How long the codec will take for an archive, told from a few samples of its files.
//!
//! Bytes alone do not say it: an index can take four times as long as a table of the same size, and
//! a job that begins it last still works when all others have ended. Always true: this decides
//! about the order alone, never about what is in an archive; a file that cannot be read is no
//! sample, and whoever archives it says why.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use model::backup::plan::{PlannedArchive, longest_first};
use model::codec::Codec;
use rustix::time::{ClockId, clock_gettime};

use super::archive::{Shared, SourceSet};
use super::gather::absolute;
use crate::codec::Encoder;

/// With more archives, each is so small a part of the whole that its place matters little.
const MOST_ARCHIVES: usize = 16;
/// Samples of an archive, at the same distance from each other.
const SAMPLES: u64 = 4;
/// Large enough that setting up the codec does not count.
const SAMPLE_BYTES: usize = 256 * 1024;

/// Puts archives first that will take the codec long.
///
/// # Errors
/// When the list of files cannot be read.
pub fn slowest_first(shared: &Shared, plan: &mut [PlannedArchive]) -> io::Result<()> {
    if shared.codec == Codec::None || plan.len() > MOST_ARCHIVES {
        return Ok(());
    }
    let mut listed = Ok(());
    longest_first(plan, |archive| {
        let time = nanoseconds(shared.set_of(archive), archive, shared.codec);
        time.unwrap_or_else(|error| {
            listed = Err(error);
            0
        })
    });
    listed
}

/// Nanoseconds of the processor that the codec will take for the whole archive.
fn nanoseconds(set: &SourceSet, archive: &PlannedArchive, codec: Codec) -> io::Result<u64> {
    let mut block = vec![0; SAMPLE_BYTES];
    let begun = processor_time();
    let Ok(mut encoder) = Encoder::create(codec, None, io::sink()) else {
        return Ok(0);
    };
    let mut taken_bytes: u64 = 0;
    each_sample(set, archive, |file, offset| {
        let count = file.read_at(&mut block, offset).unwrap_or(0);
        if encoder.write_all(&block[..count]).is_ok() {
            taken_bytes += count as u64;
        }
    })?;
    drop(encoder.finish());
    let spent = processor_time().saturating_sub(begun);
    let whole = u128::from(spent) * u128::from(archive.size_bytes);
    Ok(u64::try_from(whole / u128::from(taken_bytes.max(1))).unwrap_or(u64::MAX))
}

/// Calls `take` with the files of the archive that have a sample, and where in them it begins.
fn each_sample(
    set: &SourceSet,
    archive: &PlannedArchive,
    mut take: impl FnMut(&File, u64),
) -> io::Result<()> {
    let place = |number| archive.size_bytes / (2 * SAMPLES) * (2 * number + 1);
    let mut places = (0..SAMPLES).map(place).peekable();
    let mut entries = set.entries.read_from(archive.files.start)?;
    let mut begin = 0;
    for _ in archive.files.clone() {
        let Some(entry) = entries.next_entry()? else {
            break;
        };
        let end = begin + entry.size_bytes;
        if places.peek().is_some_and(|place| *place < end) {
            let file = File::open(absolute(&set.root, entry));
            while let Some(place) = places.next_if(|place| *place < end) {
                if let Ok(file) = &file {
                    take(file, place - begin);
                }
            }
        }
        begin = end;
    }
    Ok(())
}

/// What this thread has had of the processor, in nanoseconds.
fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use model::cloud::{ArchiveName, ArchiveSet};

    use super::super::gather::{Root, gather_entries};
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn set_of(directory: &Path) -> SourceSet {
        let root = Root::Tablespace {
            location: directory.to_path_buf(),
            major: 15,
        };
        SourceSet {
            set: ArchiveSet::Tablespace(1),
            entries: gather_entries(&root).unwrap(),
            root,
        }
    }

    fn whole(set: &SourceSet) -> PlannedArchive {
        PlannedArchive {
            name: ArchiveName {
                set: set.set,
                number: 0,
            },
            files: 0..set.entries.total.entry_count,
            size_bytes: set.entries.total.bytes,
        }
    }

    /// A tablespace with these files.
    fn tablespace(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, SourceSet) {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("PG_15_202209061/5");
        fs::create_dir_all(&inner).unwrap();
        for (name, content) in files {
            fs::write(inner.join(name), content).unwrap();
        }
        let set = set_of(directory.path());
        (directory, set)
    }

    #[test]
    fn samples_lie_at_the_same_distance_and_a_file_that_has_vanished_gives_none() {
        let contents = [("1", 100), ("2", 300), ("3", 400)];
        let files = contents.map(|(name, size)| (name, vec![0; size]));
        let (directory, set) = tablespace(&files);
        fs::remove_file(directory.path().join("PG_15_202209061/5/3")).unwrap();
        let mut found = Vec::new();
        let note = |file: &File, offset| found.push((file.metadata().unwrap().len(), offset));
        each_sample(&set, &whole(&set), note).unwrap();
        assert_eq!(found, [(300, 0), (300, 200)]);
    }

    #[test]
    fn what_the_codec_works_hard_for_takes_longer_than_more_that_is_easy() {
        // Hexadecimal digits without a pattern, which a codec must search through.
        let mut state = 1_u32;
        let mut digit = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"0123456789abcdef"[(state >> 28) as usize]
        };
        let hard = (0..2 * MIB).map(|_| digit()).collect();
        let (_hard, hard) = tablespace(&[("1", hard)]);
        let (_easy, easy) = tablespace(&[("1", vec![0; 4 * MIB])]);
        let time = |set| nanoseconds(set, &whole(set), Codec::Gzip).unwrap();
        assert!(time(&hard) > time(&easy));
    }

    #[test]
    fn an_archive_without_content_takes_no_time() {
        let (_directory, set) = tablespace(&[]);
        assert_eq!(nanoseconds(&set, &whole(&set), Codec::Gzip).unwrap(), 0);
    }
}
