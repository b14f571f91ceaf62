//! Judging: what rules that people wrote say of a TLS client's first words, before its name is looked up.
//!
//! Must never read a hello where there is no rule for one.

use super::consulting::Named;
use super::{Scene, Session};
use crate::action::Action;
use crate::close::CloseReason;
use crate::http::facts::ExchangeFacts;
use crate::message::Span;
use crate::program::{End, Findings, Hello, Subject};
use crate::spec::ProgramKind;
use crate::wire::client_hello::{self, ClientHello, HelloParsed};

impl Session {
    /// Asks the rules of the listener about the hello that is held. Returns what is done before it is routed,
    /// if an analyzer is to be asked.
    pub(super) fn judge_hello(
        &mut self,
        held: &[u8],
        scene: Scene<'_>,
    ) -> Result<Option<Action>, CloseReason> {
        let listener = self.listener_of(scene.plan);
        if !listener.programs.judge_any(ProgramKind::Hello) {
            return Ok(None);
        }
        let held = held.get(self.flows[0].consumed as usize..).unwrap_or_default();
        let HelloParsed::Complete(hello) = client_hello::parse(held) else { return Ok(None) };
        let facts = ExchangeFacts {
            client: self.facts.client,
            local: self.facts.local,
            name: self.facts.name.as_deref().unwrap_or_default(),
            listener: &listener.name,
            ..ExchangeFacts::default()
        };
        let (alpn, ja4) = (offered(&hello), client_hello::ja4(held));
        let said = Hello { version: hello.version, alpn: &alpn, ja4: &ja4 };
        let subject = Subject { facts, message: None, hello: said, wall: scene.wall };
        let mut findings = self.findings.take().unwrap_or_default();
        listener.programs.judge(ProgramKind::Hello, &subject, &mut findings, scene.now);
        let word = word(&findings, scene);
        self.findings = Some(findings);
        match word? {
            Word::Pass => Ok(None),
            Word::Route(named) => {
                self.progress().named = Some(named);
                Ok(None)
            }
            Word::Consult(name) => {
                self.findings.get_or_insert_default().said.end = None;
                Ok(Some(self.call(name, scene)))
            }
        }
    }
}

/// The word of rules that do not refuse.
enum Word {
    Pass,
    Route(Named),
    Consult(Span),
}

/// Returns the names of the protocols offered, with commas between them.
fn offered(hello: &ClientHello) -> Vec<u8> {
    hello.alpn.iter().collect::<Vec<_>>().join(&b',')
}

/// Returns what rules say, or why they refuse.
fn word(findings: &Findings, scene: Scene<'_>) -> Result<Word, CloseReason> {
    match findings.said.end {
        _ if findings.said.failure.is_some() => Err(CloseReason::RuleFailed),
        None => Ok(Word::Pass),
        Some(End::Route { backend, server }) => {
            let named = Named::find(backend, server, findings, scene.plan);
            named.map(Word::Route).ok_or(CloseReason::RuleFailed)
        }
        Some(End::Consult { analyzer }) => Ok(Word::Consult(analyzer)),
        Some(End::Limited { .. }) => Err(CloseReason::RateLimited),
        Some(_) => Err(CloseReason::RuleRejected),
    }
}
