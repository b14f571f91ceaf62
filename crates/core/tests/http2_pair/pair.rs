//! Pair: a client and a server, the bytes between them, and what either does next.

use std::collections::BTreeSet;

use headworks_core::message::{Known, Method};
use headworks_core::wire::http1::Limits;
use headworks_core::wire::http2::ErrorCode;
use headworks_core::wire::http2::fields::Sheet;
use headworks_core::wire::http2::fields::write::WrittenHead;
use headworks_core::wire::http2::trunk::{Trunk, TrunkEvent, TrunkLimits, TrunkRole};

use crate::ledger::{Account, Ledger, Line};
use crate::random::Random;

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// Steps of one run.
const STEPS: usize = 150;

pub(crate) struct Pair {
    random: Random,
    tells: bool,
    ends: [Trunk; 2],
    sheets: [Sheet; 2],
    /// Bytes on their way to each end.
    wires: [Vec<u8>; 2],
    ledger: Ledger,
    /// The smaller window of both.
    window: usize,
    now: u64,
    went_away: bool,
    reached: BTreeSet<&'static str>,
}

fn limits(random: &mut Random) -> TrunkLimits {
    let window = random.of(&[1, 100, 5_000, 65_535]);
    TrunkLimits {
        streams: random.of(&[1, 3, 8]),
        window,
        max_window: window * random.of(&[1, 4]),
        upload_buffer: random.of(&[65_535, 200_000]),
        head: Limits { head: 4_096, fields: 30, line: 2_048 },
        patience: 1_000_000,
        patience_rate: 33,
        first_bytes: 1_000_000,
        idle: 1_000_000,
        min_response_rate: 0,
        websocket: random.chance(50),
        huffman: random.chance(50),
    }
}

impl Pair {
    pub(crate) fn new(seed: u64, tells: bool) -> Self {
        let mut random = Random::new(seed);
        let limits = [limits(&mut random), limits(&mut random)];
        let window = limits[0].window.min(limits[1].window) as usize;
        let ends = [(TrunkRole::Client, limits[0]), (TrunkRole::Server, limits[1])];
        let ends = ends.map(|(role, limits)| Trunk::new(role, limits, 0));
        Self {
            random,
            tells,
            ends,
            sheets: [Sheet::default(), Sheet::default()],
            wires: [Vec::new(), Vec::new()],
            ledger: Ledger::default(),
            window,
            now: 0,
            went_away: false,
            reached: BTreeSet::new(),
        }
    }

