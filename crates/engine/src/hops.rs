//! Hops: how often a connection has come back to this process by itself, so that a loop of listeners and
//! servers ends while there are descriptors left.
//!
//! ```text
//!   client --> listener   a hop was never made: the client's address is nobody's here
//!                 | dials 127.0.0.1:8080, our own; its address 127.0.0.1:50001 is written down: 1 hop
//!                 v
//!              listener   accepts 127.0.0.1:50001: the next one that leads back makes 2 hops, ...
//! ```
//!
//! Owns which ports we listen on and which sockets of ours lead there. Whoever connects to other ports pays
//! one look at a bit. Must never decide how many hops are too many.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, MutexGuard};

use hashbrown::HashMap;
use headworks_core::address::Address;
use headworks_core::lock::lock;

/// The ports that this process listens on, or has listened on: one that is not any more costs a little work
/// and nothing else.
static PORTS: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// The addresses of our sockets that lead back here, with the hops of each.
static LEADING_BACK: LazyLock<Mutex<HashMap<SocketAddr, u32>>> = LazyLock::new(Mutex::default);

/// How many they are.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// One of our sockets that leads back here, written down for as long as it is open.
#[derive(Debug)]
pub(crate) struct Hop {
    local: SocketAddr,
    /// Hops that who is accepted by this socket has made.
    pub(crate) number: u32,
}

/// A socket that is about to be connected: whoever is accepted meanwhile, by another worker, waits with its
/// question until it is written down.
#[derive(Debug)]
pub(crate) struct Leap(MutexGuard<'static, HashMap<SocketAddr, u32>>);

impl Leap {
    /// Begins: the socket is connected next.
    pub(crate) fn begin() -> Self {
        // Counted before anybody can be accepted by it.
        COUNT.fetch_add(1, Relaxed);
        Self(lock(&LEADING_BACK))
    }

    /// Writes down that our socket at `local` leads to `target`, which may be a listener of ours; None: it is
    /// on another machine.
    pub(crate) fn to(self, local: Option<SocketAddr>, target: SocketAddr, number: u32) -> Option<Hop> {
        let local = local.filter(|local| local.ip() == canonical(target.ip()) || is_here(target.ip()))?;
        Some(self.anywhere(local, number))
    }

    /// Writes down our socket at `local`, wherever it leads: what redirects clients here may redirect it.
    pub(crate) fn anywhere(mut self, local: SocketAddr, number: u32) -> Hop {
        self.0.insert(local, number);
        // Taken back when the leap ends.
        COUNT.fetch_add(1, Relaxed);
        Hop { local, number }
    }
}

impl Drop for Leap {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Relaxed);
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        lock(&LEADING_BACK).remove(&self.local);
        COUNT.fetch_sub(1, Relaxed);
    }
}

/// Notes that this process listens on the port of `address`.
pub(crate) fn listens(address: SocketAddr) {
    let port = address.port();
    PORTS[usize::from(port / 64)].fetch_or(1 << (port % 64), Relaxed);
}

/// Whether a server at `address` may be a listener of ours.
#[inline]
pub(crate) fn may_lead_back(address: &Address) -> bool {
    let port = |ip: &SocketAddr| PORTS[usize::from(ip.port() / 64)].load(Relaxed) >> (ip.port() % 64) & 1;
    address.ip().is_some_and(|ip| port(&ip) != 0)
}

/// Returns the hops that a client made who is accepted from `from`; 0: it comes from elsewhere.
pub(crate) fn made(from: Option<SocketAddr>) -> u32 {
    if COUNT.load(Relaxed) == 0 {
        return 0;
    }
    from.and_then(|from| lock(&LEADING_BACK).get(&from).copied()).unwrap_or(0)
}

/// Whether an address stands for this machine, whatever address our own side has.
fn is_here(ip: IpAddr) -> bool {
    canonical(ip).is_loopback() || ip.is_unspecified()
}

fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
