//! The stage of the traces: one Plan, a clock, and clients whose exchanges are fed with events.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use headworks_core::close::{CloseReason, Fault};
use headworks_core::http::exchange::Surroundings;
use headworks_core::http::exchange::{
    Exchange, ExchangeAction, ExchangeEvent, ExchangeState, Incoming, Lost, Passage, Stopped,
};
use headworks_core::http::facts::ClientFacts;
use headworks_core::message::{Head, Message};
use headworks_core::plan::Plan;
use headworks_core::pool::{Place, Server, ServerState};
use headworks_core::time::Millis;
use headworks_core::wire::http1::{self, Parsed};
use serde_json::{Value, json};

use crate::common::plan;

/// A client that says where it comes from.
const CLIENT: &str = "192.0.2.7:4000";

/// One Plan, its clock, and who else is there.
pub(crate) struct House {
    pub(crate) plan: Plan,
    pub(crate) now: Cell<Millis>,
    /// Others wait in line.
    pub(crate) others_wait: Cell<bool>,
    /// Places that others hold.
    pub(crate) taken: RefCell<Vec<Place>>,
}

/// One exchange of a client.
pub(crate) struct Client<'a> {
    pub(crate) house: &'a House,
    pub(crate) exchange: Exchange,
    request: (Head, Vec<u8>),
}

/// Names, an answer of our own, and two servers for the one that matters.
pub(crate) fn sites() -> Value {
    json!({
        "listeners": {"web": {
            "protocol": "http", "table": "sites", "timeouts": {"idle": 15_000},
            "http": {"connect": true, "body_timeout": 13_000, "tunnel_timeout": 16_000},
        }},
        "tables": {"sites": [
            ["a.example", "app"],
            {"pattern": "old.example", "redirect": {"to": "https", "code": 301}},
        ]},
        "backends": {"app": {
            "servers": [
                {"address": "192.0.2.1:80", "max_connections": 1},
                {"address": "192.0.2.2:80", "max_connections": 1},
            ],
            "connect_timeout": 12_000,
            "http": {"queue_timeout": 11_000, "response_timeout": 14_000},
        }},
    })
}

/// The same with some keys changed, each by its JSON pointer.
pub(crate) fn sites_with(changes: &[(&str, Value)]) -> Value {
    let mut written = sites();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        written.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    written
}

impl House {
    pub(crate) fn new(written: Value) -> Self {
        Self {
            plan: plan(written),
            now: Cell::new(1_000),
            others_wait: Cell::new(false),
            taken: RefCell::default(),
        }
    }

    /// A client that says this head, and as much of a body as follows it.
    pub(crate) fn client(&self, said: &str) -> Client<'_> {
        let (mut head, limits) = (Head::default(), self.plan.listeners[0].http.limits);
        assert_eq!(http1::request(said.as_bytes(), &limits, &mut head), Parsed::Complete, "{said}");
        let mut exchange = Exchange::default();
        let message = Message::new(&head, said.as_bytes());
        exchange.begin(message, &limits, self.now.get());
        exchange.meet(Some(CLIENT.parse().unwrap()), false);
        let (came, _) = exchange.request.advance(&said.as_bytes()[head.length..]).unwrap();
        exchange.count_body(came);
        Client { house: self, exchange, request: (head, said.as_bytes().to_vec()) }
    }

    /// A client whose request cannot be read.
    pub(crate) fn garbage(&self) -> Client<'_> {
        let mut exchange = Exchange::default();
        exchange.begin_unreadable(self.now.get());
        Client { house: self, exchange, request: (Head::default(), Vec::new()) }
    }

    /// Others take every place there is.
    pub(crate) fn fill_up(&self) {
        for server in self.servers() {
            self.taken.borrow_mut().extend(std::iter::from_fn(|| Place::take(&server)));
        }
    }

    pub(crate) fn servers(&self) -> Vec<Arc<Server>> {
        self.plan.backends[0].servers.list().iter().cloned().collect()
    }

    pub(crate) fn server(&self, number: usize) -> Arc<ServerState> {
        Arc::clone(&self.servers()[number].state)
    }

    /// Places taken at all servers.
    pub(crate) fn active(&self) -> u32 {
        self.servers().iter().map(|server| server.state.active()).sum()
    }

    pub(crate) fn wait(&self, time: Millis) {
        self.now.set(self.now.get() + time);
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings {
            plan: &self.plan,
            listener: &self.plan.listeners[0],
            now: self.now.get(),
            random: 7,
            shard: 0,
            wall: 0,
            others_wait: self.others_wait.get(),
        }
    }
}

