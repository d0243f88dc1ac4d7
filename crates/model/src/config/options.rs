//! What an option of `barman.conf` is: where it may stand, and what it takes.

use std::fmt;

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigOption {
    pub name: &'static str,
    pub scope: Scope,
    pub kind: OptionKind,
    /// As it would be written in a file; `None` is unset.
    pub default: Option<&'static str>,
    /// The version of Barman that brought it, if that is not lost in time.
    pub since: Option<&'static str>,
    /// What it is for.
    pub words: &'static str,
}

/// In which sections an option may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `[barman]` alone.
    Global,
    /// A server alone.
    Server,
    /// A model alone.
    Model,
    /// `[barman]`, a server, a model.
    Anywhere,
    /// `[barman]` and a server.
    NotModel,
    /// A server and a model.
    NotGlobal,
}

/// The kinds of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    Global,
    Server,
    Model,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    Text,
    /// Text in which a percent sign means nothing.
    Raw,
    /// `true`, `t`, `yes`, `1`, `on`, or `false`, `f`, `no`, `0`, `off`.
    Boolean,
    /// A whole number, from and to.
    Integer(i64, i64),
    /// Bytes with a unit: `k` is 1000, `Ki` 1024, and so on to `Ti`.
    Size,
    /// A number of hours, days, weeks or months.
    Interval,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any of these words, with commas between them.
    Set(&'static [&'static str]),
    /// Words with commas between them.
    List,
    Path,
    AbsolutePath,
    /// A directory, or a URL of an object store.
    PathOrUrl,
    /// Letters, digits and `_`, in lower case.
    SlotName,
    /// A number, or `low`, `medium`, `high`.
    Level,
    /// Keywords and values as libpq takes them.
    Conninfo,
    /// A retention policy.
    Retention,
}

impl fmt::Display for OptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            OptionKind::Text | OptionKind::Raw => "text",
            OptionKind::Boolean => "true or false",
            OptionKind::Integer(least, most) if *most == MANY => {
                return write!(f, "a number from {least} on");
            }
            OptionKind::Integer(least, most) => {
                return write!(f, "a number from {least} to {most}");
            }
            OptionKind::Size => "a number of bytes, with a unit such as k, Mi or G, or without",
            OptionKind::Interval => "a length of time such as 12 HOURS, 7 DAYS, 2 WEEKS or 1 MONTH",
            OptionKind::Choice(words) => return write!(f, "one of {}", words.join(", ")),
            OptionKind::Set(words) => return write!(f, "a list of {}", words.join(", ")),
            OptionKind::List => "a list with commas",
            OptionKind::Path => "a path",
            OptionKind::AbsolutePath => "an absolute path",
            OptionKind::PathOrUrl => "a path or the URL of an object store",
            OptionKind::SlotName => "a slot's name: letters, digits and underscores",
            OptionKind::Level => "a number, or low, medium or high",
            OptionKind::Conninfo => "a connection string",
            OptionKind::Retention => "REDUNDANCY n, or RECOVERY WINDOW OF n DAYS, WEEKS or MONTHS",
        };
        f.write_str(words)
    }
}

/// No bound that anybody would reach.
pub const MANY: i64 = i32::MAX as i64;

impl ConfigOption {
    /// Whether it may stand in a section of this kind.
    pub fn may_stand_in(&self, section: SectionKind) -> bool {
        match self.scope {
            Scope::Global => section == SectionKind::Global,
            Scope::Server => section == SectionKind::Server,
            Scope::Model => section == SectionKind::Model,
            Scope::Anywhere => true,
            Scope::NotModel => section != SectionKind::Model,
            Scope::NotGlobal => section != SectionKind::Global,
        }
    }
}
