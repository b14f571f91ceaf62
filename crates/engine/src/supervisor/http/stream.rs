//! Stream: one exchange under way as the engine sees it: the Exchange that decides, the request as its server
//! gets it, and the bytes in between.
//!
//! The memory of a stream serves exchange after exchange, so that none of it is allocated per request.
//! Passive: must never decide or touch a socket.

use std::sync::Arc;

use headworks_core::action::Side;
use headworks_core::close::CloseReason;
use headworks_core::http::exchange::{Exchange, ExchangeEvent, Surroundings};
use headworks_core::listener::Listener;
use headworks_core::message::Head;
use headworks_core::pool::Backend;
use headworks_core::wire::body::Body;
use headworks_core::wire::http1::{self, Limits, Parsed};

use super::Step;
use crate::consult::{Asked, Desk};
use crate::deployment::LocalPlan;
use crate::io::{BodyForm, Lane};
use crate::tools::{Tools, wall};

/// One exchange under way.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The Plan in force when it began.
    pub(crate) plan: LocalPlan,
    /// Index of its listener in the Plan.
    pub(crate) listener: u32,
    /// Place of the client that asked.
    pub(crate) client: usize,
    /// Place of the server's connection, while there is one.
    pub(crate) server: Option<usize>,
    /// The work on the exchange.
    pub(crate) work: Box<Work>,
}

/// The part of a stream that is used again for the next: what decides, and the bytes of both messages.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Decides.
    pub(crate) exchange: Exchange,
    /// The request as the server gets it: its head, and the body that came with it.
    pub(crate) request: Vec<u8>,
    /// How much of that the server's socket has taken.
    pub(crate) sent: usize,
    /// Bytes that wait in each direction, by the side that sends.
    pub(crate) lanes: [Lane; 2],
    /// The form of the response's body.
    pub(crate) form: BodyForm,
    /// The form of the request's body.
    pub(crate) request_form: BodyForm,
    /// Bytes of requests and responses, heads included, by the side that sends.
    pub(crate) counted: [u64; 2],
    /// Length of the PROXY header before the request.
    pub(crate) announced: usize,
    /// The questions about it; None while nobody was asked.
    pub(crate) consulted: Option<Box<Consulted>>,
}

/// The questions that were asked about one exchange.
#[derive(Debug, Default)]
pub(crate) struct Consulted {
    /// Id among the exchanges that analyzers are asked about.
    pub(crate) id: u64,
    /// The question about a head that is waited for.
    pub(crate) asked: Option<Asked>,
    /// The questions about bodies, by the side that sends them.
    pub(crate) held: [Option<Asked>; 2],
    /// The desk that is told of the end.
    pub(crate) told: Option<Arc<Desk>>,
}

/// The end of a part of a stream's step: Err is an event that its Exchange is told.
pub(super) type Part = Result<Step, ExchangeEvent<'static>>;

/// Capacity that spare work keeps for the next request.
const MODEST: usize = 8 * 1024;

impl Stream {
    /// Returns the listener that its client came by.
    pub(crate) fn owner(&self) -> &Listener {
        &self.plan.listeners[self.listener as usize]
    }

    /// Returns the backend that it was routed to.
    pub(crate) fn backend(&self) -> Option<&Backend> {
        let index = self.work.exchange.attempts().backend()?;
        Some(&self.plan.backends[index as usize])
    }

    /// Returns what surrounds a call of its exchange.
    #[inline]
    pub(crate) fn around(&self, tools: &Tools) -> Surroundings<'_> {
        surroundings(&self.plan, self.listener, tools)
    }
}

/// Returns what surrounds a call of an exchange, with nobody waiting for a place.
#[inline]
pub(crate) fn surroundings<'p>(plan: &'p LocalPlan, listener: u32, tools: &Tools) -> Surroundings<'p> {
    Surroundings {
        plan,
        listener: &plan.listeners[listener as usize],
        now: tools.now,
        random: 0,
        shard: tools.shard,
        wall: wall(plan),
        others_wait: false,
    }
}

impl Work {
    /// Makes it ready for another exchange, in place and with modest memory only. Its pipes must have been
    /// given back.
    pub(crate) fn clear(&mut self) {
        let Self { exchange, request, sent, lanes, form, request_form, counted, announced, consulted } = self;
        exchange.clear();
        request.clear();
        if request.capacity() > MODEST {
            request.shrink_to(MODEST);
        }
        *lanes = Default::default();
        for form in [form, request_form] {
            if !matches!(form, BodyForm::Same) {
                *form = BodyForm::Same;
            }
        }
        if consulted.is_some() {
            *consulted = None;
        }
        (*sent, *counted, *announced) = (0, [0; 2], 0);
    }

    /// Appends the content of the body that is held behind the head of the request.
    pub(crate) fn write_body(&self, limits: &Limits, out: &mut Vec<u8>) {
        let mut head = Head::default();
        if http1::request(&self.request, limits, &mut head) == Parsed::Complete {
            let mut body = Body::new(head.framing, limits);
            // It was sound when it came.
            let _ = body.decode(&self.request[head.length..], &mut |part| out.extend_from_slice(part));
        }
    }

    /// Whether the server's socket has taken all of the request that came. What of it is not sent, a server
    /// that answered early would read from its next request.
    pub(crate) fn is_sent(&self) -> bool {
        let passed = self.request_form.is_over(&self.exchange.request) || !self.exchange.is_asked();
        self.sent == self.request.len() && self.lanes[Side::Client as usize].waiting() == 0 && passed
    }

    /// Whether the client got some of a response and not all.
    pub(crate) fn is_cut_short(&self) -> bool {
        let undelivered = self.lanes[Side::Server as usize].waiting() > 0;
        self.exchange.is_answered() && (undelivered || !self.exchange.response.is_done())
    }
}

/// Whether a stream that ended for `reason` leaves its server's connection broken off: in a tunnel nothing
/// but its end says whether what went through it was all.
pub(super) fn breaks_off(reason: CloseReason) -> bool {
    matches!(reason, CloseReason::ClientReset | CloseReason::ClientTruncated)
}
