//! Pools: a backend's servers, what changes of them while running, and choosing among them.
//!
//! | file | owns |
//! |---|---|
//! | `backend.rs` | a Backend: policy and servers |
//! | `server.rs` | a Server, and why it is not chosen |
//! | `state.rs` | what changes while running; places |

mod backend;
mod server;
mod state;

pub use backend::{Backend, Health, HealthKind, Tried};
pub use server::{SCALE, Server, Unusable};
pub use state::{Admin, Place, ServerState};
