//! Requests, as servers get them.
//!
//! Always HTTP/1.1 with the target in origin form, one Host and the framing that the codec understood. Must
//! never pass on what a client says of itself that only a proxy may say.

use super::super::forwarded::{Wanted, may_claim};
use super::super::names;
use super::super::text::{push_clean, push_line, push_name};
use super::{Fate, Rewrite, TooLarge, copy_fields, is_ours_alone, push_upgrade};
use crate::message::Message;
use crate::message::{Field, Framing, Head, Known, Version};
use crate::program::Findings;
use crate::wire::http1::write;

impl Rewrite<'_> {
    /// Appends the request that the server gets, with the empty line; nothing when it would be too large.
    pub fn request(&self, out: &mut Vec<u8>, message: Message<'_>) -> Result<(), TooLarge> {
        let start = out.len();
        let head = message.head;
        write::method(out, message.text(head.method_span));
        match self.findings.and_then(Findings::target) {
            Some(target) => self.backend.target.write_as(out, target),
            None => self.backend.target.write(out, message),
        }
        write::request_line_end(out);
        self.request_lines(out, message);
        if self.reframed {
            write::framing(out, Framing::Chunked);
        } else {
            push_request_framing(out, message);
        }
        if head.upgrade && head.version == Version::Http11 && push_upgrade(out, message) {
            write::connection_upgrade(out);
        }
        write::end(out);
        self.within_limit(out, start)
    }

    /// Appends the field lines that the server gets.
    fn request_lines(&self, out: &mut Vec<u8>, message: Message<'_>) {
        let host = self.findings.and_then(Findings::host);
        let keeps_host = host.is_none() && self.backend.target.keeps_host(message);
        match host {
            Some(host) => push_line(out, "Host", host),
            None if keeps_host => {}
            None => self.backend.target.write_host(out, message, self.facts),
        }
        let trusted = self.listener.forwarding.trusts(self.facts.client);
        let named = self.names_request_fields();
        let fate = |field: &Field| match field.known {
            _ if !named && concerns_no_rule(field, message) => Fate::Keep,
            Known::Host if keeps_host => Fate::Keep,
            Known::Host => Fate::Drop,
            _ if named && self.drops_by_name(field, message) => Fate::Drop,
            _ => self.request_fate(field, message, trusted),
        };
        copy_fields(out, message, fate, |out, field| {
            if let Some(affinity) = &self.backend.affinity {
                affinity.push_others(out, message.text(field.value));
            }
        });
        self.push_own(out, message, trusted);
    }

    /// Whether any rule goes by the names of fields; most requests meet none.
    #[inline]
    fn names_request_fields(&self) -> bool {
        let Self { listener, backend, .. } = self;
        listener.request_id.is_some()
            || listener.request.drops_any()
            || backend.request.drops_any()
            || listener.certified.drops_any()
            || self.findings.is_some()
    }

    /// Whether a rule that goes by names leaves a field out. Early-Data stays, whatever names it: without it
    /// a repetition would look like the first request (RFC 8470 section 5.1). Expect is never ours.
    fn drops_by_name(&self, field: &Field, message: Message<'_>) -> bool {
        let name = message.name(field);
        !matches!(field.known, Known::EarlyData | Known::Expect)
            && (self.drops(name) || self.listener.certified.drops(name) || self.is_request_id(name))
    }

    /// Decides on a field that no rule names.
    #[inline]
    fn request_fate(&self, field: &Field, message: Message<'_>, trusted: bool) -> Fate {
        // Whether Connection names it or not.
        if field.known == Known::EarlyData {
            return Fate::Keep;
        }
        if field.hop_by_hop || is_ours_alone(field) {
            return Fate::Drop;
        }
        let keep = match field.known {
            // HTTP/1.0 has no interim responses: nobody would wait for one (RFC 9110 section 10.1.1).
            Known::Expect => message.head.version == Version::Http11,
            Known::Trailer => message.head.framing == Framing::Chunked,
            _ => self.listener.forwarding.keeps(field, message.name(field), trusted),
        };
        if !keep {
            return Fate::Drop;
        }
        match &self.backend.affinity {
            Some(affinity) if field.known == Known::Cookie && affinity.is_in(message.text(field.value)) => {
                Fate::Edit
            }
            _ => Fate::Keep,
        }
    }

    #[inline]
    fn drops(&self, name: &[u8]) -> bool {
        self.listener.request.drops(name) || self.backend.request.drops(name) || self.edits(name)
    }

    #[inline]
    fn is_request_id(&self, name: &[u8]) -> bool {
        self.listener.request_id.as_ref().is_some_and(|ours| names::is(name, ours.as_bytes()))
    }

    fn push_own(&self, out: &mut Vec<u8>, message: Message<'_>, trusted: bool) {
        let named = self.names_request_fields();
        let dropped = |name: &[u8]| named && (self.drops(name) || self.listener.certified.drops(name));
        self.listener.forwarding.write(out, message, self.facts, Wanted { trusted, dropped: &dropped });
        if !dropped(b"via") {
            self.push_via(out, message.head.version);
        }
        if let Some(name) = self.listener.request_id.as_deref().filter(|name| !dropped(name.as_bytes())) {
            push_name(out, name);
            push_clean(out, self.facts.request_id);
            out.extend_from_slice(b"\r\n");
        }
        if self.facts.early && !message.head.has(Known::EarlyData) {
            out.extend_from_slice(b"Early-Data: 1\r\n");
        }
        self.listener.certified.write_known(out, self.facts, message, &|name| self.drops(name));
        let later = |name: &[u8]| self.backend.request.drops(name) || self.edits(name);
        self.listener.request.write(out, self.facts, message, later);
        self.backend.request.write(out, self.facts, message, |name| self.edits(name));
        self.push_edits(out);
    }
}

/// Whether a field surely stays unless a rule names it, which most do: told by a look at a set of bits, or at
/// the first letter.
#[inline]
fn concerns_no_rule(field: &Field, message: Message<'_>) -> bool {
    use Known::{
        Accept, AcceptEncoding, CacheControl, ContentEncoding, ContentRange, ContentType, Date, Etag, Other,
        SetCookie, Vary, Via,
    };
    let stays = match field.known {
        Other => !may_claim(message.name(field)),
        Accept | AcceptEncoding | CacheControl | ContentEncoding | ContentRange | ContentType | Date
        | Etag => true,
        SetCookie | Vary | Via => true,
        _ => false,
    };
    stays && !field.hop_by_hop
}

/// Appends the framing of a request, which has no body unless it says so. An empty body that was announced
/// stays announced.
fn push_request_framing(out: &mut Vec<u8>, message: Message<'_>) {
    match message.head.framing {
        Framing::None if has_length(message.head) => write::length(out, 0),
        framing => write::framing(out, framing),
    }
}

fn has_length(head: &Head) -> bool {
    head.has(Known::ContentLength)
}