impl Client<'_> {
    pub(crate) fn event(&mut self, event: ExchangeEvent<'_>) -> ExchangeAction {
        self.exchange.handle(event, self.house.around())
    }

    pub(crate) fn asks(&mut self) -> ExchangeAction {
        self.asks_as(None)
    }

    /// Asks, as one that is turned away or not.
    pub(crate) fn asks_as(&mut self, turned_away: Option<CloseReason>) -> ExchangeAction {
        let client = ClientFacts { address: Some(CLIENT.parse().unwrap()), ..ClientFacts::default() };
        let (head, bytes) = &self.request;
        let request = Incoming { message: Message::new(head, bytes), client: &client, turned_away };
        self.exchange.handle(ExchangeEvent::Asked(&request), self.house.around())
    }

    /// Asks, and has its request written.
    pub(crate) fn looks_for_server(&mut self) -> ExchangeAction {
        assert_eq!(self.asks(), ExchangeAction::Write(0));
        self.event(ExchangeEvent::Written)
    }

    /// Asks, and gets a new connection to the first server it may have.
    pub(crate) fn reaches(mut self) -> Self {
        assert_eq!(self.looks_for_server(), ExchangeAction::Connect { fresh: false });
        self.connects();
        self
    }

    pub(crate) fn connects(&mut self) {
        assert_eq!(self.event(ExchangeEvent::Connected { kept: false }), ExchangeAction::Ask);
    }

    /// Reaches a server, and has all of its request on its way.
    pub(crate) fn has_asked(self) -> Self {
        let mut client = self.reaches();
        assert_eq!(client.request_stops(Stopped::Done), ExchangeAction::Wait);
        client
    }

    pub(crate) fn request_stops(&mut self, stopped: Stopped) -> ExchangeAction {
        self.request_passes(0, stopped)
    }

    pub(crate) fn request_passes(&mut self, read: u64, stopped: Stopped) -> ExchangeAction {
        self.event(ExchangeEvent::RequestPassed(Passage { read, moved: read > 0, stopped }))
    }

    pub(crate) fn response_stops(&mut self, stopped: Stopped) -> ExchangeAction {
        self.event(ExchangeEvent::ResponsePassed(Passage { read: 0, moved: false, stopped }))
    }

    /// The server says this head.
    pub(crate) fn server_says(&mut self, said: &str) -> ExchangeAction {
        let (mut head, limits) = (Head::default(), self.house.plan.listeners[0].http.limits);
        let method = self.exchange.method();
        assert_eq!(http1::response(said.as_bytes(), &limits, method, &mut head), Parsed::Complete, "{said}");
        self.event(ExchangeEvent::Answered(Message::new(&head, said.as_bytes())))
    }

    /// The server says this final head, and the client gets it.
    pub(crate) fn gets(&mut self, said: &str) -> ExchangeAction {
        assert!(matches!(self.server_says(said), ExchangeAction::Reply { .. }), "{said}");
        self.event(ExchangeEvent::Replied)
    }

    pub(crate) fn loses(&mut self, kept: bool, begun: bool) -> ExchangeAction {
        self.event(ExchangeEvent::Lost(Lost { kept, begun }))
    }

    pub(crate) fn connect_fails(&mut self) -> ExchangeAction {
        self.event(ExchangeEvent::ConnectFailed(Fault::Refused))
    }

    /// Milliseconds until its present wait is over.
    pub(crate) fn waits(&self) -> Option<Millis> {
        self.exchange.deadline(&self.house.around()).map(|at| at - self.house.now.get())
    }

    /// Waits until its deadline, and learns what follows.
    pub(crate) fn waits_in_vain(&mut self) -> ExchangeAction {
        self.house.wait(self.waits().expect("a deadline"));
        self.event(ExchangeEvent::Expired)
    }

    pub(crate) fn around(&self) -> Surroundings<'_> {
        self.house.around()
    }

    pub(crate) fn state(&self) -> ExchangeState {
        self.exchange.state()
    }

    /// The number of the server chosen last.
    pub(crate) fn server(&self) -> Option<usize> {
        let chosen = self.exchange.server()?;
        self.house.servers().iter().position(|server| server.identity == chosen.identity)
    }

    /// Ends as an engine ends it that was told to abort for this reason; the reason recorded.
    pub(crate) fn ends(mut self, reason: CloseReason) -> CloseReason {
        let recorded = self.exchange.end(reason);
        assert!(!self.exchange.attempts().has_place());
        recorded
    }
}
