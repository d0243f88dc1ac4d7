//! WAL files that are not quite what one would expect, and must be archived all the same: what
//! archiving refuses holds up everything behind it.

use std::io::Write;

use engine::codec::Encoder;
use engine::wal::fetch::PartialPolicy;
use model::codec::Codec;

use crate::wal::{place, segment};

const NAME: &str = "000000010000000000000003";

fn compressed(codec: Codec, content: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::create(codec, None, Vec::new()).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_backup_label_is_archived_whatever_it_says() {
    // A label in LATIN1; one without its last lines.
    let contents: [&[u8]; 2] = [b"LABEL: nightly caf\xe9\n", b"START WAL LOCATION: 0/3"];
    let name = format!("{NAME}.00000028.backup");
    for content in contents {
        let place = place();
        let path = place.file(&name, content);
        place.archive(&path, Codec::Gzip).await.unwrap();
        let fetched = place.fetch(&name, PartialPolicy::Accept).await.unwrap();
        assert_eq!(fetched, content);
    }
}

#[tokio::test]
async fn what_a_crash_left_without_a_byte_is_refused_whatever_it_is() {
    let place = place();
    let names = ["", ".00000028.backup", ".partial"].map(|suffix| format!("{NAME}{suffix}"));
    for name in names.iter().map(String::as_str).chain(["00000002.history"]) {
        let path = place.file(name, b"");
        let refused = place.archive(&path, Codec::Gzip).await.unwrap_err();
        let words = engine::causes::in_one_line(&refused);
        assert!(
            words.contains("empty") || words.contains("0 bytes"),
            "{words}"
        );
        let fetched = place.fetch(name, PartialPolicy::Refuse).await;
        assert!(fetched.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_history_is_archived_in_any_encoding_but_not_with_nonsense() {
    let place = place();
    let history = b"1\t0/3000090\tat restore point \"caf\xe9\"\n";
    let path = place.file("00000002.history", history);
    place.archive(&path, Codec::None).await.unwrap();
    let path = place.file("00000003.history", b"\xff\xfe\x00");
    place.archive(&path, Codec::None).await.unwrap_err();
}

#[tokio::test]
async fn what_was_compressed_before_it_came_is_archived_as_what_it_is() {
    for before in Codec::ALL {
        let place = place();
        let path = place.file(NAME, &compressed(before, &segment(3, 9)));
        place.archive(&path, Codec::Zstd).await.unwrap();
        let fetched = place.fetch(NAME, PartialPolicy::Accept).await.unwrap();
        assert_eq!(fetched, segment(3, 9), "{before:?}");
        // And it is known to be the same when it comes as it is.
        let path = place.file(NAME, &segment(3, 9));
        place.archive(&path, Codec::None).await.unwrap();
        let path = place.file(NAME, &compressed(before, &segment(3, 8)));
        place.archive(&path, Codec::None).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_compressed_object_without_a_suffix_is_read_as_what_it_is() {
    for codec in Codec::ALL {
        let place = place();
        let key = place.layout.wal(&NAME.parse().unwrap(), Codec::None);
        let stored = compressed(codec, &segment(3, 9));
        place.bucket.write(&key, stored.into()).await.unwrap();
        let fetched = place.fetch(NAME, PartialPolicy::Accept).await.unwrap();
        assert_eq!(fetched, segment(3, 9), "{codec:?}");
    }
}
