//! Notices: rare events that people (or Python) want to hear of, in a bounded queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use headworks_core::lock::lock;
use serde::Serialize;

/// A rare event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// Active checks brought a server up.
    ServerUp {
        /// Backend.
        backend: String,
        /// Server address.
        server: String,
    },
    /// Active checks took a server down.
    ServerDown {
        /// Backend.
        backend: String,
        /// Server address.
        server: String,
        /// The fault that the last check met.
        reason: String,
    },
    /// Servers of a backend came or left while it runs.
    ServersChanged {
        /// Backend.
        backend: String,
        /// Addresses of those that came.
        added: Vec<String>,
        /// Addresses of those that left; their connections go on.
        removed: Vec<String>,
    },
    /// A name of a server has no answer.
    NameUnresolved {
        /// Backend.
        backend: String,
        /// The name as it is written.
        name: String,
        /// The reason.
        reason: String,
        /// Whether there is a good answer of before, which is used still.
        kept: bool,
    },
    /// A name that had no answer has one again.
    NameResolved {
        /// Backend.
        backend: String,
        /// The name as it is written.
        name: String,
    },
    /// A worker panicked: its connections are lost, it goes on with new ones.
    WorkerPanicked {
        /// Number of the worker.
        worker: usize,
        /// Connections that were lost.
        lost: usize,
        /// The message of the panic.
        message: String,
    },
    /// Accepting is paused: no descriptors are left, or as many connections are open as there are descriptors
    /// for.
    AcceptPaused {
        /// Number of the worker.
        worker: usize,
        /// Open connections of this worker.
        connections: usize,
        /// The reason in words.
        reason: String,
    },
    /// Accepting goes on.
    AcceptResumed {
        /// Number of the worker.
        worker: usize,
    },
    /// All addresses of both families were asked for, and this machine has no IPv6: IPv4 alone is served.
    Ipv6Missing {
        /// Name of the listener.
        listener: String,
        /// The address that is bound instead.
        address: String,
    },
    /// Access records were dropped because they could not be written.
    RecordsDropped {
        /// Number of them since the last such notice.
        dropped: u64,
        /// The error that writing met.
        reason: String,
    },
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    queue: Mutex<VecDeque<Notice>>,
    closed: AtomicBool,
    arrived: Condvar,
}

/// Notices kept at most; the oldest go first.
const MOST: usize = 1024;

impl Notices {
    /// Adds one.
    pub(crate) fn push(&self, notice: Notice) {
        let mut queue = lock(&self.queue);
        if queue.len() >= MOST {
            queue.pop_front();
        }
        queue.push_back(notice);
        self.arrived.notify_one();
    }

    /// Ends the queue: nobody waits any longer. Notices that are queued can still be taken.
    pub(crate) fn close(&self) {
        let _queue = lock(&self.queue);
        self.closed.store(true, Relaxed);
        self.arrived.notify_all();
    }

    /// Takes the oldest, waiting for one at most `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Notice> {
        let queue = lock(&self.queue);
        let (mut queue, _) = self
            .arrived
            .wait_timeout_while(queue, timeout, |queue| queue.is_empty() && !self.closed.load(Relaxed))
            .unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    }
}
