//! Hello: what a client says before its handshake: the PROXY header, where there is one, and the ClientHello, by whose name
//! it is decided whether TLS ends here.
//!
//! Must never take a byte of the ClientHello away from whoever gets the client.

use std::rc::Rc;

use headworks_core::close::CloseReason;
use headworks_core::session::Entrance;
use headworks_core::tls::{self, HandshakeFault};
use headworks_core::wire::client_hello::{self, ClientHello, Parsed, ServerName};

use super::{Handshakes, Phase, Step};
use crate::admission::take_header;
use crate::socket::Read;
use crate::tls::Stream;

/// The least version that TLS can end in here.
const TLS12: u16 = 0x0303;

impl Handshakes {
    /// Reads the PROXY header, or makes sure that there is none.
    pub(super) fn read_header(&mut self, place: usize) -> Step {
        if let Some(step) = self.hold(place) {
            return step;
        }
        let newcomer = &mut self.clients[place];
        let client = &mut newcomer.client;
        (client.address, client.local) = match take_header(newcomer.rule, &mut client.held, client.address) {
            None => return Step::Again,
            Some(Ok(ends)) => ends,
            Some(Err(reason)) => {
                self.account(place, HandshakeFault::NotTls);
                return self.refuse(place, reason);
            }
        };
        newcomer.phase = Phase::Hello;
        match client.held.is_empty() {
            true => Step::Again,
            false => self.look(place),
        }
    }

    /// Reads until the ClientHello is complete, and goes on with that.
    pub(super) fn read_hello(&mut self, place: usize) -> Step {
        self.hold(place).unwrap_or_else(|| self.look(place))
    }

    /// Reads more of what is held; a step if there is nothing more to look at.
    fn hold(&mut self, place: usize) -> Option<Step> {
        let client = &mut self.clients[place].client;
        let limit = client.owner().first_bytes_limit;
        if client.held.len() >= limit {
            self.account(place, HandshakeFault::Malformed);
            return Some(self.refuse(place, CloseReason::TooLarge));
        }
        if !client.socket.readable {
            return Some(Step::Wait);
        }
        let room = (limit - client.held.len()).min(self.scratch.len());
        match client.socket.read(&mut self.scratch[..room]) {
            Read::Bytes(n) => client.held.push(&self.scratch[..n]),
            Read::Nothing => return Some(Step::Again),
            Read::End | Read::Broken => return Some(Step::Failed(HandshakeFault::Left)),
        }
        None
    }

    /// Looks at what is held.
    fn look(&mut self, place: usize) -> Step {
        match client_hello::parse(self.clients[place].client.held.pending()) {
            Parsed::Partial { .. } => Step::Again,
            Parsed::Complete(hello) => self.decide(place, hello),
            Parsed::Invalid(_) => {
                let client = &self.clients[place].client;
                let plain = tls::begins_http(client.held.pending());
                let spoken = plain && client.owner().protocol.exchanges();
                self.account(place, if plain { HandshakeFault::PlainHttp } else { HandshakeFault::NotTls });
                self.refuse(place, if spoken { CloseReason::PlainHttp } else { CloseReason::BadRequest })
            }
        }
    }

    /// Passes the client through if its name says so; else TLS ends here.
    fn decide(&mut self, place: usize, hello: ClientHello) -> Step {
        let newcomer = &mut self.clients[place];
        let client = &mut newcomer.client;
        if let ServerName::Host(name) = hello.name {
            client.name = Some(name);
        }
        let plan = Rc::clone(&client.plan);
        let owner = &plan.listeners[client.listener as usize];
        if plan.pass_through(owner, client.name.as_deref()).is_some() {
            client.entrance = Entrance::PassedThrough;
            return Step::Done;
        }
        // Before rustls, which takes what old hellos leave out for another mistake and sends another alert.
        if hello.version < TLS12 {
            self.account(place, HandshakeFault::NoVersion);
            return self.refuse(place, CloseReason::VersionNotSupported);
        }
        let Some(acceptor) = plan.acceptor(client.listener) else {
            return Step::Failed(HandshakeFault::Other);
        };
        if !acceptor.knows(client.name.as_deref()) {
            self.account(place, HandshakeFault::UnknownName);
            return self.refuse(place, CloseReason::NoMatch);
        }
        let Ok(machine) = acceptor.begin() else { return Step::Failed(HandshakeFault::Other) };
        client.socket.secure(Stream::of_client(machine, client.held.pending()));
        client.held.clear();
        newcomer.phase = Phase::Shaking;
        Step::Again
    }

    /// Says why in plain bytes, and ends our sending.
    pub(super) fn refuse(&mut self, place: usize, reason: CloseReason) -> Step {
        let client = &mut self.clients[place].client;
        client.held.clear();
        // A fresh socket takes so few bytes whole; one that is gone needs no answer.
        let _ = client.socket.write(tls::refusal(reason), true);
        client.socket.finish();
        self.enter(place, Phase::Lingering);
        Step::Again
    }
}
