//! Hello: what a client says before its handshake: the PROXY header, where there is one, and the ClientHello,
//! by whose name it is decided whether TLS ends here.
//!
//! Must never take a byte of the ClientHello away from whoever gets the client.

use std::rc::Rc;

use headworks_core::close::CloseReason;
use headworks_core::listener::HeaderRule;
use headworks_core::session::Entrance;
use headworks_core::tls::{self, HandshakeFault};
use headworks_core::wire::client_hello::{self, ClientHello, HelloParsed, ServerName};

use super::{Handshakes, Newcomer, Progress, Stage};
use crate::admission::{shut_out, take_header};
use crate::outcome::Read;
use crate::tls::Records;
use crate::tools::Tools;

/// The least version that TLS can end in here.
const TLS12: u16 = 0x0303;

impl Handshakes {
    /// Reads the PROXY header, or makes sure that there is none.
    pub(super) fn read_header(&mut self, tools: &mut Tools, place: usize) -> Progress {
        if let Some(progress) = self.hold(tools, place) {
            return progress;
        }
        let newcomer = &mut self.clients[place];
        let client = &mut newcomer.who;
        let ends = (client.address, client.local);
        (client.address, client.local) = match take_header(newcomer.rule, &mut client.held, ends) {
            None => return Progress::Again,
            Some(Ok(ends)) => ends,
            Some(Err(reason)) => {
                self.account(tools, place, HandshakeFault::NotTls);
                return self.refuse(tools, place, reason);
            }
        };
        let client = &self.clients[place].who;
        let owner = client.owner();
        if self.clients[place].rule == HeaderRule::Required
            && let Err(reason) = owner.keeps_rate(client.address.map(|address| address.ip()), tools.now)
        {
            shut_out(tools, owner, client.address, client.id, reason);
            return Progress::Over;
        }
        let Newcomer { who: client, stage, .. } = &mut self.clients[place];
        *stage = Stage::Hello;
        if client.held.is_empty() { Progress::Again } else { self.look(tools, place) }
    }

    /// Reads until the ClientHello is complete, and goes on with that.
    pub(super) fn read_hello(&mut self, tools: &mut Tools, place: usize) -> Progress {
        match self.hold(tools, place) {
            Some(progress) => progress,
            None => self.look(tools, place),
        }
    }

    /// Reads more to be held; None when there is more to look at.
    fn hold(&mut self, tools: &mut Tools, place: usize) -> Option<Progress> {
        let client = &mut self.clients[place].who;
        let limit = client.owner().spec.first_bytes_limit as usize;
        if client.held.len() >= limit {
            self.account(tools, place, HandshakeFault::Malformed);
            return Some(self.refuse(tools, place, CloseReason::TooLarge));
        }
        if !client.socket.readable {
            return Some(Progress::Wait);
        }
        let room = (limit - client.held.len()).min(tools.scratch.len());
        match client.socket.read(&mut tools.scratch[..room]) {
            Read::Bytes(n) => client.held.push(&tools.scratch[..n]),
            Read::Nothing => return Some(Progress::Again),
            Read::End | Read::Broken => return Some(Progress::Failed(HandshakeFault::Left)),
        }
        None
    }

    /// Looks at what is held.
    fn look(&mut self, tools: &mut Tools, place: usize) -> Progress {
        match client_hello::parse(self.clients[place].who.held.pending()) {
            HelloParsed::Partial { .. } => Progress::Again,
            HelloParsed::Complete(hello) => self.decide(tools, place, hello),
            HelloParsed::Invalid(_) => {
                let client = &self.clients[place].who;
                let plain = tls::begins_http(client.held.pending());
                let spoken = plain && client.owner().protocol.exchanges();
                self.account(
                    tools,
                    place,
                    if plain { HandshakeFault::PlainHttp } else { HandshakeFault::NotTls },
                );
                self.refuse(
                    tools,
                    place,
                    if spoken { CloseReason::PlainHttp } else { CloseReason::BadRequest },
                )
            }
        }
    }

    /// Passes the client through if its name says so; else TLS ends here.
    fn decide(&mut self, tools: &mut Tools, place: usize, hello: ClientHello) -> Progress {
        let newcomer = &mut self.clients[place];
        let client = &mut newcomer.who;
        if let ServerName::Host(name) = hello.name {
            client.name = Some(name);
        }
        let plan = Rc::clone(&client.plan);
        let owner = &plan.listeners[client.listener as usize];
        if plan.pass_through(owner, client.name.as_deref(), &hello.alpn).is_some() {
            client.alpn = hello.alpn;
            client.entrance = Entrance::PassedThrough;
            return Progress::Done;
        }
        // Before rustls, which takes what old hellos leave out for another mistake and sends another alert.
        if hello.version < TLS12 {
            self.account(tools, place, HandshakeFault::NoVersion);
            return self.refuse(tools, place, CloseReason::VersionNotSupported);
        }
        let Some(acceptor) = plan.acceptor(client.listener) else {
            return Progress::Failed(HandshakeFault::Other);
        };
        if !acceptor.knows(client.name.as_deref()) {
            self.account(tools, place, HandshakeFault::UnknownName);
            return self.refuse(tools, place, CloseReason::NoMatch);
        }
        let Ok(machine) = acceptor.begin() else { return Progress::Failed(HandshakeFault::Other) };
        client.socket.secure(Records::of_client(machine, client.held.pending()));
        client.held.clear();
        newcomer.stage = Stage::Shaking;
        Progress::Again
    }

    /// Says why in plain bytes, and ends our sending.
    pub(super) fn refuse(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) -> Progress {
        let client = &mut self.clients[place].who;
        client.held.clear();
        // A fresh socket takes so few bytes whole; one that is gone needs no answer.
        let _ = client.socket.write(tls::refusal(reason), true);
        client.socket.end_sending();
        self.go_to(tools, place, Stage::Lingering);
        Progress::Again
    }
}
