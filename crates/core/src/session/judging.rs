//! Judging: what rules that people wrote say of a TLS client's first words, before its name is looked up.
//!
//! Must never read a hello where there is no rule for one.

use super::{Scene, Session};
use crate::close::CloseReason;
use crate::http::facts::ExchangeFacts;
use crate::program::{End, Findings, Hello, Subject};
use crate::spec::ProgramKind;
use crate::table::BackendIndex;
use crate::wire::client_hello::{self, ClientHello, HelloParsed};

impl Session {
    /// Asks the rules of the listener about the hello that is held. Returns the backend that they name, if
    /// they do.
    pub(super) fn judge_hello(
        &mut self,
        held: &[u8],
        scene: Scene<'_>,
    ) -> Result<Option<BackendIndex>, CloseReason> {
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
        let mut findings = Box::<Findings>::default();
        listener.programs.judge(ProgramKind::Hello, &subject, &mut findings, scene.now);
        let word = word(&findings, scene);
        self.findings = Some(findings);
        word
    }
}

/// Returns the names of the protocols offered, with commas between them.
fn offered(hello: &ClientHello) -> Vec<u8> {
    hello.alpn.iter().collect::<Vec<_>>().join(&b',')
}

/// Returns the backend that rules name, or why they refuse.
fn word(findings: &Findings, scene: Scene<'_>) -> Result<Option<BackendIndex>, CloseReason> {
    match findings.said.end {
        _ if findings.said.failure.is_some() => Err(CloseReason::RuleFailed),
        None => Ok(None),
        Some(End::Route { backend, .. }) => {
            let named = scene.plan.backend_named(findings.text(backend));
            named.map(Some).ok_or(CloseReason::RuleFailed)
        }
        Some(End::Limited { .. }) => Err(CloseReason::RateLimited),
        Some(_) => Err(CloseReason::RuleRejected),
    }
}
