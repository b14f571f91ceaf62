//! Rewriting: the head that goes on, written from the head that came.
//!
//! Runs of field lines that stay as they are are copied in one go; hop-by-hop fields are left out; framing is
//! never copied but written anew from what the codec understood, exactly once. Rules apply in this order: our
//! own fields, the listener's, the backend's; a field that a later rule sets or removes is not written by an
//! earlier one. Must never allocate once `out` has grown.

mod request;
mod response;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::path;
use crate::problem::{Item, Problem};
use crate::program::Findings;
use crate::spec::{BackendSpec, HeadersSpec, HstsSpec, ListenerSpec, ListenerTlsSpec};

use super::affinity::Affinity;
use super::facts::ExchangeFacts;
use super::forwarded::Forwarding;
use super::headers::Headers;
use super::names::is_token;
use super::request_id::RequestId;
use super::target::TargetRules;
use super::template::Purpose;
use super::text::push_clean;
use crate::message::Message;
use crate::message::{Field, Known, Version};
use crate::wire::http1::write;

pub use response::{Reply, Variation};

/// The rewritten head would be larger than the listener's `head_limit` and `rewrite_reserve`.
///
/// It is refused: servers have limits too, and what overflows theirs is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Rules of a listener for heads.
#[derive(Debug, Default)]
pub struct ListenerRules {
    /// Rules for telling servers who the client is.
    pub forwarding: Forwarding,
    via: Option<Box<str>>,
    request_id: Option<Box<str>>,
    /// Fields that say who the client is by its certificate; nobody else may send them.
    certified: Headers,
    /// The value of Strict-Transport-Security.
    hsts: Option<Box<str>>,
    request: Headers,
    response: Headers,
    limit: usize,
}

impl ListenerRules {
    /// Compiles the rules of a listener, which may end TLS; the paths of the errors are those below the
    /// listener's table.
    pub fn compile(spec: &ListenerSpec) -> Result<Self, Vec<Problem>> {
        let (http, tls, mut errors) = (&spec.http, spec.tls.as_ref(), Vec::new());
        let via = http.via.as_deref().filter(|via| said_of_us(via, &mut errors)).map(Box::from);
        let request_id =
            http.request_id.as_deref().filter(|name| names_field(name, &mut errors)).map(Box::from);
        let this = Self {
            forwarding: take(path!["http"], Forwarding::compile(&http.forwarded, &http.trusted), &mut errors),
            via,
            request_id,
            certified: tls.map(|tls| certified(tls, &mut errors)).unwrap_or_default(),
            hsts: tls.and_then(|tls| tls.hsts.as_ref()).map(hsts),
            request: take(
                path!["request_headers"],
                Headers::compile(&spec.request_headers, Purpose::Request),
                &mut errors,
            ),
            response: take(
                path!["response_headers"],
                Headers::compile(&spec.response_headers, Purpose::Response),
                &mut errors,
            ),
            limit: http.head_limit as usize + http.rewrite_reserve as usize,
        };
        if errors.is_empty() { Ok(this) } else { Err(errors) }
    }

    /// Returns the id of a request: the one that a trusted client gave it, or one made from `random`.
    pub fn choose_request_id(
        &self,
        message: Message<'_>,
        client: Option<SocketAddr>,
        random: [u64; 2],
    ) -> RequestId {
        let believed = self.request_id.as_deref().filter(|_| self.forwarding.trusts(client));
        let sent = believed.and_then(|name| RequestId::sent(message, name));
        sent.unwrap_or_else(|| RequestId::made(random))
    }

    /// Whether requests are given ids, for a field or for a variable.
    pub fn wants_request_id(&self) -> bool {
        let rules = [&self.certified, &self.request, &self.response];
        self.request_id.is_some() || rules.iter().any(|rules| rules.asks_id())
    }

    /// Whether its rules take our end of the client's connection.
    pub fn asks_local(&self) -> bool {
        [&self.certified, &self.request, &self.response].iter().any(|rules| rules.asks_local())
    }

    /// Returns the value of Strict-Transport-Security in every response (RFC 6797), answers of our own
    /// included; empty where it is left alone.
    pub fn hsts(&self) -> &str {
        self.hsts.as_deref().unwrap_or_default()
    }
}

