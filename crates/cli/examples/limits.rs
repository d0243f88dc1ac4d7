//! What the machine can do at most, one stage at a time, for `make bench`: no backup and no
//! restore, only the reading, checking, compressing and uploading of one, or the downloading,
//! decompressing and writing of the other, each alone on all that it can use.
//!
//! The codecs, the page check, the store's client and the settings of the allocator are the
//! program's own, so that a limit moves with them; what lies between them in the program (tar,
//! queues, order) is missing here on purpose. Time and CPU are measured from outside, for the whole
//! process.

// A measurement that cannot go on ends; nobody handles its errors.
#![allow(clippy::unwrap_used)]

#[cfg(target_env = "gnu")]
#[path = "../src/allocator.rs"]
mod allocator;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cloud::{Environment, Location, Provider, StoreOptions};
use engine::codec::{Encoder, decoder};
use futures_util::{StreamExt, stream};
use model::codec::Codec;
use model::page::{PAGE_SIZE, check_page};
use model::wal::lsn::Lsn;
use object_store::ObjectStoreExt;
use rustix::fs::OFlags;

const USAGE: &str = "limits read|check|gzip|zstd|lz4|unzstd FOLDER... | \
                     limits largest gzip|zstd|lz4 FOLDER... | limits write TARGET FOLDER... | \
                     limits upload URL FOLDER | limits download URL";

/// What is read at once, and a part of an upload.
const BLOCK: usize = 1024 * 1024;
const PART: usize = 8 * BLOCK;
/// Large files are shared among the threads in pieces of this size.
const PIECE: u64 = 64 * BLOCK as u64;
/// Parts on the wire at the same time.
const PARALLEL: usize = 4;

fn main() {
    #[cfg(target_env = "gnu")]
    allocator::set_up();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["upload", url, folder] => upload(url, Path::new(folder)),
        ["download", url] => download(url),
        ["unzstd", folder] => {
            on_all_cores(files_below(&[folder]), &|| {
                Box::new(|(file, _)| unpack(&file))
            });
        }
        ["largest", stage, folders @ ..] if !folders.is_empty() => {
            let Some(Stage::Compress(codec)) = stage_named(stage) else {
                panic!("{USAGE}")
            };
            pack_largest(codec, files_below(folders));
        }
        ["write", target, folders @ ..] if !folders.is_empty() => {
            write(Path::new(target), files_below(folders));
        }
        [stage, folders @ ..] if !folders.is_empty() => {
            let Some(work) = stage_named(stage) else {
                panic!("{USAGE}")
            };
            let pieces = pieces_of(&files_below(folders));
            on_all_cores(pieces, &|| work.begin());
        }
        _ => panic!("{USAGE}"),
    }
}

enum Stage {
    Read,
    Check,
    Compress(Codec),
}

fn stage_named(word: &str) -> Option<Stage> {
    Some(match word {
        "read" => Stage::Read,
        "check" => Stage::Check,
        "gzip" => Stage::Compress(Codec::Gzip),
        "zstd" => Stage::Compress(Codec::Zstd),
        "lz4" => Stage::Compress(Codec::Lz4),
        _ => return None,
    })
}

struct Piece {
    file: PathBuf,
    from: u64,
    to: u64,
}

fn files_below(folders: &[&str]) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                found.push((entry.path(), entry.metadata().unwrap().len()));
            }
        }
    }
    found
}

// Small ones are taken first: the threads take from the end, so that they finish together.
fn pieces_of(files: &[(PathBuf, u64)]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (file, length) in files {
        let mut from = 0;
        while from < *length {
            let to = (from + PIECE).min(*length);
            let file = file.clone();
            pieces.push(Piece { file, from, to });
            from = to;
        }
    }
    pieces.sort_by_key(|piece| piece.to - piece.from);
    pieces
}

/// What a thread does with one item after another.
type Work<T> = Box<dyn FnMut(T)>;

fn on_all_cores<T: Send>(items: Vec<T>, begin: &(dyn Fn() -> Work<T> + Sync)) {
    let items = Mutex::new(items);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut work = begin();
                loop {
                    let Some(item) = items.lock().unwrap().pop() else {
                        return;
                    };
                    work(item);
                }
            });
        }
    });
}

impl Stage {
    /// A thread has one codec for all its files, as an archive has.
    fn begin(&self) -> Work<Piece> {
        match self {
            Stage::Read => Box::new(|piece| blocks(&piece, |_| ())),
            Stage::Check => Box::new(|piece| {
                let mut sum = 0;
                blocks(&piece, |block| sum = checked(block, sum));
                // What nobody looks at would not be computed.
                std::hint::black_box(sum);
            }),
            Stage::Compress(codec) => {
                let mut encoder = Encoder::create(*codec, None, io::sink()).unwrap();
                Box::new(move |piece| {
                    blocks(&piece, |block| encoder.write_all(block).unwrap());
                })
            }
        }
    }
}

/// The largest file: it is in one archive, whose stream has one codec, so one thread does it all.
fn pack_largest(codec: Codec, files: Vec<(PathBuf, u64)>) {
    let (file, to) = files.into_iter().max_by_key(|(_, length)| *length).unwrap();
    let mut encoder = Encoder::create(codec, None, io::sink()).unwrap();
    let mut sum = 0;
    blocks(&Piece { file, from: 0, to }, |block| {
        sum = checked(block, sum);
        encoder.write_all(block).unwrap();
    });
    std::hint::black_box(sum);
}

