//! `barman receive-wal`: WAL over a replication connection, and the slot that keeps it for us.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::lock::{self, JobLock, LockError};
use engine::receive_wal::{self, ReceiveError, ReceiveRequest, Reset, SilenceLimits, Told};
use engine::{connections, server_home};
use model::config::server::{BarmanServer, ServerStanding};
use postgres::replication::WalSender;
use rustix::process::{Pid, Signal, kill_process};

use super::command::HostWork;
use super::host::{Host, refuse_disabled};
use super::host_output::HostOutput;
use crate::failure::{Failure, Kind};
use crate::output::cloud_log::Log;
use crate::runtime::{self, Threads};

/// Receive WAL from a server until stopped, or look after the slot that keeps it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the server
    #[arg(value_name = "SERVER_NAME")]
    server_name: String,
    /// Stop the running process (use terminate-process)
    #[arg(long, conflicts_with_all = ["reset", "create_slot", "drop_slot"])]
    stop: bool,
    /// Begin anew where the replication slot stands
    #[arg(long, conflicts_with_all = ["create_slot", "drop_slot"])]
    reset: bool,
    /// Create the replication slot
    #[arg(long, conflicts_with = "drop_slot")]
    create_slot: bool,
    /// With --create-slot: a slot that is there is fine
    #[arg(long, requires = "create_slot")]
    if_not_exists: bool,
    /// Drop the replication slot
    #[arg(long)]
    drop_slot: bool,
}

/// How long a process that was asked to stop may take.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

const JOB: &str = "receive-wal";

/// SQLSTATE: a slot of this name is there.
const DUPLICATE_OBJECT: &str = "42710";
/// SQLSTATE: there is no such slot.
const UNDEFINED_OBJECT: &str = "42704";
/// SQLSTATE: somebody uses the slot.
const OBJECT_IN_USE: &str = "55006";

impl HostWork for Args {
    fn run(self, host: &Host) -> Result<(), Failure> {
        let server = host.single(&self.server_name)?;
        let job = ReceiveJob { host, server };
        refuse_disabled(server)?;
        if self.stop {
            job.stop()
        } else if self.create_slot {
            job.create_slot(self.if_not_exists)
        } else if self.drop_slot {
            job.drop_slot()
        } else if self.reset {
            job.reset()
        } else if server.standing() == ServerStanding::Inactive {
            let text = format!("server {} is inactive: nothing is received", server.name);
            host.output.info(&text);
            Ok(())
        } else {
            job.receive()
        }
    }
}

struct ReceiveJob<'a> {
    host: &'a Host,
    server: &'a BarmanServer,
}

