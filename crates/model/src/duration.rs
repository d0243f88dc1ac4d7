//! Durations as people read them.
//!
//! The words are Barman's, as its JSON carries them; a change would break whoever reads it.

use jiff::SignedDuration;

/// `1 day, 2 hours, 3 minutes, 4 seconds`.
///
/// Fractions of a second are dropped, parts that are zero are left out; below one second it is
/// `less than one second`. A negative duration ends in ` ago`.
pub fn human_duration(duration: SignedDuration) -> String {
    let seconds = duration.unsigned_abs().as_secs();
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3_600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let words: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| match count {
            1 => format!("1 {unit}"),
            _ => format!("{count} {unit}s"),
        })
        .collect();
    let mut text = if words.is_empty() {
        "less than one second".to_owned()
    } else {
        words.join(", ")
    };
    if duration.is_negative() {
        text.push_str(" ago");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_worded_as_barman_words_them() {
        let durations = [
            // The first two from output of `barman show-backup` 3.20.1.
            (1_372, "1 second"),
            (84, "less than one second"),
            (93_784_000, "1 day, 2 hours, 3 minutes, 4 seconds"),
            (172_801_000, "2 days, 1 second"),
            (3_600_000, "1 hour"),
            (-61_000, "1 minute, 1 second ago"),
            (-5, "less than one second ago"),
            (0, "less than one second"),
        ];
        for (millis, text) in durations {
            assert_eq!(human_duration(SignedDuration::from_millis(millis)), text);
        }
    }

    #[test]
    fn the_longest_duration_has_words() {
        assert!(human_duration(SignedDuration::MIN).ends_with(" ago"));
    }
}
