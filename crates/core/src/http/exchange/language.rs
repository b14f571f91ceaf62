//! The language between an Exchange and the engine: Events in, Actions out, and what surrounds a call.
//!
//! Must never carry sockets, owned bytes or engine types.

use super::state::Consultation;
use crate::action::Side;
use crate::close::{CloseReason, ConsultFault, Fault};
use crate::consult::{Advice, ConsultantIndex};
use crate::http::coding::Coding;
use crate::http::facts::ClientFacts;
use crate::listener::Listener;
use crate::message::Message;
use crate::names::{Resolution, Unresolved};
use crate::plan::Plan;
use crate::table::{AnswerIndex, BackendIndex};
use crate::time::Millis;

/// The surroundings of one call: the Plan in force for the exchange, and what only the engine can know.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The Plan in force when the exchange began.
    pub plan: &'a Plan,
    /// The listener that its client came by.
    pub listener: &'a Listener,
    /// The engine's clock.
    pub now: Millis,
    /// A fresh random number.
    pub random: u64,
    /// Number of the worker, for its counters.
    pub shard: usize,
    /// Seconds since 1970; 0 where no rule of the Plan takes the time of day.
    pub wall: u64,
    /// Others wait already for a place at the backend of this exchange.
    pub others_wait: bool,
}

/// An event in the life of an exchange.
#[derive(Debug, Clone, Copy)]
pub enum ExchangeEvent<'a> {
    /// The name that the client asks for was resolved, or could not be.
    Resolved(Result<&'a Resolution, Unresolved>),
    /// The head of the request is complete, and as much of its body as had come was counted.
    Asked(&'a Incoming<'a>),
    /// The connection has no request to answer: one that cannot be read, or is not to be waited for.
    Unreadable(CloseReason),
    /// An analyzer has answered.
    Advised(&'a Advice),
    /// An analyzer cannot be asked.
    Unadvised(ConsultFault),
    /// A part of the body from this side is held until an analyzer has answered.
    BodyHeld(Side, ConsultantIndex),
    /// An analyzer has answered about a part of the body from this side.
    BodyAdvised(Side, &'a Advice),
    /// There is no answer about a part of the body from this side.
    BodyUnadvised(Side, ConsultFault),
    /// The request is written as its server gets it.
    Written,
    /// The request would be larger than servers may be sent.
    Overflown,
    /// There may be a place at a server now: the turn of this exchange has come.
    Called,
    /// The line is full: as many wait for a place as may.
    LineFull,
    /// A server's connection stands: a new one, or one that was kept.
    Connected {
        /// The connection has served another exchange before.
        kept: bool,
    },
    /// A server cannot be connected to.
    ConnectFailed(Fault),
    /// Bytes of the request were passed on, as far as they went.
    RequestPassed(Passage),
    /// Bytes of the response were passed on, as far as they went.
    ResponsePassed(Passage),
    /// The head of a response is complete.
    Answered(Message<'a>),
    /// The server sent bytes that are no response.
    Garbled,
    /// The head of the final response is written as the client gets it.
    Replied,
    /// The head of the final response cannot be written, or the body does not begin as it must.
    Spoiled,
    /// The server's connection broke or ended before the head of a response.
    Lost(Lost),
    /// The client has left.
    Left {
        /// The client left by a reset, not by an end.
        broken: bool,
    },
    /// The current deadline (see [`ExchangeWait`](super::ExchangeWait)) has passed.
    Expired,
}

/// A request that was read, and who asks.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The request's head.
    pub message: Message<'a>,
    /// Facts about the client.
    pub client: &'a ClientFacts<'a>,
    /// Reason for which the client may not be served at all.
    pub turned_away: Option<CloseReason>,
}

/// The result of passing bytes of a message on.
#[derive(Debug, Clone, Copy)]
pub struct Passage {
    /// Bytes of the body that were read from their sender.
    pub read: u64,
    /// Bytes moved, whether they had been read now or before.
    pub moved: bool,
    /// Reason for which it stopped.
    pub stopped: Stopped,
}

/// Reason for which the passing on of a message's body stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The sender has nothing more now.
    Dry,
    /// The receiver takes no more now.
    Full,
    /// A part of it is to be shown to an analyzer.
    Held,
    /// The message had its turn; more may be there.
    Unfinished,
    /// The whole message is delivered.
    Done,
    /// The sender ended before its body did.
    Cut,
    /// The sender's framing is malformed.
    Malformed,
    /// The body is larger than it may be: what went beyond was not passed on.
    TooLarge,
    /// The sender's connection is broken.
    SourceBroken {
        /// The connection lacks the close_notify that ends TLS.
        truncated: bool,
    },
    /// The receiver's connection is broken.
    SinkBroken,
}

/// A server's connection that was lost before a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The connection had served another exchange before.
    pub kept: bool,
    /// Some byte of the request was taken by its socket.
    pub begun: bool,
}

/// The engine's next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeAction {
    /// Do nothing until the next event.
    Wait,
    /// Resolve the name that the client asks for, as [`AskedFor`](crate::pool::AskedFor) of its backend
    /// has it.
    Resolve,
    /// Hold the head that was just read, and ask an analyzer.
    Consult(Consultation),
    /// Hold the body of the request, too, until all of it has come or it is longer than
    /// [`Exchange::collects`](super::Exchange::collects).
    Collect,
    /// The part of the body from this side that an analyzer was asked about goes on as it is.
    PassOn(Side),
    /// Read the head that is held once more, and tell of it as before.
    Reread,
    /// Write the request as the servers of this backend get it.
    Write(BackendIndex),
    /// Stand in line for a place at a server.
    Line,
    /// Take a kept connection to the server chosen, or open one.
    Connect {
        /// Only a new connection will do.
        fresh: bool,
    },
    /// Pass the request on, and listen for a response.
    Ask,
    /// The server takes no more of the request: listen for what it said before.
    Listen,
    /// Pass this informational response on.
    PassInterim,
    /// Leave this informational response out: the client is too old for it.
    Skip,
    /// Write the final head to the client, and pass on the body.
    Reply {
        /// Coding that the body is compressed in, if a compressor can be had.
        compress: Option<Coding>,
    },
    /// Give the answer that the configuration has.
    Answer(AnswerIndex),
    /// Give the answer that a rule has made.
    Say,
    /// Say why there is no response.
    Refuse(CloseReason),
    /// End our sending to the server; it may go on (a tunnel).
    FinishServer,
    /// End our sending to the client; it may go on (a tunnel).
    FinishClient,
    /// The response is delivered: the exchange is over.
    Finish {
        /// The client's connection serves for another exchange.
        keep: bool,
    },
    /// The exchange is over, and its client's connection with it.
    Abort(CloseReason),
}
