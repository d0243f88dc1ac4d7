//! Python literals: the syntax of the structured values in `backup.info`.
//!
//! Barman writes them with Python's `repr` and reads them with a literal parser; so do
//! [`Value::render`] and [`Value::parse`]. What the keys of a dictionary mean is left to whoever
//! asks. Always true: `parse(render(v)) == v` for finite numbers, and what `repr` wrote is rendered
//! the same, byte for byte.

mod parse;

use serde_json::{Map, Number, Value as Json};

pub use parse::{BadLiteral, BadLiteralCause};

/// A Python value that has a literal, as far as Barman's files use them: no sets, bytes, complex
/// numbers, or integers beyond 64 bits.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// `42`
    Int(i64),
    /// `1.25684`; finite. An infinity or NaN has no literal and renders as `None`.
    Float(f64),
    /// `'text'`
    Str(String),
    /// `['a', 'b']`
    List(Vec<Value>),
    /// `('ts1', 16384)`
    Tuple(Vec<Value>),
    /// `{'a': 1}`, in the order it was written.
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// The text Python's `repr` gives.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.render_into(&mut text);
        text
    }

    /// The value as Python's `json` module would show it: tuples are lists, and dictionary keys
    /// become text.
    pub fn to_json(&self) -> Json {
        match self {
            Value::None => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Value::Str(text) => Json::String(text.clone()),
            Value::List(items) | Value::Tuple(items) => items.iter().map(Value::to_json).collect(),
            Value::Dict(entries) => entries
                .iter()
                .map(|(key, value)| (key.json_key(), value.to_json()))
                .collect::<Map<String, Json>>()
                .into(),
        }
    }

    /// What a dictionary has under a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Value::Dict(entries) = self else {
            return None;
        };
        let named = |(name, _): &&(Value, Value)| matches!(name, Value::Str(text) if text == key);
        entries.iter().rev().find(named).map(|(_, value)| value)
    }

    fn json_key(&self) -> String {
        match self {
            Value::Str(text) => text.clone(),
            Value::None => "null".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            other => other.render(),
        }
    }

    fn render_into(&self, text: &mut String) {
        match self {
            Value::None => text.push_str("None"),
            Value::Bool(true) => text.push_str("True"),
            Value::Bool(false) => text.push_str("False"),
            Value::Int(number) => text.push_str(&number.to_string()),
            Value::Float(number) => render_float(*number, text),
            Value::Str(content) => render_str(content, text),
            Value::List(items) => {
                text.push('[');
                render_items(items, text);
                text.push(']');
            }
            Value::Tuple(items) => {
                text.push('(');
                render_items(items, text);
                // A comma is what makes a tuple of one item.
                text.push_str(if items.len() == 1 { ",)" } else { ")" });
            }
            Value::Dict(entries) => {
                text.push('{');
                for (place, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if place == 0 { "" } else { ", " });
                    key.render_into(text);
                    text.push_str(": ");
                    value.render_into(text);
                }
                text.push('}');
            }
        }
    }
}

fn render_items(items: &[Value], text: &mut String) {
    for (place, item) in items.iter().enumerate() {
        text.push_str(if place == 0 { "" } else { ", " });
        item.render_into(text);
    }
}

/// The shortest digits that read back as the same number, laid out as `repr` does: an exponent
/// below 1e-4 and from 1e16 on, with a sign and two digits at least.
fn render_float(number: f64, text: &mut String) {
    if !number.is_finite() {
        text.push_str("None");
        return;
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` writes an e");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a decimal exponent");
    if (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        text.push_str(&plain);
        text.push_str(if plain.contains('.') { "" } else { ".0" });
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        text.push_str(&format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()));
    }
}

/// Single quotes, unless there are single and no double quotes in the text.
fn render_str(content: &str, text: &mut String) {
    let quote = if content.contains('\'') && !content.contains('"') {
        '"'
    } else {
        '\''
    };
    text.push(quote);
    for c in content.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c == quote => {
                text.push('\\');
                text.push(c);
            }
            c if is_printable(c) => text.push(c),
            c => match u32::from(c) {
                code @ ..=0xff => text.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => text.push_str(&format!("\\u{code:04x}")),
                code => text.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    text.push(quote);
}

/// Whether `repr` shows a character as it is: everything but Unicode's categories *other* and
/// *separator*, the space excepted. That is also the rule of Rust's `escape_debug`, which treats
/// combining characters so only behind another character; hence the `a`. Should the two languages'
/// Unicode versions differ on a new character, both still read what the other wrote.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let probe: String = ['a', c].iter().collect();
    probe.escape_debug().nth(1) == Some(c)
}

#[cfg(test)]
mod tests;
