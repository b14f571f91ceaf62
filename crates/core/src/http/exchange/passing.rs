//! Passing: how far the bodies of both messages have come, and what follows from where each stopped.
//!
//! ```text
//!   Stopped   Dry, Full, Unfinished: wait    Done: the next state, or the end    all others: a reason to end
//! ```
//!
//! Must never count bytes that did not move.

use super::{Ends, Exchange, ExchangeAction, ExchangeState, Passage, Stopped, Surroundings};
use crate::close::CloseReason;
use crate::time::Millis;

/// Milliseconds before the rate of a body is judged.
const GRACE: Millis = 2_000;

impl Exchange {
    /// Whether bytes of the request are to be passed on to the server.
    #[inline]
    pub fn passes_request(&self) -> bool {
        match self.state {
            ExchangeState::Asking(attempt)
            | ExchangeState::Awaiting(attempt)
            | ExchangeState::Answering(attempt) => !attempt.deaf,
            ExchangeState::Tunnel(_) => true,
            _ => false,
        }
    }

    /// Counts bytes of the request's body that came with its head.
    pub fn count_body(&mut self, bytes: usize) {
        self.body = bytes as u64;
    }

    /// Bytes of the request went to the server, as far as they do.
    pub(super) fn request_passed(&mut self, passage: Passage, around: &Surroundings<'_>) -> ExchangeAction {
        let Passage { read, moved, stopped } = passage;
        if moved || read > 0 {
            self.since = around.now;
        }
        let filtered = self.filtered;
        if let Some(attempt) = self.state.attempt() {
            attempt.full = stopped == Stopped::Full;
            attempt.gone |= read > 0 || filtered && moved;
        }
        if read > 0 && self.is_too_slow(read, around) {
            return self.refuse(CloseReason::BodyTimeout, around);
        }
        match stopped {
            Stopped::Done => self.request_delivered(around),
            Stopped::SinkBroken => match self.state.attempt() {
                Some(attempt) => {
                    attempt.deaf = true;
                    ExchangeAction::Listen
                }
                None => ExchangeAction::Abort(CloseReason::ServerReset),
            },
            _ => self.request_stopped(stopped, around),
        }
    }

    /// The request's body stopped before its end: waits for more of it, or says how its sender failed.
    ///
    /// The caller knows what the whole body means to it, and its receiver's end.
    #[inline]
    pub(super) fn request_stopped(&mut self, stopped: Stopped, around: &Surroundings<'_>) -> ExchangeAction {
        match stopped {
            Stopped::TooLarge => self.refuse(CloseReason::BodyTooLarge, around),
            Stopped::Malformed => self.refuse(CloseReason::BadRequest, around),
            Stopped::Cut => ExchangeAction::Abort(CloseReason::ClientClosed),
            Stopped::SourceBroken { truncated: true } => ExchangeAction::Abort(CloseReason::ClientTruncated),
            Stopped::SourceBroken { truncated: false } => ExchangeAction::Abort(CloseReason::ClientReset),
            Stopped::Dry
            | Stopped::Full
            | Stopped::Held
            | Stopped::Unfinished
            | Stopped::Done
            | Stopped::SinkBroken => ExchangeAction::Wait,
        }
    }

    /// Whether the body comes more slowly than it must.
    pub(super) fn is_too_slow(&mut self, read: u64, around: &Surroundings<'_>) -> bool {
        self.body += read;
        // A client may have waited, for a server or to be told that it may go on: that is no slowness of its
        // own.
        let elapsed = around.now - *self.body_begun.get_or_insert(around.now);
        let least = around.listener.spec.http.min_body_rate;
        let slow = elapsed > GRACE && self.body.saturating_mul(1000) / elapsed < least;
        slow && !self.is_asked() && !self.tunnel
    }

    /// Goes on once the whole request is on its way.
    fn request_delivered(&mut self, around: &Surroundings<'_>) -> ExchangeAction {
        match self.state {
            ExchangeState::Asking(attempt) => {
                self.interim_since = None;
                self.go_to(ExchangeState::Awaiting(attempt), around.now);
                ExchangeAction::Wait
            }
            ExchangeState::Tunnel(ends) if ends.server => ExchangeAction::Abort(CloseReason::Completed),
            ExchangeState::Tunnel(ends) if !ends.client => {
                self.state = ExchangeState::Tunnel(Ends { client: true, ..ends });
                ExchangeAction::FinishServer
            }
            _ => ExchangeAction::Wait,
        }
    }

    /// Bytes of the response went to the client, as far as they do.
    pub(super) fn response_passed(&mut self, passage: Passage, around: &Surroundings<'_>) -> ExchangeAction {
        if passage.moved || passage.read > 0 {
            self.since = around.now;
        }
        ExchangeAction::Abort(match passage.stopped {
            Stopped::Dry | Stopped::Full | Stopped::Unfinished | Stopped::Held => {
                return ExchangeAction::Wait;
            }
            Stopped::Done => return self.response_delivered(),
            Stopped::Cut => CloseReason::ServerClosed,
            Stopped::Malformed | Stopped::TooLarge => CloseReason::BadResponse,
            Stopped::SourceBroken { truncated: true } => CloseReason::ServerTruncated,
            Stopped::SourceBroken { truncated: false } => CloseReason::ServerReset,
            Stopped::SinkBroken => CloseReason::ClientReset,
        })
    }

    /// Ends a delivered response: the client may ask again, or is let go.
    fn response_delivered(&mut self) -> ExchangeAction {
        match self.state {
            ExchangeState::Tunnel(ends) if ends.client => ExchangeAction::Abort(CloseReason::Completed),
            ExchangeState::Tunnel(ends) if !ends.server => {
                self.state = ExchangeState::Tunnel(Ends { server: true, ..ends });
                ExchangeAction::FinishClient
            }
            ExchangeState::Tunnel(_) => ExchangeAction::Wait,
            _ => ExchangeAction::Finish { keep: self.keeps_client() },
        }
    }
}
