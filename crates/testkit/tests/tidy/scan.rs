//! Rust source as the checks see it: which characters are code, which are comments or text in
//! quotes, and where functions begin and end. No grammar; braces and quotes are enough.

/// What to leave of a source text. What goes becomes spaces, so that lines and columns stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Code and text in quotes, but no comments.
    Quoted,
    /// Code alone.
    Code,
}

/// The source with comments, and perhaps text in quotes, blanked out.
pub fn blank(source: &str, leave: Leave) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let previous = out.chars().next_back();
        let (length, kind) = token(rest, previous);
        let (token, after) = rest.split_at(length.max(next.len_utf8()));
        let gone = match kind {
            Kind::Comment => true,
            Kind::Quoted => leave == Leave::Code,
            Kind::Code => false,
        };
        let visible = |letter: char| if gone && letter != '\n' { ' ' } else { letter };
        out.extend(token.chars().map(visible));
        rest = after;
    }
    out
}

enum Kind {
    Code,
    Comment,
    Quoted,
}

fn token(rest: &str, previous: Option<char>) -> (usize, Kind) {
    let in_word = previous.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Kind::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment_length(rest), Kind::Comment);
    }
    if !in_word && let Some(length) = raw_string_length(rest) {
        return (length, Kind::Quoted);
    }
    if rest.starts_with('"') {
        return (quoted_length(rest, '"'), Kind::Quoted);
    }
    // 'a' and '\n' are characters; 'static is a lifetime.
    let mut letters = rest.chars();
    if letters.next() == Some('\'') {
        let (first, second) = (letters.next(), letters.next());
        if first == Some('\\') || second == Some('\'') {
            return (quoted_length(rest, '\''), Kind::Quoted);
        }
    }
    (0, Kind::Code)
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut position = 0;
    while position < rest.len() {
        let tail = &rest.as_bytes()[position..];
        if tail.starts_with(b"/*") {
            depth += 1;
            position += 2;
        } else if tail.starts_with(b"*/") {
            depth -= 1;
            position += 2;
        } else {
            position += 1;
        }
        if depth == 0 {
            return position;
        }
    }
    rest.len()
}

fn raw_string_length(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix))?;
    let after = &rest[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].strip_prefix('"')?;
    let start = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = rest[start..]
        .find(&end)
        .map_or(rest.len(), |found| start + found + end.len());
    Some(length)
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return position + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// Counted from 1.
    pub line: usize,
    /// From the line with its name to the one with its closing brace.
    pub lines: usize,
    /// Visible outside its crate.
    pub is_public: bool,
    /// `name: Type` of each parameter but `self`.
    pub parameters: Vec<String>,
}

/// The functions in a text that [`blank`] left code alone in.
pub fn functions(code: &str) -> Vec<Function> {
    let starts = code.match_indices("fn ").map(|(position, _)| position);
    let starts = starts.filter(|position| {
        let before = code[..*position].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    });
    starts
        .filter_map(|start| function_at(code, start))
        .collect()
}

fn function_at(code: &str, start: usize) -> Option<Function> {
    let after = &code[start + 3..];
    let name_length = after.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    let name = &after[..name_length];
    let open = after.find('(')?;
    let inside = &after[open + 1..open + closing(&after[open..])?];
    let body = open + inside.len() + after[open + inside.len()..].find(['{', ';'])?;
    if name.is_empty() || after[body..].starts_with(';') {
        return None;
    }
    let end = body + closing(&after[body..])?;
    let line_start = code[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let parameters = split_parameters(inside);
    Some(Function {
        name: name.to_owned(),
        line: code[..start].matches('\n').count() + 1,
        lines: after[..end].matches('\n').count() + 1,
        is_public: code[line_start..start].trim_start().starts_with("pub "),
        parameters: parameters
            .into_iter()
            .filter(|text| text.contains(':'))
            .collect(),
    })
}

// Where the bracket that `text` begins with closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (position, letter) in text.char_indices() {
        match letter {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(position);
        }
    }
    None
}

fn split_parameters(inside: &str) -> Vec<String> {
    let mut parameters = vec![String::new()];
    let mut depth = 0_i32;
    let mut previous = ' ';
    for letter in inside.chars() {
        match letter {
            '(' | '[' | '<' | '{' => depth += 1,
            '>' if previous == '-' => {}
            ')' | ']' | '>' | '}' => depth -= 1,
            _ => {}
        }
        previous = letter;
        if letter == ',' && depth == 0 {
            parameters.push(String::new());
        } else if let Some(last) = parameters.last_mut() {
            last.push(letter);
        }
    }
    parameters
        .into_iter()
        .map(|text| text.trim().to_owned())
        .collect()
}

#[test]
fn comments_and_quotes_are_told_from_code() {
    let source =
        "let a = \"// {\"; // }\nlet b: &'static str = r#\"}\"\"#; /* { /* */ } */ '{' '\\''";
    let code = blank(source, Leave::Code);
    assert_eq!(
        code.split_whitespace().collect::<String>(),
        "leta=;letb:&'staticstr=;"
    );
    assert!(blank(source, Leave::Quoted).contains("// {"));
    assert_eq!(code.chars().count(), source.chars().count());
}

#[test]
fn functions_are_found_with_their_length_and_parameters() {
    let code =
        "trait T {\n    fn g(&self);\n}\npub fn f<F: Fn(u8) -> u8>(a: Vec<(u8, u8)>, b: F)\n{\n}\n";
    let found = functions(code);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].line, found[0].lines, found[0].is_public),
        (4, 3, true)
    );
}
