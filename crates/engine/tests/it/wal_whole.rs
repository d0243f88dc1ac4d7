//! What comes out of the archive is what went in, or nothing comes out.

use engine::wal::error::FetchError;
use engine::wal::error::WalArchiveError;
use engine::wal::fetch::PartialPolicy;
use model::codec::Codec;

use crate::wal::{place, segment};

const NAME: &str = "000000010000000000000003";

/// A segment that compresses to some hundred kilobytes, so that most of a frame is content.
fn varied() -> Vec<u8> {
    let mut content = segment(3, 0);
    let mut state = 88_172_645_463_325_252_u64;
    for place in content[40..].iter_mut().step_by(3) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *place = state as u8;
    }
    content
}

#[tokio::test]
async fn no_flipped_bit_of_a_compressed_segment_is_handed_out() {
    let content = varied();
    for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
        let place = place();
        let path = place.file(NAME, &content);
        place.archive(&path, codec).await.unwrap();
        let key = place.layout.wal(&NAME.parse().unwrap(), codec);
        let stored = place.bucket.read(&key).await.unwrap();
        for at in (0..stored.len()).step_by(stored.len() / 60) {
            let mut flipped = stored.to_vec();
            flipped[at] ^= 1 << (at % 8);
            place.bucket.write(&key, flipped.into()).await.unwrap();
            // Some bits of a header say nothing about the content.
            if let Ok(fetched) = place.fetch(NAME, PartialPolicy::Accept).await {
                assert!(
                    fetched == content,
                    "{codec:?}: a flip at {at} is handed out"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_empty_history_is_refused_on_both_ways() {
    let name = "00000002.history";
    let place = place();
    let path = place.file(name, b"");
    let refused = place.archive(&path, Codec::None).await;
    assert!(
        matches!(refused, Err(WalArchiveError::Content { .. })),
        "{refused:?}"
    );
    let key = place.layout.wal(&name.parse().unwrap(), Codec::None);
    let nothing = bytes::Bytes::new();
    place.bucket.write(&key, nothing).await.unwrap();
    let refused = place.fetch(name, PartialPolicy::Accept).await;
    assert!(
        matches!(refused, Err(FetchError::Empty { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_destination_that_is_no_regular_file_stays_what_it_is() {
    let place = place();
    let path = place.file(NAME, &segment(3, 9));
    place.archive(&path, Codec::None).await.unwrap();
    let destination = place.directory.path().join("RECOVERYXLOG");
    std::os::unix::fs::symlink("elsewhere", &destination).unwrap();
    let refused = place.fetch(NAME, PartialPolicy::Accept).await;
    assert!(
        matches!(refused, Err(FetchError::Write { .. })),
        "{refused:?}"
    );
    assert!(destination.is_symlink());
}
