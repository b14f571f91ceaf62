//! A connection that has not come: who is asked when it has connected and about its ClientHello, and where
//! it goes.
//!
//! Takes the steps of a [`Greeting`] and of a [`Session`](crate::session::Session), in their order. Must
//! never take a step that they do not take.

use std::net::SocketAddr;

use super::request::Request;
use super::{Asked, Explanation, WantedAnswer, explain_kind, explain_name};
use crate::analyze::{Facts, KindFound};
use crate::close::CloseReason;
use crate::consult::{ConsultantIndex, ConsultantSet, Consultants, Foretold, Word};
use crate::http::facts::ExchangeFacts;
use crate::http::rules::{Decision, Foreseen};
use crate::listener::{self, Listener};
use crate::message::Span;
use crate::plan::{ListenerView, Plan, Routed};
use crate::program::{Findings, Subject};
use crate::session::{ConnectionWord, Greeted, Greeting, Named};
use crate::spec::{Hook, ProgramKind};
use crate::spoken::Spoken;
use crate::table::Target;
use crate::wire::kind::Mark;

/// A connection on its way to a server.
struct Way<'a> {
    plan: &'a Plan,
    listener: &'a Listener,
    asked: &'a Asked,
    foretold: &'a mut Foretold,
    told: &'a mut Explanation,
    findings: Findings,
    bypassed: ConsultantSet,
    calls: ConsultantSet,
    /// The facts that say what it can be asked about.
    facts: Facts,
    /// The way of its kind, or of its listener.
    way: listener::Way,
    /// The way that a rule or an analyzer has named.
    named: Option<Named>,
}

/// A way that ends before its end.
enum Stop {
    /// The client is refused.
    Refused(CloseReason),
    /// An answer is wanted first.
    Wanted(ConsultantIndex),
}

impl From<CloseReason> for Stop {
    fn from(reason: CloseReason) -> Self {
        Self::Refused(reason)
    }
}

impl Plan {
    /// Returns where the client goes as a connection; None where it makes requests. The identity of a server
    /// that was named is left in the request.
    pub(super) fn explain_connection(
        &self,
        listener: &Listener,
        asked: &Asked,
        request: &mut Request,
        told: &mut Explanation,
    ) -> Result<Option<Decision>, CloseReason> {
        let mut way = Way {
            plan: self,
            listener,
            asked,
            foretold: &mut request.foretold,
            told,
            findings: Findings::default(),
            bypassed: ConsultantSet::default(),
            calls: ConsultantSet::default(),
            facts: Facts::default(),
            way: listener.way(None),
            named: None,
        };
        let gone = way.go();
        request.server = way.named.and_then(|named| named.server);
        match gone {
            Ok(target) => Ok(target.map(Decision::Go)),
            Err(Stop::Refused(reason)) => Err(reason),
            Err(Stop::Wanted(index)) => Ok(Some(Decision::Consult(index))),
        }
    }
}

