//! From an open transport to a session: startup packet, proof of identity, parameters.
//!
//! Trust, clear-text password, MD5, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS are known; as in libpq, a
//! clear-text password is given to whoever asks, so ask for TLS where the network is not trusted.
//! With SCRAM the server proves itself too, and a session is not accepted before it has.
//! Iteration counts above 100,000 are refused by `postgres-protocol`.

use std::collections::BTreeMap;
use std::io;

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding as Binding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use fallible_iterator::FallibleIterator;

use super::error::{Cause, ServerError};
use super::wire::{MESSAGE_LIMIT_BYTES, Wire, name_of, read_error};
use crate::config::values::ChannelBinding;
use crate::config::{Config, Password};

/// Notices kept between two calls of `take_notices`; later ones are dropped.
pub(super) const NOTICE_LIMIT: usize = 100;

/// How the transport is protected.
pub(super) enum Channel {
    /// Not at all.
    Plain,
    /// By TLS, with the hash of the server's certificate when it can be computed.
    Tls { end_point: Option<Vec<u8>> },
}

/// What the server told about the session.
#[derive(Default)]
pub(super) struct SessionFacts {
    pub parameters: BTreeMap<String, String>,
    pub process_id: i32,
    pub secret_key: i32,
    pub notices: Vec<ServerError>,
}

/// Greets the server and waits until it is ready for a query.
pub(super) async fn open_session(
    wire: &mut Wire,
    config: &Config,
    password: Option<&Password>,
    channel: &Channel,
) -> Result<SessionFacts, Cause> {
    let parameters = config.startup_parameters();
    frontend::startup_message(parameters, wire.outgoing()).map_err(protocol)?;
    let mut greeting = Greeting {
        wire,
        config,
        password,
        channel,
        proof: Proof::None,
    };
    greeting.authenticate().await?;
    let facts = read_facts(wire).await?;
    wire.limit_bytes = MESSAGE_LIMIT_BYTES;
    Ok(facts)
}

/// How far the two sides have proved themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Neither has.
    None,
    /// We gave a password in some form.
    Password,
    /// SCRAM is complete on both sides.
    Mutual,
    /// And bound to the TLS channel.
    Bound,
}

struct Greeting<'a> {
    wire: &'a mut Wire,
    config: &'a Config,
    password: Option<&'a Password>,
    channel: &'a Channel,
    proof: Proof,
}

