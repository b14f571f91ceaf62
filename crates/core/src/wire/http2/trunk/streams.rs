//! Streams: those of one connection, and what is remembered of those that are over (RFC 9113 section 5.1).
//!
//! Numbers only grow, so that the list is sorted as it is filled. Must never forget a stream before it is
//! released.

use super::super::priority::Priority;
use super::super::windows::{Overflow, ReceiveWindow, SendWindow};
use crate::message::Method;
use crate::time::Millis;

/// The part of a message that has gone one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Nothing, or interim heads.
    Nothing,
    /// The head.
    Head,
    /// All.
    Whole,
}

/// A stream that is not released.
#[derive(Debug)]
pub(super) struct Stream {
    pub id: u32,
    /// The other end's message.
    pub came: Extent,
    /// Ours.
    pub went: Extent,
    /// The end before its time: ours, or the other end's.
    pub ended: Option<EndedBy>,
    pub send: SendWindow,
    pub receive: ReceiveWindow,
    /// Bytes that the other end's body must still have.
    pub expected: Option<u64>,
    /// The method of our request.
    pub asked: Method,
    /// The request was extended CONNECT.
    pub extended: bool,
    pub priority: Priority,
    /// Frames of its body that were sent.
    pub turns: u32,
    /// There are bytes of its body to be sent.
    pub wants: bool,
    pub stall: Option<Stall>,
}

/// The end of a stream before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndedBy {
    Us,
    Them,
}

/// A body that had to wait for a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stall {
    pub since: Millis,
    /// Bytes that went since then.
    pub bytes: u64,
}

impl Stream {
    /// Makes a stream in which we may send, and the other end may, as many bytes.
    pub(super) fn new(id: u32, ours: u32, theirs: u32) -> Self {
        Self {
            id,
            came: Extent::Nothing,
            went: Extent::Nothing,
            ended: None,
            send: SendWindow::new(ours),
            receive: ReceiveWindow::new(theirs),
            expected: None,
            asked: Method::Get,
            extended: false,
            priority: Priority::default(),
            turns: 0,
            wants: false,
            stall: None,
        }
    }

    /// Whether no frame may come or go any more.
    pub(super) fn is_closed(&self) -> bool {
        self.ended.is_some() || self.came == Extent::Whole && self.went == Extent::Whole
    }

    /// Whether bytes of its body may go, its window aside.
    pub(super) fn may_send(&self) -> bool {
        self.ended.is_none() && self.went == Extent::Head
    }
}

/// The way a stream of the past ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// The stream has not begun.
    Idle,
    /// We ended it: frames may be under way.
    OurEnd,
    /// The stream was finished, or the other end ended it.
    Over,
    /// Nobody remembers it; its number was passed over, or it is long ago.
    Unknown,
}

/// Streams of the past that are remembered.
const REMEMBERED: usize = 64;

/// The streams of a connection.
#[derive(Debug)]
pub(super) struct Streams {
    list: Vec<Stream>,
    /// The highest number that the other end has used; of a client's connection, that we have.
    highest: u32,
    past: [(u32, bool); REMEMBERED],
    next_past: usize,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { list: Vec::new(), highest: 0, past: [(0, false); REMEMBERED], next_past: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    #[inline]
    pub(super) fn highest(&self) -> u32 {
        self.highest
    }

    /// Takes note of a number that is used, higher than any before.
    pub(super) fn use_number(&mut self, id: u32) {
        debug_assert!(id > self.highest, "numbers only grow");
        self.highest = id;
    }

    #[inline]
    fn place(&self, id: u32) -> Option<usize> {
        // Mostly the last one, or the only one.
        match self.list.last() {
            Some(last) if last.id == id => Some(self.list.len() - 1),
            _ => self.list.binary_search_by_key(&id, |stream| stream.id).ok(),
        }
    }

    #[inline]
    pub(super) fn get(&mut self, id: u32) -> Option<&mut Stream> {
        let place = self.place(id)?;
        self.list.get_mut(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.list.iter_mut()
    }

    pub(super) fn push(&mut self, stream: Stream) {
        self.list.push(stream);
    }

    /// Ends a stream before its time, ours or not; whether it was told of and had not ended.
    pub(super) fn end(&mut self, id: u32, ours: bool) -> bool {
        match self.get(id) {
            Some(stream) if stream.ended.is_none() => {
                stream.ended = Some(if ours { EndedBy::Us } else { EndedBy::Them });
                (stream.wants, stream.stall) = (false, None);
                true
            }
            Some(_) => false,
            None => {
                self.remember(id, ours);
                false
            }
        }
    }

    /// Removes a stream.
    pub(super) fn remove(&mut self, id: u32) -> Option<Stream> {
        let stream = self.list.remove(self.place(id)?);
        self.remember(id, stream.ended == Some(EndedBy::Us));
        Some(stream)
    }

    fn remember(&mut self, id: u32, ours: bool) {
        self.past[self.next_past] = (id, ours);
        self.next_past = (self.next_past + 1) % REMEMBERED;
    }

    /// Returns what became of a stream that is not in the list.
    pub(super) fn past(&self, id: u32) -> Past {
        if id > self.highest || id.is_multiple_of(2) {
            return Past::Idle;
        }
        match self.past.iter().rev().find(|(past, _)| *past == id) {
            Some((_, true)) => Past::OurEnd,
            Some((_, false)) => Past::Over,
            None => Past::Unknown,
        }
    }

    /// Moves what may be sent in every stream.
    pub(super) fn shift(&mut self, by: i64) -> Result<(), Overflow> {
        self.list.iter_mut().try_for_each(|stream| stream.send.shift(by))
    }

    pub(super) fn relax(&mut self) {
        self.list = Vec::new();
    }
}
