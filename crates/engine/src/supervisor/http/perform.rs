//! Performing: what an Exchange answers an event with is done here, one match for all.
//!
//! Actions that need the bytes of the head just read get them from whoever has them: `bytes`, empty
//! elsewhere. Must never decide: what an action came to is fed to the Exchange, which answers with the next
//! one.

use headworks_core::action::Side;
use headworks_core::http::coding::Coding;
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, Form};
use headworks_core::http::request_id::RequestId;
use headworks_core::http::rewrite::Rewrite;
use headworks_core::message::{Framing, Message, Version};
use headworks_core::spec::ProgramKind;
use headworks_core::table::BackendIndex;
use headworks_core::wire::body::Body;

use crate::io::{BodyForm, Compressed, Filtered};
use crate::supervisor::http::queue::Standing;
use crate::supervisor::http::stream::{Part, Stream, surroundings};
use crate::supervisor::http::{HttpSupervisor, Step};
use crate::tools::Tools;

impl HttpSupervisor {
    /// Feeds an event to a stream's exchange and performs what it answers.
    #[inline]
    pub(super) fn turn(&mut self, tools: &mut Tools, at: usize, event: ExchangeEvent<'_>) -> Step {
        let action = self.feed(tools, at, event);
        self.perform(tools, at, action, &[])
    }

    /// Tells a stream's exchange of the head in `tools.head`, with which `bytes` begin, and performs what it
    /// answers.
    pub(super) fn answered(&mut self, tools: &mut Tools, at: usize, bytes: &[u8]) -> Step {
        let head = std::mem::take(&mut tools.head);
        let action = self.feed(tools, at, ExchangeEvent::Answered(Message::new(&head, bytes)));
        tools.head = head;
        self.perform(tools, at, action, bytes)
    }

