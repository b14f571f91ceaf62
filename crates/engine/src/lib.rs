//! Headworks engine: does. Every system call, thread, timer and clock read; no policy, no Python.
//!
//! | room | owns |
//! |---|---|
//! | [`Engine`] | the threads of one running configuration, and the way in for everybody else |
//! | `worker`, `supervisor`, `connection` | the poll loop, its connections, the record of one |
//! | `admission`, `handshakes`, `http` | what every accept begins with; clients in their handshakes; exchanges |
//! | `socket`, `relay`, `pipes` | reading, writing, moving bytes |
//! | `timer`, `clock`, `random` | deadlines, time, chance |
//! | `bind`, `mailbox`, `health`, `access_log`, `notice`, `stats` | around the connections |
//! | `tls` | TLS records and configurations; [`Deployment`] |
//! | `sys` | the only `unsafe` |

mod aborts;
mod access_log;
mod admission;
mod bind;
mod clock;
mod connection;
mod engine;
mod handshakes;
mod health;
mod http;
mod mailbox;
mod notice;
mod pipes;
mod random;
mod record;
mod relay;
mod socket;
mod stats;
mod supervisor;
mod sys;
mod timer;
mod tls;
mod worker;

pub use bind::BindError;
pub use engine::{ApplyError, Engine, Options, UnknownServer};
pub use notice::Notice;
pub use record::Format;
pub use stats::{BackendStats, ConnectionRow, Counters, ListenerStats, ServerStats, Stats};
pub use tls::Deployment;
