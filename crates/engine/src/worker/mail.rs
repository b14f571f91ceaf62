//! Mailbox: how the rest of the process speaks to a worker: letters in a queue and a wake-up of its poll.

use std::collections::{HashSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use headworks_core::lock::lock;
use headworks_core::names::{Resolution, Unresolved};
use mio::Waker;

use crate::bind::BoundKey;
use crate::consult::{Answer, AnswerBox};
use crate::listing::{ConnectionFilter, Cursor, Slice};
use crate::names::{FoundBox, Waiter};
use crate::refusals::Told;
use crate::tls::Deployment;

/// A letter to a worker.
#[derive(Debug)]
pub(crate) enum Mail {
    /// Serve this Plan on these sockets; answered when that is so.
    Apply {
        /// The new Plan.
        plan: Arc<Deployment>,
        /// Every socket this worker listens on.
        sockets: Vec<Listening>,
        /// The sender of the answer, when it is done.
        done: Sender<()>,
    },
    /// Stop accepting; answered when that is so.
    Drain(Sender<()>),
    /// Close everything and end.
    Stop,
    /// Answers to questions that were asked here.
    Advice(Vec<Answer>),
    /// A name that a record waits for was resolved, or could not be.
    Found(Waiter, Result<Resolution, Unresolved>),
    /// List the connections that are wanted of the slice that begins there, at most so many.
    List(Cursor, (Arc<ConnectionFilter>, usize), Sender<Slice>),
    /// Tell the last refusals.
    Refusals(Sender<Vec<Told>>),
    /// Close those of these connections that are here; answered with how many.
    Close(Arc<HashSet<u64>>, Sender<usize>),
}

/// A socket to listen on.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    /// The identity over reloads.
    pub(crate) key: BoundKey,
    /// The socket.
    pub(crate) socket: Arc<OwnedFd>,
    /// Index of its listener in the Plan.
    pub(crate) listener: u32,
}

/// One worker's mailbox.
#[derive(Debug)]
pub(crate) struct Mailbox {
    letters: Mutex<VecDeque<Mail>>,
    waker: Waker,
}

impl AnswerBox for Mailbox {
    fn put(&self, answers: Vec<Answer>) {
        self.post(Mail::Advice(answers));
    }
}

impl FoundBox for Mailbox {
    fn put_found(&self, waiter: Waiter, found: Result<Resolution, Unresolved>) {
        self.post(Mail::Found(waiter, found));
    }
}

impl Mailbox {
    /// Makes an empty mailbox that wakes by `waker`.
    pub(crate) fn new(waker: Waker) -> Self {
        Self { letters: Mutex::default(), waker }
    }

    /// Posts a letter.
    pub(crate) fn post(&self, mail: Mail) {
        lock(&self.letters).push_back(mail);
        self.wake();
    }

    /// Makes the worker look.
    pub(crate) fn wake(&self) {
        // Fails only if the poll is gone, and with it its worker.
        let _ = self.waker.wake();
    }

    /// Takes the oldest letter.
    pub(crate) fn take(&self) -> Option<Mail> {
        lock(&self.letters).pop_front()
    }
}
