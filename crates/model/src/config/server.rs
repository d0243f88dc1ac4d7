//! One server as the commands see it: its own options, those of its active model over them, what
//! follows from them, and what keeps it from working.

use std::collections::BTreeMap;

use super::faults::{self, Fault, Outside};
use super::sections::BarmanConfig;
use super::settings::SectionSettings;
use super::values::OptionValue;

/// A server of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarmanServer {
    pub name: String,
    /// The model whose options count before the server's own.
    pub active_model: Option<String>,
    pub settings: SectionSettings,
    pub faults: Vec<Fault>,
    /// `archiver` was turned on because there was no archiver at all.
    pub is_archiver_forced: bool,
}

/// How much may be done for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerStanding {
    /// Everything.
    Active,
    /// It copies another Barman's backups.
    Passive,
    /// Its configuration has a fault.
    Disabled,
    /// `active = false`.
    Inactive,
}

/// Two servers that would write into each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{option} of server {server} and {other_option} of server {other} are the same directory, \
     {directory}"
)]
pub struct Collision {
    pub server: String,
    pub option: &'static str,
    pub other: String,
    pub other_option: &'static str,
    pub directory: String,
}

impl BarmanServer {
    /// Makes a server of its section and its active model.
    pub(super) fn new(
        name: &str,
        configuration: &BarmanConfig,
        active_model: Option<String>,
        outside: &Outside<'_>,
    ) -> BarmanServer {
        let mut settings = configuration.servers[name].clone();
        let model = active_model.as_ref().map(|it| configuration.models.get(it));
        if let Some(Some(model)) = model {
            settings.overlay(model);
        }
        let is_maker = settings.is_on("active") && settings.text("primary_ssh_command").is_none();
        let mut server = BarmanServer {
            name: name.to_owned(),
            active_model,
            settings,
            faults: Vec::new(),
            is_archiver_forced: false,
        };
        if is_maker {
            server.complete();
            server.faults = faults::find(&server.settings, outside);
        }
        if let Some(None) = model {
            let model = server.active_model.clone().unwrap_or_default();
            server.faults.push(Fault::NoSuchModel { model });
        }
        let is_disabled = OptionValue::Boolean(!server.faults.is_empty());
        server.settings.set("disabled", is_disabled);
        server
    }

    /// WAL has to come somehow, and there is one way left to ask PostgreSQL for a backup.
    fn complete(&mut self) {
        let settings = &mut self.settings;
        if !settings.is_on("archiver") && !settings.is_on("streaming_archiver") {
            settings.set("archiver", OptionValue::Boolean(true));
            self.is_archiver_forced = true;
        }
        let mut options = settings.words("backup_options").to_vec();
        options.retain(|it| it != "exclusive_backup" && it != "concurrent_backup");
        options.insert(0, "concurrent_backup".to_owned());
        settings.set("backup_options", OptionValue::Words(options));
    }

    /// How much may be done for it.
    pub fn standing(&self) -> ServerStanding {
        if !self.settings.is_on("active") {
            ServerStanding::Inactive
        } else if !self.faults.is_empty() {
            ServerStanding::Disabled
        } else if self.is_passive() {
            ServerStanding::Passive
        } else {
            ServerStanding::Active
        }
    }

    /// Whether it copies another Barman's backups instead of making its own.
    pub fn is_passive(&self) -> bool {
        self.settings.text("primary_ssh_command").is_some()
    }
}

/// Makes all servers. `active_models` has the names of the models that were switched to.
pub fn servers(
    configuration: &BarmanConfig,
    active_models: &BTreeMap<String, String>,
    outside: &Outside<'_>,
) -> BTreeMap<String, BarmanServer> {
    let server = |name: &String| {
        let model = active_models.get(name).cloned();
        let server = BarmanServer::new(name, configuration, model, outside);
        (name.clone(), server)
    };
    configuration.servers.keys().map(server).collect()
}

/// The directories that two servers have in common.
pub fn collisions(
    servers: &BTreeMap<String, BarmanServer>,
    outside: &Outside<'_>,
) -> Vec<Collision> {
    let mut seen: BTreeMap<String, (&str, &'static str)> = BTreeMap::new();
    let mut found = Vec::new();
    for (name, server) in servers {
        for (option, directory) in faults::directories(&server.settings, outside) {
            match seen.get(&directory) {
                Some((other, other_option)) if other != name => found.push(Collision {
                    server: name.clone(),
                    option,
                    other: (*other).to_owned(),
                    other_option,
                    directory,
                }),
                Some(_) => {}
                None => drop(seen.insert(directory, (name, option))),
            }
        }
    }
    found
}
