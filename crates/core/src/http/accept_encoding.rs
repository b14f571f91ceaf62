//! Accept-Encoding: how much a client likes each content coding we can make (RFC 9110 section 12.5.3).
//!
//! Read once a request into a few numbers, so that nothing of the request must be kept until the response
//! comes. What is malformed counts as not accepted: to leave a response as it is never breaks a client.

use crate::http::coding::Coding;
use crate::message::{Head, Known};

/// The whole weight: `q=1`. Weights are thousandths.
const WHOLE: u16 = 1000;

/// Weights as the client gave them; None: not mentioned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AcceptEncoding {
    zstd: Option<u16>,
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl AcceptEncoding {
    /// Reads all Accept-Encoding fields of `request`, which was read from `bytes`.
    pub fn of(request: &Head, bytes: &[u8]) -> Self {
        let mut accepted = Self::default();
        for field in request.fields.iter().filter(|field| field.known == Known::AcceptEncoding) {
            accepted.add(field.value.of(bytes));
        }
        accepted
    }

    /// Adds one field value.
    pub fn add(&mut self, value: &[u8]) {
        for element in value.split(|&byte| byte == b',') {
            let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let weight = Some(weight(parts));
            let slot = match name {
                b"*" => &mut self.any,
                _ if name.eq_ignore_ascii_case(b"identity") => &mut self.identity,
                _ if name.eq_ignore_ascii_case(b"zstd") => &mut self.zstd,
                _ if name.eq_ignore_ascii_case(b"br") => &mut self.brotli,
                _ if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => {
                    &mut self.gzip
                }
                _ => continue,
            };
            *slot = weight;
        }
    }

    /// Returns the coding of `ours` (best first) that the client likes most; None when it prefers the
    /// response as it is.
    ///
    /// Worked example: `br;q=0.5, *;q=0.8` and ours are br, gzip: gzip.
    pub fn best(&self, ours: &[Coding]) -> Option<Coding> {
        let mut best: Option<(u16, Coding)> = None;
        for &coding in ours {
            let weight = self.weight(coding);
            if weight > best.map_or(0, |(weight, _)| weight) {
                best = Some((weight, coding));
            }
        }
        let (weight, coding) = best?;
        // Not mentioned, identity is acceptable but liked least; mentioned, it may be liked more than any
        // coding.
        (weight >= self.identity.unwrap_or(0)).then_some(coding)
    }

    fn weight(&self, coding: Coding) -> u16 {
        let named = match coding {
            Coding::Zstd => self.zstd,
            Coding::Brotli => self.brotli,
            Coding::Gzip => self.gzip,
        };
        named.or(self.any).unwrap_or(0)
    }
}

/// Returns the weight among an element's parameters: whole when there is none.
fn weight<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> u16 {
    for parameter in parameters {
        let mut sides = parameter.splitn(2, |&byte| byte == b'=');
        let name = sides.next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"q") {
            return sides.next().and_then(|value| thousandths(value.trim_ascii())).unwrap_or(0);
        }
    }
    WHOLE
}

/// Reads a qvalue: `0` or `1`, with at most three decimals, and none but zeros behind a 1.
pub(super) fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut sum = u16::from(whole - b'0') * WHOLE;
    let mut place = 100;
    for &digit in decimals {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum += u16::from(digit - b'0') * place;
        place /= 10;
    }
    (sum <= WHOLE).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Zstd};

    fn best(values: &[&str]) -> Option<Coding> {
        let mut accepted = AcceptEncoding::default();
        for value in values {
            accepted.add(value.as_bytes());
        }
        accepted.best(&[Zstd, Brotli, Gzip])
    }

    #[test]
    fn the_best_liked_and_then_our_order() {
        for (value, chosen) in [
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, deflate, br", Some(Brotli)),
            ("gzip", Some(Gzip)),
            ("X-GZIP ; Q=0.5", Some(Gzip)),
            ("gzip;q=1.0, br;q=0.9, zstd;q=0.001", Some(Gzip)),
            ("br;q=0.5,gzip;q=0.50", Some(Brotli)),
            ("*", Some(Zstd)),
            ("zstd;q=0, *", Some(Brotli)),
            ("br;q=0.5, *;q=0.8, zstd;q=0", Some(Gzip)),
            ("gzip;level=5;q=0.3", Some(Gzip)),
            ("deflate, compress", None),
            ("", None),
            (",,", None),
            ("identity", None),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.6", None),
            ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
            ("gzip;q=0.5, identity;q=0", Some(Gzip)),
        ] {
            assert_eq!(best(&[value]), chosen, "{value}");
        }
        assert_eq!(best(&["gzip", "br"]), Some(Brotli), "fields add up");
        assert_eq!(best(&[]), None, "absent: anything is acceptable, nothing is asked for");
    }

    #[test]
    fn what_is_malformed_is_not_accepted() {
        for value in ["2", "1.1", "1.0001", "0.1234", ".5", "-1", "a", "", "0,5", "00.1", "1e1", "0.5x"] {
            assert_eq!(best(&[&format!("gzip;q={value}")]), None, "{value}");
        }
        assert_eq!(best(&["gzip;q"]), None);
        assert_eq!(best(&["gzipped, brr"]), None);
        for (value, weight) in
            [("0", 0), ("0.", 0), ("1.", 1000), ("0.123", 123), ("0.05", 50), ("1.000", 1000)]
        {
            assert_eq!(thousandths(value.as_bytes()), Some(weight), "{value}");
        }
    }
}
