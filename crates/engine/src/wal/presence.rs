//! Whether the WAL that a backup needs is in the bucket.
//!
//! A base backup can be restored only with every segment from its start to its end. Archiving is
//! the server's own doing; here is only the look whether it has been done. Always true: what is
//! asked of the store, and what is kept in memory, is bounded by what the archive holds, whatever a
//! record claims.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;

use model::codec::Codec;
use model::layout::parse_wal_file;
use model::postgres::SystemId;
use model::wal::name::{SegmentName, WalName};
use model::wal::segment::{HEADER_LENGTH, check_segment_head};
use model::wal::span::{MissingWal, SegmentSpan, WalRange};
use model::wal::timeline::{TimelineHistory, TimelineId};
use tokio::task::spawn_blocking;

use super::receive::{Decoded, open_decoded};
use crate::causes;
use crate::codec::decoder;
use crate::repository::Shelf;
use crate::stop::StopFlag;
use crate::store::{StoreError, key_of};

/// So many directories are listed one by one; instead of more, the archive as a whole.
const MOST_DIRECTORIES: usize = 64;
/// A history has a line for each promotion.
const MOST_HISTORY_BYTES: u64 = 1 << 20;

/// What of a backup's WAL is not in the bucket, whatever the codec.
///
/// # Errors
/// When the store cannot be asked.
pub async fn missing_wal(shelf: &Shelf, range: &WalRange) -> Result<MissingWal, StoreError> {
    let mut history = None;
    if let Some(timeline) = range.history() {
        history = read_history(shelf, timeline).await?;
    }
    let mut spans = Vec::new();
    for span in range.spans(history.as_ref()) {
        spans.extend(missing_of(shelf, &span).await?);
    }
    Ok(MissingWal {
        spans,
        history: range.history().filter(|_| history.is_none()),
    })
}

/// What of the WAL that was missing a moment ago still is.
///
/// # Errors
/// When the store cannot be asked.
pub async fn still_missing(
    shelf: &Shelf,
    (range, earlier): (&WalRange, &MissingWal),
) -> Result<MissingWal, StoreError> {
    if earlier.history.is_some() {
        return missing_wal(shelf, range).await;
    }
    let mut spans = Vec::new();
    for span in &earlier.spans {
        spans.extend(missing_of(shelf, span).await?);
    }
    Ok(MissingWal {
        spans,
        history: None,
    })
}

/// What of these segments is not in the bucket.
///
/// # Errors
/// When the store cannot be asked.
async fn missing_of(shelf: &Shelf, span: &SegmentSpan) -> Result<Vec<SegmentSpan>, StoreError> {
    let directory = |name: SegmentName| shelf.layout.wal_directory(&WalName::Segment(name));
    let places = match span.directories(MOST_DIRECTORIES) {
        Some(names) => names.into_iter().map(directory).collect(),
        None => vec![shelf.layout.wals()],
    };
    let mut seen = BTreeSet::new();
    for place in places {
        let see = |object: object_store::ObjectMeta| {
            let file = object.location.filename().unwrap_or_default();
            if let Some((WalName::Segment(segment), _)) = parse_wal_file(file)
                && span.contains(&segment)
            {
                seen.insert(segment);
            }
            ControlFlow::Continue(())
        };
        shelf.bucket.list_each(&format!("{place}/"), see).await?;
    }
    Ok(span.without(&seen))
}

/// The history of a timeline; `None` if it is not in the bucket, or nobody can read it.
///
/// # Errors
/// When the store cannot be asked.
pub async fn read_history(
    shelf: &Shelf,
    timeline: TimelineId,
) -> Result<Option<TimelineHistory>, StoreError> {
    let name = WalName::History(timeline);
    for codec in Codec::ALL {
        let content = match shelf.bucket.read(&shelf.layout.wal(&name, codec)).await {
            Err(error) if error.is_not_found() => continue,
            content => content?,
        };
        let mut text = String::new();
        let decoded = decoder(codec, std::io::Cursor::new(content))
            .and_then(|source| source.take(MOST_HISTORY_BYTES).read_to_string(&mut text));
        let history = decoded
            .ok()
            .map(|_| TimelineHistory::parse(timeline, &text));
        return Ok(history.and_then(Result::ok));
    }
    Ok(None)
}

/// What stands at the beginning of what has a segment's name in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// The header of a segment of that name, written by this system.
    Of(SystemId),
    /// It cannot be decoded, or is no header of a segment of that name.
    Damaged(String),
    /// Nothing has the name.
    Absent,
}

/// Reads the header of a segment, whatever the codec; no more of the object than that takes.
///
/// # Errors
/// When the store cannot be asked.
pub async fn read_header(shelf: &Shelf, segment: SegmentName) -> Result<Header, StoreError> {
    let name = WalName::Segment(segment);
    let mut found = None;
    let see = |object: object_store::ObjectMeta| match object
        .location
        .filename()
        .and_then(parse_wal_file)
    {
        Some((file, codec)) if file == name => {
            found = Some((key_of(&object).into_owned(), codec));
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    shelf
        .bucket
        .list_each(&shelf.layout.wal(&name, Codec::None), see)
        .await?;
    let Some((key, codec)) = found else {
        return Ok(Header::Absent);
    };
    let decoded = match open_decoded(&shelf.bucket, (&key, codec), &StopFlag::default()).await {
        Err(error) if error.is_not_found() => return Ok(Header::Absent),
        decoded => decoded?,
    };
    let reading = spawn_blocking(move || judge_header(decoded, &segment)).await;
    Ok(reading.unwrap_or_else(|error| Header::Damaged(error.to_string())))
}

/// Whether both ends of a range are sound segments of this system: a name is a claim. A record that
/// names no system is content with any.
///
/// # Errors
/// When the store cannot be asked.
pub async fn is_of_system(
    shelf: &Shelf,
    range: &WalRange,
    system: Option<SystemId>,
) -> Result<bool, StoreError> {
    for segment in [range.first, range.last] {
        let header = read_header(shelf, segment).await?;
        if !matches!(header, Header::Of(found) if system.is_none_or(|system| system == found)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn judge_header(decoded: Decoded, segment: &SegmentName) -> Header {
    let mut head = Vec::new();
    let read = decoded.open().and_then(|content| {
        let mut beginning = content.take(HEADER_LENGTH as u64);
        beginning.read_to_end(&mut head)
    });
    match read.map(|_| check_segment_head(segment, &head)) {
        Ok(Ok(facts)) => Header::Of(facts.system_id),
        Ok(Err(error)) => Header::Damaged(error.to_string()),
        Err(error) => Header::Damaged(causes::in_one_line(&error)),
    }
}
