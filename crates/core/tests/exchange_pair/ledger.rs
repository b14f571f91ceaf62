//! Ledger: what was promised of one exchange, checked at every event against what it answered.

use headworks_core::close::CloseReason;
use headworks_core::http::exchange::{Exchange, ExchangeAction, ExchangeEvent, ExchangeState};
use headworks_core::message::Version;

/// What has happened in one exchange.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Bytes of the request were taken by a connection.
    pub(crate) taken: bool,
    /// Bytes of its body were passed on that are not at hand any more.
    pub(crate) streamed: bool,
    /// All of the request was read, as far as the script knows.
    pub(crate) asked: bool,
    /// All of the response was read, as far as the script knows.
    pub(crate) answered: bool,
    /// Identities of the servers chosen, in order.
    pub(crate) chosen: Vec<u64>,
    interim: usize,
    /// Final heads: of a server, or of our own.
    heads: usize,
    /// A kept connection was lost: those that are as old are not to be trusted.
    stale: bool,
    /// The server takes no more of the request.
    deaf: bool,
    /// A rule made the answer.
    said: bool,
    finished: bool,
    told: Option<CloseReason>,
}

impl Ledger {
    /// Checks what an event was answered with. `retries`: those that the backend allows.
    pub(crate) fn check(
        &mut self,
        event: &ExchangeEvent<'_>,
        exchange: &Exchange,
        action: ExchangeAction,
        retries: usize,
    ) {
        if matches!(event, ExchangeEvent::Replied) && action == ExchangeAction::Wait {
            self.heads += 1;
            assert_eq!(self.heads, 1, "a head after another one");
        }
        match action {
            ExchangeAction::Listen => self.deaf = true,
            ExchangeAction::Connect { fresh } => {
                self.connects(event, exchange, fresh);
                assert!(self.chosen.len() <= retries + 1, "more retries than configured");
            }
            ExchangeAction::PassInterim => {
                self.interim += 1;
                assert!(self.heads == 0 && exchange.version() == Version::Http11, "out of place");
            }
            ExchangeAction::Skip => assert_eq!(exchange.version(), Version::Http10),
            ExchangeAction::Reply { .. } => assert_eq!(self.heads, 0, "a second response"),
            ExchangeAction::Answer(_) | ExchangeAction::Say | ExchangeAction::Refuse(_) => {
                self.tells(event, exchange, action);
            }
            ExchangeAction::FinishServer | ExchangeAction::FinishClient => self.finishes(exchange),
            ExchangeAction::Finish { keep } => {
                assert_eq!(self.heads, 1, "finished without a response");
                assert!(!keep || self.asked, "a client is kept that has not said all");
                let own = self.told.is_some() || self.said || self.chosen.is_empty();
                assert!(own || self.answered, "finished before the response was whole");
            }
            ExchangeAction::Write(_)
            | ExchangeAction::Line
            | ExchangeAction::Ask
            | ExchangeAction::Resolve => {
                assert_eq!(self.heads, 0, "answered already");
            }
            ExchangeAction::Consult(_) | ExchangeAction::Collect | ExchangeAction::Reread => {
                assert_eq!(self.heads, 0, "asked after an answer");
                assert!(!exchange.is_answered(), "asked about what was passed on");
            }
            ExchangeAction::Wait | ExchangeAction::PassOn(_) | ExchangeAction::Abort(_) => {}
        }
        assert!(!exchange.attempts().has_place() || self.told.is_none(), "a place for a refused request");
    }

    fn connects(&mut self, event: &ExchangeEvent<'_>, exchange: &Exchange, fresh: bool) {
        assert_eq!((self.heads, self.interim), (0, 0), "repeated after an answer");
        assert!(!self.streamed, "repeated without all of its body");
        assert!(!self.taken || exchange.method().is_idempotent(), "repeated, and may not be");
        assert!(exchange.attempts().has_place(), "no place was taken");
        self.deaf = false;
        let server = exchange.server().unwrap().identity;
        self.stale |= matches!(event, ExchangeEvent::Lost(lost) if lost.kept);
        assert_eq!(fresh, self.stale, "kept connections are tried until one was lost");
        if matches!(event, ExchangeEvent::Lost(lost) if lost.kept) {
            assert_eq!(self.chosen.last(), Some(&server), "the same server by a fresh connection");
            return;
        }
        assert!(!self.chosen.contains(&server), "tried before");
        self.chosen.push(server);
    }

    fn tells(&mut self, event: &ExchangeEvent<'_>, exchange: &Exchange, action: ExchangeAction) {
        self.heads += 1;
        assert_eq!(self.heads, 1, "told after a response has begun");
        assert!(exchange.state() == ExchangeState::Told && exchange.status() != 0);
        self.said = action == ExchangeAction::Say;
        if let ExchangeAction::Refuse(reason) = action {
            self.told = Some(reason);
            assert_eq!(reason.status(), Some(exchange.status()));
        }
        let timely = matches!(event, ExchangeEvent::Expired | ExchangeEvent::RequestPassed(_));
        let blamed = action == ExchangeAction::Refuse(CloseReason::BodyTimeout);
        assert!(!blamed || timely && !self.deaf, "the client is blamed for its server");
    }

    fn finishes(&mut self, exchange: &Exchange) {
        assert!(
            exchange.is_tunnel() && !self.finished,
            "of a tunnel one side is told, the other one ends it"
        );
        self.finished = true;
    }

    /// Checks the end, with the reason given and the one recorded.
    pub(crate) fn ends(&self, exchange: &mut Exchange, given: CloseReason, recorded: CloseReason) {
        assert_eq!(recorded, self.told.unwrap_or(given), "the first reason stays");
        assert_eq!(exchange.state(), ExchangeState::Over);
        assert!(!exchange.attempts().has_place(), "a place was kept");
        assert_eq!(exchange.end(CloseReason::Drained), recorded, "another end");
        assert_eq!(exchange.retries(), self.chosen.len().saturating_sub(1), "retries");
    }
}
