//! Performing: what an Exchange answers an event with is done here, one match for all.
//!
//! Actions that need the bytes of the head just read get them from whoever has them: `bytes`, empty
//! elsewhere. Must never decide: what an action came to is fed to the Exchange, which answers with the next
//! one.

use headworks_core::action::Side;
use headworks_core::close::CloseReason;
use headworks_core::http::coding::Coding;
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, ExchangeState, Form, Passage, Stopped};
use headworks_core::http::request_id::RequestId;
use headworks_core::http::rewrite::Rewrite;
use headworks_core::message::Message;
use headworks_core::table::BackendIndex;

use crate::hops::may_lead_back;
use crate::io::{BodyForm, Compressed};
use crate::supervisor::http::stream::{Stream, surroundings};
use crate::supervisor::http::{HttpSupervisor, Step};
use crate::tools::Tools;

impl HttpSupervisor {
    /// Feeds an event to a stream's exchange and performs what it answers.
    #[inline]
    pub(super) fn turn(&mut self, tools: &mut Tools, at: usize, event: ExchangeEvent<'_>) -> Step {
        let action = self.feed(tools, at, event);
        self.perform(tools, at, action, &[])
    }

    /// Feeds an event to a stream's exchange. A place that it gives back is offered to whoever waits for one.
    pub(super) fn feed(&mut self, tools: &mut Tools, at: usize, event: ExchangeEvent<'_>) -> ExchangeAction {
        let stream = &mut self.streams[at];
        let before = Standing::of(stream);
        let others_wait = !self.queue.is_empty()
            && stream.backend().is_some_and(|backend| self.queue.first(backend).is_some());
        let mut around = surroundings(&stream.plan, stream.listener, tools);
        (around.random, around.others_wait) = (tools.random.next(), others_wait);
        let action = stream.work.exchange.handle(event, around);
        self.hand_on(at, before);
        action
    }

    /// After a change of a stream: whoever leaves the line, or gives a place back, lets the next one look for
    /// a place.
    #[inline]
    pub(super) fn hand_on(&mut self, at: usize, before: Standing) {
        if before != Standing::default() && before != Standing::of(&self.streams[at]) {
            self.hand_on_changed(at, before);
        }
    }

    fn hand_on_changed(&mut self, at: usize, before: Standing) {
        let stream = &self.streams[at];
        let now = Standing::of(stream);
        let left_line = before.in_line && !now.in_line;
        let Some(backend) = stream.backend().filter(|_| left_line || (before.has_place && !now.has_place))
        else {
            return;
        };
        if left_line {
            self.queue.leave(backend, (at, self.streams.generation(at)));
        }
        self.queue.call(backend);
    }

    /// Performs actions until there is nothing left to do at once.
    pub(super) fn perform(
        &mut self,
        tools: &mut Tools,
        at: usize,
        mut action: ExchangeAction,
        bytes: &[u8],
    ) -> Step {
        loop {
            let event = match action {
                ExchangeAction::Wait => return Step::Wait,
                ExchangeAction::Ask | ExchangeAction::Skip => return Step::Again,
                ExchangeAction::Write(index) => self.write_request(tools, at, index, bytes),
                ExchangeAction::Line => {
                    if self.stand_in_line(at) {
                        return Step::Wait;
                    }
                    ExchangeEvent::LineFull
                }
                ExchangeAction::Connect { fresh } => match self.connect(at, fresh) {
                    Some(event) => event,
                    None => return Step::Again,
                },
                ExchangeAction::Listen => {
                    if let Some(server) = self.server_of(at) {
                        server.socket.readable = true;
                    }
                    return Step::Wait;
                }
                ExchangeAction::PassInterim => match self.pass_interim(tools, at, bytes) {
                    Ok(step) => return step,
                    Err(event) => event,
                },
                ExchangeAction::Reply { compress } => match self.reply(tools, at, compress, bytes) {
                    Ok(step) => return step,
                    Err(event) => event,
                },
                ExchangeAction::Answer(index) => {
                    self.write_answer(tools, at, index, bytes);
                    return self.say(tools, at);
                }
                ExchangeAction::Refuse(_) => {
                    self.close_server(at);
                    self.write_page(tools, at);
                    return self.say(tools, at);
                }
                ExchangeAction::FinishServer => {
                    if let Some(server) = self.server_of(at) {
                        server.socket.end_sending();
                    }
                    return Step::Wait;
                }
                ExchangeAction::FinishClient => {
                    let place = self.streams[at].client;
                    self.clients[place].who.socket.end_sending();
                    return Step::Wait;
                }
                ExchangeAction::Finish { keep } => return self.finish(tools, at, keep),
                ExchangeAction::Abort(reason) => return Step::Over(reason),
            };
            action = self.feed(tools, at, event);
        }
    }

