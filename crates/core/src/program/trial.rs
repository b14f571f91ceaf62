//! Trial: one rule run on a described subject, as tests of rules want it: what it says, as plain values.
//!
//! Texts of the network are given and returned as Latin-1: a character for each byte. Must never be on the
//! way of a request.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::verdict::LimitsNow;
use super::{EditKind, End, Failure, Findings, Hello, Program, Subject};
use crate::host::write_name;
use crate::http::facts::ExchangeFacts;
use crate::message::{Head, Message, Span};
use crate::tls::{ClientCertificate, TlsFacts};
use crate::wire::http1::{self, Limits, Parsed};

/// The subject of a trial.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TrialSubject {
    /// A request.
    Request(TrialRequest),
    /// A response, with the request that it answers.
    Response(TrialResponse),
    /// The first words of a TLS client.
    Hello(TrialHello),
}

/// A request.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrialRequest {
    /// The head as it is sent, with the empty line.
    pub head: String,
    /// Address and port of the client.
    pub client: Option<SocketAddr>,
    /// `http` or `https`.
    pub scheme: String,
    /// The listener.
    pub listener: String,
    /// The backend, where it is known.
    pub backend: Option<String>,
    /// The id.
    pub id: Option<String>,
    /// Early data.
    pub early: bool,
    /// The handshake.
    pub tls: Option<TrialTls>,
    /// Seconds since 1970.
    pub wall: u64,
}

/// The facts of a handshake.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrialTls {
    /// The version.
    pub version: Option<String>,
    /// The cipher suite.
    pub cipher: Option<String>,
    /// The name asked for.
    pub name: Option<String>,
    /// The protocol agreed on.
    pub alpn: Option<String>,
    /// Subject of the client's certificate, as are the three that follow.
    pub subject: Option<String>,
    /// The certificate's issuer.
    pub issuer: Option<String>,
    /// The certificate's serial number.
    pub serial: Option<String>,
    /// The certificate's fingerprint.
    pub fingerprint: Option<String>,
    /// There is a certificate.
    pub verified: bool,
}

/// A response.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialResponse {
    /// The head as it is sent, with the empty line.
    pub head: String,
    /// The request that it answers.
    pub request: TrialRequest,
    /// The server.
    #[serde(default)]
    pub server: Option<String>,
}

/// The first words of a TLS client.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrialHello {
    /// The name asked for.
    pub name: Option<String>,
    /// Address and port of the client.
    pub client: Option<SocketAddr>,
    /// The listener.
    pub listener: String,
    /// The highest version offered: `1.3`.
    pub version: String,
    /// The protocols offered, with commas between them.
    pub alpn: String,
    /// The fingerprint.
    pub ja4: Option<String>,
    /// Seconds since 1970.
    pub wall: u64,
}

/// The outcome of a trial.
#[derive(Debug, Default, Serialize)]
pub struct TrialOutcome {
    /// Parts of the verdict.
    pub verdict: Vec<TrialPart>,
    /// The exception that Python would raise.
    pub failure: Option<&'static str>,
    /// The branches taken.
    pub steps: Vec<String>,
}

/// One part of a verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the part of a verdict that it is called after")]
pub enum TrialPart {
    Log(Vec<(String, String)>),
    Rewrite {
        set: Vec<(String, Option<String>)>,
        add: Vec<(String, String)>,
        remove: Vec<String>,
        path: Option<String>,
        host: Option<String>,
        query: Option<String>,
    },
    Route {
        backend: String,
        server: Option<String>,
    },
    Respond {
        status: u16,
        body: String,
        headers: Vec<(String, String)>,
    },
    Redirect {
        to: String,
        code: u16,
    },
    Reject {
        reason: String,
    },
    Limited {
        retry_after: u64,
    },
    Consult(String),
}

impl Default for TrialRequest {
    fn default() -> Self {
        Self {
            head: String::new(),
            client: None,
            scheme: "http".to_owned(),
            listener: String::new(),
            backend: None,
            id: None,
            early: false,
            tls: None,
            wall: 0,
        }
    }
}

impl Program {
    /// Runs it on a described subject; None where the head is none, or the subject of another kind.
    pub fn attempt(&self, subject: &TrialSubject) -> Option<TrialOutcome> {
        match subject {
            TrialSubject::Request(request) => self.attempt_request(request),
            TrialSubject::Response(response) => self.attempt_response(response),
            TrialSubject::Hello(hello) => Some(self.attempt_hello(hello)),
        }
    }

    fn attempt_request(&self, request: &TrialRequest) -> Option<TrialOutcome> {
        request.read(|facts, message| {
            let subject = Subject { facts, message: Some(message), wall: request.wall, ..Subject::default() };
            self.tried(&subject)
        })
    }

    fn attempt_response(&self, response: &TrialResponse) -> Option<TrialOutcome> {
        let (bytes, mut head) = (latin(&response.head), Head::default());
        let method = crate::message::Method::Get;
        if http1::response(&bytes, &LIMITS, method, &mut head) != Parsed::Complete {
            return None;
        }
        let message = Message::new(&head, &bytes);
        response.request.read(|facts, _| {
            let server = response.server.as_deref().unwrap_or_default();
            let facts = ExchangeFacts { server, status: head.status, ..facts };
            let wall = response.request.wall;
            self.tried(&Subject { facts, message: Some(message), wall, ..Subject::default() })
        })
    }

