//! Responses, as clients get them.
//!
//! Always HTTP/1.1 (RFC 9112 section 2.3: a version is its sender's own), framed the way the body is really
//! sent. Must never promise a client a connection that is not kept.

use super::super::names;
use super::super::status::HSTS;
use super::super::text::{members, push_line, push_name};
use super::{Fate, Rewrite, TooLarge, copy_fields, is_ours_alone, push_upgrade};
use crate::message::Message;
use crate::message::{Field, Framing, Known, Persistence};
use crate::wire::http1::write;

/// The form in which a response is sent to the client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reply {
    /// The way in which the client is shown the end of the body: as the head says
    /// ([`Head::framing`](crate::message::Head::framing)), or another way when the body is sent another way.
    pub framing: Framing,
    /// The fate of the client's connection.
    pub persistence: Persistence,
    /// Compression on the way.
    pub variation: Variation,
    /// Analyzers may change the body.
    pub altered: bool,
    /// Identity of the server that a new affinity cookie names; None when the client has the right one.
    pub affinity: Option<u64>,
}

/// The way in which a response depends on Accept-Encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Variation {
    /// The response is the same, whatever the client accepts.
    #[default]
    Never,
    /// The client gets it as it is, but others could get it compressed: caches must know.
    Varies,
    /// The response has this content coding. The framing cannot be a length of the body as it came.
    Applied(&'static str),
}

impl Rewrite<'_> {
    /// Appends the response that the client gets, with the empty line; nothing when it would be too large.
    pub fn response(&self, out: &mut Vec<u8>, message: Message<'_>, reply: &Reply) -> Result<(), TooLarge> {
        let start = out.len();
        write::status_line(out, message.head.status, message.text(message.head.reason));
        self.response_lines(out, message, reply);
        push_response_framing(out, message, reply);
        push_connection(out, message, reply);
        write::end(out);
        self.within_limit(out, start)
    }

    /// Appends the field lines that the client gets.
    fn response_lines(&self, out: &mut Vec<u8>, message: Message<'_>, reply: &Reply) {
        let named = self.names_response_fields();
        copy_fields(
            out,
            message,
            |field| {
                if named && self.drops_from_response(message.name(field)) {
                    return Fate::Drop;
                }
                response_fate(field, message, reply)
            },
            |out, field| {
                // Compressed it is another sequence of bytes with the same meaning: a weak tag says so (RFC
                // 9110 section 8.8.1).
                out.extend_from_slice(b"ETag: W/");
                out.extend_from_slice(message.text(field.value));
                out.extend_from_slice(b"\r\n");
            },
        );
        self.push_own_of_response(out, message, reply);
    }

    /// Whether any rule goes by the names of fields.
    #[inline]
    fn names_response_fields(&self) -> bool {
        let Self { listener, backend, .. } = self;
        listener.hsts.is_some()
            || listener.response.drops_any()
            || backend.response.drops_any()
            || self.findings.is_some()
    }

    /// Whether a rule that goes by names leaves a field out.
    fn drops_from_response(&self, name: &[u8]) -> bool {
        self.replaces(name) || self.drops_later(name)
    }

    /// Whether fields of this name are set or removed.
    fn drops_later(&self, name: &[u8]) -> bool {
        self.listener.response.drops(name) || self.backend.response.drops(name) || self.edits(name)
    }

    /// Whether the listener says itself what the server says in a field of this name.
    fn replaces(&self, name: &[u8]) -> bool {
        self.listener.hsts.is_some() && names::is(name, HSTS.as_bytes())
    }

    fn push_own_of_response(&self, out: &mut Vec<u8>, message: Message<'_>, reply: &Reply) {
        let named = self.names_response_fields();
        let drops = |name: &[u8]| named && self.drops_later(name);
        if !drops(b"via") {
            self.push_via(out, message.head.version);
        }
        if is_interim(message.head.status) {
            return;
        }
        if let Variation::Applied(coding) = reply.variation {
            push_name(out, "Content-Encoding");
            out.extend_from_slice(coding.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if reply.variation != Variation::Never && (drops(b"vary") || !varies(message)) {
            out.extend_from_slice(b"Vary: Accept-Encoding\r\n");
        }
        if let Some(hsts) = self.listener.hsts.as_deref().filter(|_| !drops(HSTS.as_bytes())) {
            push_line(out, HSTS, hsts.as_bytes());
        }
        let later = |name: &[u8]| self.backend.response.drops(name) || self.edits(name);
        self.listener.response.write(out, self.facts, message, later);
        self.backend.response.write(out, self.facts, message, |name| self.edits(name));
        self.push_edits(out);
        if let Some((affinity, identity)) = self.backend.affinity.as_ref().zip(reply.affinity) {
            push_name(out, "Set-Cookie");
            affinity.write(out, identity, self.facts.scheme == "https");
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Decides on a field that no rule names.
#[inline]
fn response_fate(field: &Field, message: Message<'_>, reply: &Reply) -> Fate {
    let coded = matches!(reply.variation, Variation::Applied(_));
    // Other bytes, whatever made them other.
    let other = coded || reply.altered;
    match field.known {
        _ if field.hop_by_hop || is_ours_alone(field) => Fate::Drop,
        Known::Trailer if reply.framing != Framing::Chunked || reply.altered => Fate::Drop,
        Known::ContentEncoding if coded => Fate::Drop,
        Known::Etag if other && !message.text(field.value).starts_with(b"W/") => Fate::Edit,
        Known::Other if other && is_of_the_bytes(message.name(field)) => Fate::Drop,
        _ => Fate::Keep,
    }
}

/// Whether a status is interim. Interim responses pass as they are; 101 is the last word of HTTP on its
/// connection.
fn is_interim(status: u16) -> bool {
    matches!(status, 100..200) && status != 101
}

/// Whether a field says something of the very bytes of the body, which compression changes.
fn is_of_the_bytes(name: &[u8]) -> bool {
    [&b"accept-ranges"[..], b"content-md5", b"content-digest", b"repr-digest", b"digest"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether the response says already that it depends on Accept-Encoding.
fn varies(message: Message<'_>) -> bool {
    message
        .values(Known::Vary)
        .flat_map(members)
        .any(|member| member == b"*" || member.eq_ignore_ascii_case(b"accept-encoding"))
}

/// Writes the framing of a response. The length may be said without a body, too: for HEAD and 304 it is that
/// of the body that GET would get.
fn push_response_framing(out: &mut Vec<u8>, message: Message<'_>, reply: &Reply) {
    let head = message.head;
    match reply.framing {
        _ if matches!(head.status, 100..200 | 204) => {}
        Framing::None if reply.variation == Variation::Never || reply.variation == Variation::Varies => {
            let field = head.field(Known::ContentLength).filter(|field| !field.hop_by_hop);
            let length = field.and_then(|field| std::str::from_utf8(message.text(field.value)).ok());
            if let Some(length) = length.and_then(|length| length.parse().ok()) {
                write::length(out, length);
            }
        }
        framing => write::framing(out, framing),
    }
}

fn push_connection(out: &mut Vec<u8>, message: Message<'_>, reply: &Reply) {
    let status = message.head.status;
    if is_interim(status) {
        return;
    }
    // 426 must name the protocols that would do (RFC 9110 section 15.5.22).
    let upgrade = matches!(status, 101 | 426) && push_upgrade(out, message);
    if status == 101 && upgrade {
        write::connection_upgrade(out);
    } else {
        write::connection(out, reply.persistence, upgrade);
    }
}
