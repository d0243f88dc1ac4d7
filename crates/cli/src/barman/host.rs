//! What every command of `barman` begins with: the configuration, the account that it names, the
//! log, and the servers that the command line means.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use engine::configuration::{self, Loaded};
use engine::run_as;
use model::config::server::{BarmanServer, ServerStanding};
use model::config::settings::SectionSettings;
use postgres::Environment;

use super::host_output::HostOutput;
use super::log_file::{Importance, LogFile};
use crate::failure::{Failure, Kind};

/// The variable that names the configuration file, where no option does.
const VARIABLE: &str = "BARMAN_CONFIG_FILE";

/// A Barman host, ready for a command.
pub struct Host {
    pub output: HostOutput,
    pub environment: Environment,
    loaded: Loaded,
}

/// A host on which no command can work, and where that is said.
pub struct NoHost {
    pub output: HostOutput,
    pub failure: Failure,
}

impl Host {
    /// Reads the configuration as the account that it names.
    ///
    /// # Errors
    /// With what has been said so far, when no command can work with it.
    pub fn open(matches: &ArgMatches, output: HostOutput) -> Result<Host, Box<NoHost>> {
        match open(matches, &output) {
            Ok((loaded, environment)) => Ok(Host {
                output,
                environment,
                loaded,
            }),
            Err(failure) => Err(Box::new(NoHost { output, failure })),
        }
    }

    /// The options of `[barman]`.
    pub fn global(&self) -> &SectionSettings {
        &self.loaded.configuration.global
    }

    /// Where lock files are.
    pub fn lock_directory(&self) -> PathBuf {
        let directory = self.global().text("barman_lock_directory");
        PathBuf::from(directory.unwrap_or_default())
    }

    /// Every server, by name.
    pub fn servers(&self) -> impl Iterator<Item = &BarmanServer> {
        self.loaded.servers.values()
    }

    /// The servers of a command that takes several, or `all`. A name that is none is an error, and
    /// the others are served.
    pub fn several(&self, names: &[String]) -> Vec<&BarmanServer> {
        if names.iter().any(|name| name == "all") {
            if names.len() > 1 {
                let text = "'all' means every server, and no other name can stand beside it";
                self.output.error(text);
            }
            return self.servers().inspect(|it| self.remark(it)).collect();
        }
        let mut servers: Vec<&BarmanServer> = Vec::new();
        for name in names {
            match self.loaded.servers.get(name) {
                Some(server) if servers.iter().any(|it| it.name == server.name) => {}
                Some(server) => {
                    self.remark(server);
                    servers.push(server);
                }
                None => self.output.error(&unknown(name)),
            }
        }
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        servers
    }

    /// The server of a command that takes one.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn single(&self, name: &str) -> Result<&BarmanServer, Failure> {
        if name == "all" {
            let text = "this command is for one server, and 'all' is none";
            return Err(Failure::new(Kind::Failed, text));
        }
        let server = self.loaded.servers.get(name);
        let server = server.ok_or_else(|| Failure::new(Kind::Failed, unknown(name)))?;
        self.remark(server);
        Ok(server)
    }

    fn remark(&self, server: &BarmanServer) {
        if server.is_archiver_forced {
            self.output.warning(&format!(
                "server {} has neither archiver nor streaming_archiver on: archiver counts as on",
                server.name
            ));
        }
    }
}

fn unknown(name: &str) -> String {
    format!("there is no server {name} in the configuration")
}

/// Refuses a server that cannot work, with what is wrong with it.
pub fn refuse_disabled(server: &BarmanServer) -> Result<(), Failure> {
    if server.standing() != ServerStanding::Disabled {
        return Ok(());
    }
    let faults = server.faults.iter().map(ToString::to_string);
    let faults = faults.collect::<Vec<_>>().join("; ");
    let text = format!("server {} is disabled: {faults}", server.name);
    Err(Failure::new(Kind::Failed, text))
}

fn open(matches: &ArgMatches, output: &HostOutput) -> Result<(Loaded, Environment), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Kind::Failed, error.to_string());
    let named = matches.get_one::<PathBuf>("config").cloned();
    let named = named.or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    let candidates = match named {
        Some(path) => vec![path],
        None => configuration::usual_files(postgres::home_directory().as_deref()),
    };
    let main = configuration::read_main(&candidates).map_err(|error| failed(&error))?;
    let home = run_as::become_user(main.user()).map_err(|error| {
        let hint = "Run it as that account (sudo -u), or as root, or name another one in \
                    barman_user.";
        failed(&error).with_hint(hint)
    })?;
    let environment = Environment::gather().with_home(&home);
    let loaded = main.read_others().map_err(|error| failed(&error))?;
    open_log(&loaded.configuration.global, matches, output);
    for complaint in &loaded.configuration.complaints {
        output.warning(&complaint.to_string());
    }
    let Some((last, others)) = loaded.collisions.split_last() else {
        return Ok((loaded, environment));
    };
    for collision in others {
        output.error(&collision.to_string());
    }
    Err(failed(last).with_hint("Give each server directories of its own."))
}

fn open_log(global: &SectionSettings, matches: &ArgMatches, output: &HostOutput) {
    let Some(path) = global.text("log_file") else {
        return;
    };
    let level = matches.get_one::<String>("log-level").map(String::as_str);
    let level = level.or(global.text("log_level")).unwrap_or("INFO");
    let format = global.text("log_format").unwrap_or("%(message)s");
    match LogFile::open(Path::new(path), Importance::named(level), format) {
        Ok(log) => output.log_to(log),
        Err(error) => output.warning(&format!("cannot write the log file {path}: {error}")),
    }
}
