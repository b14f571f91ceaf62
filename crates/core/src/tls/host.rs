//! Host: whether the connection that a request came by was opened for the host that it asks for.
//!
//! A connection vouches for the name its client asked for in the handshake and for the names of the certificate it was shown;
//! what is asked of another host on it is misdirected (RFC 9110 section 7.4). Must never allocate: every request is asked.

use std::net::{IpAddr, Ipv6Addr};

use super::{Certificate, Termination, TlsFacts};
use crate::http::facts::without_port;

/// Whether a certificate with these names is one for `host`, as a request gives it: any case, a port, a trailing dot, an
/// IPv6 address in brackets.
///
/// A wildcard stands for exactly one label, the leftmost, and never for an address (RFC 9525 section 6.3).
pub fn covers(names: &[Box<str>], host: &[u8]) -> bool {
    let host = bare(host);
    match address(host) {
        Some(address) => names.iter().any(|name| name.parse() == Ok(address)),
        None => !host.is_empty() && names.iter().any(|name| is_for(name.as_bytes(), host)),
    }
}

impl Termination {
    /// Whether a request for `host` (its Host field; empty where it names none) came by a connection that was opened for
    /// another host, so that it gets 421.
    pub fn misdirected(&self, tls: &TlsFacts, host: &[u8]) -> bool {
        // Without a host nothing is asked of another one: the table decides.
        if !self.check_host || host.is_empty() {
            return false;
        }
        let name = tls.name.as_deref().unwrap_or_default().as_bytes();
        if !name.is_empty() && bare(host).eq_ignore_ascii_case(bare(name)) {
            return false;
        }
        match tls.certificate.and_then(|index| self.certificates.get(index as usize)) {
            Some(presented) => !covers(&presented.names, host),
            None => !self.could_be_shown(name, |certificate| covers(&certificate.names, host)),
        }
    }

    /// Whether one of the certificates that a client which asks for `name` could be shown is such. That is what is left to
    /// ask where a session was resumed: no certificate was shown then.
    fn could_be_shown(&self, name: &[u8], is_such: impl Fn(&Certificate) -> bool) -> bool {
        let mut named = self.certificates.iter().filter(|one| covers(&one.names, name)).peekable();
        match named.peek() {
            Some(_) => named.any(is_such),
            None => self.certificates.first().is_some_and(is_such),
        }
    }
}

/// A host without port and trailing dot.
fn bare(host: &[u8]) -> &[u8] {
    let host = without_port(host);
    host.strip_suffix(b".").unwrap_or(host)
}

