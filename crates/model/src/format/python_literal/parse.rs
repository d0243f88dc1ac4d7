//! Reading Python literals: a recursive descent with a limit on its depth.
//!
//! Beyond what `repr` writes, it reads what people write by hand and Python's literal parser
//! takes: double quotes, spaces, trailing commas, `u''`, every escape but names (`\N{…}`).

use super::Value;

/// How deep lists, tuples and dictionaries may lie in each other.
const DEPTH_LIMIT: usize = 64;

/// Text that is no literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause} at character {at}")]
pub struct BadLiteral {
    /// Where, in characters, from 1.
    pub at: usize,
    /// What is wrong there.
    pub cause: BadLiteralCause,
}

/// What is wrong with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLiteralCause {
    /// Nothing that begins a value, such as `null` or `true`.
    #[error("no Python value")]
    NoValue,
    /// A list, tuple or dictionary is not continued or closed as it should be.
    #[error("no comma or closing bracket")]
    NotClosed,
    /// A dictionary's key is not followed by a colon.
    #[error("no colon after a key")]
    NoColon,
    /// A string without its closing quote.
    #[error("no closing quote")]
    OpenString,
    /// An escape that is cut off, unknown, or no character.
    #[error("an escape that is no character")]
    BadEscape,
    /// A number too large for 64 bits, or malformed.
    #[error("no number of 64 bits")]
    BadNumber,
    /// Too many brackets in each other.
    #[error("too many nested brackets")]
    TooDeep,
    /// More text after the value.
    #[error("more text after the value")]
    Trailing,
}

impl Value {
    /// Reads a whole text as one literal.
    ///
    /// # Errors
    /// When it is none; the error has the place.
    pub fn parse(text: &str) -> Result<Value, BadLiteral> {
        parse(text)
    }
}

fn parse(text: &str) -> Result<Value, BadLiteral> {
    let mut reader = Reader { text, place: 0 };
    let value = reader.value(0).and_then(|value| {
        reader.skip_space();
        if reader.rest().is_empty() {
            Ok(value)
        } else {
            Err(BadLiteralCause::Trailing)
        }
    });
    value.map_err(|cause| BadLiteral {
        at: text[..reader.place].chars().count() + 1,
        cause,
    })
}

