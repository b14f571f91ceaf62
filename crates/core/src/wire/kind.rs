//! Kinds: what protocol first bytes begin, told by as few of them as decide it.
//!
//! Every kind is told by bytes that no other has, so that their order does not matter. Must never look
//! further than a kind needs: whoever is for it reads what follows.

/// A mark: the bytes that tell a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// TLS: a handshake record of a version 3.x (RFC 8446 section 5.1).
    Tls,
    /// HTTP: a method that people use and a blank, or the beginning of HTTP/2.
    Http,
    /// SSH: the beginning of its identification (RFC 4253 section 4.2).
    Ssh,
    /// PostgreSQL: a startup message of version 3.x, or one that asks for encryption or to cancel.
    Postgres,
    /// Bytes of its own.
    Prefix(Box<[u8]>),
}

const TLS: &[u8] = &[22, 3];
const SSH: &[u8] = b"SSH-";

/// Methods of RFC 9110 and 5789, of WebDAV (RFC 4918, 3253 and 5323), and the word that HTTP/2 begins with.
const METHODS: [&[u8]; 20] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PRI ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"REPORT ",
    b"SEARCH ",
    b"QUERY ",
];

/// The codes of PostgreSQL's first messages: cancel, SSL, GSSAPI encryption.
const POSTGRES_REQUESTS: [[u8; 4]; 3] = [[4, 210, 22, 46], [4, 210, 22, 47], [4, 210, 22, 48]];
/// The major version of PostgreSQL's protocol, in front of the minor one.
const POSTGRES_VERSION: [u8; 2] = [0, 3];
/// Bytes of a startup message at most, as PostgreSQL has it.
const POSTGRES_LONGEST: u32 = 10_000;

impl Mark {
    /// Whether the bytes are of this kind; None while they may become so.
    pub fn tells(&self, held: &[u8]) -> Option<bool> {
        match self {
            Self::Tls => begins(held, TLS),
            Self::Ssh => begins(held, SSH),
            Self::Prefix(prefix) => begins(held, prefix),
            Self::Http => any(METHODS.iter().map(|method| begins(held, method))),
            Self::Postgres => postgres(held),
        }
    }
}

/// Whether the bytes begin with `wanted`; None while they are too few.
fn begins(held: &[u8], wanted: &[u8]) -> Option<bool> {
    let common = held.len().min(wanted.len());
    match held[..common] == wanted[..common] {
        true if common < wanted.len() => None,
        same => Some(same),
    }
}

/// Returns what several answers come to: one that is sure, or none as long as one may become so.
fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(false);
    for answer in answers {
        match answer {
            Some(true) => return answer,
            Some(false) => {}
            None => all = None,
        }
    }
    all
}

/// Reads the length and the code of a startup packet (PostgreSQL, "Message Formats").
fn postgres(held: &[u8]) -> Option<bool> {
    // The length has four bytes, of which nothing that may be needs more than two.
    if begins(held, &[0, 0]) != Some(true) {
        return begins(held, &[0, 0]);
    }
    if let Some(&[a, b, c, d]) = held.first_chunk() {
        let length = u32::from_be_bytes([a, b, c, d]);
        if !(8..=POSTGRES_LONGEST).contains(&length) {
            return Some(false);
        }
    }
    let code = held.get(4..).unwrap_or_default();
    let requests = POSTGRES_REQUESTS.iter().map(|request| begins(code, request));
    any(requests.chain([begins(code, &POSTGRES_VERSION)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_few_bytes() {
        let prefix = |text: &[u8]| Mark::Prefix(text.into());
        for (mark, held, told) in [
            (Mark::Tls, &b""[..], None),
            (Mark::Tls, b"\x16", None),
            (Mark::Tls, b"\x16\x03", Some(true)),
            (Mark::Tls, b"\x16\x04", Some(false)),
            (Mark::Http, b"G", None),
            (Mark::Http, b"GET ", Some(true)),
            (Mark::Http, b"GETS", Some(false)),
            (Mark::Http, b"PRI * ", Some(true)),
            (Mark::Http, b"P", None),
            (Mark::Http, b"EHLO x", Some(false)),
            (Mark::Ssh, b"SSH", None),
            (Mark::Ssh, b"SSH-2.0-x", Some(true)),
            (Mark::Ssh, b"SSL", Some(false)),
            (Mark::Postgres, b"\0\0", None),
            (Mark::Postgres, b"\0\0\0\x08\x04\xd2\x16\x2f", Some(true)),
            (Mark::Postgres, b"\0\0\0\x08\x04\xd2\x16\x30", Some(true)),
            (Mark::Postgres, b"\0\0\0\x10\x04\xd2\x16\x2e", Some(true)),
            (Mark::Postgres, b"\0\0\0\x29\0\x03", Some(true)),
            (Mark::Postgres, b"\0\0\0\x29\0\x02", Some(false)),
            (Mark::Postgres, b"\0\0\0\x07", Some(false)),
            (Mark::Postgres, b"\0\0\x7f\xff", Some(false)),
            (Mark::Postgres, b"\0\x0e\x38", Some(false)),
            (prefix(b"RFB "), b"RFB", None),
            (prefix(b"RFB "), b"RFB 003.008\n", Some(true)),
            (prefix(b"RFB "), b"RFC", Some(false)),
        ] {
            assert_eq!(mark.tells(held), told, "{mark:?}, {held:?}");
        }
    }

    /// An answer that is given for some bytes is given for all that begin with them.
    #[test]
    fn more_bytes_change_nothing() {
        let marks = [Mark::Tls, Mark::Http, Mark::Ssh, Mark::Postgres];
        for held in [
            &b"GET / HTTP/1.1"[..],
            b"\x16\x03\x01",
            b"SSH-2",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"\0\0\0\x09\0\x03",
        ] {
            for mark in &marks {
                let told: Vec<_> = (0..=held.len()).filter_map(|end| mark.tells(&held[..end])).collect();
                assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{mark:?}, {held:?}");
            }
        }
    }
}