/// Rules of a backend for heads.
#[derive(Debug, Default, Clone)]
pub struct BackendRules {
    /// Rules for the targets that servers are asked for.
    pub target: TargetRules,
    /// The affinity that keeps clients at their servers.
    pub affinity: Option<Affinity>,
    request: Arc<Headers>,
    response: Arc<Headers>,
}

impl BackendRules {
    /// Compiles the rules; the paths of the errors are those below the backend's table. `random` signs
    /// cookies of affinity that have no secret of their own.
    pub fn compile(spec: &BackendSpec, random: &[u8; 32]) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        let affinity = spec.affinity.as_ref().map(|spec| Affinity::compile(spec, random));
        let this = Self {
            target: take(path![], TargetRules::compile(spec), &mut errors),
            affinity: affinity.and_then(|affinity| take(path!["affinity"], affinity.map(Some), &mut errors)),
            request: Arc::new(take(
                path!["request_headers"],
                Headers::compile(&spec.request_headers, Purpose::Request),
                &mut errors,
            )),
            response: Arc::new(take(
                path!["response_headers"],
                Headers::compile(&spec.response_headers, Purpose::Response),
                &mut errors,
            )),
        };
        if errors.is_empty() { Ok(this) } else { Err(errors) }
    }

    /// Copies the rules; `random` signs cookies of affinity that have no secret of their own.
    pub(crate) fn adopt(&self, random: &[u8; 32]) -> Self {
        let affinity = self.affinity.as_ref().map(|affinity| affinity.adopt(random));
        Self { affinity, ..self.clone() }
    }

    /// Whether its rules take the id of the request.
    pub fn wants_request_id(&self) -> bool {
        self.request.asks_id() || self.response.asks_id()
    }

    /// Whether its rules take our end of the client's connection.
    pub fn asks_local(&self) -> bool {
        self.request.asks_local() || self.response.asks_local()
    }
}

/// One exchange's rewriting: whose rules, and what is known.
#[derive(Debug, Clone, Copy)]
pub struct Rewrite<'a> {
    /// The listener's rules.
    pub listener: &'a ListenerRules,
    /// The backend's rules.
    pub backend: &'a BackendRules,
    /// Facts about the exchange.
    pub facts: &'a ExchangeFacts<'a>,
    /// The findings of rules that people wrote, where they change the head.
    pub findings: Option<&'a Findings>,
    /// The request's body goes on in chunks, however it came.
    pub reframed: bool,
}

