//! Affinity: a signed cookie that keeps a client at its server.
//!
//! `NAME=<identity of the server, 16 hex digits>.<signature, 32 hex digits>`. The signature is HMAC-SHA-256
//! (RFC 2104) cut to 128 bits and compared in constant time: clients cannot choose servers. Must never tell a
//! server of the cookie, nor a client more than a number.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::path;
use crate::problem::Problem;
use crate::spec::AffinitySpec;

use super::names::is_token;
use super::text::push_number;
use crate::message::Known;
use crate::message::Message;

/// Affinity of one backend.
#[derive(Clone)]
pub struct Affinity {
    name: Box<str>,
    /// Seconds for which clients keep the cookie; None: until the browser is closed.
    max_age: Option<u64>,
    /// HMAC that is keyed and fed with the name; copied for every signature.
    keyed: Hmac<Sha256>,
    /// The cookie has a secret of its own.
    own: bool,
}

impl std::fmt::Debug for Affinity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Affinity")
            .field("name", &self.name)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

/// Hex digits of an identity and of a signature.
const IDENTITY: usize = 16;
const SIGNATURE: usize = 32;

/// Cookies of our name that are looked at in one request; a client has one unless it makes them up.
const MOST_COOKIES: usize = 4;

/// Characters of a secret at least.
const SHORTEST_SECRET: usize = 16;

impl Affinity {
    /// Compiles the rules; without a secret of its own the cookie is signed with `random`, which ends with
    /// the process.
    pub fn compile(spec: &AffinitySpec, random: &[u8; 32]) -> Result<Self, Vec<Problem>> {
        let error = |key: &str, reason: String| Problem::new(path![key], reason);
        let mut errors = Vec::new();
        if !is_token(spec.cookie.as_bytes()) {
            errors.push(error(
                "cookie",
                format!("\"{}\" is not the name of a cookie", spec.cookie.escape_debug()),
            ));
        }
        let secret = spec.secret.as_deref().map_or(&random[..], str::as_bytes);
        if secret.len() < SHORTEST_SECRET {
            errors.push(error("secret", format!("a secret has {SHORTEST_SECRET} characters or more")));
        }
        match keyed(secret, &spec.cookie) {
            Some(keyed) if errors.is_empty() => Ok(Self {
                name: spec.cookie.as_str().into(),
                max_age: spec.max_age.map(|age| age / 1000),
                keyed,
                own: spec.secret.is_some(),
            }),
            _ => Err(errors),
        }
    }

    /// Copies the rules; without a secret of its own the cookie is signed with `random` from now on.
    pub(super) fn adopt(&self, random: &[u8; 32]) -> Self {
        let fresh = if self.own { None } else { keyed(random, &self.name) };
        Self { keyed: fresh.unwrap_or_else(|| self.keyed.clone()), ..self.clone() }
    }

    /// Returns the identity of the server that the request's cookie names, if we signed it. Whether there
    /// still is such a server is for the caller to see.
    pub fn read(&self, message: Message<'_>) -> Option<u64> {
        let cookies = message.values(Known::Cookie).flat_map(pairs);
        let ours = cookies.filter_map(|pair| self.value(pair)).take(MOST_COOKIES);
        ours.filter_map(|value| self.verified(value)).next()
    }

    /// Appends the value of a Set-Cookie field that keeps the client at the server with this identity.
    pub fn write(&self, out: &mut Vec<u8>, identity: u64, secure: bool) {
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'=');
        push_hex(out, &identity.to_be_bytes());
        out.push(b'.');
        push_hex(out, &self.signature(identity).finalize().into_bytes()[..SIGNATURE / 2]);
        out.extend_from_slice(b"; Path=/; HttpOnly; SameSite=Lax");
        if secure {
            out.extend_from_slice(b"; Secure");
        }
        if let Some(seconds) = self.max_age {
            out.extend_from_slice(b"; Max-Age=");
            push_number(out, seconds);
        }
    }

    /// Whether a Cookie field has our cookie, signed or not.
    pub(super) fn is_in(&self, cookies: &[u8]) -> bool {
        pairs(cookies).any(|pair| self.value(pair).is_some())
    }

    /// Appends a line with the cookies of a Cookie field but ours; nothing when none is left.
    pub(super) fn push_others(&self, out: &mut Vec<u8>, cookies: &[u8]) {
        let others = || pairs(cookies).filter(|pair| !pair.is_empty() && self.value(pair).is_none());
        for (index, pair) in others().enumerate() {
            out.extend_from_slice(if index == 0 { b"Cookie: " } else { b"; " });
            out.extend_from_slice(pair);
        }
        if others().next().is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Returns the value of a `NAME=value` pair if the name is ours.
    fn value<'a>(&self, pair: &'a [u8]) -> Option<&'a [u8]> {
        pair.strip_prefix(self.name.as_bytes())?.strip_prefix(b"=")
    }

    fn verified(&self, value: &[u8]) -> Option<u64> {
        if value.len() != IDENTITY + 1 + SIGNATURE || value[IDENTITY] != b'.' {
            return None;
        }
        let identity = u64::from_be_bytes(from_hex(&value[..IDENTITY])?);
        let signature: [u8; SIGNATURE / 2] = from_hex(&value[IDENTITY + 1..])?;
        self.signature(identity).verify_truncated_left(&signature).ok().map(|()| identity)
    }

    fn signature(&self, identity: u64) -> Hmac<Sha256> {
        let mut signature = self.keyed.clone();
        signature.update(&identity.to_be_bytes());
        signature
    }
}

