//! Slots: the listening sockets of a worker, accepting from them, and pauses while no more clients can be
//! taken.
//!
//! A socket that goes is emptied first, under the Plan that its clients came for. Must never know what a
//! client is for.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mio::Poll;

use super::{Listening, Worker};
use crate::admission::{self, Accepted};
use crate::bind::BoundKey;
use crate::clock;
use crate::notice::Notice;
use crate::sys;
use crate::token;

/// A listening socket of this worker.
#[derive(Debug)]
pub(super) struct Slot {
    key: BoundKey,
    socket: Arc<OwnedFd>,
    listener: u32,
    /// More than one client waited last time: the next turn accepts until none is left.
    busy: bool,
}

/// Clients accepted from one socket before others get their turn.
const BURST: usize = 64;

impl Worker {
    /// Accepts from one socket: one client, or all there are when several waited last time.
    pub(super) fn accept(&mut self, slot: usize) {
        let Some(Some(entry)) = self.slots.get_mut(slot) else { return };
        let (socket, listener) = (Arc::clone(&entry.socket), entry.listener);
        let most = if entry.busy { BURST } else { 2 };
        let mut accepted = 0;
        while accepted < most && self.paused.is_none() {
            if !self.accept_one(&socket, listener) {
                break;
            }
            accepted += 1;
        }
        if let Some(Some(entry)) = self.slots.get_mut(slot) {
            entry.busy = accepted > 1;
        }
    }

    /// Whether there was a client to accept.
    fn accept_one(&mut self, socket: &OwnedFd, listener: u32) -> bool {
        // A burst counts as it goes, so that it cannot take more than there are descriptors for.
        self.count();
        if self.is_full() {
            self.pause("as many connections are open as there are descriptors for");
            return false;
        }
        if !self.has_spare() {
            self.pause("no descriptor would be left to connect to a server");
            return false;
        }
        match sys::accept(socket.as_fd()) {
            Ok((fd, client)) => {
                if std::mem::take(&mut self.told) {
                    self.shared.notices.push(Notice::AcceptResumed { worker: self.number });
                }
                let accepted = Accepted { plan: &self.plan, listener, socket: fd, address: client };
                if let Some(arrival) = admission::admit(&mut self.tools, accepted) {
                    self.supervisors.take(&mut self.tools, arrival);
                }
                true
            }
            Err(error) => match error.raw_os_error() {
                // A client that has gone again is no reason to stop.
                Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => true,
                // Neither is one for whom sockets that are only kept make room.
                Some(libc::EMFILE | libc::ENFILE) if self.make_room() => true,
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    self.pause(&error.to_string());
                    false
                }
                _ => false,
            },
        }
    }

    /// Whether as many connections are open as there are descriptors for: each takes two.
    fn is_full(&self) -> bool {
        let reserved = self.plan.proxy.resources.reserved_descriptors as usize;
        let most = (self.shared.descriptors.saturating_sub(reserved) / 2).max(1);
        self.shared.open.load(Relaxed) >= most
    }

    /// Whether there is a descriptor to connect to a server with; sockets that are only kept make room for
    /// it.
    fn has_spare(&mut self) -> bool {
        self.tools.has_spare() || (self.make_room() && self.tools.has_spare())
    }

    /// Closes what can be spared; whether there was anything.
    fn make_room(&mut self) -> bool {
        self.supervisors.all().into_iter().any(|supervisor| supervisor.make_room())
    }

    /// Stops watching the listening sockets, so that waiting clients do not keep the poll spinning.
    fn pause(&mut self, reason: &str) {
        for slot in self.slots.iter().flatten() {
            // It is watched, or already gone.
            let _ = sys::unwatch(self.poll.as_raw_fd(), slot.socket.as_fd());
        }
        self.paused = Some(clock::now() + self.plan.proxy.resources.accept_pause);
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (worker, connections) = (self.number, self.counted);
        self.shared.notices.push(Notice::AcceptPaused { worker, connections, reason: reason.into() });
    }

    /// Watches the listening sockets again once accepting was paused long enough.
    pub(super) fn resume_accepting(&mut self) {
        let Some(at) = self.paused else { return };
        let now = clock::now();
        if now < at {
            return;
        }
        if self.is_full() {
            self.paused = Some(now + self.plan.proxy.resources.accept_pause);
            return;
        }
        self.paused = None;
        for (number, slot) in self.slots.iter().enumerate() {
            if let Some(slot) = slot {
                watch(&self.poll, number, &slot.socket);
            }
        }
    }

    /// Leaves the sockets that are not among these; the clients that wait there are accepted first.
    pub(super) fn leave_sockets(&mut self, sockets: &[Listening]) {
        for number in 0..self.slots.len() {
            let keep = |slot: &Slot| sockets.iter().any(|socket| socket.key == slot.key);
            if let Some(slot) = self.slots[number].take_if(|slot| !keep(slot)) {
                while self.accept_one(&slot.socket, slot.listener) {}
                let _ = sys::unwatch(self.poll.as_raw_fd(), slot.socket.as_fd());
            }
        }
    }

    /// Takes these sockets; those it has already go on for their listeners of now.
    pub(super) fn take_sockets(&mut self, sockets: Vec<Listening>) {
        for Listening { key, socket, listener } in sockets {
            match self.slots.iter_mut().flatten().find(|slot| slot.key == key) {
                Some(slot) => slot.listener = listener,
                None => self.listen(Slot { key, socket, listener, busy: false }),
            }
        }
    }

    fn listen(&mut self, slot: Slot) {
        let number = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if self.paused.is_none() {
            watch(&self.poll, number, &slot.socket);
        }
        match self.slots.get_mut(number) {
            Some(free) => *free = Some(slot),
            None => self.slots.push(Some(slot)),
        }
    }
}

fn watch(poll: &Poll, slot: usize, socket: &OwnedFd) {
    // Fails only for lack of kernel memory; the next pause and resume tries again.
    let _ = sys::watch_listener(poll.as_raw_fd(), socket.as_fd(), token::listener(slot).0 as u64);
}
