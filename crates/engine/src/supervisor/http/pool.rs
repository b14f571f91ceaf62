//! Servers: the sockets to servers of one worker, in use and kept for the next exchange.
//!
//! A kept one is taken most recent first, so that the pool shrinks to what is needed. What happens to it
//! while nobody uses it (an end, an error, bytes nobody asked for) ends it at once. Must never know what is
//! sent through it.

use std::sync::Arc;

use hashbrown::HashMap;
use headworks_core::buffer::Buffer;
use headworks_core::pool::ServerState;
use headworks_core::time::{Millis, NEVER};
use slab::Slab;

use super::stream::Stream;
use crate::io::Socket;
use crate::outcome::Read;
use crate::token;

/// A socket to a server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Told apart from earlier ones in the same place.
    pub(crate) generation: u32,
    /// The socket.
    pub(crate) socket: Socket,
    /// The server's identity, which is the identity of its pool.
    pub(crate) state: Arc<ServerState>,
    /// The stream it works for; None: it is kept.
    pub(crate) stream: Option<usize>,
    /// Whether the server has answered on this socket before.
    pub(crate) reused: bool,
    /// Bytes from it that nobody has acted on.
    pub(crate) inbound: Buffer,
    /// When it was last put away.
    since: Millis,
    /// How long it may be kept.
    keep: Millis,
}

impl Server {
    /// Whether it has said nothing beyond its response: what it had would be taken for the next one.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.inbound.is_empty() && (!self.socket.readable || self.socket.read(&mut [0]) == Read::Nothing)
    }

    /// Whether it may be kept for another exchange. Where it leads back here, hops are counted by connection.
    pub(crate) fn may_serve_others(&mut self) -> bool {
        !self.socket.is_deep() && self.is_silent()
    }
}

/// How a server's socket is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// Idle ones of one server at most.
    pub(crate) most: usize,
    /// Milliseconds each is kept.
    pub(crate) time: Millis,
}

/// All sockets to servers of one worker.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    all: Slab<Server>,
    /// Kept ones by server, the most recent last.
    kept: HashMap<usize, Vec<u32>, foldhash::fast::RandomState>,
    /// When the oldest is looked at again; None: none is kept.
    sweep: Option<Millis>,
    generation: u32,
}

impl Servers {
    /// Adds a socket that works for `stream`; returns its place.
    pub(crate) fn add(&mut self, socket: Socket, state: &Arc<ServerState>, stream: usize) -> usize {
        self.generation = self.generation.wrapping_add(1) & token::GENERATIONS;
        let generation = self.generation;
        let server = Server {
            generation,
            socket,
            state: Arc::clone(state),
            stream: Some(stream),
            reused: false,
            inbound: Buffer::default(),
            since: 0,
            keep: 0,
        };
        self.all.insert(server)
    }

    /// The socket at a place.
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Server> {
        self.all.get_mut(place)
    }

    /// The socket that works for a stream.
    pub(crate) fn of(&mut self, stream: &Stream) -> Option<&mut Server> {
        self.all.get_mut(stream.server?)
    }

    /// Takes the most recently kept socket of a server for `stream`.
    pub(crate) fn reuse(&mut self, state: &Arc<ServerState>, stream: usize) -> Option<usize> {
        let place = self.kept.get_mut(&identity(state))?.pop()? as usize;
        let server = self.all.get_mut(place)?;
        server.stream = Some(stream);
        server.reused = true;
        Some(place)
    }

    /// Puts a socket away for the next exchange, or closes it when enough are kept or it has ended.
    pub(crate) fn keep(&mut self, place: usize, keep: Keep, now: Millis) {
        let Some(server) = self.all.get_mut(place) else { return };
        let kept = self.kept.entry(identity(&server.state)).or_default();
        let sound = !server.socket.ending && !server.socket.broken && server.inbound.is_empty();
        if kept.len() >= keep.most || !sound {
            return self.close(place);
        }
        kept.push(place as u32);
        server.stream = None;
        server.since = now;
        server.keep = keep.time;
        let at = now.saturating_add(keep.time);
        self.sweep = Some(self.sweep.map_or(at, |sweep| sweep.min(at)));
    }

    /// Closes a socket, kept or in use.
    pub(crate) fn close(&mut self, place: usize) {
        drop(self.remove(place));
    }

    /// Takes a socket out.
    pub(crate) fn remove(&mut self, place: usize) -> Option<Server> {
        let server = self.all.try_remove(place)?;
        if server.stream.is_none()
            && let Some(kept) = self.kept.get_mut(&identity(&server.state))
        {
            kept.retain(|other| *other as usize != place);
        }
        Some(server)
    }

    /// When it wants to be called although nothing happened.
    pub(crate) fn next(&self) -> Millis {
        self.sweep.unwrap_or(NEVER)
    }

    /// Closes what was kept for too long.
    pub(crate) fn expire(&mut self, now: Millis) {
        if self.sweep.is_none_or(|at| at > now) {
            return;
        }
        let all = &mut self.all;
        let mut next: Option<Millis> = None;
        self.kept.retain(|_, kept| {
            kept.retain(|place| {
                let Some(server) = all.get(*place as usize) else { return false };
                let until = server.since.saturating_add(server.keep);
                if until <= now {
                    all.try_remove(*place as usize);
                    return false;
                }
                next = Some(next.map_or(until, |at| at.min(until)));
                true
            });
            !kept.is_empty()
        });
        self.sweep = next;
    }

    /// Closes some of the kept sockets, the oldest first: their descriptors are needed elsewhere. Whether
    /// there were any.
    pub(crate) fn make_room(&mut self) -> bool {
        let mut places: Vec<usize> = self.kept.values().flatten().map(|place| *place as usize).collect();
        places.sort_unstable_by_key(|place| self.all.get(*place).map(|server| server.since));
        places.truncate(ROOM);
        for place in &places {
            self.close(*place);
        }
        !places.is_empty()
    }

    /// Closes every kept socket.
    pub(crate) fn forget(&mut self) {
        let all = &mut self.all;
        for place in self.kept.drain().flat_map(|(_, kept)| kept) {
            all.try_remove(place as usize);
        }
        self.sweep = None;
    }
}

/// Kept sockets that give way at once when descriptors run out: enough for a client, its server and a few
/// more.
const ROOM: usize = 16;

/// A server stays the same over reloads as long as its state is handed on; the Arc of every kept socket holds
/// it.
fn identity(state: &Arc<ServerState>) -> usize {
    Arc::as_ptr(state) as usize
}