    fn attempt_hello(&self, hello: &TrialHello) -> TrialOutcome {
        let facts = ExchangeFacts {
            client: hello.client,
            name: hello.name.as_deref().unwrap_or_default(),
            listener: &hello.listener,
            ..ExchangeFacts::default()
        };
        let version = match &*hello.version {
            "1.0" => 0x0301,
            "1.1" => 0x0302,
            "1.2" => 0x0303,
            "1.3" => 0x0304,
            _ => 0,
        };
        let ja4 = hello.ja4.as_deref().unwrap_or_default();
        let said = Hello { version, alpn: hello.alpn.as_bytes(), ja4 };
        self.tried(&Subject { facts, message: None, hello: said, wall: hello.wall })
    }

    fn tried(&self, subject: &Subject<'_>) -> TrialOutcome {
        let mut findings = Findings::default();
        let (mut steps, limits) = (Vec::new(), LimitsNow { all: &self.limits, now: 0 });
        self.run(subject, &mut findings, limits, Some(&mut steps));
        TrialOutcome { verdict: parts(&findings), failure: findings.said.failure.map(Failure::as_str), steps }
    }
}

impl TrialRequest {
    /// Reads the head, and makes the facts of it.
    fn read<T>(&self, with: impl FnOnce(ExchangeFacts<'_>, Message<'_>) -> T) -> Option<T> {
        let (bytes, mut head) = (latin(&self.head), Head::default());
        if http1::request(&bytes, &LIMITS, &mut head) != Parsed::Complete {
            return None;
        }
        let message = Message::new(&head, &bytes);
        let mut name = String::new();
        write_name(&mut name, message.host());
        let tls = self.tls.as_ref().map(TrialTls::facts);
        let facts = ExchangeFacts {
            client: self.client,
            scheme: &self.scheme,
            tls: tls.as_ref(),
            early: self.early,
            host: message.host(),
            name: &name,
            method: message.text(head.method_span),
            target: message.target(),
            request_id: self.id.as_deref().unwrap_or_default().as_bytes(),
            listener: &self.listener,
            backend: self.backend.as_deref().unwrap_or_default(),
            ..ExchangeFacts::default()
        };
        Some(with(facts, message))
    }
}

impl TrialTls {
    fn facts(&self) -> TlsFacts {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let client = self.verified.then(|| ClientCertificate {
            subject: text(&self.subject),
            issuer: text(&self.issuer),
            serial: text(&self.serial),
            fingerprint: text(&self.fingerprint),
            ..ClientCertificate::default()
        });
        // Both are words of a fixed list in what runs.
        let leaked = |text: &Option<String>| match text.as_deref() {
            Some("TLSv1.2") => "TLSv1.2",
            Some("TLSv1.3") => "TLSv1.3",
            Some("TLS_AES_128_GCM_SHA256") => "TLS_AES_128_GCM_SHA256",
            Some("TLS_AES_256_GCM_SHA384") => "TLS_AES_256_GCM_SHA384",
            _ => "",
        };
        TlsFacts {
            version: leaked(&self.version),
            cipher: leaked(&self.cipher),
            name: self.name.as_deref().map(Box::from),
            alpn: self.alpn.as_deref().map(Box::from),
            client,
            ..TlsFacts::default()
        }
    }
}

const LIMITS: Limits = Limits { head: 1 << 20, fields: 10_000, line: 1 << 20 };

fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect()
}

fn parts(findings: &Findings) -> Vec<TrialPart> {
    let text = |span: Span| findings.text(span).iter().copied().map(char::from).collect::<String>();
    let said = &findings.said;
    let mut parts = Vec::new();
    if !said.log.is_empty() {
        parts.push(TrialPart::Log(said.log.iter().map(|one| (text(one.key), text(one.value))).collect()));
    }
    if findings.rewrites() {
        let of = |kind| said.edits.iter().filter(move |edit| edit.kind == kind);
        parts.push(TrialPart::Rewrite {
            set: of(EditKind::Set).map(|edit| (text(edit.name), Some(text(edit.value)))).collect(),
            add: of(EditKind::Add).map(|edit| (text(edit.name), text(edit.value))).collect(),
            remove: of(EditKind::Remove).map(|edit| text(edit.name)).collect(),
            path: said.path.map(text),
            host: said.host.map(text),
            query: said.query.map(text),
        });
    }
    parts.extend(said.end.map(|end| match end {
        End::Route { backend, server } => {
            TrialPart::Route { backend: text(backend), server: server.map(text) }
        }
        End::Respond { status, body } => {
            let headers = said.answer.iter().map(|(name, value)| (text(*name), text(*value))).collect();
            TrialPart::Respond { status, body: text(body), headers }
        }
        End::Redirect { to, code } => TrialPart::Redirect { to: text(to), code },
        End::Reject { reason } => TrialPart::Reject { reason: text(reason) },
        End::Limited { retry_after } => TrialPart::Limited { retry_after },
        End::Consult { analyzer } => TrialPart::Consult(text(analyzer)),
    }));
    parts
}