impl Way<'_> {
    /// Goes the way. None: it ends here, and requests go on.
    fn go(&mut self) -> Result<Option<Target>, Stop> {
        let Self { plan, listener, asked, .. } = *self;
        // Who is denied is turned away before anybody is asked.
        if asked.client.is_none() || listener.admits(asked.client) {
            self.greet()?;
        }
        let passed = plan.explain_handshake(listener, asked, self.told)?;
        if passed.is_none() && listener.protocol.exchanges() {
            return Ok(None);
        }
        plan.explain_admission(listener, asked.client, self.told)?;
        let kind = explain_kind(listener, asked, self.told);
        self.way = listener.way(kind);
        self.facts = Facts { kind, spoken: spoken(listener, kind), ..Facts::default() };
        if passed.is_none() {
            self.told.name = explain_name(listener, kind, asked, self.told)?;
        }
        self.tell(&listener.consultants, Hook::FirstBytes);
        // Where TLS ends at us nobody but us has seen the hello.
        if passed.is_some() || listener.tls.is_none() {
            self.ask_rules()?;
        }
        self.ask(&listener.consultants)?;
        let entry = self.look_up(passed.as_ref())?;
        let found = entry.target;
        if let Some(analyzers) = entry.entry.and_then(|entry| plan.entry_analyzers(self.way.route, entry)) {
            self.tell(analyzers, Hook::FirstBytes);
            self.ask(analyzers)?;
        }
        if let Target::Backend(index) = found {
            let analyzers = &plan.backends[index as usize].consultants;
            self.tell(analyzers, Hook::FirstBytes);
            self.ask(analyzers)?;
        }
        Ok(Some(self.named.map_or(found, |named| Target::Backend(named.backend))))
    }

    /// Asks those who are asked before anything is read.
    fn greet(&mut self) -> Result<(), Stop> {
        let Some((number, _)) = self.plan.listener(&self.listener.name) else { return Ok(()) };
        let mut greeting = Greeting::default();
        let mut greeted = greeting.begin(self.plan, number);
        loop {
            match greeted {
                Greeted::Enter => break,
                Greeted::Refuse(reason) => return Err(Stop::Refused(reason)),
                Greeted::Ask(index) => {
                    greeted = match self.word(index, Hook::Accepted) {
                        Word::Told(advice) => greeting.advised(&advice, self.plan, number, 0),
                        Word::Wanted => return Err(Stop::Wanted(index)),
                        Word::Untold => greeting.pass(self.plan, number),
                    };
                }
            }
        }
        (self.named, self.bypassed) = (greeting.named, greeting.bypassed);
        Ok(())
    }

    /// Returns the word of an analyzer, and says that it was asked, or would be.
    fn word(&mut self, index: ConsultantIndex, hook: Hook) -> Word {
        let who = &self.plan.consultants[usize::from(index)];
        let word = self.foretold.take();
        match word {
            Word::Untold => self.told.steps.push(who.tell(hook)),
            Word::Told(_) => self.told.steps.push(format!("analyzer {} was asked", who.name)),
            Word::Wanted => self.told.wanted = Some(WantedAnswer::of(who, hook)),
        }
        word
    }

    /// Says who would be asked about bytes, which an explanation does not have.
    fn tell(&mut self, list: &Consultants, hook: Hook) {
        if !self.facts.may_be_asked(hook, self.listener.protocol.kinds()) {
            return;
        }
        for index in list.at(hook) {
            self.told.steps.push(self.plan.consultants[usize::from(*index)].tell(hook));
        }
    }

    /// Asks the rules of the listener about the hello, and the analyzers that they have asked.
    fn ask_rules(&mut self) -> Result<(), Stop> {
        let programs = &self.listener.programs;
        self.findings.begin_list();
        loop {
            let name = self.told.name.clone().unwrap_or_default();
            let facts = ExchangeFacts {
                client: self.asked.client.map(|client| SocketAddr::new(client, 0)),
                name: &name,
                listener: &self.listener.name,
                ..ExchangeFacts::default()
            };
            let subject = Subject { facts, wall: self.asked.time, ..Subject::default() };
            let steps = programs.explain(ProgramKind::Hello, &subject, &mut self.findings);
            self.told.steps.extend(steps);
            match ConnectionWord::of_rules(&mut self.findings, self.plan) {
                ConnectionWord::Pass => return Ok(()),
                ConnectionWord::Route(named) => {
                    self.named = Some(named);
                    return Ok(());
                }
                // The rules behind the one that had it asked go on.
                ConnectionWord::Consult(name) => {
                    let called = self.called(name)?;
                    self.consult(called)?;
                }
                ConnectionWord::Refuse(reason) => return Err(Stop::Refused(reason)),
            }
        }
    }

    /// Asks those of a list about the hello.
    fn ask(&mut self, list: &Consultants) -> Result<(), Stop> {
        if !self.facts.may_be_asked(Hook::Hello, self.listener.protocol.kinds()) {
            return Ok(());
        }
        for index in list.at(Hook::Hello) {
            if !self.bypassed.has(*index) {
                self.consult(*index)?;
            }
        }
        Ok(())
    }

    /// Takes the answer of an analyzer about the hello, and of those that are called in its place.
    fn consult(&mut self, first: ConsultantIndex) -> Result<(), Stop> {
        let mut index = first;
        loop {
            let advice = match self.word(index, Hook::Hello) {
                Word::Told(advice) => advice,
                Word::Wanted => return Err(Stop::Wanted(index)),
                Word::Untold => return Ok(()),
            };
            if advice.bypass {
                self.bypassed.add(index);
            }
            let who = &self.plan.consultants[usize::from(index)];
            match ConnectionWord::of_analyzer(&advice, who, &mut self.findings, self.plan, 0) {
                Ok(ConnectionWord::Pass) => return Ok(()),
                Ok(ConnectionWord::Route(named)) => {
                    self.named = Some(named);
                    return Ok(());
                }
                Ok(ConnectionWord::Consult(name)) => index = self.called(name)?,
                Ok(ConnectionWord::Refuse(reason)) => return Err(Stop::Refused(reason)),
                Err(fault) => return Ok(who.miss(fault, &mut None)?),
            }
        }
    }

    /// Returns the analyzer that is called by its name; each is called once.
    fn called(&mut self, name: Span) -> Result<ConsultantIndex, Stop> {
        let index = self.plan.consultant_named(self.findings.text(name));
        let index = index.filter(|index| !self.calls.has(*index)).ok_or(CloseReason::AnalyzerFailed)?;
        self.calls.add(index);
        Ok(index)
    }

    /// Returns where the table or the listener leads, unless somebody has named a backend.
    fn look_up(&mut self, passed: Option<&Routed>) -> Result<Routed, CloseReason> {
        if let Some(named) = self.named {
            self.told
                .steps
                .push("a rule or an analyzer says where it goes: no table is consulted".to_owned());
            return Ok(Routed { target: Target::Backend(named.backend), entry: None });
        }
        if let Some(Routed { target, .. }) = passed {
            // The entries of what is passed through are another table's, which has no analyzers.
            return Ok(Routed { target: *target, entry: None });
        }
        let (name, mut foreseen) = (self.told.name.as_deref(), Foreseen::default());
        let view = ListenerView { plan: self.plan, listener: self.listener };
        let offered = self.asked.offered();
        view.tell_way(self.way, name, &offered, &mut foreseen);
        let routed = self.plan.route(self.way, name, &offered);
        self.told.take(foreseen);
        Ok(routed?)
    }
}

/// Returns what a client of this kind speaks, as far as that changes what is asked about it.
fn spoken(listener: &Listener, kind: Option<KindFound>) -> Option<Spoken> {
    let protocol = listener.protocol;
    match kind.and_then(|kind| listener.kinds.get(kind)).map(|kind| &kind.mark) {
        Some(Mark::Tls) => Some(Spoken::Tls),
        Some(Mark::Http) => Some(Spoken::Http1),
        Some(_) => None,
        // Of those that give a name, who passes on no TLS passes on requests.
        None => {
            (protocol.names() && !protocol.passes_tls() && listener.tls.is_none()).then_some(Spoken::Http1)
        }
    }
}
