//! The options that tag what is uploaded, in both of Barman's spellings.
//!
//! What a tag may be is judged in `cloud`. Statuses are Barman's: a word that is no tag at all is
//! a wrong command line, as is a bad `--tag`; what the store would refuse is status 4. Of several
//! `--tags` the last one counts, as with Barman.

use clap::{ArgAction, Args};
use cloud::{BadTag, Tag, tag_set};
use engine::store::TagSet;

use crate::failure::{Failure, Kind};

/// Tags on every object.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tags (S3 takes up to 10)")]
pub struct TagFlags {
    /// Tag every uploaded object, such as env,prod; repeatable
    #[arg(long, value_name = "KEY,VALUE", conflicts_with = "tags")]
    tag: Vec<String>,
    /// Older form of --tag: several tags in a row, written as CSV
    #[arg(long, value_name = "KEY,VALUE", num_args = 0.., action = ArgAction::Set)]
    #[arg(overrides_with = "tags")]
    tags: Vec<String>,
}

/// Tags on history files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tags (S3 takes up to 10)")]
pub struct HistoryTagFlags {
    /// Tag history files with this instead; repeatable
    #[arg(long, value_name = "KEY,VALUE", conflicts_with = "history_tags")]
    history_tag: Vec<String>,
    /// Older form of --history-tag: several tags in a row, written as CSV
    #[arg(long, value_name = "KEY,VALUE", num_args = 0.., action = ArgAction::Set)]
    #[arg(overrides_with = "history_tags")]
    history_tags: Vec<String>,
}

impl TagFlags {
    /// The tags that were given.
    pub fn read(&self) -> Result<TagSet, Failure> {
        read(&self.tag, &self.tags)
    }
}

impl HistoryTagFlags {
    /// The tags that history files get, `None` for those of all files.
    pub fn read(&self) -> Result<Option<TagSet>, Failure> {
        let set = read(&self.history_tag, &self.history_tags)?;
        Ok(Some(set).filter(|set| !set.is_empty()))
    }
}

fn read(words: &[String], rows: &[String]) -> Result<TagSet, Failure> {
    let strict = words
        .iter()
        .map(|word| Tag::parse(word).map_err(|error| failure(Kind::Usage, &error)));
    let wide = rows.iter().map(|row| {
        Tag::parse_row(row).map_err(|error| match error {
            BadTag::Form { .. } => failure(Kind::Usage, &error),
            _ => failure(Kind::Other, &error),
        })
    });
    let tags: Vec<Tag> = strict.chain(wide).collect::<Result<_, _>>()?;
    tag_set(&tags).map_err(|error| failure(Kind::Other, &error))
}

fn failure(kind: Kind, error: &BadTag) -> Failure {
    Failure::new(kind, error.to_string()).with_hint(
        "A tag is KEY,VALUE: letters, digits, spaces and _ . : / = + - @, such as env,prod.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(words: &[&str], rows: &[&str]) -> Option<Kind> {
        let owned = |list: &[&str]| list.iter().map(|word| word.to_string()).collect::<Vec<_>>();
        read(&owned(words), &owned(rows)).err().map(|it| it.kind)
    }

    #[derive(Debug, clap::Parser)]
    struct Words {
        #[command(flatten)]
        tags: TagFlags,
    }

    #[test]
    fn of_several_rows_the_last_one_counts_and_of_single_tags_every_one() {
        // Seen with Barman 3.20.1, in the header that it sends.
        let encoded = |words: &[&str]| {
            let words = std::iter::once(&"x").chain(words);
            let set = <Words as clap::Parser>::parse_from(words).tags.read();
            set.unwrap().encoded().to_owned()
        };
        assert_eq!(encoded(&["--tags", "a,b", "k,v", "--tags", "c,d"]), "c=d");
        assert_eq!(encoded(&["--tag", "a,b", "--tag", "c,d"]), "a=b&c=d");
    }

    #[test]
    fn statuses_of_bad_tags_are_barmans() {
        // Seen with Barman 3.20.1; it sends two of a key to the store, which refuses them.
        assert_eq!(kind(&["k,v", "l,"], &[]), None);
        assert_eq!(kind(&[], &["k,v", "größe,1"]), None);
        assert_eq!(kind(&["k"], &[]), Some(Kind::Usage));
        assert_eq!(kind(&["aws:k,v"], &[]), Some(Kind::Usage));
        assert_eq!(kind(&[], &["k"]), Some(Kind::Usage));
        assert_eq!(kind(&[], &["aws:k,v"]), Some(Kind::Other));
        assert_eq!(kind(&["k,v", "k,v"], &[]), Some(Kind::Other));
        let many: Vec<String> = (0..11).map(|n| format!("k{n},v")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(kind(&many, &[]), Some(Kind::Other));
    }
}
