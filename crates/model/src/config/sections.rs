//! From the sections of all files to the configuration of each server.
//!
//! An option of a server comes from its own section, else from `[barman]` if it may stand there,
//! else it has its default; what cannot be read is told and passed over, except that a retention
//! policy which cannot be read is none. Facts: Barman 3.20.1.
//!
//! Always true: every option that may stand in a section has a value there, and where it came from.

use std::collections::BTreeMap;

use super::complaints::{BadConfiguration, Complaint};
use super::ini::{ConfigText, FilePlace, IniFile, OptionLine, parse};
use super::options::{ConfigOption, OptionKind, SectionKind};
use super::settings::{OptionSetting, Origin, SectionSettings};
use super::table::{OPTIONS, find, nearest};
use super::values::{OptionValue, clean, read};

/// All that the files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BarmanConfig {
    pub global: SectionSettings,
    pub servers: BTreeMap<String, SectionSettings>,
    pub models: BTreeMap<String, SectionSettings>,
    pub complaints: Vec<Complaint>,
}

const GLOBAL: &str = "barman";
/// What it says counts in every section that does not say otherwise (Python manual,
/// "configparser", `default_section`).
const DEFAULTS: &str = "DEFAULT";
/// `all` means every server on a command line.
const RESERVED: [&str; 1] = ["all"];

/// How deep one value may refer to another, as in Python.
const MOST_REFERENCES: usize = 10;

/// Reads the main file and the others, the later ones over the earlier ones.
///
/// # Errors
/// When no command can work with what they say.
pub fn configure(
    main: &ConfigText,
    others: &[ConfigText],
) -> Result<BarmanConfig, BadConfiguration> {
    let mut merged = Merged::default();
    for (number, text) in std::iter::once(main).chain(others).enumerate() {
        let file = parse(text);
        refuse_bad(&file, &main.file, number > 0)?;
        merged.add(file);
    }
    if !merged.sections.contains_key(GLOBAL) {
        let file = main.file.clone();
        return Err(BadConfiguration::NoGlobalSection { file });
    }
    let mut configuration = BarmanConfig::default();
    merged.share_defaults();
    merged.fill(&mut configuration)?;
    match configuration.global.text("barman_home") {
        Some(_) => Ok(configuration),
        None => Err(BadConfiguration::NoHome {
            file: main.file.clone(),
        }),
    }
}

fn refuse_bad(file: &IniFile, main: &str, is_other: bool) -> Result<(), BadConfiguration> {
    if let Some(line) = file.bad_lines.first() {
        return Err(BadConfiguration::Line(line.clone()));
    }
    for section in &file.sections {
        let (name, place) = (section.name.clone(), section.place.clone());
        if RESERVED.contains(&name.as_str()) {
            return Err(BadConfiguration::ReservedName { place, name });
        }
        if is_other && name == GLOBAL && !section.entries.is_empty() {
            let main = main.to_owned();
            return Err(BadConfiguration::GlobalElsewhere { place, main });
        }
    }
    Ok(())
}

/// The sections of all files; of an option that comes again, the last.
#[derive(Default)]
struct Merged {
    sections: BTreeMap<String, BTreeMap<String, OptionLine>>,
    /// Where each section is first opened.
    places: BTreeMap<String, FilePlace>,
}

impl Merged {
    fn add(&mut self, file: IniFile) {
        for section in file.sections {
            let name = section.name;
            self.places.entry(name.clone()).or_insert(section.place);
            let entries = self.sections.entry(name).or_default();
            let new = section.entries.into_iter();
            entries.extend(new.map(|entry| (entry.key.clone(), entry)));
        }
    }

    fn share_defaults(&mut self) {
        let defaults = self.sections.remove(DEFAULTS).unwrap_or_default();
        for entries in self.sections.values_mut() {
            for (key, entry) in &defaults {
                let key = key.clone();
                entries.entry(key).or_insert_with(|| entry.clone());
            }
        }
    }

    fn fill(&self, configuration: &mut BarmanConfig) -> Result<(), BadConfiguration> {
        let none = BTreeMap::new();
        let global = self.sections.get(GLOBAL).unwrap_or(&none);
        for (name, own) in &self.sections {
            let kind = section_kind(name, own);
            let mut reading = Reading {
                name,
                kind,
                own,
                global,
                complaints: Vec::new(),
            };
            reading.complain_of_strangers();
            let settings = reading.settings();
            let complaints = reading.complaints;
            match kind {
                SectionKind::Global => configuration.global = settings,
                SectionKind::Server => {
                    configuration.servers.insert(name.clone(), settings);
                }
                SectionKind::Model if settings.text("cluster").is_none() => {
                    let (place, model) = (self.places[name].clone(), name.clone());
                    return Err(BadConfiguration::ModelWithoutCluster { place, model });
                }
                SectionKind::Model => {
                    configuration.models.insert(name.clone(), settings);
                }
            }
            configuration.complaints.extend(complaints);
        }
        Ok(())
    }
}

