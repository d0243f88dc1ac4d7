//! `barman list-servers`: which servers there are, with a word about each.

use model::config::server::{BarmanServer, ServerStanding};
use serde_json::json;

use super::command::HostWork;
use super::host::Host;
use crate::failure::Failure;

/// List the servers of the configuration
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print names only
    #[arg(long)]
    minimal: bool,
}

impl HostWork for Args {
    fn run(self, host: &Host) -> Result<(), Failure> {
        for server in host.servers() {
            let words = description(server);
            if self.minimal || words.is_empty() {
                host.output.line(&server.name);
            } else {
                host.output.line(&format!("{} - {words}", server.name));
            }
            let record = json!({ "description": words });
            host.output.record(&server.name, record);
        }
        Ok(())
    }
}

fn description(server: &BarmanServer) -> String {
    let words = server.settings.text("description").unwrap_or_default();
    let note = match server.standing() {
        ServerStanding::Active => "",
        ServerStanding::Inactive => " (inactive)",
        ServerStanding::Disabled => " (WARNING: disabled)",
        ServerStanding::Passive => " (Passive)",
    };
    format!("{words}{note}")
}
