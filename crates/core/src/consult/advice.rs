//! Advice: an analyzer's answer: what a rule could say, and what only bodies and waits know.
//!
//! What a rule could say becomes Findings, so that ways, answers, rewrites and records are written once. Must
//! never trust it: names, values, paths and hosts are held to what rules are held to.

use super::{Consultant, RateKind};
use crate::close::ConsultFault;
use crate::http::names::is_token;
use crate::message::Span;
use crate::program::{Edit, EditKind, End, Failure, Findings, LogField};
use crate::time::Millis;

/// An analyzer's answer. The default has nothing against what it was asked about.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The parts that a rule could say, in order.
    pub parts: Vec<AdvicePart>,
    /// The analyzer is not asked again on this connection or exchange.
    pub bypass: bool,
    /// The bytes that must be held before it is asked again.
    pub need: Option<u32>,
    /// The bytes that the request's body may have, with all of which it is asked again.
    pub read_body: Option<u64>,
    /// The fate of the part of a body that it was asked about.
    pub body: BodyWord,
    /// The body ends here.
    pub finish: bool,
    /// There is no answer.
    pub fault: Option<ConsultFault>,
}

/// The fate of a part of a body.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum BodyWord {
    /// The part goes on as it is.
    #[default]
    Pass,
    /// Other bytes go on in its place.
    Replace(Vec<u8>),
    /// Nothing of it goes on.
    Drop,
}

/// A part of an answer that a rule could say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the part of a verdict that it is called after")]
pub enum AdvicePart {
    Log { key: Box<str>, value: Box<[u8]> },
    Edit { kind: EditKind, name: Box<str>, value: Box<[u8]> },
    Path(Box<[u8]>),
    Host(Box<[u8]>),
    Query(Box<[u8]>),
    Limit { kind: RateKind, key: Box<[u8]> },
    Route { backend: Box<str>, server: Option<Box<str>> },
    Respond { status: u16, body: Box<[u8]>, fields: Vec<AdviceField> },
    Redirect { to: Box<[u8]>, code: u16 },
    Reject { reason: Box<[u8]> },
    Consult { analyzer: Box<str> },
}

/// A field of an answer of our own: its name and its value.
pub type AdviceField = (Box<str>, Box<[u8]>);

impl Advice {
    /// Makes the answer of one that has failed.
    pub fn failed(fault: ConsultFault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// Notes it as the word of `who`, or says why there is none.
    pub fn settle(&self, who: &Consultant, findings: &mut Findings, now: Millis) -> Result<(), ConsultFault> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.say(who, findings, now).map_err(|_| ConsultFault::Verdict),
        }
    }

    /// Notes what a rule could say, as the word of `who`. Nothing is noted of an answer that has a part which
    /// cannot be meant.
    pub fn say(&self, who: &Consultant, findings: &mut Findings, now: Millis) -> Result<(), Failure> {
        if self.parts.iter().any(|part| !part.is_sound()) {
            return Err(Failure::Value);
        }
        let mut end = None;
        for part in &self.parts {
            let said = part.say(who, findings, now);
            // A limit that is exceeded goes before every way.
            end = said.filter(|said| end.is_none() || matches!(said, End::Limited { .. })).or(end);
        }
        findings.said.end = end;
        Ok(())
    }
}

impl AdvicePart {
    /// Whether it can be written.
    fn is_sound(&self) -> bool {
        match self {
            Self::Edit { name, value, .. } => is_token(name.as_bytes()) && is_value(value),
            Self::Path(path) => Findings::may_be_path(path),
            Self::Host(host) => Findings::may_be_host(host),
            Self::Query(query) => Findings::may_be_query(query),
            Self::Respond { status, fields, .. } => {
                let sound = |(name, value): &AdviceField| is_token(name.as_bytes()) && is_value(value);
                (200..=599).contains(status) && fields.iter().all(sound)
            }
            Self::Redirect { to, code } => is_value(to) && matches!(code, 301 | 302 | 303 | 307 | 308),
            Self::Limit { kind, .. } => kind.is_sound(),
            Self::Log { .. } | Self::Route { .. } | Self::Reject { .. } | Self::Consult { .. } => true,
        }
    }