fn section_kind(name: &str, own: &BTreeMap<String, OptionLine>) -> SectionKind {
    let is_model = own.get("model").and_then(|entry| clean(&entry.value));
    let is_model = is_model.map(|text| read(OptionKind::Boolean, text));
    match (name, is_model) {
        (GLOBAL, _) => SectionKind::Global,
        (_, Some(Ok(OptionValue::Boolean(true)))) => SectionKind::Model,
        _ => SectionKind::Server,
    }
}

struct Reading<'a> {
    name: &'a str,
    kind: SectionKind,
    own: &'a BTreeMap<String, OptionLine>,
    global: &'a BTreeMap<String, OptionLine>,
    complaints: Vec<Complaint>,
}

impl Reading<'_> {
    fn complain_of_strangers(&mut self) {
        for entry in self.own.values() {
            let (place, section) = (entry.place.clone(), self.name.to_owned());
            let complaint = match find(&entry.key) {
                Some(option) if option.may_stand_in(self.kind) => continue,
                // `model = false` makes a section a server, as no such line does.
                Some(option) if option.name == "model" => continue,
                Some(option) => Complaint::OutOfPlace {
                    place,
                    section,
                    key: option.name,
                },
                None => Complaint::UnknownOption {
                    place,
                    section,
                    key: entry.key.clone(),
                    nearest: nearest(&entry.key),
                },
            };
            self.complaints.push(complaint);
        }
    }

    fn settings(&mut self) -> SectionSettings {
        let own = |option: &&ConfigOption| option.may_stand_in(self.kind);
        let options: Vec<_> = OPTIONS.iter().filter(own).collect();
        let settings = options
            .into_iter()
            .map(|option| (option.name, self.setting(option)));
        settings.collect()
    }

    /// The section's own line, else that of `[barman]`, else the default.
    fn setting(&mut self, option: &'static ConfigOption) -> OptionSetting {
        let inherits = option.may_stand_in(SectionKind::Global) && self.kind == SectionKind::Server;
        let global = self.global.get(option.name).filter(|_| inherits);
        for entry in [self.own.get(option.name), global].into_iter().flatten() {
            let origin = Origin::Written(entry.place.clone());
            // Nothing in a server's section clears what `[barman]` says.
            let Some(text) = clean(&entry.value) else {
                let value = OptionValue::Unset;
                return OptionSetting { value, origin };
            };
            match self.value(option, text, &entry.place) {
                Ok(value) => return OptionSetting { value, origin },
                Err(complaint) => self.complaints.push(complaint),
            }
            // Another section's policy could delete what this one, misspelled, wants to keep.
            if option.kind == OptionKind::Retention {
                let value = OptionValue::Text(text.to_owned());
                return OptionSetting { value, origin };
            }
        }
        // Of a model only what is written counts: the rest stays the server's.
        let default = option.default.filter(|_| self.kind != SectionKind::Model);
        let place = FilePlace {
            file: "the defaults".to_owned(),
            line: 0,
        };
        let value = default.and_then(|text| self.value(option, text, &place).ok());
        OptionSetting {
            value: value.unwrap_or(OptionValue::Unset),
            origin: Origin::Default,
        }
    }

    fn value(
        &self,
        option: &'static ConfigOption,
        text: &str,
        place: &FilePlace,
    ) -> Result<OptionValue, Complaint> {
        let section = || self.name.to_owned();
        let text = match option.kind {
            OptionKind::Raw => text.to_owned(),
            _ => self
                .interpolate(text, MOST_REFERENCES)
                .map_err(|reference| Complaint::NoReference {
                    place: place.clone(),
                    section: section(),
                    key: option.name,
                    reference,
                })?,
        };
        let Some(text) = clean(&text) else {
            return Ok(OptionValue::Unset);
        };
        read(option.kind, text).map_err(|cause| Complaint::BadValue {
            place: place.clone(),
            section: section(),
            key: option.name,
            cause,
        })
    }

    /// Puts in what `%(option)s` refers to; `%%` is a percent sign. The error is a reference that
    /// leads nowhere.
    fn interpolate(&self, text: &str, references_left: usize) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let reference = after.strip_prefix('(').and_then(|it| it.split_once(")s"));
            let Some((name, after)) = reference else {
                return Err(format!("%{}", after.chars().take(1).collect::<String>()));
            };
            let wrong = || format!("%({name})s");
            let left = references_left.checked_sub(1).ok_or_else(wrong)?;
            let referred = self.raw(&name.to_lowercase()).ok_or_else(wrong)?;
            out.push_str(&self.interpolate(&referred, left)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The text of an option of this section, before references in it are looked up.
    fn raw(&self, name: &str) -> Option<String> {
        if name == "name" {
            return Some(self.name.replace('%', "%%"));
        }
        let written = |entries: &BTreeMap<String, OptionLine>| {
            let entry = entries.get(name)?;
            Some(clean(&entry.value).unwrap_or_default().to_owned())
        };
        let default = || find(name)?.default.map(str::to_owned);
        // `barman_home` is nobody's own, but every path begins with it.
        written(self.own)
            .or_else(|| written(self.global))
            .or_else(default)
    }
}
