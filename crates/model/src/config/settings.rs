//! The values of one section's options, each with where it came from.
//!
//! Always true: what is asked for by a name that has no value here is unset.

use std::collections::BTreeMap;

use super::ini::FilePlace;
use super::values::OptionValue;
use crate::retention::Policy;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    Written(FilePlace),
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionSetting {
    pub value: OptionValue,
    pub origin: Origin,
}

/// The options of one section with their values, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SectionSettings(BTreeMap<&'static str, OptionSetting>);

impl FromIterator<(&'static str, OptionSetting)> for SectionSettings {
    fn from_iter<T: IntoIterator<Item = (&'static str, OptionSetting)>>(
        settings: T,
    ) -> SectionSettings {
        SectionSettings(settings.into_iter().collect())
    }
}

impl SectionSettings {
    /// The value of an option.
    pub fn value(&self, name: &str) -> &OptionValue {
        self.0.get(name).map_or(&OptionValue::Unset, |it| &it.value)
    }

    /// The file and line of an option, if it was written.
    pub fn place(&self, name: &str) -> Option<&FilePlace> {
        match &self.0.get(name)?.origin {
            Origin::Written(place) => Some(place),
            Origin::Default => None,
        }
    }

    /// The text of an option that takes text, a path, a word or a connection string.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            OptionValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether an option is on.
    pub fn is_on(&self, name: &str) -> bool {
        *self.value(name) == OptionValue::Boolean(true)
    }

    /// The words of an option that takes a list.
    pub fn words(&self, name: &str) -> &[String] {
        match self.value(name) {
            OptionValue::Words(words) => words,
            _ => &[],
        }
    }

    /// The retention policy, if there is one that can be read.
    pub fn policy(&self) -> Option<Policy> {
        match self.value("retention_policy") {
            OptionValue::Policy(policy) => Some(*policy),
            _ => None,
        }
    }

    /// Every option of the section.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &OptionValue)> {
        self.0.iter().map(|(name, setting)| (*name, &setting.value))
    }

    /// Sets a value that follows from others.
    pub(super) fn set(&mut self, name: &'static str, value: OptionValue) {
        let origin = Origin::Default;
        self.0.insert(name, OptionSetting { value, origin });
    }

    /// Lays what another section says over what this one says.
    pub(super) fn overlay(&mut self, above: &SectionSettings) {
        for (name, setting) in &above.0 {
            if setting.value != OptionValue::Unset && self.0.contains_key(name) {
                self.0.insert(name, setting.clone());
            }
        }
    }
}
