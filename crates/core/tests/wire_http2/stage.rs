//! A stage: one Trunk, frames that are written by hand, and what it says as words.

use headworks_core::message::Method;
use headworks_core::wire::http1::Limits;
use headworks_core::wire::http2::PREFACE;
use headworks_core::wire::http2::fields::Sheet;
use headworks_core::wire::http2::fields::write::WrittenHead;
use headworks_core::wire::http2::frames::{Frame, FrameReader, write};
use headworks_core::wire::http2::hpack::{HpackDecoder, HpackEncoder, Indexing};
use headworks_core::wire::http2::trunk::{Trunk, TrunkEvent, TrunkLimits, TrunkRole};

pub(crate) const LIMITS: TrunkLimits = TrunkLimits {
    streams: 4,
    window: 65_535,
    max_window: 65_535,
    upload_buffer: 65_535,
    head: Limits { head: 4_096, fields: 20, line: 2_048 },
    patience: 1_000,
    patience_rate: 33,
    first_bytes: 5_000,
    idle: 60_000,
    min_response_rate: 100,
    websocket: true,
    huffman: false,
};

pub(crate) const GET: &str = ":method: GET|:scheme: http|:authority: a.example|:path: /";
pub(crate) const PUT: &str = ":method: PUT|:scheme: http|:authority: a.example|:path: /|content-length: 5";
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

pub(crate) struct Stage {
    pub trunk: Trunk,
    pub sheet: Sheet,
    pub now: u64,
    encoder: HpackEncoder,
    reader: FrameReader,
    decoder: HpackDecoder,
}

impl Stage {
    /// A connection on which nothing was said by the other end.
    pub(crate) fn bare(role: TrunkRole, limits: TrunkLimits) -> Self {
        let mut stage = Self {
            trunk: Trunk::new(role, limits, 0),
            sheet: Sheet::default(),
            now: 0,
            encoder: HpackEncoder::new(false),
            reader: FrameReader::default(),
            decoder: HpackDecoder::default(),
        };
        if role == TrunkRole::Client {
            assert!(stage.trunk.output().starts_with(PREFACE));
            stage.trunk.written(PREFACE.len());
        }
        stage
    }

    /// A connection on which both ends have said their settings.
    pub(crate) fn with(role: TrunkRole, limits: TrunkLimits) -> Self {
        let mut stage = Self::bare(role, limits);
        let mut bytes = if role == TrunkRole::Server { PREFACE.to_vec() } else { Vec::new() };
        write::settings(&mut bytes, &[]);
        write::settings_acknowledged(&mut bytes);
        assert_eq!(stage.feed(&bytes), "");
        stage.said();
        stage
    }

    pub(crate) fn server() -> Self {
        Self::with(TrunkRole::Server, LIMITS)
    }

    pub(crate) fn client() -> Self {
        Self::with(TrunkRole::Client, LIMITS)
    }

    /// Feeds bytes, all in one piece; returns what has happened.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> String {
        let (mut input, mut events) = (bytes, Vec::new());
        while let Some(event) = self.trunk.feed(&mut input, &mut self.sheet, self.now) {
            events.push(show(event));
        }
        events.join("; ")
    }

    /// Feeds a frame.
    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> String {
        let mut bytes = Vec::new();
        write::header(&mut bytes, kind, flags, stream, payload.len());
        bytes.extend_from_slice(payload);
        self.feed(&bytes)
    }

    /// Encodes `name: value` with bars between them.
    pub(crate) fn block(&mut self, fields: &str) -> Vec<u8> {
        let mut block = Vec::new();
        for line in fields.split('|').filter(|line| !line.is_empty()) {
            let at = line[1..].find(": ").unwrap() + 1;
            let (name, value) = (&line.as_bytes()[..at], &line.as_bytes()[at + 2..]);
            self.encoder.field(&mut block, name, value, Indexing::Kept);
        }
        block
    }

    /// Feeds HEADERS. `flags`: 1 ends the stream, 4 the block.
    pub(crate) fn headers(&mut self, stream: u32, fields: &str, flags: u8) -> String {
        let block = self.block(fields);
        self.frame(1, flags, stream, &block)
    }

    /// Takes the output as frames in words; decodes their blocks.
    pub(crate) fn said(&mut self) -> String {
        let bytes = self.trunk.output().to_vec();
        self.trunk.written(bytes.len());
        let (mut input, mut frames) = (&bytes[..], Vec::new());
        while let Some(frame) = self.reader.next(&mut input).unwrap() {
            frames.push(match frame {
                Frame::Data(piece) => {
                    let end = if piece.end_stream { " end" } else { "" };
                    format!("body {} {}{end}", piece.stream, piece.bytes.len())
                }
                Frame::Headers { stream, fragment, end_stream, .. } => {
                    let (mut text, mut block) = (Vec::new(), self.decoder.block(fragment));
                    while block.next(&mut text).unwrap().is_some() {}
                    let text = String::from_utf8(text).unwrap();
                    let end = if end_stream { " end" } else { "" };
                    format!("head {stream} {}{end}", text.trim_end().replace("\r\n", "|"))
                }
                Frame::Settings(_) => "settings".into(),
                Frame::SettingsAcknowledged => "settings ack".into(),
                Frame::Reset { stream, code } => format!("reset {stream} {code:?}"),
                Frame::GoAway { last, code } => format!("goaway {last} {code:?}"),
                Frame::Ping { acknowledged: true, .. } => "ping ack".into(),
                Frame::Ping { .. } => "ping".into(),
                Frame::WindowUpdate { stream, increment } => format!("window {stream} {increment}"),
                other => panic!("{other:?}"),
            });
        }
        assert!(!self.reader.is_within_frame());
        frames.join("; ")
    }

    /// Opens a request of ours.
    pub(crate) fn open(&mut self, method: Method, end: bool) -> Option<u32> {
        let word = if method == Method::Head { "HEAD" } else { "GET" };
        let text = format!("{word} / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let head = WrittenHead { text: text.as_bytes(), marked: b"" };
        self.trunk.open(head, b"http", method, end)
    }

    pub(crate) fn respond(&mut self, stream: u32, text: &str, end: bool) -> bool {
        self.trunk.respond(stream, WrittenHead { text: text.as_bytes(), marked: b"" }, end)
    }

    pub(crate) fn expire(&mut self, now: u64) -> String {
        self.now = now;
        let mut events = Vec::new();
        while let Some(event) = self.trunk.expire(now) {
            events.push(show(event));
        }
        events.join("; ")
    }
}

pub(crate) fn show(event: TrunkEvent<'_>) -> String {
    let ends = |end: bool| if end { " end" } else { "" };
    match event {
        TrunkEvent::Head { stream, end } => format!("Head {stream}{}", ends(end)),
        TrunkEvent::Unreadable { stream, reason } => format!("Unreadable {stream} {reason:?}"),
        TrunkEvent::Body { stream, bytes, end } => format!("Body {stream} {}{}", bytes.len(), ends(end)),
        TrunkEvent::Trailers { stream } => format!("Trailers {stream}"),
        TrunkEvent::Reset { stream, code } => format!("Reset {stream} {code:?}"),
        TrunkEvent::Broken { stream, reason: None } => format!("Broken {stream}"),
        TrunkEvent::Broken { stream, reason: Some(reason) } => format!("Broken {stream} {reason:?}"),
        TrunkEvent::Stalled { stream } => format!("Stalled {stream}"),
        TrunkEvent::GoingAway { code } => format!("GoingAway {code:?}"),
        TrunkEvent::Over { code } => format!("Over {code:?}"),
    }
}
