//! What is wrong with a configuration: what stops every command, and what is only told.

use super::ini::{FilePlace, MalformedLine};
use super::values::BadValue;

/// A configuration that no command can work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadConfiguration {
    #[error("{0}")]
    Line(MalformedLine),
    #[error("{file} has no section [barman]")]
    NoGlobalSection { file: String },
    #[error("{file} does not say where barman_home is, in its section [barman]")]
    NoHome { file: String },
    #[error("{place}: [{name}] is a reserved name and cannot be a server")]
    ReservedName { place: FilePlace, name: String },
    #[error("{place}: the section [barman] belongs into {main} alone")]
    GlobalElsewhere { place: FilePlace, main: String },
    #[error("{place}: model [{model}] does not say of which cluster it is (option cluster)")]
    ModelWithoutCluster { place: FilePlace, model: String },
}

/// Something that does not fit, with what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    #[error("{place}: unknown option {key} in [{section}]{}", meant(*nearest))]
    UnknownOption {
        place: FilePlace,
        section: String,
        key: String,
        /// The known option that is spelled most alike.
        nearest: Option<&'static str>,
    },
    #[error("{place}: option {key} is not for a section such as [{section}]")]
    OutOfPlace {
        place: FilePlace,
        section: String,
        key: &'static str,
    },
    #[error("{place}: {key} in [{section}] is left out: {cause}")]
    BadValue {
        place: FilePlace,
        section: String,
        key: &'static str,
        cause: BadValue,
    },
    #[error("{place}: {key} in [{section}] refers to {reference}, which is not there")]
    NoReference {
        place: FilePlace,
        section: String,
        key: &'static str,
        reference: String,
    },
}

fn meant(nearest: Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; is {name} meant?"))
}