impl Rewrite<'_> {
    fn within_limit(&self, out: &mut Vec<u8>, start: usize) -> Result<(), TooLarge> {
        if out.len() - start <= self.listener.limit {
            return Ok(());
        }
        out.truncate(start);
        Err(TooLarge)
    }

    /// Whether a rule that somebody wrote sets or removes fields of this name.
    #[inline]
    fn edits(&self, name: &[u8]) -> bool {
        self.findings.is_some_and(|findings| findings.drops(name))
    }

    /// Appends the fields that rules people wrote have set or added.
    fn push_edits(&self, out: &mut Vec<u8>) {
        let Some(findings) = self.findings else { return };
        for (name, value) in findings.fields() {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            push_clean(out, value);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Appends a Via field, after those that are passed on: together they are one list (RFC 9110 section
    /// 7.6.3).
    fn push_via(&self, out: &mut Vec<u8>, version: Version) {
        if let Some(via) = &self.listener.via {
            out.extend_from_slice(match version {
                Version::Http10 => b"Via: 1.0 ",
                Version::Http11 => b"Via: 1.1 ",
                Version::Http2 => b"Via: 2 ",
            });
            out.extend_from_slice(via.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The fate of a field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Drop,
    /// Something else is written in its place.
    Edit,
}

/// Copies the lines that are kept, runs of them in one go; `edit` writes what stands in the place of a line.
#[inline]
fn copy_fields(
    out: &mut Vec<u8>,
    message: Message<'_>,
    fate: impl Fn(&Field) -> Fate,
    edit: impl Fn(&mut Vec<u8>, &Field),
) {
    let fields = &message.head.fields;
    // All but the empty line.
    let end = message.head.length - 2;
    let start = |at: usize| fields.get(at).map_or(end, |field| field.name.start as usize);
    let mut run = start(0);
    for (at, field) in fields.iter().enumerate() {
        let fate = fate(field);
        if fate == Fate::Keep {
            continue;
        }
        out.extend_from_slice(&message.bytes[run..start(at)]);
        if fate == Fate::Edit {
            edit(out, field);
        }
        run = start(at + 1);
    }
    out.extend_from_slice(&message.bytes[run..end]);
}

/// Whether a field is about the connection or says where the message ends: such a field is never copied.
#[inline]
fn is_ours_alone(field: &Field) -> bool {
    use Known::{
        Connection, ContentLength, Http2Settings, KeepAlive, ProxyConnection, Te, TransferEncoding, Upgrade,
    };
    matches!(
        field.known,
        Connection
            | ContentLength
            | Http2Settings
            | KeepAlive
            | ProxyConnection
            | Te
            | TransferEncoding
            | Upgrade
    )
}

/// Returns the protocols of the Upgrade fields.
pub(super) fn protocols(message: Message<'_>) -> impl Iterator<Item = &[u8]> {
    let fields = message.head.fields.iter().filter(|field| field.known == Known::Upgrade);
    fields.flat_map(move |field| super::text::members(message.text(field.value)))
}

/// Whether a protocol may be asked for and switched to.
///
/// `h2c` may not: the requests inside such a connection would pass by every rule here.
pub(super) fn may_switch_to(protocol: &[u8]) -> bool {
    !protocol.eq_ignore_ascii_case(b"h2c")
}

/// Appends an Upgrade field with the protocols that may be asked for and switched to. Returns
/// whether there is one.
fn push_upgrade(out: &mut Vec<u8>, message: Message<'_>) -> bool {
    write::upgrade(out, protocols(message).filter(|protocol| may_switch_to(protocol)))
}

fn take<T: Default>(below: Vec<Item>, compiled: Result<T, Vec<Problem>>, errors: &mut Vec<Problem>) -> T {
    compiled.unwrap_or_else(|wrong| {
        errors.extend(wrong.into_iter().map(|error| error.below(&below)));
        T::default()
    })
}

/// Returns the rules for fields that are made of the client's certificate.
fn certified(tls: &ListenerTlsSpec, errors: &mut Vec<Problem>) -> Headers {
    let Some(clients) = &tls.client_certificates else { return Headers::default() };
    let rules = HeadersSpec { set: clients.headers.clone(), ..HeadersSpec::default() };
    let compiled = Headers::compile(&rules, Purpose::Request).map_err(|mut wrong| {
        // The fields are written without the `set` that rules have.
        wrong.iter_mut().for_each(|error| drop(error.path.remove(0)));
        wrong
    });
    take(path!["tls", "client_certificates", "headers"], compiled, errors)
}

/// Returns the value of Strict-Transport-Security (RFC 6797 section 6.1).
fn hsts(spec: &HstsSpec) -> Box<str> {
    let below = if spec.include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if spec.preload { "; preload" } else { "" };
    format!("max-age={}{below}{preload}", spec.max_age / 1000).into()
}

/// Whether a pseudonym is one (RFC 9110 section 7.6.3): a token, or a host and port.
fn said_of_us(via: &str, errors: &mut Vec<Problem>) -> bool {
    let (name, port) = via.rsplit_once(':').unwrap_or((via, "0"));
    let good = is_token(name.as_bytes()) && port.parse::<u16>().is_ok();
    if !good {
        let reason =
            format!("\"{}\" is not a pseudonym: letters, digits, dots and hyphens", via.escape_debug());
        errors.push(Problem::new(path!["http", "via"], reason));
    }
    good
}

/// Whether the request id can be in this field.
fn names_field(name: &str, errors: &mut Vec<Problem>) -> bool {
    let rules =
        crate::spec::HeadersSpec { set: vec![(name.to_owned(), String::new())], ..Default::default() };
    let wrong = Headers::compile(&rules, Purpose::Request).err().unwrap_or_default();
    let good = wrong.is_empty();
    errors.extend(wrong.into_iter().map(|error| Problem { path: path!["http", "request_id"], ..error }));
    good
}