fn blocks(piece: &Piece, mut take: impl FnMut(&[u8])) {
    let file = File::open(&piece.file).unwrap();
    let mut buffer = vec![0; BLOCK];
    let mut position = piece.from;
    while position < piece.to {
        let wanted = (piece.to - position).min(BLOCK as u64) as usize;
        let count = file.read_at(&mut buffer[..wanted], position).unwrap();
        if count == 0 {
            return;
        }
        take(&buffer[..count]);
        position += count as u64;
    }
}

// Block numbers do not matter to the time it takes, only that each page is summed up.
fn checked(block: &[u8], sum: u32) -> u32 {
    for page in block.chunks_exact(PAGE_SIZE) {
        std::hint::black_box(check_page(page, 0, Lsn::new(u64::MAX)));
    }
    crc32c::crc32c_append(sum, block)
}

/// Smaller files go through the page cache: one request of so little gains nothing past it.
const SMALLEST_DIRECT: u64 = BLOCK as u64;
/// What a disk can ask of the memory that is written from, and of positions.
const ALIGNMENT: usize = 4096;

/// Writes as many files of the same sizes, large ones past the page cache, and waits until all of
/// them are on the disk, as a restore does.
fn write(target: &Path, files: Vec<(PathBuf, u64)>) {
    let mut sizes: Vec<_> = files.into_iter().map(|(_, length)| length).collect();
    sizes.sort_unstable();
    on_all_cores(sizes.into_iter().enumerate().collect(), &|| {
        let memory = vec![1; BLOCK + ALIGNMENT];
        let first = memory.as_ptr().align_offset(ALIGNMENT);
        let target = target.to_path_buf();
        Box::new(move |(number, length)| {
            let block = &memory[first..first + BLOCK];
            let path = target.join(number.to_string());
            let (flags, unit) = match length >= SMALLEST_DIRECT {
                true => (OFlags::DIRECT, ALIGNMENT),
                false => (OFlags::empty(), 1),
            };
            let mut options = File::options();
            options.write(true).create_new(true);
            options.custom_flags(flags.bits().cast_signed());
            let file = options.open(path).unwrap();
            for from in (0..length).step_by(BLOCK) {
                let wanted = (length - from).min(BLOCK as u64) as usize;
                let wanted = wanted.next_multiple_of(unit);
                file.write_all_at(&block[..wanted], from).unwrap();
            }
            file.set_len(length).unwrap();
        })
    });
    rustix::fs::syncfs(File::open(target).unwrap()).unwrap();
}

/// Uploads the files below a folder, largest first, in parts that go side by side.
fn upload(url: &str, folder: &Path) {
    let mut files = files_below(&[folder.to_str().unwrap()]);
    files.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (bucket, _) = open(url).await;
        for (number, (file, length)) in files.iter().enumerate() {
            let key = object_store::path::Path::from(format!("upload/{number}"));
            let mut upload = bucket.objects.put_multipart(&key).await.unwrap();
            let file = File::open(file).unwrap();
            let starts = (0..*length).step_by(PART);
            // A part's number is given when its future is made, in order.
            let parts = starts.map(|from| {
                let mut part = vec![0; PART.min((length - from) as usize)];
                file.read_exact_at(&mut part, from).unwrap();
                upload.put_part(part.into())
            });
            let sent: Vec<_> = stream::iter(parts)
                .buffer_unordered(PARALLEL)
                .collect()
                .await;
            assert!(sent.iter().all(Result::is_ok), "{sent:?}");
            upload.complete().await.unwrap();
        }
    });
}

/// Downloads every object below a URL, several side by side, and looks at none.
fn download(url: &str) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (bucket, location) = open(url).await;
        let prefix = format!("{}/", location.prefix());
        let objects = bucket.list(&prefix).await.unwrap();
        let fetch = |object: object_store::ObjectMeta| {
            let objects = &bucket.objects;
            async move {
                let got = objects.get(&object.location).await.unwrap();
                let mut chunks = got.into_stream();
                let mut bytes = 0;
                while let Some(chunk) = chunks.next().await {
                    bytes += chunk.unwrap().len() as u64;
                }
                assert_eq!(bytes, object.size);
            }
        };
        let fetching = stream::iter(objects.into_iter().map(fetch));
        fetching
            .buffer_unordered(PARALLEL)
            .collect::<Vec<_>>()
            .await;
    });
}

async fn open(url: &str) -> (engine::store::Bucket, Location) {
    let location = Location::parse(url, Provider::AwsS3).unwrap();
    let environment = Environment::gather();
    let opened = cloud::open(&location, &StoreOptions::default(), &environment).await;
    (opened.unwrap(), location)
}

fn unpack(file: &Path) {
    let mut source = File::open(file).unwrap();
    let mut head = Vec::new();
    let mut beginning = (&mut source).take(Codec::MAGIC_LENGTH as u64);
    beginning.read_to_end(&mut head).unwrap();
    // The record of the backup is in the folder, too.
    if Codec::from_magic(&head) != Codec::Zstd {
        return;
    }
    let mut decoder = decoder(Codec::Zstd, io::Cursor::new(head).chain(source)).unwrap();
    let mut block = vec![0; BLOCK];
    while decoder.read(&mut block).unwrap() > 0 {}
}
