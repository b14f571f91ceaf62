//! Leaving: sockets whose connection is over while bytes are still on their way.
//!
//! A reset throws away what the kernel has not delivered; an ordinary end would pass a broken transfer off as
//! a complete one. So the socket is kept until everything is acknowledged, within limits, and then reset.
//! Past the limits the truth comes before the bytes. A socket that ends in good order stays only while TLS
//! has not said so on the wire: without that word what came before would look broken off.

use headworks_core::time::{Millis, NEVER};

use super::Socket;

/// Sockets kept at once; one more is reset at once.
const MOST: usize = 64;
/// Time that the last bytes may take.
const PATIENCE: Millis = 10_000;
/// Time between two looks at the sockets.
const GLANCE: Millis = 20;

/// The sockets of one worker that wait for their end.
#[derive(Debug, Default)]
pub(crate) struct Leaving(Vec<Last>);

/// A socket that waits for its end.
#[derive(Debug)]
struct Last {
    socket: Socket,
    until: Millis,
    /// Whether the socket ends with a reset.
    broken_off: bool,
}

impl Leaving {
    /// Resets `socket` now, or once its last bytes have arrived.
    pub(crate) fn break_off(&mut self, mut socket: Socket, now: Millis) {
        if socket.unacknowledged() > 0 && self.0.len() < MOST {
            self.0.push(Last { socket, until: now + PATIENCE, broken_off: true });
        } else {
            socket.reset();
        }
    }

    /// Closes `socket` in good order now, or once all that it says is on the wire.
    pub(crate) fn close(&mut self, mut socket: Socket, now: Millis) {
        if !socket.close() && self.0.len() < MOST {
            self.0.push(Last { socket, until: now + PATIENCE, broken_off: false });
        }
    }

    /// Returns when to look again; NEVER while nothing waits.
    #[inline]
    pub(crate) fn next(&self, now: Millis) -> Millis {
        if self.0.is_empty() { NEVER } else { now + GLANCE }
    }

    /// Ends those whose bytes have arrived, and gives up on those that take too long.
    pub(crate) fn turn(&mut self, now: Millis) {
        self.0.retain_mut(|Last { socket, until, broken_off }| {
            if socket.owes() {
                let _ = socket.write(&[], false);
            }
            let waits = if *broken_off { socket.unacknowledged() > 0 } else { socket.owes() };
            let keep = waits && now < *until;
            if !keep && *broken_off {
                socket.reset();
            }
            keep
        });
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.iter_mut().filter(|one| one.broken_off).for_each(|one| one.socket.reset());
    }
}