    /// Writes the request as the server gets it, with what of its body came along.
    fn write_request(
        &mut self,
        tools: &mut Tools,
        at: usize,
        index: BackendIndex,
        bytes: &[u8],
    ) -> ExchangeEvent<'static> {
        let Stream { work, plan, listener, client, .. } = &mut self.streams[at];
        let around = surroundings(plan, *listener, tools);
        let backend = &plan.backends[index as usize];
        let client = &mut self.clients[*client];
        let said = &mut work.exchange.said;
        if said.id.is_empty() && backend.http.rules.wants_request_id() {
            let id = RequestId::made([tools.random.next(), tools.random.next()]);
            said.id.extend_from_slice(id.as_bytes());
        }
        let rules = &around.listener.http.rules;
        if client.who.local.is_none()
            && (rules.asks_local() || backend.http.rules.asks_local() || backend.proxy_header.is_some())
        {
            client.who.local = client.who.socket.local();
        }
        let mut request = std::mem::take(&mut work.request);
        request.clear();
        if plan.connector(index).is_none() {
            client.announce(backend, &mut request);
        }
        let facts = work.exchange.facts(&client.facts(), &around);
        let rewrite = Rewrite { listener: rules, backend: &backend.http.rules, facts: &facts };
        let written = rewrite.request(&mut request, Message::new(&tools.head, bytes));
        request.extend_from_slice(&bytes[tools.head.length..]);
        work.request = request;
        if written.is_ok() { ExchangeEvent::Written } else { ExchangeEvent::Overflown }
    }

    /// Has the stream wait for a place at a server of its backend; whether the line takes one more.
    fn stand_in_line(&mut self, at: usize) -> bool {
        let stream = &self.streams[at];
        let backend = stream.backend();
        backend.is_some_and(|backend| self.queue.join(backend, (at, self.streams.generation(at))))
    }

    /// Takes a kept connection to the server chosen, or begins to open one. None: that is under way.
    fn connect(&mut self, at: usize, fresh: bool) -> Option<ExchangeEvent<'static>> {
        self.close_server(at);
        let stream = &mut self.streams[at];
        stream.work.sent = 0;
        // A PROXY header speaks for one client only.
        let pooled = !fresh && stream.backend().is_some_and(|backend| backend.proxy_header.is_none());
        // Nor does one that leads back here for a client that came from here.
        let client = &self.clients[stream.client].who.socket;
        let kept = stream
            .work
            .exchange
            .server()
            .filter(|server| pooled && !(may_lead_back(&server.address) && client.hops() > 0));
        if let Some(number) = kept.and_then(|server| self.servers.reuse(&server.state, at)) {
            stream.server = Some(number);
            return Some(ExchangeEvent::Connected { kept: true });
        }
        match self.dial(at) {
            Err(fault) => Some(ExchangeEvent::ConnectFailed(fault)),
            Ok(socket) => {
                let stream = &mut self.streams[at];
                let chosen = stream.work.exchange.server();
                stream.server = chosen.map(|server| self.servers.add(socket, &server.state, at));
                None
            }
        }
    }

    /// Passes an informational response on.
    fn pass_interim(
        &mut self,
        tools: &mut Tools,
        at: usize,
        bytes: &[u8],
    ) -> Result<Step, ExchangeEvent<'static>> {
        tools.out.clear();
        if !self.write_head(tools, at, bytes) {
            return Err(ExchangeEvent::Garbled);
        }
        self.streams[at].work.counted[Side::Server as usize] += tools.out.len() as u64;
        Ok(self.send(tools, at, false))
    }

    /// Passes the final head on, with what of the body came along.
    fn reply(
        &mut self,
        tools: &mut Tools,
        at: usize,
        compress: Option<Coding>,
        bytes: &[u8],
    ) -> Result<Step, ExchangeEvent<'static>> {
        self.take_form(tools, at, compress);
        tools.out.clear();
        if !self.write_head(tools, at, bytes) {
            return Err(ExchangeEvent::Spoiled);
        }
        let rest = &bytes[tools.head.length..];
        let Stream { work, client, .. } = &mut self.streams[at];
        let exchange = &mut work.exchange;
        let Ok(taken) = work.form.convert(&mut exchange.response, rest, &mut tools.out) else {
            return Err(ExchangeEvent::Spoiled);
        };
        if taken < rest.len() {
            // Bytes beyond the response: nothing that follows on this connection can be trusted.
            exchange.close_server();
        }
        work.counted[Side::Server as usize] += tools.out.len() as u64;
        let tunnel = exchange.is_tunnel();
        if tunnel {
            // What the client has said already belongs to the other protocol.
            let inbound = &mut self.clients[*client].who.held;
            work.lanes[Side::Client as usize].buffer.push(inbound.pending());
            inbound.clear();
        }
        let whole = exchange.response.is_done() && !tunnel;
        let last = whole && !exchange.keeps_client() && exchange.is_asked();
        self.feed(tools, at, ExchangeEvent::Replied);
        // More of the body is read in a later step: `bytes` are still in the scratch that it would be read
        // into.
        Ok(match self.send(tools, at, last) {
            Step::Again if whole => self.pass_response(tools, at),
            other => other,
        })
    }

    /// Takes the form in which the body is passed on, with a compressor if one is wanted and can be had.
    fn take_form(&mut self, tools: &mut Tools, at: usize, compress: Option<Coding>) {
        let work = &mut self.streams[at].work;
        let compressor = compress.and_then(|coding| tools.compressors.take(coding).ok());
        if self.draining {
            work.exchange.close_client();
        }
        let form = work.exchange.decide_form(&tools.head, compressor.as_ref().map(|one| one.coding()));
        work.form = match (form, compressor) {
            (Form::Compressed(_), Some(compressor)) => {
                BodyForm::Compressed(Box::new(Compressed::new(compressor)))
            }
            (Form::Bare, _) => BodyForm::Bare,
            _ => BodyForm::Same,
        };
    }

    /// Writes the response head just read as the client gets it; whether it could be.
    fn write_head(&mut self, tools: &mut Tools, at: usize, bytes: &[u8]) -> bool {
        let stream = &self.streams[at];
        let client = &self.clients[stream.client];
        let around = stream.around(tools);
        let Some(backend) = stream.backend() else { return false };
        let exchange = &stream.work.exchange;
        let mut facts = exchange.facts(&client.facts(), &around);
        facts.status = tools.head.status;
        let rewrite =
            Rewrite { listener: &around.listener.http.rules, backend: &backend.http.rules, facts: &facts };
        let reply = exchange.reply(&tools.head, &around);
        rewrite.response(&mut tools.out, Message::new(&tools.head, bytes), &reply).is_ok()
    }

    /// Sends `tools.out`, as the whole answer.
    fn say(&mut self, tools: &mut Tools, at: usize) -> Step {
        let work = &mut self.streams[at].work;
        work.counted[Side::Server as usize] += tools.out.len() as u64;
        let last = !work.exchange.keeps_client() && work.exchange.is_asked();
        match self.send(tools, at, last) {
            Step::Again => self.deliver(tools, at),
            other => other,
        }
    }

    /// Delivers what waits for the client of a response that is read to its end.
    pub(super) fn deliver(&mut self, tools: &mut Tools, at: usize) -> Step {
        let Stream { work, client, .. } = &mut self.streams[at];
        let lane = &mut work.lanes[Side::Server as usize];
        let waiting = lane.waiting();
        let stopped = lane.deliver_all(&mut self.clients[*client].who.socket);
        let moved = lane.waiting() != waiting;
        if stopped == Stopped::Full && !moved {
            return self.watch_client(tools, at);
        }
        match self.turn(tools, at, ExchangeEvent::ResponsePassed(Passage { read: 0, moved, stopped })) {
            Step::Wait if stopped == Stopped::Full => self.watch_client(tools, at),
            step => step,
        }
    }

    /// The response is delivered: the client may ask again, or is let go.
    fn finish(&mut self, tools: &mut Tools, at: usize, keep: bool) -> Step {
        self.put_away(tools, at);
        let (place, asked) = (self.streams[at].client, self.streams[at].work.exchange.is_asked());
        self.end_stream(tools, at, CloseReason::Completed);
        if keep && !self.draining {
            return Step::Again;
        }
        self.let_go(tools.now, place, asked)
    }
}

/// The things of a stream that others wait for: its place in line, and its place at a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    in_line: bool,
    has_place: bool,
}

impl Standing {
    /// Returns where a stream stands.
    #[inline]
    pub(super) fn of(stream: &Stream) -> Self {
        let exchange = &stream.work.exchange;
        Self {
            in_line: exchange.state() == ExchangeState::InLine,
            has_place: exchange.attempts().has_place(),
        }
    }
}
