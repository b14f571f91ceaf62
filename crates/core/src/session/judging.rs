//! Judging: what rules that people wrote say of a TLS client's first words, before its name is looked up.
//!
//! Must never read a hello where there is no rule for one.

use super::words::ConnectionWord;
use super::{Scene, Session};
use crate::action::Action;
use crate::close::CloseReason;
use crate::http::facts::ExchangeFacts;
use crate::program::{Hello, Subject};
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
        let word = ConnectionWord::of_rules(&mut findings, scene.plan);
        self.findings = Some(findings);
        match word {
            ConnectionWord::Pass => Ok(None),
            ConnectionWord::Route(named) => {
                self.progress().named = Some(named);
                Ok(None)
            }
            ConnectionWord::Consult(name) => Ok(Some(self.call(name, scene))),
            ConnectionWord::Refuse(reason) => Err(reason),
        }
    }
}

/// Returns the names of the protocols offered, with commas between them.
fn offered(hello: &ClientHello) -> Vec<u8> {
    hello.alpn.iter().collect::<Vec<_>>().join(&b',')
}
