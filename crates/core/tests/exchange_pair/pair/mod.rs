//! Pair: exchanges between simulated clients and simulated servers, on one Plan.
//!
//! A small engine without sockets performs what the Exchanges answer, as the real one does; what the two
//! sides do, and when, is drawn from the seed. Every event is checked by a [`Ledger`].
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | who there is, what happens when, and what must be so in the end |
//! | `engine.rs` | performing what an Exchange answers, and its ends |
//! | `asking.rs` | analyzers that are asked, and their answers |
//! | `ways.rs` | the ways of requests and responses |

mod asking;
mod engine;
mod ways;

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use headworks_core::close::CloseReason;
use headworks_core::http::exchange::{Consultation, Exchange, ExchangeEvent, Incoming};
use headworks_core::http::facts::ClientFacts;
use headworks_core::message::{Head, Message};
use headworks_core::plan::Plan;
use headworks_core::pool::Server;
use headworks_core::tally::Count;
use headworks_core::time::Millis;
use headworks_core::wire::http1::{self, Parsed};

use crate::ledger::Ledger;
use crate::plans;
use crate::random::Random;
use crate::script::{self, Closing, Script};

/// Clients, servers, and the engine between them.
pub(crate) struct Pair {
    random: Random,
    plan: Rc<Plan>,
    now: Millis,
    streams: Vec<Stream>,
    connections: Vec<Connection>,
    line: VecDeque<usize>,
    called: VecDeque<usize>,
    /// A cookie that names the first server.
    cookie: String,
    /// Requests, connections opened, failed connects and retries so far.
    counts: [u64; 4],
    /// Why exchanges ended, in words.
    pub(crate) reasons: BTreeSet<&'static str>,
    aloud: bool,
}

/// A client and its exchange.
struct Stream {
    exchange: Exchange,
    ledger: Ledger,
    said: Script,
    /// Bytes of the request as it was written, and those that a server has taken of them.
    request: (usize, usize),
    /// Bytes that wait for the server, and for the client.
    waiting: [usize; 2],
    connection: Option<usize>,
    /// The request as it came, while an analyzer may ask to see it again.
    head: Vec<u8>,
    /// The analyzer that is asked.
    asked: Option<Consultation>,
    /// A part of a body is held for an analyzer, by the side that sends it.
    held: [bool; 2],
    /// The client takes nothing.
    stuck: bool,
    /// Requests that it still makes.
    more: usize,
    over: bool,
}

/// A connection to a server.
struct Connection {
    server: Arc<Server>,
    says: Script,
    /// Bytes that are read, and do not make a head yet.
    inbound: Vec<u8>,
    stream: Option<usize>,
    /// It has served another exchange.
    kept: bool,
    /// It takes nothing more.
    deaf: bool,
    /// It said more than a response.
    excess: bool,
    gone: bool,
}

/// Whether a stream goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    Wait,
    Again,
    Over,
}

/// Index of the backend that has servers with few places.
const APP: u32 = 0;
const CLIENT: &str = "192.0.2.7:4000";

impl Pair {
    pub(crate) fn new(seed: u64, aloud: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Rc::new(plans::plan(random.next()));
        let mut cookie = b"Cookie: ".to_vec();
        let app = &plan.backends[APP as usize];
        if let Some(affinity) = &app.http.rules.affinity {
            affinity.write(&mut cookie, app.servers.list()[0].identity, false);
        }
        let cookie = String::from_utf8(cookie).unwrap().split(';').next().unwrap().to_owned() + "\r\n";
        Self {
            random,
            plan,
            now: 1_000,
            streams: Vec::new(),
            connections: Vec::new(),
            line: VecDeque::new(),
            called: VecDeque::new(),
            cookie,
            counts: [0; 4],
            reasons: BTreeSet::new(),
            aloud,
        }
    }

