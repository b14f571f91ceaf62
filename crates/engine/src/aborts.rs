//! Aborts: sockets that are to be reset once what was written to them has arrived.
//!
//! A reset throws away what the kernel has not delivered; an ordinary end would pass a broken transfer off as a
//! complete one. So the socket is kept until everything is acknowledged, within limits, and then reset. Past the limits
//! the truth comes before the bytes.

use headworks_core::time::Millis;

use crate::socket::Socket;

/// Sockets kept at once; one more is reset at once.
const MOST: usize = 64;
/// How long the last bytes may take.
const PATIENCE: Millis = 10_000;
/// How often is looked.
const GLANCE: Millis = 20;

/// The sockets of one worker that wait for their reset.
#[derive(Debug, Default)]
pub(crate) struct Aborts(Vec<(Socket, Millis)>);

impl Aborts {
    /// Resets `socket` now, or once its last bytes have arrived.
    pub(crate) fn add(&mut self, mut socket: Socket, now: Millis) {
        match socket.unacknowledged() > 0 && self.0.len() < MOST {
            true => self.0.push((socket, now + PATIENCE)),
            false => socket.reset(),
        }
    }

    /// When to look again; None: nothing waits.
    pub(crate) fn next(&self, now: Millis) -> Option<Millis> {
        (!self.0.is_empty()).then_some(now + GLANCE)
    }

    /// Resets those whose bytes have arrived, and gives up on those that take too long.
    pub(crate) fn turn(&mut self, now: Millis) {
        self.0.retain_mut(|(socket, until)| {
            if socket.owes() {
                let _ = socket.write(&[], false);
            }
            let keep = socket.unacknowledged() > 0 && now < *until;
            if !keep {
                socket.reset();
            }
            keep
        });
    }
}

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(socket, _)| socket.reset());
    }
}
