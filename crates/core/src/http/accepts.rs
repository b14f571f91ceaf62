//! Accept: how much a client likes each media type we could answer with (RFC 9110 section 12.5.1).
//!
//! Must never fail: a range that is malformed is not accepted, and a client that accepts nothing we have gets
//! our first.

use super::accept_encoding::thousandths;

/// Returns the index of the type in `ours` (most preferred first, at most 8, each `type/subtype`) that
/// `accept` likes most.
///
/// Among types liked as much, one that is named comes before one that only a wildcard takes; then our order
/// decides.
///
/// Worked example: `text/html, */*;q=0.8` and ours are text/plain, text/html: text/html. `*/*`: text/plain.
pub fn best(accept: &[u8], ours: &[&str]) -> usize {
    // The standing of each type: the precision of the range that decides, and the weight it gives.
    let mut standing = [(0_u8, 0_u16); 8];
    for (range, weight) in ranges(accept) {
        for (name, standing) in ours.iter().zip(&mut standing) {
            let precision = precision(range, name.as_bytes());
            // A more precise range overrides, whichever comes first; of equals the first.
            if precision > standing.0 {
                *standing = (precision, weight);
            }
        }
    }
    let mut best = (0, (0, 0));
    for (index, (precision, weight)) in standing.into_iter().take(ours.len()).enumerate() {
        if weight > 0 && (weight, precision) > best.1 {
            best = (index, (weight, precision));
        }
    }
    best.0
}

/// Returns 3 when `range` names the type, 2 for `type/*`, 1 for `*/*`, 0 when it does not take it.
fn precision(range: &[u8], name: &[u8]) -> u8 {
    if range == b"*/*" {
        return 1;
    }
    if range.eq_ignore_ascii_case(name) {
        return 3;
    }
    let family = range.strip_suffix(b"*").filter(|family| family.ends_with(b"/"));
    let begins =
        |family: &[u8]| name.len() > family.len() && name[..family.len()].eq_ignore_ascii_case(family);
    if family.is_some_and(begins) { 2 } else { 0 }
}

/// Returns each media range with its weight in thousandths. Ranges with other parameters than `q` ask for a
/// variant that nothing here has.
fn ranges(accept: &[u8]) -> impl Iterator<Item = (&[u8], u16)> {
    split(accept, b',').filter_map(|element| {
        let mut parts = split(element, b';').map(<[u8]>::trim_ascii);
        let range = parts.next()?;
        let mut weight = 1000;
        for parameter in parts {
            let (name, value) = parameter.split_at(parameter.iter().position(|byte| *byte == b'=')?);
            if name.trim_ascii().eq_ignore_ascii_case(b"q") {
                weight = thousandths(value[1..].trim_ascii())?;
                // Parameters after the weight once extended Accept (RFC 9110 section 12.5.1) and mean nothing
                // now.
                break;
            }
            if !name.trim_ascii().eq_ignore_ascii_case(b"charset") {
                return None;
            }
        }
        Some((range, weight))
    })
}

/// Splits at `separator` where that is not inside a quoted string (RFC 9110 section 5.6.4).
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |byte| {
        let plain = !quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        plain && *byte == separator
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [&str; 4] = ["text/plain", "text/html", "application/json", "application/problem+json"];

    #[test]
    fn the_best_liked_then_the_named_then_our_order() {
        for (accept, chosen) in [
            ("", "text/plain"),
            ("*/*", "text/plain"),
            ("text/*", "text/plain"),
            ("application/*", "application/json"),
            ("text/html", "text/html"),
            ("TEXT/HTML", "text/html"),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
                "text/html",
            ),
            ("application/json, text/plain, */*", "text/plain"),
            ("application/json, */*", "application/json"),
            ("application/json;q=0.5, text/plain;q=0.4", "application/json"),
            ("text/plain;q=0.5, text/html;q=0.50", "text/plain"),
            ("application/problem+json", "application/problem+json"),
            ("*/*, text/plain;q=0", "text/html"),
            ("text/plain;q=0, text/*;q=0.1, */*;q=0.2", "application/json"),
            ("text/html;charset=utf-8", "text/html"),
            ("text/html;level=1, application/json;q=0.3", "application/json"),
            ("image/png", "text/plain"),
            ("text/html;q=2, application/json;q=0.1", "application/json"),
            ("text/html;q, application/json;q=0.1", "application/json"),
            ("text/html;q=\"1,\", application/json;q=0.1", "application/json"),
            ("application/json ; Q=0.7 ; ext=1 , text/html;q=0.6", "application/json"),
            ("image/x;a=\",text/html\", application/json", "application/json"),
            ("image/x;a=\"\\\",text/html\", application/json", "application/json"),
            ("text/html\"", "text/plain"),
            (",,;q=1,/,*,text,/html", "text/plain"),
        ] {
            assert_eq!(OURS[best(accept.as_bytes(), &OURS)], chosen, "{accept}");
        }
        assert_eq!(best(b"*/*", &[]), 0);
    }
}
