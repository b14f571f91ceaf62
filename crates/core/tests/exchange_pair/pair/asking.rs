//! Analyzers that are asked about heads, and their answers, which are drawn from the seed.

use headworks_core::action::Side;
use headworks_core::close::ConsultFault;
use headworks_core::consult::{Advice, AdvicePart, RateKind};
use headworks_core::http::exchange::{Consultation, ExchangeEvent, ExchangeState, Incoming};
use headworks_core::http::facts::ClientFacts;
use headworks_core::message::{Head, Message};
use headworks_core::program::EditKind;
use headworks_core::spec::Hook;
use headworks_core::wire::http1::{self, Parsed};

use super::{CLIENT, Flow, Pair};

impl Pair {
    /// Holds what an analyzer is asked about.
    pub(super) fn hold(&mut self, at: usize, asked: Consultation, read: Option<(&Head, &[u8])>) {
        let stream = &mut self.streams[at];
        assert!(matches!(stream.exchange.state(), ExchangeState::Consulting(_)));
        stream.asked = Some(asked);
        if asked.hook == Hook::Response {
            let (_, bytes) = read.unwrap();
            let connection = &mut self.connections[stream.connection.unwrap()];
            assert!(connection.inbound.is_empty(), "bytes of the server stand before its head");
            connection.inbound.extend(bytes);
        }
    }

    /// The analyzer answers.
    pub(super) fn answer(&mut self, at: usize) -> Flow {
        let asked = self.streams[at].asked.take().unwrap();
        let advice = self.advice(asked);
        self.turn(at, ExchangeEvent::Advised(&advice))
    }

    fn advice(&mut self, asked: Consultation) -> Advice {
        let text = |text: &str| Box::from(text.as_bytes());
        let set = AdvicePart::Edit { kind: EditKind::Set, name: "X-Tenant".into(), value: text("a") };
        let route = |backend: &str| AdvicePart::Route { backend: backend.into(), server: None };
        let bad = AdvicePart::Path(text("no path"));
        let kind = RateKind { requests: 1, per: 1_000, burst: 1 };
        let parts = match self.random.below(16) {
            0 => return Advice::failed(ConsultFault::Raised),
            1 => return Advice { bypass: true, ..Advice::default() },
            2 if !asked.whole => return Advice { read_body: Some(8), ..Advice::default() },
            3 => vec![set],
            4 => vec![set, route("app")],
            5 => vec![route("closed")],
            6 => vec![route("nowhere")],
            7 => vec![AdvicePart::Respond { status: 200, body: text("x"), fields: Vec::new() }],
            8 => vec![AdvicePart::Reject { reason: text("so") }],
            9 => vec![bad],
            10 => vec![AdvicePart::Limit { kind, key: text("k") }],
            11 => {
                vec![AdvicePart::Consult { analyzer: self.random.of(&["first", "second", "third"]).into() }]
            }
            _ => Vec::new(),
        };
        Advice { parts, ..Advice::default() }
    }

    /// Holds a part of a body for an analyzer now and then, or answers about one. None: nothing is held.
    pub(super) fn hold_bodies(&mut self, at: usize) -> Option<Flow> {
        let state = self.streams[at].exchange.state();
        let side = self.random.of(&[Side::Client, Side::Server]);
        let passes = match side {
            Side::Client => matches!(state, ExchangeState::Asking(_)),
            Side::Server => matches!(state, ExchangeState::Answering(_)),
        };
        let held = &mut self.streams[at].held;
        if !held[side as usize] {
            if !passes || !self.random.chance(2) {
                return held.contains(&true).then_some(Flow::Wait);
            }
            held[side as usize] = true;
            return Some(self.turn(at, ExchangeEvent::BodyHeld(side, 1)));
        }
        if self.random.chance(50) {
            return Some(Flow::Wait);
        }
        self.streams[at].held[side as usize] = false;
        let fault = self.random.of(&[ConsultFault::Raised, ConsultFault::Verdict]);
        let advice = match self.random.below(8) {
            0 => return Some(self.turn(at, ExchangeEvent::BodyUnadvised(side, fault))),
            1 => Advice { bypass: true, ..Advice::default() },
            2 => {
                let reason = Box::from(b"so".as_slice());
                Advice { parts: vec![AdvicePart::Reject { reason }], ..Advice::default() }
            }
            _ => Advice::default(),
        };
        match self.turn(at, ExchangeEvent::BodyAdvised(side, &advice)) {
            Flow::Over => Some(Flow::Over),
            _ => Some(Flow::Again),
        }
    }

    /// Reads the head that is held once more.
    pub(super) fn reread(&mut self, at: usize) -> Flow {
        if self.streams[at].exchange.state() != ExchangeState::Ruling {
            let number = self.streams[at].connection.unwrap();
            return self.take_response(at, number);
        }
        let limits = self.plan.listeners[0].http.limits;
        let (bytes, mut head) = (self.streams[at].head.clone(), Head::default());
        assert_eq!(http1::request(&bytes, &limits, &mut head), Parsed::Complete);
        let client = ClientFacts { address: Some(CLIENT.parse().unwrap()), ..ClientFacts::default() };
        let message = Message::new(&head, &bytes);
        let request = Incoming { message, client: &client, turned_away: None };
        let action = self.feed(at, ExchangeEvent::Asked(&request));
        self.perform(at, action, None)
    }

    /// More of a body comes that an analyzer wants to see whole.
    pub(super) fn collect(&mut self, at: usize) -> Flow {
        let limit = self.streams[at].exchange.collects();
        let (read, stopped) = self.gather(at, limit);
        let stream = &mut self.streams[at];
        stream.request.0 += read as usize;
        stream.ledger.asked |= stream.said.is_whole();
        self.request_passed(at, read, (false, stopped))
    }
}
