//! Settings: what we say first, and what the other end says (RFC 9113 section 6.5).

use super::super::ErrorCode;
use super::super::frames::{SettingsList, setting, write};
use super::super::patience::Strain;
use super::super::windows::{FIRST_WINDOW, LARGEST_WINDOW};
use super::receive::Violation;
use super::{Trunk, TrunkRole};

/// The settings of the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theirs {
    /// The settings were told.
    pub told: bool,
    /// Streams of ours at once.
    pub streams: u32,
    /// Bytes that we may send in a new stream.
    pub window: u32,
    /// Extended CONNECT is understood.
    pub websocket: bool,
}

impl Default for Theirs {
    fn default() -> Self {
        Self { told: false, streams: u32::MAX, window: FIRST_WINDOW, websocket: false }
    }
}

impl Trunk {
    /// Writes what we say first.
    pub(super) fn greet(&mut self) {
        let limits = &self.limits;
        let head = u32::try_from(limits.head.head).unwrap_or(u32::MAX);
        let (window, list) = (setting::INITIAL_WINDOW_SIZE, setting::MAX_HEADER_LIST_SIZE);
        if self.role == TrunkRole::Client {
            self.out.extend_from_slice(super::super::PREFACE);
            let entries = [(setting::ENABLE_PUSH, 0), (window, limits.window), (list, head)];
            write::settings(&mut self.out, &entries);
        } else {
            let entries = [
                (setting::MAX_CONCURRENT_STREAMS, limits.streams),
                (window, limits.window),
                (list, head),
                (setting::NO_RFC7540_PRIORITIES, 1),
                (setting::ENABLE_CONNECT_PROTOCOL, 1),
            ];
            let last = if limits.websocket { entries.len() } else { entries.len() - 1 };
            write::settings(&mut self.out, &entries[..last]);
        }
        let credit = self.receive.grow(limits.upload_buffer);
        if credit > 0 {
            write::window_update(&mut self.out, 0, credit);
        }
    }

    /// Applies settings, and says so.
    pub(super) fn apply(&mut self, list: SettingsList<'_>) -> Result<(), Violation> {
        if self.theirs.told {
            self.strain(Strain::Settings)?;
        }
        self.theirs.told = true;
        for (id, value) in list.entries() {
            self.apply_one(id, value).map_err(Violation::Connection)?;
        }
        write::settings_acknowledged(&mut self.out);
        Ok(())
    }

    /// Takes note that the other end heeds our settings: until now it went by what is so without them.
    pub(super) fn acknowledged(&mut self) {
        if self.unacknowledged.take().is_none() {
            return;
        }
        let (from, to) = (self.window, self.limits.window);
        self.streams.iter_mut().for_each(|stream| stream.receive.rebase(from, to));
        self.window = to;
    }

    fn apply_one(&mut self, id: u16, value: u32) -> Result<(), ErrorCode> {
        let server = self.role == TrunkRole::Client;
        match id {
            setting::HEADER_TABLE_SIZE => self.encoder.set_limit(value as usize),
            // A server that says 1 would have us push (section 6.5.2).
            setting::ENABLE_PUSH if value > 1 || server && value == 1 => {
                return Err(ErrorCode::PROTOCOL_ERROR);
            }
            setting::MAX_CONCURRENT_STREAMS => self.theirs.streams = value,
            setting::INITIAL_WINDOW_SIZE if i64::from(value) > LARGEST_WINDOW => {
                return Err(ErrorCode::FLOW_CONTROL_ERROR);
            }
            setting::INITIAL_WINDOW_SIZE => {
                let by = i64::from(value) - i64::from(self.theirs.window);
                self.theirs.window = value;
                return self.streams.shift(by).map_err(|_| ErrorCode::FLOW_CONTROL_ERROR);
            }
            setting::MAX_FRAME_SIZE if !(16_384..=0xff_ffff).contains(&value) => {
                return Err(ErrorCode::PROTOCOL_ERROR);
            }
            setting::ENABLE_CONNECT_PROTOCOL if value > 1 || self.theirs.websocket && value == 0 => {
                return Err(ErrorCode::PROTOCOL_ERROR);
            }
            setting::ENABLE_CONNECT_PROTOCOL => self.theirs.websocket = value == 1,
            setting::NO_RFC7540_PRIORITIES if value > 1 => return Err(ErrorCode::PROTOCOL_ERROR),
            _ => {}
        }
        Ok(())
    }
}