    /// Feeds an event to a stream's exchange. A place that it gives back is offered to whoever waits for one.
    fn feed(&mut self, tools: &mut Tools, at: usize, event: ExchangeEvent<'_>) -> ExchangeAction {
        let stream = &mut self.streams[at];
        let before = Standing::of(stream);
        let others_wait = !self.queue.is_empty()
            && stream.backend().is_some_and(|backend| self.queue.first(backend).is_some());
        let mut around = surroundings(&stream.plan, stream.listener, tools);
        (around.random, around.others_wait) = (tools.random.next(), others_wait);
        let action = stream.work.exchange.handle(event, around);
        self.queue.hand_on(&self.streams, at, before);
        action
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
            let came = match action {
                ExchangeAction::Wait => return Step::Wait,
                ExchangeAction::Ask | ExchangeAction::Skip => return Step::Again,
                ExchangeAction::Consult(asked) => self.consult(tools, at, asked, bytes),
                ExchangeAction::Collect => self.begin_collecting(tools, at),
                ExchangeAction::PassOn(side) => {
                    self.pass_on(tools, at, side);
                    return Step::Again;
                }
                ExchangeAction::Reread => return self.reread(tools, at),
                ExchangeAction::Write(index) => Err(self.write_request(tools, at, index, bytes)),
                ExchangeAction::Line => self.stand_in_line(at),
                ExchangeAction::Connect { fresh } => self.connect(at, fresh),
                ExchangeAction::Resolve => self.resolve(tools, at),
                ExchangeAction::Listen => {
                    if let Some(server) = self.servers.of(&self.streams[at]) {
                        server.socket.readable = true;
                    }
                    return Step::Wait;
                }
                ExchangeAction::PassInterim => self.pass_interim(tools, at, bytes),
                ExchangeAction::Reply { compress } => self.reply(tools, at, compress, bytes),
                ExchangeAction::Answer(_) | ExchangeAction::Say | ExchangeAction::Refuse(_) => {
                    self.write_own(tools, at, action, bytes);
                    self.say(tools, at)
                }
                ExchangeAction::FinishServer => {
                    if let Some(server) = self.servers.of(&self.streams[at]) {
                        server.socket.end_sending();
                    }
                    return Step::Wait;
                }
                ExchangeAction::FinishClient => {
                    let place = self.streams[at].client;
                    self.clients[place].who.socket.end_sending();
                    return Step::Wait;
                }
                ExchangeAction::Finish { keep } => return Step::Finished { keep },
                ExchangeAction::Abort(reason) => return Step::Over(reason),
            };
            match came {
                Ok(step) => return step,
                Err(event) => action = self.feed(tools, at, event),
            }
        }
    }

    /// Writes an answer of our own: one that the configuration has, one that a rule has made, or the page
    /// that says why there is none.
    fn write_own(&mut self, tools: &mut Tools, at: usize, action: ExchangeAction, bytes: &[u8]) {
        match action {
            ExchangeAction::Answer(index) => self.write_answer(tools, at, index, bytes),
            ExchangeAction::Say => {
                self.close_server(at);
                self.write_found(tools, at);
            }
            _ => {
                self.close_server(at);
                self.write_page(tools, at);
            }
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
        work.announced = request.len();
        let chain = if plan.consultants.is_empty() {
            None
        } else {
            work.exchange.filter_request(tools.head.framing != Framing::None, &around)
        };
        let facts = work.exchange.facts(&client.facts(), &around);
        let findings = work.exchange.edits(ProgramKind::Request);
        let (listener, reframed) = (rules, chain.is_some());
        let rewrite = Rewrite { listener, backend: &backend.http.rules, facts: &facts, findings, reframed };
        let written = rewrite.request(&mut request, Message::new(&tools.head, bytes));
        let rest = &bytes[tools.head.length..];
        match chain {
            None => request.extend_from_slice(rest),
            Some(chain) => {
                let (mut form, lane) = (Filtered::new(chain, true), &mut work.lanes[Side::Client as usize]);
                let mut body = Body::new(tools.head.framing, &around.listener.http.limits);
                tools.out.clear();
                // It was sound when it came.
                let _ = form.feed(&mut body, rest, &mut tools.out);
                lane.buffer.push(&tools.out);
                work.request_form = BodyForm::Filtered(Box::new(form));
            }
        }
        work.request = request;
        if written.is_ok() { ExchangeEvent::Written } else { ExchangeEvent::Overflown }
    }

    /// Has the stream wait for a place at a server of its backend, if the line takes one more.
    fn stand_in_line(&mut self, at: usize) -> Part {
        let waiting = (at, self.streams.generation(at));
        let backend = self.streams[at].backend();
        if backend.is_some_and(|backend| self.queue.join(backend, waiting)) {
            return Ok(Step::Wait);
        }
        Err(ExchangeEvent::LineFull)
    }

    /// Passes an informational response on.
    fn pass_interim(&mut self, tools: &mut Tools, at: usize, bytes: &[u8]) -> Part {
        tools.out.clear();
        if !self.write_head(tools, at, bytes) {
            return Err(ExchangeEvent::Garbled);
        }
        self.streams[at].work.counted[Side::Server as usize] += tools.out.len() as u64;
        self.send(tools, at, false)?;
        Ok(Step::Again)
    }

    /// Passes the final head on, with what of the body came along.
    #[inline]
    fn reply(&mut self, tools: &mut Tools, at: usize, compress: Option<Coding>, bytes: &[u8]) -> Part {
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
        let whole = work.form.is_over(&exchange.response) && !tunnel;
        self.feed(tools, at, ExchangeEvent::Replied);
        self.send_reply(tools, at, whole)
    }

    /// Takes the form in which the body is passed on, with a compressor if one is wanted and can be had.
    fn take_form(&mut self, tools: &mut Tools, at: usize, compress: Option<Coding>) {
        let work = &mut self.streams[at].work;
        let compressor = compress.and_then(|coding| tools.compressors.take(coding).ok());
        if self.draining {
            work.exchange.close_client();
        }
        let stream = &mut self.streams[at];
        let work = &mut stream.work;
        let chain = if stream.plan.consultants.is_empty() {
            None
        } else {
            work.exchange.filter_response(&surroundings(&stream.plan, stream.listener, tools))
        };
        let coding = compressor.as_ref().map(|one| one.coding());
        let form = work.exchange.decide_form(&tools.head, coding, chain.is_some());
        work.form = match (form, compressor) {
            (Form::Filtered, _) => {
                let chunks = work.exchange.version() != Version::Http10;
                BodyForm::Filtered(Box::new(Filtered::new(chain.unwrap_or_default(), chunks)))
            }
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
        let (listener, findings) = (&around.listener.http.rules, exchange.edits(ProgramKind::Response));
        let rewrite =
            Rewrite { listener, backend: &backend.http.rules, facts: &facts, findings, reframed: false };
        let reply = exchange.reply(&tools.head, &around);
        rewrite.response(&mut tools.out, Message::new(&tools.head, bytes), &reply).is_ok()
    }
}
