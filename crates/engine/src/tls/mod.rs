//! TLS: the records of one connection, and the rustls configurations that a Plan asks for.
//!
//! | file | owns |
//! |---|---|
//! | `deployment.rs` | a Plan with everything the engine made of it |
//! | `stream.rs` | the TLS side of one socket |
//! | `acceptor.rs`, `connector.rs` | the configuration of one listener, of one backend |
//!
//! Must never decide which certificate a name gets (core does) or read a file (Python did).

mod acceptor;
mod connector;
mod deployment;
mod stream;

pub(crate) use acceptor::Acceptor;
pub(crate) use connector::Connector;
pub use deployment::Deployment;
pub(crate) use stream::{Failure, Stream};
