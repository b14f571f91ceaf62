//! Pools: a backend's servers, what changes of them while running, and choosing among them.
//!
//! | file | owns |
//! |---|---|
//! | `asked.rs` | servers that clients name themselves, and which those may be |
//! | `attempts.rs` | Attempts: the search for a server, retries included |
//! | `backend.rs` | a Backend: policy and servers |
//! | `locator.rs` | where a server is found, as it is written |
//! | `place.rs` | a Place at a server |
//! | `roll.rs` | a Roll: who is a server now, by what is written, resolved and given |
//! | `set.rs` | a ServerSet: the servers of a backend, which may change |
//! | `server.rs` | a Server, and why it is not chosen |
//! | `state.rs` | what changes while running |

mod asked;
mod attempts;
mod backend;
mod locator;
mod place;
mod roll;
mod server;
mod set;
mod state;

pub use asked::AskedFor;
pub use attempts::{Attempts, Next};
pub use backend::{Backend, BackendState, Health, HealthKind, Source, Tried};
pub use locator::Locator;
pub use place::Place;
pub use roll::{FollowedName, KnownName, MOST_SERVERS, Roll, RollChange, Written};
pub use server::{SCALE, Server, ServerSettings, Unusable};
pub use set::{ServerList, ServerSet};
pub use state::{Admin, ServerState};
