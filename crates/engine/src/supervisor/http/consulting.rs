//! Consulting: streams that are held while an analyzer is asked about them: what is held, how it is asked,
//! and how the head is read once more with the answer.
//!
//! A held request stands in the stream as it came; a held response in its server's connection. Must never
//! judge an answer: its Exchange does.

use std::sync::Arc;

use headworks_core::action::Side;
use headworks_core::close::ConsultFault;
use headworks_core::consult::ConsultantIndex;
use headworks_core::http::exchange::{Attempt, Consultation, ExchangeEvent, ExchangeState, Passage, Stopped};
use headworks_core::spec::Hook;
use headworks_core::wire::body::Body;
use headworks_core::wire::http1::{self, Parsed};

use super::stream::{Consulted, Part, Stream};
use super::{HttpSupervisor, Step};
use crate::consult::{Answer, Asked, Matter, Outcome, Texts, Ticket};
use crate::io::BodyForm;
use crate::outcome::Read;
use crate::token::Kind;
use crate::tools::Tools;

/// Bytes of a body that is held whole may be so many times more than its content, in many small chunks.
const FRAMING: usize = 8;

impl HttpSupervisor {
    /// Holds the head that was just read, with what came along, and asks.
    pub(super) fn consult(
        &mut self,
        tools: &mut Tools,
        at: usize,
        consultation: Consultation,
        bytes: &[u8],
    ) -> Part {
        let stream = &mut self.streams[at];
        if consultation.hook == Hook::Response {
            if let Some(server) = self.servers.of(&self.streams[at]) {
                server.inbound.push(bytes);
            }
        } else if !bytes.is_empty() {
            stream.work.request.clear();
            stream.work.request.extend_from_slice(bytes);
        }
        match self.ask(tools, at, consultation) {
            Ok(asked) => {
                self.streams[at].work.consulted.get_or_insert_default().asked = Some(asked);
                Ok(Step::Wait)
            }
            Err(fault) => Err(ExchangeEvent::Unadvised(fault)),
        }
    }

    /// Asks the analyzer about what is held.
    fn ask(
        &mut self,
        tools: &mut Tools,
        at: usize,
        consultation: Consultation,
    ) -> Result<Asked, ConsultFault> {
        let mut texts = Texts::default();
        texts.last = consultation.whole;
        self.ask_with(tools, at, consultation, texts)
    }

    /// Asks the analyzer about what is held, and about what stands in `texts` already.
    fn ask_with(
        &mut self,
        tools: &mut Tools,
        at: usize,
        consultation: Consultation,
        texts: Texts,
    ) -> Result<Asked, ConsultFault> {
        let stream = &self.streams[at];
        let desk = stream.plan.desk(consultation.analyzer).ok_or(ConsultFault::Stopping)?;
        let desk = Arc::clone(desk);
        let ticket = Ticket {
            number: 0,
            worker: tools.shard,
            kind: Kind::Http,
            place: at,
            generation: self.streams.generation(at),
        };
        let matter = self.matter(tools, at, consultation, texts);
        desk.ask(&mut tools.asking, ticket, matter)
    }

    /// Returns what an analyzer may know of a stream.
    fn matter(
        &mut self,
        tools: &mut Tools,
        at: usize,
        consultation: Consultation,
        mut texts: Texts,
    ) -> Matter {
        let consulted = self.streams[at].work.consulted.get_or_insert_default();
        if consulted.id == 0 {
            consulted.id = tools.next_id();
        }
        let id = consulted.id;
        let whole = consultation.whole;
        if consultation.hook == Hook::Response
            && let Some(server) = self.servers.of(&self.streams[at])
        {
            texts.response = texts.keep(server.inbound.pending());
        }
        let stream = &self.streams[at];
        let (work, client) = (&*stream.work, &self.clients[stream.client]);
        let head = match consultation.hook {
            Hook::Response | Hook::ResponseBody | Hook::RequestBody => &work.request[work.announced..],
            _ => &work.request,
        };
        texts.request = texts.keep(head);
        if whole {
            texts.chunk = texts.keep_written(|out| work.write_body(&stream.owner().http.limits, out));
        }
        let around = stream.around(tools);
        let facts = client.facts();
        let exchange = &work.exchange;
        texts.listener = texts.keep(around.listener.name.as_bytes());
        texts.backend = texts.keep(stream.backend().map_or("", |backend| &backend.name).as_bytes());
        texts.server = texts.keep(exchange.server().map_or("", |server| &server.name).as_bytes());
        texts.name = texts.keep(exchange.said.name().unwrap_or_default().as_bytes());
        texts.id = texts.keep(&exchange.said.id);
        Matter {
            hook: consultation.hook,
            connection: client.who.id,
            exchange: id,
            client: facts.address,
            local: facts.local,
            secure: facts.secure,
            tls: facts.tls.map(|tls| Box::new(tls.clone())),
            early: facts.early,
            status: match consultation.hook {
                Hook::Response => tools.head.status,
                _ => exchange.status(),
            },
            method: exchange.method(),
            wall: around.wall,
            texts,
        }
    }

