//! One way to one server: a resolved address, a socket, and TLS on it if that is agreed.
//!
//! A route can be walked again, which is how a cancel request reaches the same server with the
//! same protection. Choosing among routes is [`super::connect`]'s part.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, lookup_host};

use super::authenticate::Channel;
use super::error::Cause;
use super::wire::Transport;
use crate::config::hosts::{Address, HostTarget};
use crate::config::values::SslNegotiation;
use crate::config::{Config, Keepalive};
use crate::tls;

/// Where a socket goes.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// Whether a route uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// Not asked for.
    Plain,
    /// Asked for; without it if the server has none.
    IfOffered,
    /// Asked for; a server without it is an error.
    Needed,
}

/// Everything to reach one server once more.
#[derive(Clone)]
pub(super) struct Route {
    pub config: Arc<Config>,
    pub target: HostTarget,
    pub endpoint: Endpoint,
    pub encryption: Encryption,
}

/// The addresses of a target, resolved.
pub(super) async fn resolve(target: &HostTarget) -> Result<Vec<Endpoint>, Cause> {
    match &target.address {
        Address::Socket(_) => {
            let path = target.socket_path().expect("a socket target has a path");
            Ok(vec![Endpoint::Unix(path)])
        }
        Address::Numeric { address, .. } => {
            Ok(vec![Endpoint::Tcp(SocketAddr::new(*address, target.port))])
        }
        Address::Name(name) => {
            let found = lookup_host((name.as_str(), target.port)).await;
            let endpoints: Vec<_> = found.map_err(Cause::Resolve)?.map(Endpoint::Tcp).collect();
            if endpoints.is_empty() {
                return Err(Cause::Resolve(io::ErrorKind::NotFound.into()));
            }
            Ok(endpoints)
        }
    }
}

impl Route {
    /// Opens the socket and agrees on TLS.
    pub(super) async fn open(&self) -> Result<(Box<dyn Transport>, Channel), Cause> {
        let address = match &self.endpoint {
            Endpoint::Unix(path) => {
                let socket = connect_unix(path).await.map_err(Cause::Socket)?;
                self.check_peer(&socket)?;
                return Ok((Box::new(socket), Channel::Plain));
            }
            Endpoint::Tcp(address) => *address,
        };
        let mut socket = TcpStream::connect(address).await.map_err(Cause::Socket)?;
        set_options(&socket, self.config.keepalive).map_err(Cause::Socket)?;
        if self.encryption == Encryption::Plain || !self.request_tls(&mut socket).await? {
            return Ok((Box::new(socket), Channel::Plain));
        }
        let server = tls::Server {
            name: self.target.tls_name(),
            address: address.ip(),
        };
        let stream = tls::connect(&self.config.tls, server, socket)
            .await
            .map_err(|error| Cause::Tls(error.to_string()))?;
        let end_point = tls::end_point_hash(&stream);
        Ok((Box::new(stream), Channel::Tls { end_point }))
    }

    /// What is tried, for messages.
    pub(super) fn place(&self) -> String {
        match (&self.endpoint, &self.target.address) {
            (Endpoint::Tcp(address), Address::Name(name)) if *name != address.ip().to_string() => {
                format!(
                    "host \"{name}\" ({}), port {}",
                    address.ip(),
                    address.port()
                )
            }
            _ => self.target.to_string(),
        }
    }

    /// Asks for TLS. Exactly one byte is read, so nothing that a man in the middle sent ahead can
    /// be taken for the server's encrypted words.
    async fn request_tls(&self, socket: &mut TcpStream) -> Result<bool, Cause> {
        if self.config.tls.negotiation == SslNegotiation::Direct {
            return Ok(true);
        }
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        socket.write_all(&request).await.map_err(Cause::Broken)?;
        let answer = socket.read_u8().await.map_err(Cause::Broken)?;
        match (answer, self.encryption) {
            (b'S', _) => Ok(true),
            (b'N', Encryption::IfOffered) => Ok(false),
            (b'N', _) => Err(Cause::Tls("the server does not support TLS".to_owned())),
            // The words of a server that is not authenticated yet are not shown.
            (b'E', _) => Err(Cause::Tls(
                "the server refuses the request for TLS".to_owned(),
            )),
            (byte, _) => Err(Cause::Protocol(format!(
                "byte {byte} instead of a word about TLS; is this a PostgreSQL server?"
            ))),
        }
    }

    fn check_peer(&self, socket: &UnixStream) -> Result<(), Cause> {
        let Some(expected) = &self.config.require_peer else {
            return Ok(());
        };
        let uid = socket.peer_cred().map_err(Cause::Socket)?.uid();
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid))
            .ok()
            .flatten();
        let found = user.map_or_else(|| format!("user id {uid}"), |user| user.name);
        if *expected == found {
            Ok(())
        } else {
            Err(Cause::WrongPeer {
                expected: expected.clone(),
                found,
            })
        }
    }
}

/// A path that starts with `@` means the abstract namespace, where a zero byte stands for it.
async fn connect_unix(path: &std::path::Path) -> io::Result<UnixStream> {
    match path.to_str().and_then(|text| text.strip_prefix('@')) {
        Some(name) => UnixStream::connect(format!("\0{name}")).await,
        None => UnixStream::connect(path).await,
    }
}

fn set_options(socket: &TcpStream, keepalive: Keepalive) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    if let Some(limit) = keepalive.user_timeout {
        socket.set_tcp_user_timeout(Some(limit))?;
    }
    if !keepalive.enabled {
        return Ok(());
    }
    let mut probes = TcpKeepalive::new();
    if let Some(idle) = keepalive.idle {
        probes = probes.with_time(idle);
    }
    if let Some(interval) = keepalive.interval {
        probes = probes.with_interval(interval);
    }
    if let Some(count) = keepalive.count {
        probes = probes.with_retries(count);
    }
    socket.set_keepalive(true)?;
    socket.set_tcp_keepalive(&probes)
}
