//! Probe: one check under way, from connecting to what it found.
//!
//! Driven by readiness; holds at most [`ANSWER_LIMIT`] bytes of an answer. Must never wait: the thread has
//! others.

use headworks_core::close::Fault;
use headworks_core::http::check::{ANSWER_LIMIT, HttpCheck, Judgement};
use headworks_core::pool::{Backend, HealthKind, Server};
use headworks_core::wire::proxy_protocol::{self, Announced};
use mio::event::Event as Readiness;
use mio::{Registry, Token};

use crate::io::Socket;
use crate::outcome::{Read, Written};
use crate::tls::{Connector, Records};

/// The finding of a check: why the server is not well, in words.
pub(super) type Finding = Result<(), String>;

/// One check under way.
#[derive(Debug)]
pub(super) struct Probe {
    socket: Socket,
    connected: bool,
    /// The bytes still to be sent.
    request: Vec<u8>,
    /// The bytes that came back.
    answer: Vec<u8>,
}

/// The subject of a check: one server, and how it is reached and asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Examined<'a> {
    /// The backend that the server belongs to.
    pub(super) backend: &'a Backend,
    /// The connector to its servers; None: they are reached without TLS.
    pub(super) connector: Option<&'a Connector>,
    /// The server.
    pub(super) server: &'a Server,
    /// The kind of the check.
    pub(super) kind: &'a HealthKind,
}

impl Probe {
    /// Begins to connect.
    pub(super) fn begin(examined: Examined<'_>, registry: &Registry, token: Token) -> Result<Self, Fault> {
        let Examined { backend, connector, server, kind } = examined;
        let mut request = Vec::new();
        // A server that wants a PROXY header takes nothing without; a check is on nobody's behalf.
        let speaks = connector.is_some() || matches!(kind, HealthKind::Http(_));
        if let Some(version) = backend.proxy_header.filter(|_| speaks) {
            proxy_protocol::write(version, Announced::default(), &mut request);
        }
        let preface = if connector.is_some() { std::mem::take(&mut request) } else { Vec::new() };
        if let HealthKind::Http(check) = kind {
            request.extend_from_slice(&check.request(&server.address));
        }
        let mut socket = Socket::connect(&server.address, backend, speaks)?;
        if let Some(connector) = connector {
            socket.secure_to(connector, &server.address, &preface)?;
        }
        socket.watch_both(registry, token).map_err(|_| Fault::Exhausted)?;
        Ok(Self { socket, connected: false, request, answer: Vec::new() })
    }

    /// Goes on as far as the socket lets it. None: the check is not over.
    pub(super) fn proceed(&mut self, readiness: &Readiness, kind: &HealthKind) -> Option<Finding> {
        self.socket.became(readiness);
        if !self.connected {
            if let Err(fault) = self.socket.connect_result() {
                return Some(Err(fault.as_str().into()));
            }
            if self.socket.tls().is_some_and(Records::is_shaking) {
                return None;
            }
            self.connected = true;
        }
        match kind {
            HealthKind::Tcp => Some(Ok(())),
            HealthKind::Http(check) => self.ask().or_else(|| self.listen(check)),
        }
    }

    /// Leaves nothing behind at the server: a reset, not a connection in TIME_WAIT.
    pub(super) fn give_up(mut self) {
        self.socket.abort();
    }

    fn ask(&mut self) -> Option<Finding> {
        while !self.request.is_empty() {
            match self.socket.write(&self.request, false) {
                Written::Bytes(0) => return None,
                Written::Bytes(n) => _ = self.request.drain(..n),
                Written::Broken => return Some(Err(Fault::Reset.as_str().into())),
            }
        }
        None
    }

    fn listen(&mut self, check: &HttpCheck) -> Option<Finding> {
        let mut scratch = [0; 8 * 1024];
        self.socket.readable |= self.socket.is_plain();
        loop {
            let room = scratch.len().min(ANSWER_LIMIT - self.answer.len());
            let ended = match self.socket.read(&mut scratch[..room]) {
                Read::Bytes(n) => {
                    self.answer.extend_from_slice(&scratch[..n]);
                    false
                }
                // An interrupted read leaves it readable.
                Read::Nothing if self.socket.readable => continue,
                Read::Nothing => return None,
                Read::End => true,
                Read::Broken => return Some(Err(Fault::Reset.as_str().into())),
            };
            match check.judge(&self.answer, ended) {
                Judgement::Undecided => {}
                Judgement::Good => return Some(Ok(())),
                Judgement::Bad(reason) => return Some(Err(reason)),
            }
        }
    }
}
