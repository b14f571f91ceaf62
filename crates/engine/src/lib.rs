//! Headworks engine: does. Every system call, thread, timer and clock read; no policy, no Python.
//!
//! | room | owns |
//! |---|---|
//! | [`Engine`] | the threads of one running configuration, and the way in for everybody else |
//! | `worker` | the poll loop, its listening sockets, its mail |
//! | `supervisor` | one worker's connections: in their handshakes, passed through, of requests |
//! | `admission`, `arrival` | what every accept begins with; a client that was accepted |
//! | `consult` | questions to analyzers, and their answers |
//! | `roster`, `token`, `tools` | records and their places; their names in the poll; what is lent |
//! | `io` | sockets, lanes, relaying, bodies |
//! | `timer`, `clock`, `random`, `date`, `ids` | deadlines, time, chance, numbers |
//! | `bind`, `health`, `names`, `following`, `look_up`, `notice` | around the connections |
//! | `record`, `access_log`, `tap`, `refusals`, `row`, `listing`, `stats`, `metrics` | what is told of them |
//! | `tls`, `deployment` | TLS records and configurations; [`Deployment`] |
//! | `sys` | the only `unsafe` |

mod access_log;
mod admission;
mod arrival;
mod bind;
mod clock;
mod consult;
mod date;
mod deployment;
mod engine;
mod following;
mod health;
mod hops;
mod ids;
mod io;
mod listing;
mod look_up;
mod metrics;
mod names;
mod notice;
mod options;
mod outcome;
mod random;
mod record;
mod refusals;
mod roster;
mod row;
mod stats;
mod supervisor;
mod sys;
mod tap;
mod timer;
mod tls;
mod token;
mod tools;
mod worker;

pub use bind::BindError;
pub use consult::{Answer, Batch, DeskStats, Question, Questions, Ticket};
pub use engine::{ApplyError, Engine, Options, ServerError};
pub use listing::{ConnectionFilter, ConnectionPage, Cursor, Network};
pub use look_up::{FoundAddress, LookedUp, look_up};
pub use metrics::{FAMILIES, Family, MetricKind, MetricsFormat, MetricsRequest, Scope};
pub use names::{NameResolver, ResolverSettings, ResolverStats};
pub use notice::Notice;
pub use record::Format;
pub use row::ConnectionRow;
pub use stats::{BackendStats, Buckets, Counters, ListenerStats, NameStats, ServerStats, Stats};
pub use tap::Tapped;
pub use tls::Deployment;
