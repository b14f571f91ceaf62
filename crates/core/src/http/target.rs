//! TargetRules: what a request asks of the server: the path with prefixes taken off and put in front, and the
//! Host.
//!
//! Prefixes are matched as bytes on segment bounds: `/api` is in `/api` and `/api/x`, not in `/apix` and not
//! in `/%61pi`. Must never write anything but one origin-form target, `*`, or the authority of CONNECT.

use crate::path;
use crate::problem::Problem;
use crate::spec::BackendSpec;

use super::facts::ExchangeFacts;
use super::names::is_token;
use super::text::push_clean;
use crate::message::Message;
use crate::message::Method;

/// Rules of a backend for the targets of requests.
#[derive(Debug, Default, Clone)]
pub struct TargetRules {
    /// Taken off, without its last slash.
    strip: Box<[u8]>,
    /// Put in front, without its last slash.
    add: Box<[u8]>,
    /// The Host that servers get; empty: the client's.
    host: Box<[u8]>,
}

impl TargetRules {
    /// Compiles the keys of a backend.
    pub fn compile(spec: &BackendSpec) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        let mut part = |key: &str, text: &Option<String>, check: fn(&str) -> Result<&str, String>| {
            let checked = check(text.as_deref()?);
            checked
                .map_err(|reason| errors.push(Problem::new(path![key], reason)))
                .ok()
                .map(|text| Box::from(text.as_bytes()))
        };
        let this = Self {
            strip: part("strip_prefix", &spec.strip_prefix, prefix).unwrap_or_default(),
            add: part("add_prefix", &spec.add_prefix, prefix).unwrap_or_default(),
            host: part("host", &spec.host, host).unwrap_or_default(),
        };
        if errors.is_empty() { Ok(this) } else { Err(errors) }
    }

    /// Appends the target.
    pub fn write(&self, out: &mut Vec<u8>, message: Message<'_>) {
        let target = message.target();
        if message.head.method == Method::Connect || target == b"*" {
            return out.extend_from_slice(target);
        }
        self.write_as(out, target);
    }

    /// Appends another target in origin form, by the same rules.
    pub fn write_as(&self, out: &mut Vec<u8>, target: &[u8]) {
        let rest = self.stripped(target);
        out.extend_from_slice(&self.add);
        if rest.first() != Some(&b'/') {
            out.push(b'/');
        }
        out.extend_from_slice(rest);
    }

    /// Appends the Host line, if what the client sent does not stay as it is.
    ///
    /// HTTP/1.1 asks for one: for a client that named none, as HTTP/1.0 allows, it is the name of the
    /// backend. The server's address would do as well, but a request is written once, whichever server gets
    /// it.
    pub(super) fn write_host(&self, out: &mut Vec<u8>, message: Message<'_>, facts: &ExchangeFacts<'_>) {
        let sent = message.host();
        out.extend_from_slice(b"Host: ");
        match (self.host.is_empty(), sent.is_empty()) {
            (false, _) => out.extend_from_slice(&self.host),
            (true, false) => push_clean(out, sent),
            (true, true) => push_clean(out, facts.backend.as_bytes()),
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Whether the Host field that the client sent stays as it is.
    pub(super) fn keeps_host(&self, message: Message<'_>) -> bool {
        // An absolute target says the host, and the Host field must say the same (RFC 9112 section 3.2.2).
        self.host.is_empty() && !message.head.host.is_empty() && message.head.scheme.is_empty()
    }

    fn stripped<'a>(&self, target: &'a [u8]) -> &'a [u8] {
        match target.strip_prefix(&*self.strip) {
            Some(rest) if matches!(rest.first(), None | Some(b'/' | b'?')) => rest,
            _ => target,
        }
    }
}

fn prefix(text: &str) -> Result<&str, String> {
    let said = text.escape_debug();
    if !text.starts_with('/') || text.trim_matches('/').is_empty() {
        return Err(format!("\"{said}\" is not a prefix of paths such as \"/api\""));
    }
    match text.bytes().find(|byte| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#')) {
        Some(byte) => Err(format!("\"{said}\" cannot be part of a path: it has {:?}", char::from(byte))),
        None => Ok(text.trim_end_matches('/')),
    }
}

fn host(text: &str) -> Result<&str, String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let named = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_token(name.as_bytes()),
    };
    if named && port.is_none_or(|port| port.parse::<u16>().is_ok()) {
        Ok(text)
    } else {
        Err(format!("\"{}\" is not a host such as app.internal or app.internal:8080", text.escape_debug()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(strip: &str, add: &str, target: &str) -> String {
        let this = TargetRules {
            strip: strip.as_bytes().into(),
            add: add.as_bytes().into(),
            ..TargetRules::default()
        };
        let head =
            crate::message::Head { target: crate::message::Span::new(0, target.len()), ..Default::default() };
        let mut out = Vec::new();
        this.write(&mut out, Message::new(&head, target.as_bytes()));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn prefixes_on_segment_bounds() {
        for (strip, add, target, expected) in [
            ("", "", "/", "/"),
            ("", "", "", "/"),
            ("", "", "?a", "/?a"),
            ("", "", "*", "*"),
            ("/api", "", "/api", "/"),
            ("/api", "", "/api/", "/"),
            ("/api", "", "/api/x?y", "/x?y"),
            ("/api", "", "/api?y", "/?y"),
            ("/api", "", "/apix", "/apix"),
            ("/api", "", "/x/api", "/x/api"),
            ("/api", "", "/API/x", "/API/x"),
            ("/api", "", "*", "*"),
            ("", "/v1", "/", "/v1/"),
            ("", "/v1", "/x", "/v1/x"),
            ("", "/v1", "?a", "/v1/?a"),
            ("", "/v1", "*", "*"),
            ("/api", "/v1", "/api/x", "/v1/x"),
            ("/api", "/v1", "/api", "/v1/"),
            ("/api", "/v1", "/other", "/v1/other"),
        ] {
            assert_eq!(written(strip, add, target), expected, "-{strip} +{add} {target}");
        }
    }

    #[test]
    fn keys_are_checked() {
        for (text, good) in [
            ("/api", true),
            ("/api/", true),
            ("api", false),
            ("/", false),
            ("", false),
            ("/a?b", false),
            ("/a b", false),
            ("/a\r\n", false),
        ] {
            assert_eq!(prefix(text).is_ok(), good, "{text}");
        }
        assert_eq!(prefix("/api/"), Ok("/api"));
        for (text, good) in [
            ("app.internal", true),
            ("app:80", true),
            ("[::1]", true),
            ("[::1]:80", true),
            ("", false),
            ("a b", false),
            ("a:b", false),
            ("a\r\nb", false),
            ("a/b", false),
            ("[x]", false),
        ] {
            assert_eq!(host(text).is_ok(), good, "{text}");
        }
    }
}