impl ReceiveJob<'_> {
    fn receive(&self) -> Result<(), Failure> {
        let request = self.request()?;
        let _lock = self.lock()?;
        let (output, name) = (&self.host.output, &self.server.name);
        output.info(&format!(
            "{name}: receiving WAL into {}",
            request.folder.display()
        ));
        let made = server_home::make_directory(&request.folder);
        made.map_err(|cause| {
            failed(&format!(
                "cannot make {}: {cause}",
                request.folder.display()
            ))
        })?;
        // What is said goes through the output.
        let silent = Log::new(0, 9);
        runtime::run_until_done(Threads::One, &silent, |stop| async move {
            let listener = |told: Told<'_>| tell(output, name, &told);
            self.prepare_slot(&request).await?;
            let received = receive_wal::receive(&request, &stop, &listener).await;
            received.map_err(|error| self.failure(&error))
        })?;
        output.info(&format!(
            "{name}: stopped, and everything received is flushed"
        ));
        Ok(())
    }

    /// A missing slot is created if the configuration says so.
    async fn prepare_slot(&self, request: &ReceiveRequest) -> Result<(), Failure> {
        let Some(slot) = &request.slot else {
            return Ok(());
        };
        let mut session = WalSender::open(&request.replication)
            .await
            .map_err(|error| self.refusal(error))?;
        let position = receive_wal::slot_position(&mut session, request).await;
        session.close().await;
        match position {
            Err(ReceiveError::NoSlot(_)) if self.text("create_slot") == Some("auto") => {
                let created = receive_wal::create_slot(&request.replication, slot).await;
                created.map_err(|error| self.refusal(error))?;
                self.say_created(slot);
                Ok(())
            }
            position => position.map(drop).map_err(|error| self.failure(&error)),
        }
    }

    fn create_slot(&self, may_exist: bool) -> Result<(), Failure> {
        let (request, slot) = self.request_with_slot()?;
        let creating = receive_wal::create_slot(&request.replication, &slot);
        match runtime::run_or_drop(async { Ok(creating.await) })? {
            Err(error) if may_exist && error.sqlstate() == Some(DUPLICATE_OBJECT) => {
                let text = format!("replication slot {slot} is there already");
                self.host.output.info(&text);
            }
            created => {
                created.map_err(|error| self.refusal(error))?;
                self.say_created(&slot);
            }
        }
        Ok(())
    }

    fn say_created(&self, slot: &str) {
        let text = format!(
            "replication slot {slot} of {} was created",
            self.server.name
        );
        self.host.output.info(&text);
    }

    fn drop_slot(&self) -> Result<(), Failure> {
        let (request, slot) = self.request_with_slot()?;
        let dropping = receive_wal::drop_slot(&request.replication, &slot);
        let dropped = runtime::run_or_drop(async { Ok(dropping.await) })?;
        dropped.map_err(|error| self.refusal(error))?;
        let text = format!(
            "replication slot {slot} of {} was dropped",
            self.server.name
        );
        self.host.output.info(&text);
        Ok(())
    }

    fn reset(&self) -> Result<(), Failure> {
        let (request, _) = self.request_with_slot()?;
        let _lock = self.lock()?;
        let made = server_home::make_directory(&request.folder);
        made.map_err(|cause| {
            failed(&format!(
                "cannot make {}: {cause}",
                request.folder.display()
            ))
        })?;
        let resetting = receive_wal::reset(&request);
        let reset = runtime::run_or_drop(async { Ok(resetting.await) })?;
        let text = match reset.map_err(|error| self.failure(&error))? {
            Reset::Aligned => "nothing to do: receiving goes on where the slot stands".to_owned(),
            Reset::Moved { from, to } => {
                format!("{from}.partial was removed, and receiving goes on with {to}")
            }
        };
        self.host.output.info(&text);
        Ok(())
    }

    fn stop(&self) -> Result<(), Failure> {
        let (output, name) = (&self.host.output, &self.server.name);
        output.warning(&format!(
            "--stop is an old option; use 'barman terminate-process {name} {JOB}'"
        ));
        let path = self.lock_path();
        let process = lock::holder(&path).and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let none = || failed(&format!("no process receives WAL of server {name}"));
        let process = process.ok_or_else(none)?;
        kill_process(process, Signal::INT)
            .map_err(|error| failed(&format!("cannot stop process {process:?}: {error}")))?;
        let began = Instant::now();
        while lock::holder(&path).is_some() {
            if began.elapsed() > STOP_PATIENCE {
                return Err(failed(&format!(
                    "the process of server {name} has not stopped yet"
                )));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        output.info(&format!("stopped receiving WAL of server {name}"));
        Ok(())
    }

    fn request_with_slot(&self) -> Result<(ReceiveRequest, String), Failure> {
        let request = self.request()?;
        let none = || {
            failed(&format!("server {} has no slot_name", self.server.name))
                .with_hint("Set slot_name in the server's section.")
        };
        let slot = request.slot.clone().ok_or_else(none)?;
        Ok((request, slot))
    }

    fn request(&self) -> Result<ReceiveRequest, Failure> {
        if !self.server.settings.is_on("streaming_archiver") {
            let text = format!("streaming_archiver of server {} is off", self.server.name);
            return Err(failed(&text).with_hint("Set it to on in the server's section."));
        }
        let environment = &self.host.environment;
        let bad = |error: &dyn std::fmt::Display| {
            failed(&format!("server {}: {error}", self.server.name))
        };
        let replication = connections::wal_streaming(self.server, environment);
        let plain = connections::wal_host(self.server, environment);
        let home = PathBuf::from(self.text("backup_directory").unwrap_or_default());
        let identity = server_home::system_id(&home);
        let bad_identity = |cause| {
            let file = home.join("identity.json");
            failed(&format!("cannot understand {}: {cause}", file.display()))
        };
        Ok(ReceiveRequest {
            replication: replication.map_err(|error| bad(&error))?,
            plain: plain.map_err(|error| bad(&error))?,
            slot: self.text("slot_name").map(str::to_owned),
            folder: PathBuf::from(self.text("streaming_wals_directory").unwrap_or_default()),
            system_id: identity.map_err(bad_identity)?,
            patience: SilenceLimits::default(),
        })
    }

    fn text(&self, option: &str) -> Option<&str> {
        self.server.settings.text(option)
    }

    fn lock_path(&self) -> PathBuf {
        lock::path(&self.host.lock_directory(), &self.server.name, JOB)
    }

    fn lock(&self) -> Result<JobLock, Failure> {
        let directory: &Path = &self.host.lock_directory();
        let made = server_home::make_directory(directory);
        made.map_err(|cause| failed(&format!("cannot make {}: {cause}", directory.display())))?;
        JobLock::take(&self.lock_path()).map_err(|error| match error {
            LockError::Busy { process, .. } => {
                let who = process.map_or_else(String::new, |it| format!(" ({it})"));
                let name = &self.server.name;
                failed(&format!(
                    "another process{who} receives WAL of server {name}"
                ))
            }
            error @ LockError::Failed { .. } => failed(&error.to_string()),
        })
    }

    /// What a refusal about the slot means.
    fn refusal(&self, error: postgres::Error) -> Failure {
        let (name, slot) = (
            &self.server.name,
            self.text("slot_name").unwrap_or_default(),
        );
        let what = match error.sqlstate() {
            Some(DUPLICATE_OBJECT) => format!("replication slot {slot} is there already"),
            Some(UNDEFINED_OBJECT) => format!("replication slot {slot} does not exist"),
            Some(OBJECT_IN_USE) => format!("replication slot {slot} of {name} is in use"),
            _ => return self.failure(&error.into()),
        };
        failed(&what)
    }

    fn failure(&self, error: &ReceiveError) -> Failure {
        let name = &self.server.name;
        let failure = failed(&format!("server {name}: {error}"));
        let hint = match error {
            ReceiveError::NoSlot(_) => Some(format!(
                "Create it: barman receive-wal --create-slot {name}"
            )),
            ReceiveError::OtherCluster { .. } => Some(
                "If the cluster was made anew, give it a backup_directory of its own.".to_owned(),
            ),
            _ if error.is_wal_gone() => Some(format!(
                "WAL was lost: begin anew with 'barman receive-wal --reset {name}', and take a \
                 backup; without a slot_name PostgreSQL keeps no WAL for a receiver that is away."
            )),
            ReceiveError::Postgres(error) => error.hint(),
            _ => None,
        };
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

fn failed(what: &str) -> Failure {
    Failure::new(Kind::Failed, what)
}

fn tell(output: &HostOutput, name: &str, told: &Told<'_>) {
    match told {
        Told::Streaming { timeline, position } => output.info(&format!(
            "{name}: streaming from {position} (timeline {})",
            timeline.number()
        )),
        Told::Segment(segment) => output.debug(&format!("{name}: {segment} is complete")),
        Told::Switched { from, to, position } => output.info(&format!(
            "{name}: timeline {} ended at {position}, going on with timeline {}",
            from.number(),
            to.number()
        )),
        Told::Misfit(segment) => output.warning(&format!(
            "{name}: {segment} has not the size of a segment and counts for nothing; it is \
             received again only if no later one is here"
        )),
        Told::Lost { error, retry_in } => output.warning(&format!(
            "{name}: {error}; trying again in {} s",
            retry_in.as_secs()
        )),
    }
}