    fn say(&self, who: &Consultant, findings: &mut Findings, now: Millis) -> Option<End> {
        let Findings { scratch, said, .. } = findings;
        match self {
            Self::Log { key, value } => {
                let (key, value) = (scratch.store(key.as_bytes()), scratch.store(value));
                said.log.push(LogField { key, value });
            }
            Self::Edit { kind, name, value } => {
                let (name, value) = (scratch.store(name.as_bytes()), scratch.store(value));
                said.edits.push(Edit { kind: *kind, name, value });
            }
            Self::Path(path) => said.path = Some(scratch.store(path)),
            Self::Host(host) => said.host = Some(scratch.store(host)),
            Self::Query(query) => said.query = Some(scratch.store(query)),
            Self::Limit { kind, key } => {
                return who.admit(*kind, key, now).err().map(|retry_after| End::Limited { retry_after });
            }
            Self::Route { backend, server } => {
                let server = server.as_ref().map(|server| scratch.store(server.as_bytes()));
                return Some(End::Route { backend: scratch.store(backend.as_bytes()), server });
            }
            Self::Respond { status, body, fields } => {
                let kept: Vec<(Span, Span)> = fields
                    .iter()
                    .map(|(name, value)| (scratch.store(name.as_bytes()), scratch.store(value)))
                    .collect();
                said.answer.extend(kept);
                return Some(End::Respond { status: *status, body: scratch.store(body) });
            }
            Self::Redirect { to, code } => {
                return Some(End::Redirect { to: scratch.store(to), code: *code });
            }
            Self::Reject { reason } => return Some(End::Reject { reason: scratch.store(reason) }),
            Self::Consult { analyzer } => {
                return Some(End::Consult { analyzer: scratch.store(analyzer.as_bytes()) });
            }
        }
        None
    }
}

/// Whether the bytes may stand as the value of a field (RFC 9110, section 5.5).
fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{AnalyzerSpec, OnFailure};

    fn who() -> Consultant {
        let spec = AnalyzerSpec {
            version: String::new(),
            deadline: 50,
            on_failure: OnFailure::Reject,
            waiting: 1,
            hooks: Vec::new(),
        };
        Consultant::new("tenants", &spec)
    }

    fn said(parts: Vec<AdvicePart>) -> Result<Findings, Failure> {
        let (advice, mut findings) = (Advice { parts, ..Advice::default() }, Findings::default());
        advice.say(&who(), &mut findings, 0).map(|()| findings)
    }

    #[test]
    fn an_answer_becomes_findings() {
        let set =
            AdvicePart::Edit { kind: EditKind::Set, name: "X-Tenant".into(), value: b"a".as_slice().into() };
        let route = AdvicePart::Route { backend: "a".into(), server: None };
        let log = AdvicePart::Log { key: "tenant".into(), value: b"a".as_slice().into() };
        let found = said(vec![set, log, route]).unwrap();
        assert_eq!(found.fields().next(), Some((b"X-Tenant".as_slice(), b"a".as_slice())));
        let Some(End::Route { backend, server: None }) = found.said.end else { panic!("{:?}", found.said) };
        assert_eq!(found.text(backend), b"a");
        assert_eq!(found.said.log.len(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_no_answer() {
        let edit = |name: &str, value: &[u8]| AdvicePart::Edit {
            kind: EditKind::Set,
            name: name.into(),
            value: value.into(),
        };
        for part in [
            edit("X Y", b"a"),
            edit("", b"a"),
            edit("X", b"a\r\nY: b"),
            edit("X", b"\0"),
            AdvicePart::Path(b"no/slash".as_slice().into()),
            AdvicePart::Path(b"/a?b".as_slice().into()),
            AdvicePart::Query(b"a b".as_slice().into()),
            AdvicePart::Host(b"a/b".as_slice().into()),
            AdvicePart::Redirect { to: b"/\r\n".as_slice().into(), code: 302 },
            AdvicePart::Redirect { to: b"/".as_slice().into(), code: 200 },
            AdvicePart::Respond { status: 101, body: Box::default(), fields: Vec::new() },
            AdvicePart::Limit { kind: RateKind { requests: 0, per: 1, burst: 1 }, key: Box::default() },
        ] {
            assert!(said(vec![part.clone()]).is_err(), "{part:?}");
        }
    }

    #[test]
    fn a_limit_that_is_exceeded_goes_before_the_way() {
        let kind = RateKind { requests: 1, per: 1000, burst: 1 };
        let limit = AdvicePart::Limit { kind, key: b"a".as_slice().into() };
        let route = AdvicePart::Route { backend: "a".into(), server: None };
        let advice = Advice { parts: vec![route, limit], ..Advice::default() };
        let (who, mut findings) = (who(), Findings::default());
        advice.say(&who, &mut findings, 0).unwrap();
        assert!(matches!(findings.said.end, Some(End::Route { .. })));
        advice.say(&who, &mut findings, 0).unwrap();
        assert_eq!(findings.said.end, Some(End::Limited { retry_after: 1 }));
    }
}
