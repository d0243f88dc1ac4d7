//! Sessions with a server: reaching one, proving who we are, asking it.
//!
//! From the ground up: [`wire`] frames messages, [`route`] opens a transport, [`authenticate`]
//! makes a session of it, [`session`] is one that is open, and [`connect`] chooses among servers.

mod answer;
mod authenticate;
mod cancel;
mod connect;
pub mod error;
mod route;
pub mod row;
mod session;
pub(crate) mod wire;

pub use answer::ANSWER_LIMIT_BYTES;
pub use cancel::CancelToken;
pub use session::Client;
