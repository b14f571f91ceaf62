//! The engine of a Pair: what an Exchange answers is performed here, one match for all, and its ends.

use std::rc::Rc;
use std::sync::Arc;

use headworks_core::close::{CloseReason, ConsultFault, Fault};
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, ExchangeState, Surroundings};
use headworks_core::message::Head;
use headworks_core::names::Unresolved;
use headworks_core::plan::Plan;

use super::{APP, Connection, Flow, Pair, Stream};
use crate::script::{Closing, Script};

impl Pair {
    pub(super) fn around<'a>(&self, plan: &'a Plan, at: usize) -> Surroundings<'a> {
        let backend = self.streams[at].exchange.attempts().backend();
        Surroundings {
            plan,
            listener: &plan.listeners[0],
            now: self.now,
            random: self.now ^ at as u64,
            shard: 0,
            wall: 0,
            others_wait: backend == Some(APP) && !self.line.is_empty(),
        }
    }

    pub(super) fn turn(&mut self, at: usize, event: ExchangeEvent<'_>) -> Flow {
        let action = self.feed(at, event);
        self.perform(at, action, None)
    }

    pub(super) fn feed(&mut self, at: usize, event: ExchangeEvent<'_>) -> ExchangeAction {
        let plan = Rc::clone(&self.plan);
        let around = self.around(&plan, at);
        let standing = self.standing(at);
        let stream = &mut self.streams[at];
        let state = stream.exchange.state();
        let action = stream.exchange.handle(event, around);
        if self.aloud {
            let told = match event {
                ExchangeEvent::Asked(_) => "Asked".to_owned(),
                ExchangeEvent::Answered(message) => format!("Answered {}", message.head.status),
                other => format!("{other:?}"),
            };
            println!("{:>6} #{at} {told} in {state:?}: {action:?}, {:?}", self.now, stream.exchange.state());
        }
        let backend = stream.exchange.backend(&around);
        stream.ledger.check(
            &event,
            &stream.exchange,
            action,
            backend.map_or(0, |one| one.spec.retries as usize),
        );
        if matches!(event, ExchangeEvent::Connected { kept: false }) && action == ExchangeAction::Ask {
            self.counts[1] += 1;
        }
        let failed =
            matches!(event, ExchangeEvent::ConnectFailed(_)) || matches!(event, ExchangeEvent::Expired);
        if failed && state == ExchangeState::Connecting {
            self.counts[2] += 1;
        }
        self.hand_on(at, standing);
        action
    }

    /// Whether a stream stands in line, and whether it has a place at a server.
    pub(super) fn standing(&self, at: usize) -> (bool, bool) {
        let exchange = &self.streams[at].exchange;
        (exchange.state() == ExchangeState::InLine, exchange.attempts().has_place())
    }

    /// Whoever leaves the line, or gives a place back, lets the next one look for a place.
    pub(super) fn hand_on(&mut self, at: usize, before: (bool, bool)) {
        let now = self.standing(at);
        let left = before.0 && !now.0;
        if left {
            self.line.retain(|other| *other != at);
        }
        if left || before.1 && !now.1 {
            self.called.extend(self.line.front());
        }
    }

    /// Performs actions until there is nothing left to do at once. `read`: the head just read, and what
    /// followed.
    pub(super) fn perform(
        &mut self,
        at: usize,
        mut action: ExchangeAction,
        read: Option<(&Head, &[u8])>,
    ) -> Flow {
        loop {
            let event = match action {
                ExchangeAction::Wait
                | ExchangeAction::Listen
                | ExchangeAction::FinishServer
                | ExchangeAction::FinishClient => {
                    return Flow::Wait;
                }
                ExchangeAction::Ask | ExchangeAction::Skip | ExchangeAction::PassInterim => {
                    assert!(self.streams[at].connection.is_some(), "nobody to ask");
                    return Flow::Again;
                }
                ExchangeAction::Consult(asked) => {
                    self.hold(at, asked, read);
                    if !self.random.chance(10) {
                        return Flow::Wait;
                    }
                    self.streams[at].asked = None;
                    ExchangeEvent::Unadvised(ConsultFault::Full)
                }
                ExchangeAction::PassOn(side) => {
                    self.streams[at].held[side as usize] = false;
                    return Flow::Again;
                }
                ExchangeAction::Collect => return self.collect(at),
                ExchangeAction::Reread => return self.reread(at),
                ExchangeAction::Write(_) if self.random.chance(2) => ExchangeEvent::Overflown,
                ExchangeAction::Write(_) => ExchangeEvent::Written,
                ExchangeAction::Line => {
                    if self.line.len() < self.plan.backends[APP as usize].spec.queue_limit as usize {
                        self.line.push_back(at);
                        return Flow::Wait;
                    }
                    ExchangeEvent::LineFull
                }
                ExchangeAction::Resolve => ExchangeEvent::Resolved(Err(Unresolved::Timeout)),
                ExchangeAction::Connect { fresh } => match self.connect(at, fresh) {
                    Some(event) => event,
                    None => return Flow::Again,
                },
                ExchangeAction::Reply { compress } => match self.reply(at, compress.is_some(), read.unwrap())
                {
                    Some(event) => event,
                    None => return Flow::Again,
                },
                ExchangeAction::Answer(_) | ExchangeAction::Say | ExchangeAction::Refuse(_) => {
                    self.close(at);
                    self.streams[at].waiting[1] += 40;
                    return Flow::Again;
                }
                ExchangeAction::Finish { keep } => return self.finish(at, keep),
                ExchangeAction::Abort(reason) => return self.end(at, reason),
            };
            action = self.feed(at, event);
        }
    }

    /// Takes a kept connection to the server chosen, or begins to open one.
    pub(super) fn connect(&mut self, at: usize, fresh: bool) -> Option<ExchangeEvent<'static>> {
        self.close(at);
        let server = Arc::clone(self.streams[at].exchange.server().unwrap());
        self.streams[at].request.1 = 0;
        let mine = |one: &Connection| one.stream.is_none() && one.server.identity == server.identity;
        let pooled = !fresh && self.plan.backends[APP as usize].proxy_header.is_none();
        let kept = self.connections.iter().position(mine).filter(|_| pooled);
        if let Some(number) = kept {
            let kept = &mut self.connections[number];
            (kept.stream, kept.kept, kept.excess) = (Some(at), true, false);
            let closing = self.random.of(&[Closing::Silent, Closing::Silent, Closing::End, Closing::Broken]);
            kept.says = Script::nothing(closing);
            self.streams[at].connection = Some(number);
            return Some(ExchangeEvent::Connected { kept: true });
        }
        if self.random.chance(5) {
            return Some(ExchangeEvent::ConnectFailed(Fault::Exhausted));
        }
        self.streams[at].connection = Some(self.connections.len());
        let closing = self.random.of(&[Closing::Silent, Closing::Silent, Closing::Silent, Closing::End]);
        self.connections.push(Connection {
            server,
            says: Script::nothing(closing),
            inbound: Vec::new(),
            stream: Some(at),
            kept: false,
            deaf: false,
            excess: false,
            gone: false,
        });
        None
    }

    pub(super) fn connecting(&mut self, at: usize) -> Flow {
        match self.random.below(10) {
            0..3 => Flow::Wait,
            3..5 => {
                self.close(at);
                let faults = [Fault::Refused, Fault::TimedOut, Fault::Exhausted];
                let fault = self.random.of(&faults);
                self.turn(at, ExchangeEvent::ConnectFailed(fault))
            }
            _ => {
                let taken = 1 + self.random.below(self.streams[at].request.0);
                self.take_request(at, taken);
                self.turn(at, ExchangeEvent::Connected { kept: false })
            }
        }
    }

    pub(super) fn take_request(&mut self, at: usize, taken: usize) {
        let stream = &mut self.streams[at];
        stream.request.1 += taken;
        stream.ledger.taken |= taken > 0;
        assert!(stream.request.1 <= stream.request.0);
    }

    /// Takes a stream as far as it goes without waiting.
    pub(super) fn carry_on(&mut self, at: usize) -> Flow {
        let connected = self.streams[at].connection.is_some();
        if let Some(flow) = self.hold_bodies(at) {
            return flow;
        }
        match self.streams[at].exchange.state() {
            ExchangeState::Connecting => self.connecting(at),
            ExchangeState::Asking(_) | ExchangeState::Awaiting(_) => {
                assert!(connected, "nobody is asked");
                self.ask(at)
            }
            ExchangeState::Answering(_) | ExchangeState::Tunnel(_) => match self.pass_request(at) {
                Flow::Wait => self.pass_response(at),
                flow => flow,
            },
            ExchangeState::Told => self.deliver(at),
            ExchangeState::Consulting(_) if self.random.chance(50) => self.answer(at),
            ExchangeState::Collecting(_) => self.collect(at),
            ExchangeState::Ruling
            | ExchangeState::Consulting(_)
            | ExchangeState::InLine
            | ExchangeState::Over => self.leave(at),
        }
    }

    pub(super) fn ask(&mut self, at: usize) -> Flow {
        match self.pass_request(at) {
            Flow::Wait => {}
            flow => return flow,
        }
        match self.leave(at) {
            Flow::Wait => self.read_response(at),
            flow => flow,
        }
    }

    /// The client leaves, if it does.
    pub(super) fn leave(&mut self, at: usize) -> Flow {
        let Stream { said, exchange, .. } = &self.streams[at];
        let broken = said.closed && said.closing == Closing::Broken;
        if broken || exchange.ends_with_client() && said.is_at_end() {
            return self.turn(at, ExchangeEvent::Left { broken });
        }
        Flow::Wait
    }

    /// The server has done its part: its connection is kept, or closed.
    pub(super) fn put_away(&mut self, at: usize) {
        let plan = Rc::clone(&self.plan);
        let (standing, around) = (self.standing(at), self.around(&plan, at));
        let stream = &mut self.streams[at];
        let Some(number) = stream.connection else { return };
        let sent = stream.request.0 == stream.request.1 && stream.waiting[0] == 0;
        let connection = &mut self.connections[number];
        let says = &connection.says;
        if stream.exchange.may_keep_server(sent, &around) {
            assert!(stream.ledger.asked && sent, "kept before all was asked");
            assert!(says.is_whole(), "kept before all was answered");
            if says.read == says.sent && !says.closed && !connection.excess {
                stream.connection = None;
                connection.stream = None;
            }
        }
        self.close(at);
        self.streams[at].exchange.give_place_back();
        self.hand_on(at, standing);
    }

    /// Closes the server's connection, if there is one.
    pub(super) fn close(&mut self, at: usize) {
        if let Some(number) = self.streams[at].connection.take() {
            self.connections[number].gone = true;
        }
    }

    pub(super) fn finish(&mut self, at: usize, keep: bool) -> Flow {
        self.put_away(at);
        assert_eq!(keep, self.streams[at].exchange.keeps_client());
        self.end(at, CloseReason::Completed);
        let stream = &mut self.streams[at];
        if keep && stream.more > 0 && !stream.said.closed {
            stream.more -= 1;
            stream.over = false;
            self.begin(at);
        }
        Flow::Over
    }

    pub(super) fn end(&mut self, at: usize, reason: CloseReason) -> Flow {
        let standing = self.standing(at);
        let stream = &mut self.streams[at];
        let recorded = stream.exchange.end(reason);
        if self.aloud {
            println!("{:>6} #{at} over: {}", self.now, recorded.as_str());
        }
        stream.ledger.ends(&mut stream.exchange, reason, recorded);
        stream.over = true;
        self.reasons.insert(recorded.as_str());
        self.counts[3] += stream.ledger.chosen.len().saturating_sub(1) as u64;
        self.close(at);
        self.hand_on(at, standing);
        for event in [
            ExchangeEvent::Expired,
            ExchangeEvent::Garbled,
            ExchangeEvent::Called,
            ExchangeEvent::Left { broken: true },
        ] {
            assert_eq!(self.feed(at, event), ExchangeAction::Wait, "something after the end");
        }
        self.streams[at].exchange.clear();
        Flow::Over
    }
}
