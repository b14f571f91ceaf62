//! Place: one of the connections that a server may hold.
//!
//! Owns a count at its server, which goes down when the place is given back or dropped. Must never choose a
//! server.

use std::sync::Arc;

use crate::pool::Server;

/// A place at a server. The server stays known after the place was given back.
#[derive(Debug)]
pub struct Place {
    server: Arc<Server>,
    held: bool,
}

impl Place {
    /// Takes a place, or None when the server holds all it may.
    pub fn take(server: &Arc<Server>) -> Option<Self> {
        let held = server.state.take(server.max_connections);
        held.then(|| Self { server: Arc::clone(server), held })
    }

    /// Returns the server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Whether it was not given back yet.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Gives it back; whether it was still held.
    pub fn give_back(&mut self) -> bool {
        let was_held = std::mem::take(&mut self.held);
        if was_held {
            self.server.state.release();
        }
        was_held
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_back();
    }
}
