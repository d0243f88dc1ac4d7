//! A line cut into words as Python's `shlex.split` does it, which is how botocore reads the
//! headings of its files and the command lines in them.

/// The words of a line; `None` for a quote without its other half, or a backslash at the end.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().push(letters.next()?),
            // Inside double quotes a backslash is for another and for the quote.
            (Some('"'), '\\') => {
                let next = letters.next()?;
                let word = word.get_or_insert_default();
                if !matches!(next, '"' | '\\') {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, ' ' | '\t' | '\r' | '\n') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each as Python 3.12's shlex.split has it.
    #[test]
    fn a_command_line_is_cut_into_words_as_a_shell_does() {
        let words = |line| split(line).unwrap();
        assert_eq!(
            words(r#"/bin/x  "a b" 'c"d' e\ f"#),
            ["/bin/x", "a b", "c\"d", "e f"]
        );
        assert_eq!(words(r#"x --a="b c" '' "#), ["x", "--a=b c", ""]);
        assert_eq!(words(r#""a\b \" \\" '\'"#), ["a\\b \" \\", "\\"]);
        assert!(words("  ").is_empty());
        assert_eq!(split("x 'open"), None);
        assert_eq!(split("x \\"), None);
    }
}