/// Returns the HMAC that signs the cookie with this name. HMAC takes keys of every length.
fn keyed(secret: &[u8], name: &str) -> Option<Hmac<Sha256>> {
    let mut keyed = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    keyed.update(name.as_bytes());
    keyed.update(b"=");
    Some(keyed)
}

/// Returns the `name=value` pairs of a Cookie field (RFC 6265 section 4.2.1).
pub(crate) fn pairs(cookies: &[u8]) -> impl Iterator<Item = &[u8]> {
    cookies.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

fn push_hex(out: &mut Vec<u8>, octets: &[u8]) {
    for octet in octets {
        out.push(b"0123456789abcdef"[usize::from(octet >> 4)]);
        out.push(b"0123456789abcdef"[usize::from(octet & 15)]);
    }
}

/// Returns the octets that lower-case hex digits stand for, twice as many as octets.
fn from_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut octets = [0; N];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affinity(secret: Option<&str>, max_age: Option<u64>) -> Affinity {
        let spec = AffinitySpec {
            cookie: "HW".into(),
            secret: secret.map(str::to_owned),
            max_age: max_age.map(|seconds| seconds * 1000),
        };
        Affinity::compile(&spec, &[7; 32]).unwrap()
    }

    fn cookie(affinity: &Affinity, identity: u64) -> String {
        let mut out = Vec::new();
        affinity.write(&mut out, identity, false);
        String::from_utf8(out).unwrap().split_once("; ").unwrap().0.to_owned()
    }

    fn verified(affinity: &Affinity, cookie: &str) -> Option<u64> {
        affinity.verified(affinity.value(cookie.as_bytes())?)
    }

    #[test]
    fn only_what_was_signed_is_believed() {
        let ours = affinity(None, None);
        for identity in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(verified(&ours, &cookie(&ours, identity)), Some(identity));
        }
        let signed = cookie(&ours, 5);
        for at in 0..signed.len() {
            let mut forged = signed.clone().into_bytes();
            forged[at] ^= 1;
            assert_eq!(verified(&ours, &String::from_utf8(forged).unwrap()), None, "{at}");
            assert_eq!(verified(&ours, &signed[..at]), None);
        }
        assert_eq!(verified(&ours, &format!("{signed}0")), None);
        assert_eq!(verified(&ours, &signed.to_uppercase()), None, "one spelling of each");
        assert_eq!(verified(&affinity(Some("sixteen letters!"), None), &signed), None);
    }

    #[test]
    fn the_signature_is_an_hmac() {
        // printf 'HW=\0\0\0\0\0\0\0\5' | openssl dgst -sha256 -hmac 'sixteen letters!'
        let ours = affinity(Some("sixteen letters!"), None);
        assert_eq!(cookie(&ours, 5), "HW=0000000000000005.eb5be8d23868c5dfce1b2958bfbbdf1d");
    }

    #[test]
    fn attributes() {
        let mut out = Vec::new();
        affinity(None, Some(3600)).write(&mut out, 1, true);
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=3600"), "{text}");
    }

    #[test]
    fn other_cookies_stay() {
        let ours = affinity(None, None);
        for (cookies, left) in [
            ("HW=x", ""),
            ("a=1; HW=x", "Cookie: a=1\r\n"),
            ("HW=x; a=1;HW=y; b=\"2\"", "Cookie: a=1; b=\"2\"\r\n"),
            ("HWX=1; aHW=2;", "Cookie: HWX=1; aHW=2\r\n"),
        ] {
            let mut out = Vec::new();
            ours.push_others(&mut out, cookies.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), left);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let spec = AffinitySpec { cookie: "a b".into(), secret: Some("short".into()), max_age: None };
        let errors = Affinity::compile(&spec, &[0; 32]).unwrap_err();
        assert_eq!(errors.iter().map(Problem::place).collect::<Vec<_>>(), ["cookie", "secret"]);
    }
}
