//! What we say: requests, responses, bodies, ends and credit. It gathers in the output.
//!
//! To a stream that has ended meanwhile nothing is said: every call takes note of that and does nothing.
//! Must never send more than both windows have room for, nor a frame after the last.

use super::super::ErrorCode;
use super::super::fields::write::{self as heads, WrittenHead};
use super::super::frames::{FRAME_HEADER, LAST_STREAM, write};
use super::super::patience::{Mood, Strain};
use super::super::{LARGEST_FRAME, frames};
use super::receive::WORTH;
use super::streams::{EndedBy, Extent, Stall, Stream};
use super::{Leaving, OUTPUT_LIMIT, Trunk, TrunkRole};
use crate::message::Method;

impl Trunk {
    /// Whether a request may be sent now. Before the other end has said how many may be, one is.
    pub fn can_open(&self) -> bool {
        let most = if self.theirs.told { self.theirs.streams.min(self.limits.streams) } else { 1 };
        self.role == TrunkRole::Client
            && self.over.is_none()
            && self.last.is_none()
            && self.leaving == Leaving::No
            && self.streams.highest() < LAST_STREAM - 1
            && self.streams.len() < most as usize
            && self.waiting() < OUTPUT_LIMIT
    }

    /// Sends a request, as text of HTTP/1; returns its stream. None: it cannot be, or the text is no
    /// request's. `end`: no body follows.
    pub fn open(&mut self, head: WrittenHead<'_>, scheme: &[u8], method: Method, end: bool) -> Option<u32> {
        if !self.can_open() {
            return None;
        }
        let start = write::gap(&mut self.out);
        if heads::request(&mut self.encoder, &mut self.out, head, scheme).is_none() {
            self.out.truncate(start);
            return None;
        }
        let id = if self.streams.highest() == 0 { 1 } else { self.streams.highest() + 2 };
        write::end_block(&mut self.out, start, id, end);
        self.streams.use_number(id);
        let mut stream = Stream::new(id, self.theirs.window, self.window);
        stream.asked = method;
        stream.went = if end { Extent::Whole } else { Extent::Head };
        self.streams.push(stream);
        Some(id)
    }

    /// Sends the head of a response, as text of HTTP/1: an interim one, or the final one. `end`: no body
    /// follows. Whether it was sent.
    pub fn respond(&mut self, id: u32, head: WrittenHead<'_>, end: bool) -> bool {
        if self.role != TrunkRole::Server {
            return false;
        }
        let Some(stream) = self.streams.get(id) else { return false };
        if stream.ended.is_some() || stream.went != Extent::Nothing {
            return false;
        }
        let start = write::gap(&mut self.out);
        if heads::response(&mut self.encoder, &mut self.out, head, stream.extended).is_none() {
            self.out.truncate(start);
            return false;
        }
        // `HTTP/1.1 1xx`; what switches is final.
        let interim = head.text.get(9) == Some(&b'1') && !head.text[9..].starts_with(b"101");
        let end = end && !interim;
        write::end_block(&mut self.out, start, id, end);
        if !interim {
            stream.went = Extent::Head;
        }
        if end {
            self.finish(id);
        }
        true
    }

    /// Sends the fields after a body, which end the message: lines alone. Whether they were sent.
    pub fn trailers(&mut self, id: u32, text: &[u8], marked: &[u8]) -> bool {
        if !self.streams.get(id).is_some_and(|stream| stream.may_send()) {
            return false;
        }
        let start = write::gap(&mut self.out);
        heads::trailers(&mut self.encoder, &mut self.out, text, marked);
        write::end_block(&mut self.out, start, id, true);
        self.finish(id);
        true
    }

    /// Returns how many bytes of a stream's body may be sent now, in one frame.
    #[inline]
    pub fn room(&mut self, id: u32) -> usize {
        let most = self.send.room().min(LARGEST_FRAME).min(OUTPUT_LIMIT.saturating_sub(self.waiting()));
        match self.streams.get(id) {
            Some(stream) if stream.may_send() => stream.send.room().min(most),
            _ => 0,
        }
    }

    /// Sends bytes of a body, as many as there is room for; returns how many. `end`: they are the last, which
    /// is said with the last of them.
    pub fn send(&mut self, id: u32, bytes: &[u8], end: bool) -> usize {
        let mut sent = 0;
        loop {
            let rest = &bytes[sent..];
            let (taken, done) = self.fill(id, |out, room| {
                let part = &rest[..rest.len().min(room)];
                out.extend_from_slice(part);
                end && part.len() == rest.len()
            });
            sent += taken;
            if taken == 0 || done || sent == bytes.len() {
                return sent;
            }
        }
    }