    /// Runs to the end; returns what came about.
    pub(crate) fn run(mut self) -> BTreeSet<&'static str> {
        for _ in 0..STEPS {
            self.now += 1;
            match self.random.below(20) {
                0..=2 => self.open(),
                3..=4 => self.answer(),
                5..=9 => self.write_bodies(),
                10..=15 => self.carry(),
                16 => self.pass_on(false),
                17 => self.release(),
                18 if self.random.chance(20) => self.reset(),
                19 if self.random.chance(4) => self.drain(),
                _ => self.interim(),
            }
        }
        self.finish();
        self.reached
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            println!("{:>4} {}", self.now, what());
        }
    }

    /// A message of any length; where windows are tiny, of few windows.
    fn line(&mut self) -> Line {
        let random = &mut self.random;
        let length = random.of(&[0, 0, 1, 50, 3_000, 40_000, 150_000]).min(self.window * 40);
        Line { length, trailers: self.random.chance(20), ..Line::default() }
    }

    fn open(&mut self) {
        let mut account = Account { said: [self.line(), self.line()], ..Account::default() };
        let request = &mut account.said[CLIENT];
        let end = request.length == 0 && !request.trailers;
        let length = if self.random.chance(50) && !end {
            format!("Content-Length: {}\r\n", request.length)
        } else {
            String::new()
        };
        let repeated = self.random.below(4);
        let text = format!(
            "PUT /{repeated} HTTP/1.1\r\nHost: a.example\r\n{length}Cookie: a={repeated}\r\nX-{repeated}: same\r\nUser-Agent: test\r\n\r\n"
        );
        let head = WrittenHead { text: text.as_bytes(), marked: b"" };
        let could = self.ends[CLIENT].can_open();
        let Some(id) = self.ends[CLIENT].open(head, b"http", Method::Put, end) else {
            assert!(!could);
            return;
        };
        (request.begun, request.done) = (true, end);
        self.tell(|| format!("client opens {id}: {account:?}"));
        self.ledger.0.insert(id, account);
    }

    /// A stream that the server has and that is not over.
    fn any_served(&mut self) -> Option<u32> {
        let open = |account: &Account| account.served && !account.reset && !account.released[SERVER];
        let all: Vec<u32> = self.ledger.0.iter().filter(|(_, one)| open(one)).map(|(id, _)| *id).collect();
        (!all.is_empty()).then(|| self.random.of(&all))
    }

    fn interim(&mut self) {
        let Some(id) = self.any_served() else { return };
        let head = WrittenHead { text: b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", marked: b"" };
        let sent = self.ends[SERVER].respond(id, head, false);
        assert_eq!(sent, !self.ledger.of(id).said[SERVER].begun, "interim heads come before the final one");
    }

    fn answer(&mut self) {
        let Some(id) = self.any_served() else { return };
        self.answer_one(id);
    }

    fn answer_one(&mut self, id: u32) {
        let response = &mut self.ledger.of(id).said[SERVER];
        if response.begun {
            return;
        }
        let end = response.length == 0 && !response.trailers;
        let text = format!("HTTP/1.1 200 OK\r\nServer: test\r\nX-Length: {}\r\n\r\n", response.length);
        (response.begun, response.done) = (true, end);
        assert!(self.ends[SERVER].respond(id, WrittenHead { text: text.as_bytes(), marked: b"" }, end));
        self.tell(|| format!("server answers {id}"));
    }

    /// Writes bodies, in the order that each trunk gives.
    fn write_bodies(&mut self) {
        for end in [CLIENT, SERVER] {
            let wanting: Vec<u32> = self
                .ledger
                .0
                .iter()
                .filter(|(_, account)| !account.reset && !account.released[end])
                .filter(|(_, account)| account.said[end].begun)
                .filter(|(_, account)| !account.said[end].done)
                .map(|(id, _)| *id)
                .collect();
            wanting.iter().for_each(|id| self.ends[end].want(*id, true));
            for _ in 0..self.random.below(6) {
                let Some(id) = self.ends[end].turn() else { break };
                self.write_one(end, id);
            }
            // What has nothing left but its end needs no window, and so no turn.
            for id in wanting {
                let account = self.ledger.of(id);
                let line = &account.said[end];
                if line.sent == line.length && !line.done {
                    self.write_one(end, id);
                }
            }
        }
    }

    fn write_one(&mut self, end: usize, id: u32) {
        let most = self.random.of(&[1, 100, 20_000]);
        let account = self.ledger.of(id);
        let line = &mut account.said[end];
        let bytes = Ledger::bytes(id, line.sent, line.length.min(line.sent + most));
        let last = line.sent + bytes.len() == line.length && !line.trailers;
        let trunk = &mut self.ends[end];
        let sent = trunk.send(id, &bytes, last);
        line.sent += sent;
        line.done = last && sent == bytes.len();
        if line.sent == line.length && line.trailers {
            assert!(trunk.trailers(id, b"X-After: it\r\n", b""));
            line.done = true;
        }
        let (sent, done) = (line.sent, line.done);
        self.tell(|| format!("{} sends {id} up to {sent}, done: {done}", ["client", "server"][end]));
    }

    /// Carries bytes from one end to the other, in pieces.
    fn carry(&mut self) {
        let to = self.random.below(2);
        self.collect();
        let length = self.random.of(&[1, 5, 9, 50, 3_000, usize::MAX]).min(self.wires[to].len());
        let piece: Vec<u8> = self.wires[to].drain(..length).collect();
        let taken = self.hear(to, &piece);
        // What was not taken waits for the output to be written.
        self.wires[to].splice(..0, piece[taken..].iter().copied());
        self.collect();
    }

    /// Takes what both ends have to say.
    fn collect(&mut self) {
        for (end, trunk) in self.ends.iter_mut().enumerate() {
            let length = trunk.output().len();
            self.wires[1 - end].extend_from_slice(trunk.output());
            trunk.written(length);
        }
    }

    /// Has one end hear bytes; returns how many it took.
    fn hear(&mut self, end: usize, bytes: &[u8]) -> usize {
        let mut input = bytes;
        while let Some(event) = self.ends[end].feed(&mut input, &mut self.sheets[end], self.now) {
            self.tell(|| format!("{} hears {event:?}", ["client", "server"][end]));
            self.heard(end, event);
        }
        bytes.len() - input.len()
    }

    fn heard(&mut self, end: usize, event: TrunkEvent<'_>) {
        match event {
            TrunkEvent::Head { stream, end: last } => self.heard_head(end, stream, last),
            TrunkEvent::Body { stream, bytes, end: last } => {
                let account = self.ledger.of(stream);
                let line = &mut account.said[1 - end];
                assert_eq!(bytes, Ledger::bytes(stream, line.heard, line.heard + bytes.len()));
                line.heard += bytes.len();
                line.whole |= last;
                account.held[end] += bytes.len();
                if last {
                    self.heard_all(end, stream, false);
                }
            }
            TrunkEvent::Trailers { stream } => {
                let sheet = &self.sheets[end];
                assert_eq!(sheet.text, b"x-after: it\r\n\r\n");
                self.heard_all(end, stream, true);
            }
            TrunkEvent::Reset { stream, code } => {
                let went_away = self.went_away;
                let account = self.ledger.of(stream);
                let refused = code == ErrorCode::REFUSED_STREAM;
                assert!(account.reset || refused && !account.served, "{stream} {code:?}");
                account.reset = true;
                if refused {
                    self.reached.insert(if went_away { "goaway refused" } else { "refused stream" });
                }
            }
            TrunkEvent::GoingAway { code } => assert_eq!(code, ErrorCode::NO_ERROR),
            other => panic!("neither end is at fault: {other:?}"),
        }
    }

    fn heard_head(&mut self, end: usize, stream: u32, last: bool) {
        let sheet = &self.sheets[end];
        let message = sheet.message();
        let account = self.ledger.of(stream);
        if end == SERVER {
            assert_eq!((message.host(), message.head.method), (&b"a.example"[..], Method::Put));
            assert!(message.head.has(Known::Cookie));
            assert!(!account.served);
            account.served = true;
        } else if message.head.status == 103 {
            assert!(!account.said[SERVER].heard_head && !last);
            return;
        } else {
            assert_eq!(message.value("x-length"), Some(account.said[SERVER].length.to_string().as_bytes()));
        }
        let line = &mut account.said[1 - end];
        assert!(!line.heard_head, "a head comes once");
        line.heard_head = true;
        if last {
            self.heard_all(end, stream, false);
        }
    }

    fn heard_all(&mut self, end: usize, stream: u32, trailers: bool) {
        let account = self.ledger.of(stream);
        let line = &mut account.said[1 - end];
        assert_eq!((line.heard, trailers), (line.length, line.trailers), "nothing is lost or cut");
        assert!(line.done);
        line.whole = true;
        self.reached.insert(if trailers { "trailers" } else { "whole" });
    }

    /// Passes on what the ends hold: some of it, or all.
    fn pass_on(&mut self, all: bool) {
        for (id, account) in &mut self.ledger.0 {
            for end in [CLIENT, SERVER] {
                let held = account.held[end];
                let part = if all { held } else { self.random.below(held + 1) };
                account.held[end] -= part;
                if !account.released[end] {
                    self.ends[end].passed(*id, part);
                }
            }
        }
    }

    /// Lets go of streams that are over.
    fn release(&mut self) {
        for (id, account) in &mut self.ledger.0 {
            let whole = [
                account.said[CLIENT].done && account.said[SERVER].whole,
                account.said[CLIENT].whole && account.said[SERVER].done,
            ];
            for end in [CLIENT, SERVER] {
                let known = end == CLIENT || account.served;
                if known && !account.released[end] && (whole[end] || account.reset) {
                    self.ends[end].release(*id);
                    account.released[end] = true;
                }
            }
        }
    }

    /// Ends a stream before its time.
    fn reset(&mut self) {
        let all: Vec<u32> = self.ledger.0.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let (id, end) = (self.random.of(&all), self.random.below(2));
        let account = self.ledger.of(id);
        if account.reset || account.released[end] || end == SERVER && !account.served {
            return;
        }
        let early = end == SERVER && account.said[SERVER].done && !account.said[CLIENT].whole;
        account.reset = true;
        self.ends[end].reset(id, if early { ErrorCode::NO_ERROR } else { ErrorCode::CANCEL });
        self.reached.insert(if early { "early answer" } else { ["client reset", "server reset"][end] });
        self.tell(|| format!("{} resets {id}", ["client", "server"][end]));
    }

    fn drain(&mut self) {
        let end = self.random.below(2);
        self.went_away |= end == SERVER;
        self.ends[end].drain();
        self.tell(|| format!("{} drains", ["client", "server"][end]));
    }

    /// Brings everything to its end: nothing may hang.
    fn finish(&mut self) {
        self.tell(|| "no more is begun".into());
        for round in 0.. {
            assert!(round < 10_000, "it hangs");
            let served: Vec<u32> =
                self.ledger.0.iter().filter(|(_, one)| one.served).map(|(id, _)| *id).collect();
            for id in served {
                let account = self.ledger.of(id);
                if !account.reset && !account.released[SERVER] {
                    self.answer_one(id);
                }
            }
            self.write_bodies();
            self.pass_on(true);
            self.settle();
            self.release();
            if self.ends.iter().all(|end| end.streams() == 0) && self.wires.iter().all(Vec::is_empty) {
                break;
            }
        }
        for account in self.ledger.0.values().filter(|account| !account.reset) {
            assert!(account.said[CLIENT].whole && account.said[SERVER].whole, "{account:?}");
        }
        self.ends[SERVER].drain();
        self.settle();
        assert!(self.ends.iter().all(Trunk::is_over), "both are over");
        self.reached.insert("drained");
        assert_eq!((self.ends[0].deadline(), self.ends[1].deadline()), (None, None));
    }

    /// Carries everything that is said, until nothing is.
    fn settle(&mut self) {
        self.collect();
        while self.wires.iter().any(|wire| !wire.is_empty()) {
            for to in [CLIENT, SERVER] {
                let bytes = std::mem::take(&mut self.wires[to]);
                let taken = self.hear(to, &bytes);
                self.wires[to].splice(..0, bytes[taken..].iter().copied());
                self.collect();
            }
        }
        // Streams that a GOAWAY left behind are told with the next call.
        for to in [CLIENT, SERVER] {
            self.hear(to, b"");
        }
    }
}
