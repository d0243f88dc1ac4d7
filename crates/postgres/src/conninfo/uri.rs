//! The URI form: `postgresql://user:password@host:port,host:port/dbname?name=value&name=value`.
//!
//! Every part may be missing. A part that is percent-encoded is decoded after the URI was cut into
//! parts, so a socket directory is written `%2Fvar%2Frun` as host. Source: PostgreSQL manual,
//! "Connection URIs"; corners checked against libpq, see the tests.

use super::keyword;
use super::settings::{BadConninfo, Settings, Source, known};

/// The URI without its scheme, or nothing when the text is no URI.
pub(super) fn without_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://")
        .or_else(|| text.strip_prefix("postgres://"))
}

/// Parses what follows the scheme.
pub(super) fn parse(text: &str) -> Result<Settings, BadConninfo> {
    let mut settings = Settings::default();
    let (userinfo, rest) = split_userinfo(text);
    if let Some(userinfo) = userinfo {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        store_part(&mut settings, "user", user)?;
        store_part(&mut settings, "password", password)?;
    }
    let (hosts, ports, rest) = split_hosts(rest)?;
    store_part(&mut settings, "host", &hosts)?;
    store_part(&mut settings, "port", &ports)?;
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    store_part(
        &mut settings,
        "dbname",
        path.strip_prefix('/').unwrap_or(path),
    )?;
    if let Some(query) = query {
        parse_query(&mut settings, query)?;
    }
    Ok(settings)
}

/// User and password stand before the first `@`, if that comes before the first `/`.
fn split_userinfo(text: &str) -> (Option<&str>, &str) {
    match text.find(['@', '/']) {
        Some(at) if text[at..].starts_with('@') => (Some(&text[..at]), &text[at + 1..]),
        _ => (None, text),
    }
}

/// Cuts `host:port,host:port` into two comma-separated lists of equal length and the rest, which
/// is empty or starts with `/` or `?`.
fn split_hosts(text: &str) -> Result<(String, String, &str), BadConninfo> {
    let (mut hosts, mut ports, mut rest) = (String::new(), String::new(), text);
    loop {
        let host;
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (address, after) = bracketed.split_once(']').ok_or(BadConninfo::BadIpv6)?;
            if address.is_empty() || !(after.is_empty() || after.starts_with([':', '/', '?', ',']))
            {
                return Err(BadConninfo::BadIpv6);
            }
            (host, rest) = (address, after);
        } else {
            (host, rest) = rest.split_at(rest.find([':', '/', '?', ',']).unwrap_or(rest.len()));
        }
        hosts.push_str(host);
        if let Some(after) = rest.strip_prefix(':') {
            let port;
            (port, rest) = after.split_at(after.find(['/', '?', ',']).unwrap_or(after.len()));
            ports.push_str(port);
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok((hosts, ports, rest)),
        }
        hosts.push(',');
        ports.push(',');
    }
}

/// Stores the parameters after `?`; JDBC's `ssl=true` stands for `sslmode=require`.
fn parse_query(settings: &mut Settings, query: &str) -> Result<(), BadConninfo> {
    // A trailing `&` ends the last parameter; it does not begin another one.
    let query = query.strip_suffix('&').unwrap_or(query);
    if query.is_empty() {
        return Ok(());
    }
    for (index, parameter) in query.split('&').enumerate() {
        let malformed = || BadConninfo::BadParameter(index + 1);
        let (name, value) = parameter.split_once('=').ok_or_else(malformed)?;
        if value.contains('=') {
            return Err(malformed());
        }
        let name = decode(name).ok_or_else(malformed)?;
        let keyword = match name.as_str() {
            "ssl" => None,
            other => Some(known(other)?),
        };
        let value = decode(value).ok_or_else(|| BadConninfo::BadPercentEncoding(name.clone()))?;
        match keyword {
            Some(keyword) => settings.store(keyword, value, Source::Explicit),
            None if value == "true" => settings.set("sslmode", "require")?,
            None => return Err(BadConninfo::UnknownKeyword(name)),
        }
    }
    Ok(())
}

/// Decodes and stores one part; an empty part leaves the keyword unset.
fn store_part(settings: &mut Settings, name: &'static str, part: &str) -> Result<(), BadConninfo> {
    if part.is_empty() {
        return Ok(());
    }
    let value = decode(part).ok_or_else(|| BadConninfo::BadPercentEncoding(name.to_owned()))?;
    let keyword = keyword::find(name).expect("the parts of a URI are in the table of keywords");
    settings.store(keyword, value, Source::Explicit);
    Ok(())
}

/// Undoes percent-encoding; `+` is no blank here. Nothing for a malformed or zero byte and for
/// bytes that are not UTF-8.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte == 0 {
            return None;
        }
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
