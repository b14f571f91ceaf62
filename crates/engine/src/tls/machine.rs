//! Machine: one of rustls' two state machines, run until it wants more: ciphertext in, plaintext, ciphertext
//! and news out.
//!
//! Owns how its states are acted on, the same way for either side. Must never touch a socket, keep a buffer
//! or feed a machine what it has failed on.

use std::fmt;

use headworks_core::buffer::Buffer;
use rustls::client::{ClientConnectionData as OfClient, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData as OfServer, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, ReadEarlyData, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{CommonState, Error};

/// The state machine of a server or of a client.
pub(super) enum Machine {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
        })
    }
}

impl Machine {
    /// Returns what was agreed on so far.
    pub(super) fn state(&self) -> &CommonState {
        match self {
            Self::Server(machine) => machine,
            Self::Client(machine) => machine,
        }
    }

    /// Feeds `incoming` until it wants more; returns how much of that is of no more use.
    pub(super) fn feed(&mut self, run: &mut Run<'_>, incoming: &mut [u8]) -> usize {
        match self {
            Self::Server(machine) => run.feed(&mut **machine, incoming),
            Self::Client(machine) => run.feed(&mut **machine, incoming),
        }
    }

    /// Makes records of `words`; see [`Run::say`].
    pub(super) fn say(
        &mut self,
        run: &mut Run<'_>,
        words: Words<'_>,
        held: &mut Vec<u8>,
        out: &mut [u8],
    ) -> Option<usize> {
        match self {
            Self::Server(machine) => run.say(&mut **machine, words, held, out),
            Self::Client(machine) => run.say(&mut **machine, words, held, out),
        }
    }
}

/// The word of the other end about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The other end goes on.
    Nothing,
    /// The other end said that it ended: close_notify.
    End,
    /// The wire ended without a word: what came may not be all.
    Truncation,
}

/// The reason why a TLS side is of no use any more.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// The protocol was broken, by either end.
    Tls(Error),
    /// The wire broke.
    Wire,
}

/// One run of a machine, and where what it makes goes.
pub(super) struct Run<'a> {
    /// Ciphertext for the wire, behind what waits already.
    pub(super) owed: &'a mut Buffer,
    pub(super) heard: &'a mut Heard,
    /// Whether plaintext came before the handshake was complete.
    pub(super) early: &'a mut bool,
    pub(super) failure: &'a mut Option<Failure>,
    /// Takes plaintext.
    pub(super) give: &'a mut dyn FnMut(&[u8]),
}

impl Run<'_> {
    /// Feeds `incoming` until the machine wants more; returns how much of it is of no more use.
    fn feed<M: Unbuffered>(&mut self, machine: &mut M, incoming: &mut [u8]) -> usize {
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state } = machine.process(&mut incoming[used..]);
            let goes_on = match state {
                Ok(state) => self.step(state).is_none(),
                Err(error) => {
                    self.failure.get_or_insert(Failure::Tls(error));
                    true
                }
            };
            used += discard;
            if !goes_on || self.is_over(machine) {
                return used;
            }
        }
    }

    /// Lets the machine make records of `words` in `out`; returns how long they are. None: it cannot, any
    /// more or yet. A machine that has a fragment of a message demands to see it in every run: `held` is what
    /// it has been fed and still needs.
    fn say<M: Unbuffered>(
        &mut self,
        machine: &mut M,
        words: Words<'_>,
        held: &mut Vec<u8>,
        out: &mut [u8],
    ) -> Option<usize> {
        let mut used = 0;
        loop {
            held.drain(..std::mem::take(&mut used));
            let UnbufferedStatus { discard, state } = machine.process(held);
            used = discard;
            match state {
                Ok(state) => match self.step(state) {
                    None => {}
                    Some(None) => return None,
                    Some(Some(mut traffic)) => {
                        let made = match words {
                            Words::Plain(plain) => traffic.encrypt(plain, out),
                            Words::End => traffic.queue_close_notify(out),
                        };
                        return made.ok();
                    }
                },
                Err(error) => _ = self.failure.get_or_insert(Failure::Tls(error)),
            }
            if self.is_over(machine) {
                return None;
            }
        }
    }

    /// Acts on one state of a machine. None: it has more to do. Some: the way to write, if it may write now.
    fn step<'c, D: Role>(
        &mut self,
        state: ConnectionState<'c, '_, D>,
    ) -> Option<Option<WriteTraffic<'c, D>>> {
        match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(Ok(record)) = traffic.next_record() {
                    (self.give)(record.payload);
                }
            }
            ConnectionState::ReadEarlyData(mut traffic) => {
                *self.early = true;
                D::early(&mut traffic, self.give);
            }
            ConnectionState::EncodeTlsData(mut message) => self.encode(&mut message),
            ConnectionState::TransmitTlsData(made) => made.done(),
            ConnectionState::PeerClosed => *self.heard = Heard::End,
            ConnectionState::WriteTraffic(traffic) => return Some(Some(traffic)),
            // Blocked for more of the handshake; or both have ended.
            _ => return Some(None),
        }
        None
    }

    fn encode<D>(&mut self, message: &mut EncodeTlsData<'_, D>) {
        let mut bytes = Vec::new();
        while let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
            message.encode(&mut bytes)
        {
            bytes.resize(required_size, 0);
        }
        self.owed.push(&bytes);
    }

    /// Whether the machine has failed and has no alert to send any more. What made it fail must not be shown
    /// to it again.
    fn is_over<M: Unbuffered>(&self, machine: &M) -> bool {
        self.failure.is_some() && !machine.common().wants_write()
    }
}

/// The words to be written.
#[derive(Clone, Copy)]
pub(super) enum Words<'a> {
    /// Plaintext.
    Plain(&'a [u8]),
    /// close_notify.
    End,
}

/// A machine of either side: ciphertext in, states out.
trait Unbuffered {
    type Role: Role;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Role>;

    fn common(&self) -> &CommonState;
}

impl Unbuffered for UnbufferedServerConnection {
    type Role = OfServer;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Role> {
        self.process_tls_records(incoming)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl Unbuffered for UnbufferedClientConnection {
    type Role = OfClient;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Role> {
        self.process_tls_records(incoming)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

/// The abilities that only one of the two sides has: early data comes to servers.
trait Role: Sized {
    fn early(traffic: &mut ReadEarlyData<'_, '_, Self>, give: &mut dyn FnMut(&[u8]));
}

impl Role for OfServer {
    fn early(traffic: &mut ReadEarlyData<'_, '_, Self>, give: &mut dyn FnMut(&[u8])) {
        while let Some(Ok(record)) = traffic.next_record() {
            give(record.payload);
        }
    }
}

impl Role for OfClient {
    fn early(_: &mut ReadEarlyData<'_, '_, Self>, _: &mut dyn FnMut(&[u8])) {}
}
