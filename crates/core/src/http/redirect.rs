//! Redirects: the location that an answer sends a client to.
//!
//! Must never send a client to another site than the rule says, whatever it asked for.

use crate::problem::Problem;
use crate::spec::RedirectSpec;

use super::facts::ExchangeFacts;
use super::template::{Purpose, Template};
use super::text::{push_clean, push_ip};
use crate::host::without_port;
use crate::message::Message;
use crate::problem::Flaw;

/// The port that `https` means by itself (RFC 9110, section 4.2.2).
const HTTPS_PORT: u16 = 443;

/// A redirect: where the client is sent, and by which status.
#[derive(Debug)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub code: u16,
    to: To,
}

#[derive(Debug)]
enum To {
    /// The same host and path by https, at a port; none: the standard one.
    Https(Option<u16>),
    Location(Template),
}

impl Redirect {
    /// Compiles a redirect; the paths of the errors are those below its table.
    pub fn compile(spec: &RedirectSpec) -> Result<Self, Vec<Problem>> {
        let to = to(&spec.to).map_err(|wrong| ("to", wrong));
        let wrong = [code(spec.code).err().map(|wrong| ("code", wrong)), to.as_ref().err().cloned()];
        match to {
            Ok(to) if wrong[0].is_none() => Ok(Self { code: spec.code, to }),
            _ => Err(wrong.into_iter().flatten().map(|(key, wrong)| wrong.at(&[key])).collect()),
        }
    }

    /// Appends the location.
    pub fn location(&self, out: &mut Vec<u8>, facts: &ExchangeFacts<'_>, message: Option<Message<'_>>) {
        self.write(out, facts, |template, out| template.write(out, facts, message));
    }

    /// Appends the location for an explanation: a value that is not known stays written as its variable.
    pub fn foresee(&self, out: &mut Vec<u8>, facts: &ExchangeFacts<'_>, message: Option<Message<'_>>) {
        let host = if facts.host.is_empty() { b"{host}" } else { facts.host };
        self.write(out, &ExchangeFacts { host, ..*facts }, |template, out| {
            template.foresee(out, facts, message);
        });
    }

    fn write(&self, out: &mut Vec<u8>, facts: &ExchangeFacts<'_>, fill_in: impl Fn(&Template, &mut Vec<u8>)) {
        let start = out.len();
        match &self.to {
            To::Https(port) => push_https(out, facts, *port),
            To::Location(template) => {
                fill_in(template, out);
                if template.begins_open() {
                    same_site(out, start);
                }
            }
        }
    }
}

fn code(code: u16) -> Result<(), Flaw> {
    match code {
        301 | 302 | 303 | 307 | 308 => Ok(()),
        _ => Err(Flaw::new(format!("{code} is not the status of a redirect"))
            .hint("write 301, 302, 303, 307 or 308")),
    }
}

fn to(text: &str) -> Result<To, Flaw> {
    if text == "https" {
        return Ok(To::Https(None));
    }
    if let Some(port) = text.strip_prefix("https:").and_then(|port| port.parse().ok()) {
        return Ok(To::Https(Some(port)));
    }
    let absolute = ["https://", "http://", "/", "{"].iter().any(|begin| text.starts_with(begin));
    if absolute && !text.contains(' ') {
        Template::compile_line(text, Purpose::Answer).map(To::Location)
    } else {
        Err(Flaw::new(format!("\"{}\" is not a location", text.escape_debug()))
            .hint("write https, a path, or a whole location such as https://www.example.com{uri}"))
    }
}

/// Appends the same host and path by https.
fn push_https(out: &mut Vec<u8>, facts: &ExchangeFacts<'_>, port: Option<u16>) {
    out.extend_from_slice(b"https://");
    match facts.local {
        Some(local) if facts.host.is_empty() && local.is_ipv6() => {
            out.push(b'[');
            push_ip(out, local.ip());
            out.push(b']');
        }
        Some(local) if facts.host.is_empty() => push_ip(out, local.ip()),
        _ => push_clean(out, without_port(facts.host)),
    }
    if let Some(port) = port.filter(|port| *port != HTTPS_PORT) {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    match facts.target.first() {
        Some(b'/') => push_clean(out, facts.target),
        _ => out.push(b'/'),
    }
}

/// Keeps a location that a variable begins on this site, as a path: `//other.example` and `/\other.example`
/// would lead elsewhere.
fn same_site(out: &mut Vec<u8>, start: usize) {
    if out.get(start) == Some(&b'/') {
        let slashes = out[start + 1..].iter().take_while(|byte| matches!(byte, b'/' | b'\\')).count();
        out.drain(start + 1..start + 1 + slashes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(to: &str, host: &str, target: &str) -> String {
        let facts = ExchangeFacts {
            local: Some("192.0.2.7:80".parse().unwrap()),
            scheme: "http",
            host: host.as_bytes(),
            target: target.as_bytes(),
            ..ExchangeFacts::default()
        };
        let mut out = Vec::new();
        let spec = RedirectSpec { to: to.into(), code: 308 };
        Redirect::compile(&spec).unwrap().location(&mut out, &facts, None);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn locations() {
        for (to, host, target, expected) in [
            ("https", "a.example:8080", "/x?y", "https://a.example/x?y"),
            ("https", "[::1]:80", "/", "https://[::1]/"),
            ("https", "", "/x", "https://192.0.2.7/x"),
            ("https", "a.example", "*", "https://a.example/"),
            ("https", "a.example", "//other.example", "https://a.example//other.example"),
            ("https:8443", "a.example:8080", "/x?y", "https://a.example:8443/x?y"),
            ("https:8443", "[::1]:80", "/", "https://[::1]:8443/"),
            ("https:8443", "", "/x", "https://192.0.2.7:8443/x"),
            ("https:443", "a.example", "/", "https://a.example/"),
            ("https://new.example{uri}", "a.example", "/x?y", "https://new.example/x?y"),
            ("/new{path}", "a.example", "/x?y", "/new/x"),
            ("{path}", "a.example", "//other.example/x", "/other.example/x"),
            ("{path}", "a.example", "/\\/other.example/x", "/other.example/x"),
            ("{uri}", "a.example", "/a\r\nSet-Cookie: b", "/aSet-Cookie: b"),
        ] {
            assert_eq!(location(to, host, target), expected, "{to} {host} {target}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (to, code, paths) in [
            ("https", 200, &["code"][..]),
            ("", 308, &["to"]),
            ("https:99999", 308, &["to"]),
            ("www.example.com", 200, &["code", "to"]),
            ("/a b", 308, &["to"]),
            ("/{server}", 308, &["to"]),
        ] {
            let errors = Redirect::compile(&RedirectSpec { to: to.into(), code }).unwrap_err();
            assert_eq!(errors.iter().map(Problem::place).collect::<Vec<_>>(), paths, "{to}");
        }
    }
}
