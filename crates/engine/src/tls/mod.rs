//! TLS: the records of one connection, and the rustls configurations that a Plan asks for.
//!
//! | file | owns |
//! |---|---|
//! | `deployment.rs` | a Plan with everything the engine made of it |
//! | `stream.rs`, `machine.rs` | the TLS side of one socket; rustls' state machines |
//! | `acceptor.rs`, `connector.rs` | the configuration of one listener, of one backend |
//! | `provider.rs`, `keys.rs` | suites, groups and versions; private keys that sign |
//! | `resolver.rs` | the certificate for one client |
//! | `resumption.rs`, `tickets.rs`, `one_time.rs`, `rotation.rs` | old sessions: who keeps them, and how long |
//! | `clients.rs` | how certificates of clients are verified |
//! | `pinned.rs`, `unverified.rs` | how those of servers are, and how they are not |
//! | `agreed.rs`, `fault.rs` | what a handshake agreed on; why it failed |
//!
//! Must never decide which certificate a name gets (core does) or read a file (Python did).

mod acceptor;
mod agreed;
mod clients;
mod connector;
mod deployment;
mod fault;
mod keys;
mod machine;
mod one_time;
mod pinned;
mod provider;
mod records;
mod resolver;
mod resumption;
mod rotation;
mod tickets;
mod unverified;

#[cfg(test)]
mod tests;

pub(crate) use acceptor::Acceptor;
pub(crate) use connector::Connector;
pub use deployment::Deployment;
pub(crate) use fault::{fault_of, server_fault};
pub(crate) use machine::Failure;
pub(crate) use records::Records;