/// The address that a host is, if it is one.
fn address(host: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(host).ok()?;
    match text.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        // Only what ends in a digit can be one: the parser need not look at every name.
        None if text.ends_with(|last: char| last.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

fn is_for(name: &[u8], host: &[u8]) -> bool {
    match name.strip_prefix(b"*") {
        Some(parent) => {
            let first = host.iter().position(|byte| *byte == b'.').unwrap_or(0);
            first > 0 && parent.len() > 1 && host[first..].eq_ignore_ascii_case(parent)
        }
        None => host.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Version;
    use super::*;

    fn names(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| Box::from(*name)).collect()
    }

    fn termination(certificates: &[&[&str]]) -> Termination {
        let certificate = |list: &&[&str]| Certificate {
            place: "made up".into(),
            names: names(list),
            chain: Vec::new(),
            key: Box::default(),
            ocsp: None,
            not_after: 0,
        };
        Termination {
            certificates: certificates.iter().map(certificate).collect(),
            strict_sni: false,
            min_version: Version::Tls12,
            post_quantum: true,
            alpn: Vec::new(),
            tickets: true,
            ticket_rotation: 1,
            early_data: 0,
            handshake_timeout: 1,
            check_host: true,
            clients: None,
            passthrough: None,
        }
    }

    fn opened(name: Option<&str>, certificate: Option<u32>) -> TlsFacts {
        TlsFacts { name: name.map(Box::from), certificate, ..TlsFacts::default() }
    }

    #[test]
    fn names_of_certificates() {
        let names = names(&["a.example", "*.b.example", "192.0.2.1", "2001:db8::1", "*", "*.", "bare"]);
        for (host, covered) in [
            ("a.example", true),
            ("A.Example.:443", true),
            ("b.a.example", false),
            ("x.b.example", true),
            ("X.B.EXAMPLE:8443", true),
            ("b.example", false),
            (".b.example", false),
            ("x.y.b.example", false),
            ("192.0.2.1", true),
            ("192.0.2.1:443", true),
            ("192.0.2.2", false),
            ("[2001:DB8:0::1]:443", true),
            ("[2001:db8::2]", false),
            ("[2001:db8::1", false),
            ("2001:db8::1", false),
            ("bare", true),
            ("other", false),
            ("", false),
            (":443", false),
            (".", false),
            ("*.b.example", true),
            ("\u{e9}.example", false),
        ] {
            assert_eq!(covers(&names, host.as_bytes()), covered, "{host}");
        }
        assert!(!covers(&super::tests::names(&["*.0.2.1"]), b"192.0.2.1"), "a wildcard is for no address");
        assert!(!covers(&[], b"a.example"));
    }

    #[test]
    fn a_connection_is_good_for_its_name_and_its_certificate() {
        let listener = termination(&[&["default.example"], &["a.example", "*.a.example"], &["b.example"]]);
        for (name, certificate, host, misdirected) in [
            (Some("a.example"), Some(1), "a.example", false),
            (Some("a.example"), Some(1), "A.example.:8443", false),
            (Some("a.example"), Some(1), "www.a.example", false),
            (Some("a.example"), Some(1), "b.example", true),
            // The client took a certificate for another name: that is its own affair.
            (Some("c.example"), Some(0), "c.example", false),
            (Some("c.example"), Some(0), "default.example", false),
            (Some("c.example"), Some(0), "a.example", true),
            (None, Some(0), "default.example", false),
            (None, Some(0), "a.example", true),
            (None, Some(0), "192.0.2.1", true),
            (Some("a.example"), Some(1), "", false),
            // Resumed: no certificate was shown.
            (Some("a.example"), None, "a.example", false),
            (Some("a.example"), None, "www.a.example", false),
            (Some("www.a.example"), None, "a.example", false),
            (Some("a.example"), None, "b.example", true),
            (Some("c.example"), None, "default.example", false),
            (Some("c.example"), None, "b.example", true),
            (None, None, "default.example", false),
            (None, None, "a.example", true),
            (Some("a.example"), Some(9), "b.example", true),
        ] {
            let told = listener.misdirected(&opened(name, certificate), host.as_bytes());
            assert_eq!(told, misdirected, "{name:?} {certificate:?} {host}");
        }
        let lenient = Termination { check_host: false, ..listener };
        assert!(!lenient.misdirected(&opened(Some("a.example"), Some(1)), b"b.example"));
    }

    proptest! {
        #[test]
        fn any_host_is_judged(host in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(!covers(&names(&["a.example", "*.b.example", "::1"]), &host) || host.is_ascii());
        }

        #[test]
        fn a_resumed_connection_is_as_good_as_its_first(
            name in "(www\\.)?[abc]\\.example", host in "(www\\.)?[abc]\\.example(:443)?",
        ) {
            let listener = termination(&[&["a.example", "www.a.example"], &["*.b.example"], &["b.example"]]);
            let shown = listener.certificates.iter().position(|one| covers(&one.names, name.as_bytes())).unwrap_or(0);
            let first = listener.misdirected(&opened(Some(&name), Some(shown as u32)), host.as_bytes());
            let resumed = listener.misdirected(&opened(Some(&name), None), host.as_bytes());
            prop_assert_eq!(first, resumed);
        }
    }
}