    /// Takes an answer, unless its stream waits for another one or for none.
    pub(super) fn take_answer(&mut self, tools: &mut Tools, answer: &Answer) {
        let Ticket { number, place: at, generation, .. } = answer.ticket;
        let Some(stream) = self.streams.find(at, generation) else { return };
        let Some(consulted) = &mut stream.work.consulted else { return };
        for side in [Side::Client, Side::Server] {
            if let Some(asked) = consulted.held[side as usize].take_if(|asked| asked.is(number)) {
                consulted.told = Some(Arc::clone(asked.desk()));
                asked.end(tools.shard, Outcome::of(&answer.advice));
                return self.take_body_answer(tools, at, side, answer);
            }
        }
        let Some(asked) = consulted.asked.take_if(|asked| asked.is(number)) else { return };
        consulted.told = Some(Arc::clone(asked.desk()));
        asked.end(tools.shard, Outcome::of(&answer.advice));
        let place = stream.client;
        self.act(tools, place, |this, tools| this.turn(tools, at, ExchangeEvent::Advised(&answer.advice)));
    }

    /// Waits no longer for an answer.
    #[inline]
    pub(super) fn give_up_answer(&mut self, tools: &Tools, at: usize, outcome: Outcome) {
        if self.streams[at].work.consulted.is_some() {
            self.give_up_answers(tools, at, outcome);
        }
    }

    fn give_up_answers(&mut self, tools: &Tools, at: usize, outcome: Outcome) {
        let Some(Consulted { asked, held: [request, response], told, .. }) =
            self.streams[at].work.consulted.as_deref_mut()
        else {
            return;
        };
        for asked in [asked, request, response].into_iter().filter_map(Option::take) {
            *told = Some(Arc::clone(asked.desk()));
            asked.end(tools.shard, outcome);
        }
    }

    /// Reads the head that is held once more, and tells the Exchange of it.
    pub(super) fn reread(&mut self, tools: &mut Tools, at: usize) -> Step {
        if self.streams[at].work.exchange.state() != ExchangeState::Ruling {
            let Some(server) = self.servers.of(&self.streams[at]) else { return Step::Again };
            let held = std::mem::take(&mut server.inbound);
            return match self.take_response(tools, at, held.pending()) {
                Ok(step) => step,
                Err(event) => self.turn(tools, at, event),
            };
        }
        let limits = self.streams[at].owner().http.limits;
        let held = std::mem::take(&mut self.streams[at].work.request);
        // It was complete when it was read first.
        let came = match http1::request(&held, &limits, &mut tools.head) {
            Parsed::Complete => Ok(()),
            Parsed::Partial => Err(headworks_core::close::CloseReason::BadRequest),
            Parsed::Invalid(malformed) => Err(malformed.reason()),
        };
        let action = self.ask_rules(tools, at, &held, came);
        self.perform(tools, at, action, &held)
    }

    /// Begins to hold the whole body of a request.
    pub(super) fn begin_collecting(&mut self, tools: &mut Tools, at: usize) -> Part {
        let work = &self.streams[at].work;
        let limits = self.streams[at].owner().http.limits;
        let came = http1::request(&work.request, &limits, &mut tools.head) == Parsed::Complete;
        let begun = came && work.request.len() > tools.head.length;
        if came && tools.head.expects_continue && !begun && !work.exchange.is_asked() {
            tools.out.clear();
            tools.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.streams[at].work.counted[Side::Server as usize] += tools.out.len() as u64;
            self.send(tools, at, false)?;
        }
        self.collect(tools, at)
    }