    /// Sends one frame of a body, which `write` appends to the output: at most as many bytes as it is told.
    /// It says whether they are the last. Returns the bytes sent, and whether the end was.
    pub fn fill(&mut self, id: u32, write: impl FnOnce(&mut Vec<u8>, usize) -> bool) -> (usize, bool) {
        let room = self.room(id);
        if !self.streams.get(id).is_some_and(|stream| stream.may_send()) {
            return (0, false);
        }
        let start = frames::write::gap(&mut self.out);
        let end = write(&mut self.out, room);
        let taken = self.out.len() - start - FRAME_HEADER;
        debug_assert!(taken <= room, "more than there was room for");
        if taken == 0 && !end {
            self.out.truncate(start);
            self.note_stall(id);
            return (0, false);
        }
        frames::write::end_body(&mut self.out, start, id, end);
        self.note_sent(id, taken, end);
        (taken, end)
    }

    fn note_sent(&mut self, id: u32, bytes: usize, end: bool) {
        self.send.send(bytes);
        let Some(stream) = self.streams.get(id) else { return };
        stream.send.send(bytes);
        stream.turns += 1;
        if let Some(stall) = &mut stream.stall {
            stall.bytes += bytes as u64;
        }
        if end {
            return self.finish(id);
        }
        // The frame is small because a window is.
        let scant = bytes < WORTH && (stream.send.room() == 0 || self.send.room() == 0);
        if scant && self.patience.spend(Strain::TinyWindow, self.now) == Mood::Spent {
            self.end(ErrorCode::ENHANCE_YOUR_CALM);
        }
    }

    /// Takes note that a body waits for its receiver's window.
    fn note_stall(&mut self, id: u32) {
        let (now, none) = (self.now, self.send.room() == 0);
        if let Some(stream) = self.streams.get(id)
            && (none || stream.send.room() == 0)
        {
            stream.stall = stream.stall.or(Some(Stall { since: now, bytes: 0 }));
        }
    }

    /// Takes note that our message is whole.
    fn finish(&mut self, id: u32) {
        if let Some(stream) = self.streams.get(id) {
            stream.went = Extent::Whole;
            (stream.wants, stream.stall) = (false, None);
        }
        if self.role == TrunkRole::Server {
            self.patience.earn();
        }
    }

    /// Ends a stream before its time, or what is left of it: a request whose response is whole, with
    /// `NO_ERROR`.
    pub fn reset(&mut self, id: u32, code: ErrorCode) {
        let open = self.streams.get(id).is_some_and(|stream| !stream.is_closed());
        if open && self.over.is_none() {
            write::reset(&mut self.out, id, code);
            self.streams.end(id, true);
        }
    }

    /// Takes note of bytes of a stream's body that have been passed on: as many more may come.
    pub fn passed(&mut self, id: u32, bytes: usize) {
        let Self { streams, limits, grown, out, .. } = self;
        let Some(stream) = streams.get(id).filter(|stream| stream.ended.is_none()) else { return };
        let Some(mut credit) = stream.receive.pass(bytes as u32) else { return };
        if stream.came == Extent::Whole {
            return;
        }
        // Whoever passes everything on at once may have more under way.
        let size = stream.receive.size();
        let more = size.min(limits.max_window.saturating_sub(size));
        if stream.receive.is_drained() && grown.saturating_add(more) <= limits.upload_buffer {
            credit += stream.receive.grow(size + more);
            *grown += more;
        }
        write::window_update(out, id, credit);
    }

    /// Says whether there are bytes of a stream's body to be sent.
    pub fn want(&mut self, id: u32, wants: bool) {
        if let Some(stream) = self.streams.get(id) {
            stream.wants = wants && stream.may_send();
            if !wants {
                stream.stall = None;
            }
        }
    }

    /// Returns the stream whose body is sent next, of those that want and have room.
    pub fn turn(&mut self) -> Option<u32> {
        if self.waiting() >= OUTPUT_LIMIT || self.over.is_some() {
            return None;
        }
        let (now, none) = (self.now, self.send.room() == 0);
        let mut next = None;
        for stream in self.streams.iter_mut().filter(|stream| stream.wants) {
            if none || stream.send.room() == 0 {
                stream.stall = stream.stall.or(Some(Stall { since: now, bytes: 0 }));
                continue;
            }
            let rank = stream.priority.rank(stream.id, stream.turns);
            if next.is_none_or(|(least, _)| rank < least) {
                next = Some((rank, stream.id));
            }
        }
        next.map(|(_, id)| id)
    }

    /// Forgets a stream: nothing is done for it any more. One that is still open is ended.
    pub fn release(&mut self, id: u32) {
        self.reset(id, ErrorCode::CANCEL);
        if let Some(stream) = self.streams.remove(id) {
            debug_assert!(stream.is_closed() || stream.ended != Some(EndedBy::Them) || self.over.is_some());
            self.grown -= stream.receive.size() - self.window;
        }
    }
}