    /// Lets everything happen that the seed has in store, and then time pass until all is over.
    pub(crate) fn run(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            self.arrive();
        }
        for _ in 0..self.random.below(300) {
            self.step();
            if self.streams.iter().all(|stream| stream.over) {
                break;
            }
        }
        for round in 0.. {
            assert!(round < 200, "no end");
            self.answer_calls();
            let deadlines = (0..self.streams.len()).filter(|at| !self.streams[*at].over);
            let Some(first) = deadlines.map(|at| self.deadline(at)).min() else { break };
            self.now = self.now.max(first);
            self.expire();
        }
        self.settle();
    }

    /// One thing happens somewhere.
    fn step(&mut self) {
        if self.random.chance(50) {
            self.answer_calls();
        }
        let at = self.random.below(self.streams.len());
        match self.random.below(100) {
            0..2 if self.streams.len() < 5 => self.arrive(),
            2..6 => {
                self.now += self.random.of(&[1, 100, 2_500, 11_000, 20_000]);
                self.expire();
            }
            6 if !self.streams[at].over => _ = self.end(at, CloseReason::Drained),
            7..9 => self.break_down(at),
            9..50 => self.sides_go_on(at),
            _ if !self.streams[at].over => _ = self.carry_on(at),
            _ => {}
        }
    }

    /// Both sides of a stream say a little more.
    fn sides_go_on(&mut self, at: usize) {
        let Stream { said, connection, exchange, request, .. } = &mut self.streams[at];
        if self.random.chance(50) {
            said.go_on(&mut self.random);
        }
        let Some(connection) = connection.map(|number| &mut self.connections[number]) else { return };
        let silent = connection.says.bytes.is_empty() && !connection.says.closed;
        if silent && request.1 > 0 && self.random.chance(60) {
            let method = String::from_utf8_lossy(exchange.said.method()).into_owned();
            connection.says = script::response(&mut self.random, &method);
        }
        connection.says.go_on(&mut self.random);
    }

    /// A server hears no more, or breaks, or an operator takes it down.
    fn break_down(&mut self, at: usize) {
        if let Some(number) = self.streams[at].connection {
            self.connections[number].deaf = true;
        } else {
            let servers = self.plan.backends[APP as usize].servers.list();
            let server = &servers[self.random.below(servers.len())];
            server.state.set_up(self.random.chance(50), self.now);
        }
    }

    fn answer_calls(&mut self) {
        while let Some(at) = self.called.pop_front() {
            if !self.streams[at].over {
                self.turn(at, ExchangeEvent::Called);
            }
        }
    }

    fn expire(&mut self) {
        for at in 0..self.streams.len() {
            if !self.streams[at].over && self.deadline(at) <= self.now {
                let before = (self.streams[at].exchange.state(), self.streams[at].exchange.since());
                self.turn(at, ExchangeEvent::Expired);
                let stream = &self.streams[at];
                let after = (stream.exchange.state(), stream.exchange.since());
                assert!(stream.over || before != after, "a deadline that changes nothing");
            }
        }
    }

    /// When the wait of a stream is over: whoever waits has a deadline.
    fn deadline(&self, at: usize) -> Millis {
        let exchange = &self.streams[at].exchange;
        let deadline = exchange.deadline(&self.around(&self.plan, at));
        deadline.unwrap_or_else(|| panic!("no deadline in {:?}", exchange.state()))
    }

    fn arrive(&mut self) {
        self.streams.push(Stream {
            exchange: Exchange::default(),
            ledger: Ledger::default(),
            said: Script::nothing(Closing::Silent),
            request: (0, 0),
            waiting: [0, 0],
            connection: None,
            head: Vec::new(),
            asked: None,
            held: [false; 2],
            stuck: self.random.chance(10),
            more: self.random.below(3),
            over: false,
        });
        self.begin(self.streams.len() - 1);
    }

    /// The client makes a request.
    fn begin(&mut self, at: usize) {
        let (said, length) = script::request(&mut self.random, &self.cookie);
        let limits = self.plan.listeners[0].http.limits;
        let stream = &mut self.streams[at];
        (stream.said, stream.ledger, stream.waiting) = (said, Ledger::default(), [0, 0]);
        stream.held = [false; 2];
        stream.said.sent = length;
        while self.random.chance(50) && stream.said.go_on(&mut self.random) {}
        let bytes = stream.said.take(usize::MAX);
        let mut head = Head::default();
        let parsed = http1::request(&bytes, &limits, &mut head);
        if self.aloud {
            println!("#{at} {:?} {:?}", String::from_utf8_lossy(&bytes), stream.said.closing);
        }
        if parsed != Parsed::Complete || self.random.chance(2) {
            stream.exchange.begin_unreadable(self.now);
            let reasons = [CloseReason::BadRequest, CloseReason::FirstBytesTimeout, CloseReason::TooLarge];
            let reason = self.random.of(&reasons);
            self.turn(at, ExchangeEvent::Unreadable(reason));
            return;
        }
        let message = Message::new(&head, &bytes);
        stream.exchange.begin(message, &limits, self.now);
        let waits = !self.plan.listeners[0].spec.http.abort_on_close || stream.said.is_at_end();
        stream.exchange.meet(Some(CLIENT.parse().unwrap()), waits);
        stream.request = (bytes.len(), 0);
        stream.ledger.asked = stream.said.is_whole();
        match stream.exchange.request.advance(&bytes[length..]) {
            Ok((came, _)) => stream.exchange.count_body(came),
            Err(malformed) => {
                self.turn(at, ExchangeEvent::Unreadable(malformed.reason()));
                return;
            }
        }
        self.counts[0] += 1;
        stream.head = bytes.clone();
        let client = ClientFacts { address: Some(CLIENT.parse().unwrap()), ..ClientFacts::default() };
        let turned_away = self.random.chance(2).then_some(CloseReason::LimitReached);
        let action = self.feed(at, ExchangeEvent::Asked(&Incoming { message, client: &client, turned_away }));
        self.perform(at, action, None);
    }

    /// All is over: every place and permit is back, and the counters say what has happened.
    fn settle(&mut self) {
        assert!(self.line.is_empty(), "somebody still stands in line");
        let [requests, connections, failures, retries] = self.counts;
        let sum = |count: Count| -> u64 {
            let servers = self.plan.backends.iter().flat_map(|backend| backend.servers.list().to_vec());
            servers.map(|server| server.state.tally.sum(count)).sum()
        };
        let backends =
            |count: Count| -> u64 { self.plan.backends.iter().map(|one| one.tally.sum(count)).sum() };
        for backend in &self.plan.backends {
            assert!(
                backend.servers.list().iter().all(|server| server.state.active() == 0),
                "a place is held"
            );
        }
        let listener = &self.plan.listeners[0];
        assert_eq!(listener.state.tally.sum(Count::Requests), requests, "requests");
        assert_eq!(sum(Count::Connections), connections, "connections of servers");
        assert_eq!(backends(Count::Connections), connections, "connections of backends");
        assert_eq!(sum(Count::ConnectFailures), failures, "failed connects");
        assert_eq!(backends(Count::Retries), retries, "retries");
        if let Some(limit) = &listener.http.concurrency {
            let client = Some(CLIENT.parse().unwrap());
            let permits: Vec<_> = (0..limit.most()).map(|_| limit.enter(client)).collect();
            assert!(permits.iter().all(Option::is_some), "a permit is held");
        }
    }
}