    /// Reads more of a body that is held whole.
    pub(super) fn collect(&mut self, tools: &mut Tools, at: usize) -> Part {
        let Stream { work, client, .. } = &mut self.streams[at];
        let limit = work.exchange.collects();
        let passed =
            |read: u64, stopped| Err(ExchangeEvent::RequestPassed(Passage { read, moved: false, stopped }));
        let client = &mut self.clients[*client].who;
        if is_beyond(&work.exchange.request, work.request.len(), limit) {
            return passed(0, Stopped::TooLarge);
        }
        if work.exchange.is_asked() {
            return passed(0, Stopped::Done);
        }
        if client.socket.broken {
            return Err(ExchangeEvent::Left { broken: true });
        }
        if !client.socket.readable {
            return Ok(Step::Wait);
        }
        match client.socket.read(&mut tools.scratch) {
            Read::Nothing => Ok(Step::Again),
            Read::End => passed(0, Stopped::Cut),
            Read::Broken => passed(0, Stopped::SourceBroken { truncated: client.socket.was_truncated() }),
            Read::Bytes(n) => {
                let bytes = &tools.scratch[..n];
                let Ok((taken, _)) = work.exchange.request.advance(bytes) else {
                    return passed(0, Stopped::Malformed);
                };
                work.request.extend_from_slice(&bytes[..taken]);
                client.held.push(&bytes[taken..]);
                work.counted[Side::Client as usize] += taken as u64;
                let beyond = is_beyond(&work.exchange.request, work.request.len(), limit);
                let stopped = if beyond {
                    Stopped::TooLarge
                } else if work.exchange.is_asked() {
                    Stopped::Done
                } else {
                    Stopped::Unfinished
                };
                match passed(taken as u64, stopped) {
                    // There may be more.
                    Err(event) if stopped == Stopped::Unfinished => {
                        let action = self.turn(tools, at, event);
                        Ok(if action == Step::Wait { Step::Again } else { action })
                    }
                    told => told,
                }
            }
        }
    }
}

impl HttpSupervisor {
    /// Holds a part of a body until an analyzer has answered; `passed`: what moved before.
    pub(super) fn hold_body(
        &mut self,
        tools: &mut Tools,
        at: usize,
        side: Side,
        passed: ExchangeEvent<'static>,
    ) -> Part {
        let consulted = self.streams[at].work.consulted.as_ref();
        if consulted.is_some_and(|consulted| consulted.held[side as usize].is_some()) {
            self.look_for_end(tools, at).map(drop)?;
            return Err(passed);
        }
        Err(match self.ask_about_body(tools, at, side) {
            Ok(analyzer) => ExchangeEvent::BodyHeld(side, analyzer),
            Err(fault) => ExchangeEvent::BodyUnadvised(side, fault),
        })
    }

    fn ask_about_body(
        &mut self,
        tools: &mut Tools,
        at: usize,
        side: Side,
    ) -> Result<ConsultantIndex, ConsultFault> {
        let work = &self.streams[at].work;
        let form = if side == Side::Client { &work.request_form } else { &work.form };
        let BodyForm::Filtered(filtered) = form else { return Err(ConsultFault::Stopping) };
        let Some((analyzer, part)) = filtered.chain.asked() else { return Err(ConsultFault::Stopping) };
        let hook = if side == Side::Client { Hook::RequestBody } else { Hook::ResponseBody };
        let mut texts = Texts::default();
        texts.chunk = texts.keep(part.bytes);
        texts.last = part.last;
        let question =
            Consultation { analyzer, hook, attempt: Attempt::default(), asking: false, whole: false };
        let asked = self.ask_with(tools, at, question, texts)?;
        self.streams[at].work.consulted.get_or_insert_default().held[side as usize] = Some(asked);
        Ok(analyzer)
    }

    /// Takes an answer about a part of a body.
    fn take_body_answer(&mut self, tools: &mut Tools, at: usize, side: Side, answer: &Answer) {
        let Stream { work, client, .. } = &mut self.streams[at];
        let place = *client;
        let form = if side == Side::Client { &mut work.request_form } else { &mut work.form };
        tools.out.clear();
        let said = match (answer.advice.fault, form) {
            (Some(fault), _) => Err(fault),
            (None, BodyForm::Filtered(filtered)) => filtered.advised(&answer.advice, &mut tools.out),
            (None, _) => Ok(()),
        };
        work.lanes[side as usize].buffer.push(&tools.out);
        let event = match said {
            Ok(()) => ExchangeEvent::BodyAdvised(side, &answer.advice),
            Err(fault) => ExchangeEvent::BodyUnadvised(side, fault),
        };
        self.act(tools, place, |this, tools| match this.turn(tools, at, event) {
            Step::Wait => Step::Again,
            step => step,
        });
    }

    /// Lets a part of a body go on as it is.
    pub(super) fn pass_on(&mut self, tools: &mut Tools, at: usize, side: Side) {
        let work = &mut self.streams[at].work;
        let form = if side == Side::Client { &mut work.request_form } else { &mut work.form };
        if let BodyForm::Filtered(filtered) = form {
            tools.out.clear();
            filtered.unadvised(&mut tools.out);
            work.lanes[side as usize].buffer.push(&tools.out);
        }
    }
}

/// Whether a body is longer than it may be: by what is known to follow, by its chunks, or by the bytes held.
fn is_beyond(body: &Body, held: usize, limit: u64) -> bool {
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_mul(FRAMING).saturating_add(1 << 20);
    let follows = if matches!(body, Body::Length(_)) { body.unseen() } else { 0 };
    body.announced() > limit || follows > limit || held > most
}
