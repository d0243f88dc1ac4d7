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

use super::write::{Shared, SourceSet};
use crate::codec::Encoder;
use crate::source::walk::absolute;

/// With more archives, each is so small a part of the whole that its place matters little.
const MOST_ARCHIVES: usize = 16;
/// Samples of an archive, at the same distance from each other: a few thousandths of it, since
/// nothing else goes on meanwhile.
const SAMPLES: u64 = 4;
const SAMPLE_BYTES: usize = 64 * 1024;

/// Puts archives first that will take the codec long.
///
/// # Errors
/// When the list of files cannot be read.
pub fn slowest_first(shared: &Shared, plan: &mut [PlannedArchive]) -> io::Result<()> {
    if shared.codec == Codec::None || plan.len() > MOST_ARCHIVES {
        return Ok(());
    }
    // Whoever archives with a codec that cannot be set up says so.
    let Ok(mut trial) = Trial::begin(shared.codec) else {
        return Ok(());
    };
    let mut listed = Ok(());
    longest_first(plan, |archive| {
        let set = shared.set_of(archive);
        let cost = cost(set, archive, |sample| trial.nanoseconds(sample));
        cost.unwrap_or_else(|error| {
            listed = Err(error);
            0
        })
    });
    listed
}

/// What the whole archive will cost when a sample of it costs `of_sample`; nothing where there is
/// no sample.
fn cost(
    set: &SourceSet,
    archive: &PlannedArchive,
    mut of_sample: impl FnMut(&[u8]) -> u64,
) -> io::Result<u64> {
    let mut block = vec![0; SAMPLE_BYTES];
    let (mut taken_bytes, mut cost) = (0, 0);
    each_sample(set, archive, |file, offset| {
        let count = file.read_at(&mut block, offset).unwrap_or(0);
        if count > 0 {
            cost += u128::from(of_sample(&block[..count]));
            taken_bytes += count as u128;
        }
    })?;
    let whole = (cost * u128::from(archive.size_bytes)).checked_div(taken_bytes);
    Ok(u64::try_from(whole.unwrap_or(0)).unwrap_or(u64::MAX))
}

/// A codec that packs samples and forgets them.
struct Trial(Encoder<io::Sink>);

impl Trial {
    fn begin(codec: Codec) -> io::Result<Trial> {
        let mut trial = Trial(Encoder::create(codec, None, io::sink())?);
        // The first use touches the codec's tables, which takes longer than a sample.
        trial.nanoseconds(&[0; SAMPLE_BYTES]);
        Ok(trial)
    }

    /// What packing the sample takes of the processor.
    fn nanoseconds(&mut self, sample: &[u8]) -> u64 {
        let begun = processor_time();
        let packed = self.0.write_all(sample).and_then(|()| self.0.flush());
        // Nothing but memory is written to.
        drop(packed);
        processor_time().saturating_sub(begun)
    }
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

    use model::layout::{ArchiveName, ArchiveSet};

    use super::*;
    use crate::source::walk::{Root, gather_entries};

    const MIB: usize = 1024 * 1024;

    fn set_of(directory: &Path) -> SourceSet {
        let root = Root::Tablespace {
            location: directory.to_path_buf(),
            version_directory: "PG_15_202209061".to_owned(),
        };
        SourceSet {
            set: ArchiveSet::Tablespace(1),
            entries: gather_entries(&root, &mut |_, _| {}).unwrap(),
            root,
        }
    }

    fn whole(set: &SourceSet) -> PlannedArchive {
        PlannedArchive {
            threads: 1,
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
    fn an_archive_costs_as_much_per_byte_as_its_samples_do() {
        let hard = vec![7; 2 * MIB];
        let (_hard, hard) = tablespace(&[("1", hard)]);
        // Many small files: samples end where they do.
        let names: Vec<_> = (0..512).map(|number| number.to_string()).collect();
        let easy: Vec<_> = names.iter().map(|name| (&**name, vec![0; 8192])).collect();
        let (_easy, easy) = tablespace(&easy);
        let units = |sample: &[u8]| match sample[0] {
            7 => 3 * sample.len() as u64,
            _ => sample.len() as u64,
        };
        let of = |set| cost(set, &whole(set), units).unwrap();
        assert_eq!([of(&hard), of(&easy)], [6 * MIB as u64, 4 * MIB as u64]);
    }

    #[test]
    fn an_archive_without_a_sample_costs_nothing() {
        let (_empty, empty) = tablespace(&[]);
        assert_eq!(cost(&empty, &whole(&empty), |_| 1).unwrap(), 0);
        let (vanished, gone) = tablespace(&[("1", vec![0; MIB])]);
        fs::remove_file(vanished.path().join("PG_15_202209061/5/1")).unwrap();
        assert_eq!(cost(&gone, &whole(&gone), |_| 1).unwrap(), 0);
    }

    #[test]
    fn every_codec_packs_samples() {
        for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
            let mut trial = Trial::begin(codec).unwrap();
            assert!(trial.nanoseconds(&[1; SAMPLE_BYTES]) > 0, "{codec:?}");
        }
    }
}