struct Reader<'a> {
    text: &'a str,
    /// In bytes; always between two characters.
    place: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.place..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
        self.place += rest.len() - trimmed.len();
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.place += wanted.len();
        }
        found
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.place += c.len_utf8();
        Some(c)
    }

    fn run(&self, of: fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !of(c)).unwrap_or(rest.len());
        &rest[..end]
    }

    fn value(&mut self, depth: usize) -> Result<Value, BadLiteralCause> {
        if depth > DEPTH_LIMIT {
            return Err(BadLiteralCause::TooDeep);
        }
        self.skip_space();
        match self.rest().chars().next() {
            Some('[') => {
                self.place += 1;
                Ok(Value::List(self.items("]", depth)?.0))
            }
            Some('(') => self.tuple(depth),
            Some('{') => self.dict(depth),
            Some('\'' | '"') => self.string(),
            Some('u' | 'U') if self.rest()[1..].starts_with(['\'', '"']) => {
                self.place += 1;
                self.string()
            }
            Some('0'..='9' | '+' | '-' | '.') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, BadLiteralCause> {
        let word = self.run(|c| c.is_alphanumeric() || c == '_');
        let value = match word {
            "None" => Value::None,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            _ => return Err(BadLiteralCause::NoValue),
        };
        self.place += word.len();
        Ok(value)
    }

    /// Values up to the closing bracket, and whether a comma came last.
    fn items(
        &mut self,
        closing: &str,
        depth: usize,
    ) -> Result<(Vec<Value>, bool), BadLiteralCause> {
        let mut items = Vec::new();
        let mut after_comma = false;
        loop {
            self.skip_space();
            if self.eat(closing) {
                return Ok((items, after_comma));
            }
            if !items.is_empty() && !after_comma {
                return Err(BadLiteralCause::NotClosed);
            }
            items.push(self.value(depth + 1)?);
            self.skip_space();
            after_comma = self.eat(",");
        }
    }

    /// `()`, `(1,)`, `(1, 2)`; and `(1)`, which is just `1`.
    fn tuple(&mut self, depth: usize) -> Result<Value, BadLiteralCause> {
        self.place += 1;
        let (mut items, after_comma) = self.items(")", depth)?;
        match items.pop() {
            Some(only) if items.is_empty() && !after_comma => Ok(only),
            last => {
                items.extend(last);
                Ok(Value::Tuple(items))
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Value, BadLiteralCause> {
        self.place += 1;
        let mut entries = Vec::new();
        let mut after_comma = true;
        loop {
            self.skip_space();
            if self.eat("}") {
                return Ok(Value::Dict(entries));
            }
            if !after_comma {
                return Err(BadLiteralCause::NotClosed);
            }
            let key = self.value(depth + 1)?;
            self.skip_space();
            if !self.eat(":") {
                return Err(BadLiteralCause::NoColon);
            }
            entries.push((key, self.value(depth + 1)?));
            self.skip_space();
            after_comma = self.eat(",");
        }
    }

    fn number(&mut self) -> Result<Value, BadLiteralCause> {
        let rest = self.rest();
        let mut end = 0;
        for (place, c) in rest.char_indices() {
            let after_exponent = rest[..place].ends_with(['e', 'E']);
            let sign = matches!(c, '+' | '-') && (place == 0 || after_exponent);
            if !(sign || matches!(c, '0'..='9' | '.' | 'e' | 'E')) {
                break;
            }
            end = place + 1;
        }
        let token = &rest[..end];
        let value = if token.contains(['.', 'e', 'E']) {
            let number = token.parse().ok().filter(|number: &f64| number.is_finite());
            number.map(Value::Float)
        } else {
            token.parse().ok().map(Value::Int)
        };
        let value = value.ok_or(BadLiteralCause::BadNumber)?;
        self.place += end;
        Ok(value)
    }

    fn string(&mut self) -> Result<Value, BadLiteralCause> {
        let quote = self.next_char().ok_or(BadLiteralCause::NoValue)?;
        let mut content = String::new();
        loop {
            match self.next_char() {
                Some(c) if c == quote => return Ok(Value::Str(content)),
                Some('\\') => self.escape(&mut content)?,
                None | Some('\n' | '\r') => return Err(BadLiteralCause::OpenString),
                Some(c) => content.push(c),
            }
        }
    }

    /// What follows a backslash. An escape Python does not know stays as it is, backslash included.
    fn escape(&mut self, content: &mut String) -> Result<(), BadLiteralCause> {
        let c = match self.next_char().ok_or(BadLiteralCause::OpenString)? {
            '\n' => return Ok(()),
            '\\' => '\\',
            '\'' => '\'',
            '"' => '"',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            'N' => return Err(BadLiteralCause::BadEscape),
            '0'..='7' => {
                self.place -= 1;
                self.octal()?
            }
            other => {
                content.push('\\');
                other
            }
        };
        content.push(c);
        Ok(())
    }

    fn hexadecimal(&mut self, length: usize) -> Result<char, BadLiteralCause> {
        let digits = self
            .rest()
            .get(..length)
            .ok_or(BadLiteralCause::BadEscape)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadLiteralCause::BadEscape);
        }
        self.place += length;
        u32::from_str_radix(digits, 16)
            .ok()
            .and_then(char::from_u32)
            .ok_or(BadLiteralCause::BadEscape)
    }

    /// One to three octal digits.
    fn octal(&mut self) -> Result<char, BadLiteralCause> {
        let run = self.run(|c| matches!(c, '0'..='7'));
        let digits = &run[..run.len().min(3)];
        self.place += digits.len();
        u32::from_str_radix(digits, 8)
            .ok()
            .and_then(char::from_u32)
            .ok_or(BadLiteralCause::BadEscape)
    }
}