impl Greeting<'_> {
    async fn authenticate(&mut self) -> Result<(), Cause> {
        loop {
            self.wire.flush().await.map_err(Cause::Broken)?;
            match receive(self.wire).await? {
                Message::AuthenticationOk => return self.check_binding(),
                Message::NoticeResponse(_) => {}
                Message::AuthenticationCleartextPassword => {
                    self.check_not_bound("a clear-text password")?;
                    let password = self.password()?.as_bytes().to_vec();
                    self.send_password(&password)?;
                }
                Message::AuthenticationMd5Password(body) => {
                    self.check_not_bound("an MD5 password")?;
                    let user = self.config.user().as_bytes();
                    let hash = md5_hash(user, self.password()?.as_bytes(), body.salt());
                    self.send_password(hash.as_bytes())?;
                }
                Message::AuthenticationSasl(body) => self.scram(body).await?,
                Message::AuthenticationGss
                | Message::AuthenticationSspi
                | Message::AuthenticationKerberosV5
                | Message::AuthenticationScmCredential => {
                    let text = "the server asks for a method other than a password or a \
                                certificate (GSSAPI, SSPI or older), which is not supported";
                    return Err(Cause::Authentication(text.to_owned()));
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    fn send_password(&mut self, password: &[u8]) -> Result<(), Cause> {
        self.proof = Proof::Password;
        frontend::password_message(password, self.wire.outgoing()).map_err(protocol)
    }

    fn password(&self) -> Result<&str, Cause> {
        let missing = || Cause::NoPassword {
            passfile_problem: self.config.passfile_problem.clone(),
        };
        self.password
            .map(|secret| secret.0.as_str())
            .ok_or_else(missing)
    }

    /// Refuses a method without channel binding before anything is given away.
    fn check_not_bound(&self, method: &str) -> Result<(), Cause> {
        match self.config.channel_binding {
            ChannelBinding::Require => Err(Cause::Authentication(format!(
                "channel_binding=require, but the server asks for {method}"
            ))),
            _ => Ok(()),
        }
    }

    fn check_binding(&self) -> Result<(), Cause> {
        match (self.config.channel_binding, self.proof) {
            (ChannelBinding::Require, Proof::Bound) => Ok(()),
            (ChannelBinding::Require, _) => Err(Cause::Authentication(
                "channel_binding=require, but the server let us in without it".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    async fn scram(&mut self, body: AuthenticationSaslBody) -> Result<(), Cause> {
        let offered: Vec<String> = body
            .mechanisms()
            .map(|name| Ok(name.to_owned()))
            .collect()
            .map_err(protocol)?;
        let (mechanism, binding, proof) = self.choose_mechanism(&offered)?;
        let mut scram = ScramSha256::new(self.password()?.as_bytes(), binding);
        frontend::sasl_initial_response(mechanism, scram.message(), self.wire.outgoing())
            .map_err(protocol)?;
        self.wire.flush().await.map_err(Cause::Broken)?;
        match receive(self.wire).await? {
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data()).map_err(authentication)?;
            }
            other => return Err(unexpected(&other)),
        }
        frontend::sasl_response(scram.message(), self.wire.outgoing()).map_err(protocol)?;
        self.wire.flush().await.map_err(Cause::Broken)?;
        match receive(self.wire).await? {
            Message::AuthenticationSaslFinal(body) => {
                scram.finish(body.data()).map_err(authentication)?;
            }
            other => return Err(unexpected(&other)),
        }
        self.proof = proof;
        Ok(())
    }

    /// With TLS and a server that offers it, SCRAM is bound to the channel. Without the offer we
    /// say that we would have, so that a server behind a man in the middle notices.
    fn choose_mechanism(
        &self,
        offered: &[String],
    ) -> Result<(&'static str, Binding, Proof), Cause> {
        let offers = |mechanism: &str| offered.iter().any(|name| name == mechanism);
        let wanted = self.config.channel_binding;
        let end_point = match self.channel {
            Channel::Tls {
                end_point: Some(hash),
            } if wanted != ChannelBinding::Disable => Some(hash.clone()),
            _ => None,
        };
        match end_point {
            Some(hash) if offers(SCRAM_SHA_256_PLUS) => Ok((
                SCRAM_SHA_256_PLUS,
                Binding::tls_server_end_point(hash),
                Proof::Bound,
            )),
            _ if wanted == ChannelBinding::Require => Err(Cause::Authentication(
                match self.channel {
                    Channel::Plain => "channel_binding=require, but TLS is not in use",
                    Channel::Tls { end_point: None } => {
                        "channel_binding=require, but the hash of the server's certificate is \
                         not defined"
                    }
                    Channel::Tls { .. } => "channel_binding=require, but it is not offered",
                }
                .to_owned(),
            )),
            Some(_) if offers(SCRAM_SHA_256) => {
                Ok((SCRAM_SHA_256, Binding::unrequested(), Proof::Mutual))
            }
            None if offers(SCRAM_SHA_256) => {
                Ok((SCRAM_SHA_256, Binding::unsupported(), Proof::Mutual))
            }
            _ => Err(Cause::Authentication(format!(
                "the server offers no mechanism that is supported, only {}",
                offered.join(", ")
            ))),
        }
    }
}

/// Reads parameters, the cancel key and notices until the server is ready.
async fn read_facts(wire: &mut Wire) -> Result<SessionFacts, Cause> {
    let mut facts = SessionFacts::default();
    loop {
        match receive(wire).await? {
            Message::ParameterStatus(body) => {
                let name = body.name().map_err(protocol)?.to_owned();
                let value = body.value().map_err(protocol)?.to_owned();
                facts.parameters.insert(name, value);
            }
            Message::BackendKeyData(body) => {
                (facts.process_id, facts.secret_key) = (body.process_id(), body.secret_key());
            }
            Message::NoticeResponse(body) if facts.notices.len() < NOTICE_LIMIT => {
                facts
                    .notices
                    .push(read_error(body.fields()).map_err(protocol)?);
            }
            Message::NoticeResponse(_) => {}
            Message::ReadyForQuery(_) => return Ok(facts),
            other => return Err(unexpected(&other)),
        }
    }
}

/// The next message, with a refusal as an error.
async fn receive(wire: &mut Wire) -> Result<Message, Cause> {
    match wire.receive().await {
        Ok(Message::ErrorResponse(body)) => Err(Cause::Server(Box::new(
            read_error(body.fields()).map_err(protocol)?,
        ))),
        Ok(message) => Ok(message),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => protocol(error),
            _ => Cause::Broken(error),
        }),
    }
}

fn protocol(error: io::Error) -> Cause {
    Cause::Protocol(error.to_string())
}

fn authentication(error: io::Error) -> Cause {
    Cause::Authentication(error.to_string())
}

fn unexpected(message: &Message) -> Cause {
    Cause::Protocol(format!("{} during the greeting", name_of(message)))
}
