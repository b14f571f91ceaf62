//! Deadlines of a connection, and what follows when they pass. Must never wait for anything without one.

use super::super::ErrorCode;
use super::super::frames::write;
use super::{Leaving, Trunk, TrunkEvent, TrunkRole};
use crate::time::Millis;

/// Time for SETTINGS to be acknowledged.
const ACKNOWLEDGED: Millis = 10_000;

/// Time for the PING that announces an end, before the last stream is told without its answer.
const ANNOUNCED: Millis = 1_000;

/// The PING that announces an end.
pub(super) const FAREWELL: [u8; 8] = *b"farewell";

impl Trunk {
    /// Returns the moment at which [`expire`](Self::expire) has something to do.
    pub fn deadline(&self) -> Option<Millis> {
        if self.over.is_some() {
            return None;
        }
        let hello = (!self.theirs.told).then_some(self.begun + self.limits.first_bytes);
        let head = self.partial.map(|since| since + self.limits.first_bytes);
        let settings = self.unacknowledged.map(|since| since + ACKNOWLEDGED);
        let farewell = match self.leaving {
            Leaving::Announced(since) if self.role == TrunkRole::Server => Some(since + ANNOUNCED),
            _ => None,
        };
        let stalls = self.streams.iter().filter_map(|stream| stream.stall);
        let stall = stalls.map(|stall| stall.since + self.limits.idle).min();
        [hello, head, settings, farewell, stall].into_iter().flatten().min()
    }

    /// Does what is due; call it until there is no event.
    pub fn expire(&mut self, now: Millis) -> Option<TrunkEvent<'static>> {
        self.now = now;
        let due = |since: Option<Millis>, time: Millis| since.is_some_and(|since| now >= since + time);
        if self.over.is_some() {
            return None;
        }
        let hello = (!self.theirs.told).then_some(self.begun);
        if due(hello, self.limits.first_bytes) || due(self.unacknowledged, ACKNOWLEDGED) {
            return Some(self.fail(ErrorCode::SETTINGS_TIMEOUT));
        }
        if due(self.partial, self.limits.first_bytes) {
            return Some(self.fail(ErrorCode::ENHANCE_YOUR_CALM));
        }
        match self.leaving {
            Leaving::Announced(since) if due(Some(since), ANNOUNCED) => self.tell_last(),
            _ => {}
        }
        self.next_stalled()
    }

    /// Gives the next body whose receiver took less than it must since it made us wait.
    fn next_stalled(&mut self) -> Option<TrunkEvent<'static>> {
        let (now, idle, rate) = (self.now, self.limits.idle, u64::from(self.limits.min_response_rate));
        for stream in self.streams.iter_mut() {
            let Some(stall) = stream.stall.filter(|stall| now >= stall.since + idle) else { continue };
            stream.stall = None;
            let time = (now - stall.since).max(1);
            if stall.bytes == 0 || stall.bytes.saturating_mul(1_000) < rate.saturating_mul(time) {
                return Some(TrunkEvent::Stalled { stream: stream.id });
            }
        }
        None
    }

    /// Tells the last stream that is dealt with: what comes after it may be tried elsewhere.
    pub(super) fn tell_last(&mut self) {
        if self.role == TrunkRole::Server {
            let last = self.streams.highest();
            write::go_away(&mut self.out, last, ErrorCode::NO_ERROR);
            self.leaving = Leaving::Told(last);
        }
    }
}
