//! Refusals: the last clients and requests that a worker refused, for whoever asks why.
//!
//! A ring of access records, each with what came in where that could not be understood. Its slots keep their
//! memory, so that a flood costs a slot's write each and no more memory than the ring. One worker's own:
//! others ask by mail. Must never hold a record up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headworks_core::close::CloseReason;
use headworks_core::time::Millis;

/// Refusals that a worker remembers.
const MOST: usize = 256;
/// Bytes of a record beyond which the findings of rules are left out.
const LONG: usize = 4096;
/// Bytes that are kept of what came in.
const FIRST: usize = 256;

/// One worker's last refusals.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    slots: Vec<Slot>,
    /// The slot that is written next, once all are in use.
    oldest: usize,
}

/// One refusal.
#[derive(Debug)]
struct Slot {
    at: Millis,
    end: CloseReason,
    /// The access record, a line of JSON.
    line: Vec<u8>,
    /// The beginning of what came in.
    first_bytes: Vec<u8>,
}

/// A refusal, told: its time by the engine's clock, and an object in JSON.
pub(crate) type Told = (Millis, String);

impl Slot {
    fn new() -> Self {
        let (at, end) = (0, CloseReason::Denied);
        Self { at, end, line: Vec::new(), first_bytes: Vec::new() }
    }

    /// Returns the record with the reason in words.
    fn told(&self) -> String {
        let record = String::from_utf8_lossy(&self.line);
        let mut told = record.trim_end().strip_suffix('}').unwrap_or_default().to_owned();
        told.push_str(",\"detail\":\"");
        // Our own words have nothing to escape.
        told.push_str(self.end.help());
        if !self.first_bytes.is_empty() {
            told.push_str("\",\"first_bytes\":\"");
            told.push_str(&STANDARD.encode(&self.first_bytes));
        }
        told.push_str("\"}");
        told
    }
}

impl Refusals {
    /// Remembers a refusal instead of the oldest one. `write` appends its record, without what rules found
    /// where that is false.
    pub(crate) fn put(
        &mut self,
        at: Millis,
        end: CloseReason,
        first_bytes: &[u8],
        write: impl Fn(&mut Vec<u8>, bool),
    ) {
        let slot = self.next_slot();
        (slot.at, slot.end) = (at, end);
        slot.line.clear();
        write(&mut slot.line, true);
        if slot.line.len() > LONG {
            slot.line.clear();
            write(&mut slot.line, false);
            slot.line.shrink_to(LONG);
        }
        slot.first_bytes.clear();
        slot.first_bytes.extend_from_slice(&first_bytes[..first_bytes.len().min(FIRST)]);
    }

    fn next_slot(&mut self) -> &mut Slot {
        if self.slots.len() < MOST {
            self.slots.push(Slot::new());
            let last = self.slots.len() - 1;
            return &mut self.slots[last];
        }
        let slot = self.oldest;
        self.oldest = (slot + 1) % MOST;
        &mut self.slots[slot]
    }

    /// Tells all of them, oldest first.
    pub(crate) fn told(&self) -> Vec<Told> {
        let (later, earlier) = self.slots.split_at(self.oldest);
        earlier.iter().chain(later).map(|slot| (slot.at, slot.told())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(refusals: &mut Refusals, number: u64, line: &str) {
        let write = |out: &mut Vec<u8>, all: bool| {
            out.extend_from_slice(if all { line } else { "{\"short\":1}\n" }.as_bytes());
        };
        refusals.put(number, CloseReason::NoMatch, b"\x16\x03", write);
    }

    fn objects(refusals: &Refusals) -> Vec<serde_json::Value> {
        refusals.told().iter().map(|(_, told)| serde_json::from_str(told).unwrap()).collect()
    }

    #[test]
    fn the_last_ones_in_their_order() {
        let mut refusals = Refusals::default();
        for number in 0..MOST as u64 + 10 {
            put(&mut refusals, number, &format!("{{\"id\":{number}}}\n"));
            let ids: Vec<_> = objects(&refusals).iter().map(|one| one["id"].as_u64().unwrap()).collect();
            let first = (number + 1).saturating_sub(MOST as u64);
            assert_eq!(ids, (first..=number).collect::<Vec<_>>());
        }
    }

    #[test]
    fn told_in_words_and_in_what_came() {
        let mut refusals = Refusals::default();
        put(&mut refusals, 1, "{\"end\":\"no_match\",\"path\":\"/}\"}\n");
        let told = objects(&refusals).remove(0);
        assert_eq!((&told["path"], &told["first_bytes"]), (&"/}".into(), &"FgM=".into()));
        assert_eq!(told["detail"], CloseReason::NoMatch.help());
    }

    #[test]
    fn a_long_record_is_told_without_findings_and_keeps_no_memory() {
        let mut refusals = Refusals::default();
        put(&mut refusals, 1, &format!("{{\"log.a\":\"{}\"}}\n", "x".repeat(60_000)));
        assert_eq!(objects(&refusals)[0]["short"], 1);
        assert!(refusals.slots[0].line.capacity() <= LONG);
    }
}
