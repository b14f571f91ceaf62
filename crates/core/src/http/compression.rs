//! Compression: which responses are compressed, and how. Compressing itself is the engine's.
//!
//! The client's half of the question is answered when the request is read ([`Compression::offer`]), the
//! server's half when the response is ([`Compression::suits`]): nothing of a request is kept in between. A
//! response that suits depends on Accept-Encoding and needs `Vary` whether or not it is compressed for this
//! client. Must never touch a body.

use super::accept_encoding::AcceptEncoding;
use super::coding::Coding;
use crate::message::{Framing, Head, Known, Method, Version};
use crate::path;
use crate::problem::Problem;
use crate::spec::CompressionSpec;

/// A listener's rules.
#[derive(Debug, Clone)]
pub struct Compression {
    /// Codings offered, best first.
    codings: Box<[Coding]>,
    types: Box<[MediaType]>,
    min_size: u64,
}

/// A media type in lower case; an empty subtype stands for `*`.
#[derive(Debug, Clone)]
struct MediaType {
    kind: Box<str>,
    subtype: Box<str>,
}

impl Compression {
    /// Compiles the rules; the paths of the errors are those below `compression`.
    pub fn compile(spec: &CompressionSpec) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        let mut codings = Vec::new();
        for (index, name) in spec.algorithms.iter().enumerate() {
            let reason = match Coding::ALL.into_iter().find(|coding| coding.as_str() == name) {
                None => format!("unknown algorithm \"{name}\"; known are zstd, br, gzip"),
                Some(coding) if codings.contains(&coding) => format!("{name} is listed twice"),
                Some(coding) => {
                    codings.push(coding);
                    continue;
                }
            };
            errors.push(Problem::new(path!["algorithms", index], reason));
        }
        let mut types = Vec::new();
        for (index, written) in spec.types.iter().enumerate() {
            match MediaType::parse(written) {
                Some(media_type) => types.push(media_type),
                None => {
                    let reason = format!("\"{written}\" is neither a type/subtype nor a type/*");
                    errors.push(Problem::new(path!["types", index], reason));
                }
            }
        }
        if errors.is_empty() {
            Ok(Self { codings: codings.into(), types: types.into(), min_size: spec.min_size })
        } else {
            Err(errors)
        }
    }

    /// Returns the coding for the response to `request`, should it suit; None: the response stays as it is.
    ///
    /// HEAD gets no body to compress, and HTTP/1.0 knows no chunks, which a body of unknown length needs.
    pub fn offer(&self, request: &Head, bytes: &[u8]) -> Option<Coding> {
        if request.method == Method::Head || request.version == Version::Http10 {
            return None;
        }
        AcceptEncoding::of(request, bytes).best(&self.codings)
    }

    /// Whether `response`, read from `bytes`, is compressed for clients that accept it.
    pub fn suits(&self, response: &Head, bytes: &[u8]) -> bool {
        whole(response.status)
            && match response.framing {
                Framing::None => false,
                Framing::Length(length) => length >= self.min_size.max(1),
                Framing::Chunked | Framing::Stream | Framing::ToEnd => true,
            }
            && self.fields_suit(response, bytes)
    }

    fn fields_suit(&self, response: &Head, bytes: &[u8]) -> bool {
        let mut listed = false;
        for field in &response.fields {
            let value = field.value.of(bytes);
            match field.known {
                Known::ContentType => listed = self.lists(value),
                // Coded already, or a part: its bytes are counted in the form it has.
                Known::ContentEncoding | Known::ContentRange => return false,
                Known::CacheControl if forbids_transforming(value) => return false,
                _ => {}
            }
        }
        listed
    }

    /// Whether a Content-Type is one of `types`.
    fn lists(&self, content_type: &[u8]) -> bool {
        let end = content_type.iter().position(|&byte| byte == b';').unwrap_or(content_type.len());
        let mut halves = content_type[..end].trim_ascii().splitn(2, |&byte| byte == b'/');
        let (Some(kind), Some(subtype)) = (halves.next(), halves.next()) else { return false };
        self.types.iter().any(|listed| {
            kind.eq_ignore_ascii_case(listed.kind.as_bytes())
                && (listed.subtype.is_empty() || subtype.eq_ignore_ascii_case(listed.subtype.as_bytes()))
        })
    }
}

impl MediaType {
    fn parse(written: &str) -> Option<Self> {
        let (kind, subtype) = written.split_once('/')?;
        let token = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
            !text.is_empty() && text.bytes().all(plain)
        };
        if !token(kind) || !(subtype == "*" || token(subtype)) {
            return None;
        }
        let subtype = if subtype == "*" { "" } else { subtype };
        Some(Self { kind: kind.to_ascii_lowercase().into(), subtype: subtype.to_ascii_lowercase().into() })
    }
}

/// Whether a status is success with all of a representation: not 204 (none), 205 (none), 206 (a part), 226 (a
/// difference).
fn whole(status: u16) -> bool {
    matches!(status, 200..=203)
}

/// Whether a Cache-Control has `no-transform` (RFC 9111 section 5.2.2.6).
fn forbids_transforming(value: &[u8]) -> bool {
    value
        .split(|&byte| byte == b',')
        .any(|element| element.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Field, Span};

    fn spec() -> CompressionSpec {
        CompressionSpec {
            algorithms: vec!["zstd".into(), "br".into(), "gzip".into()],
            types: vec!["text/*".into(), "application/JSON".into()],
            min_size: 100,
        }
    }

    /// Makes a head with these fields, and the bytes it stands in.
    fn head(framing: Framing, fields: &[(Known, &str)]) -> (Head, Vec<u8>) {
        let mut bytes = Vec::new();
        let mut head = Head { status: 200, framing, ..Head::default() };
        for &(known, value) in fields {
            let start = bytes.len();
            bytes.extend_from_slice(value.as_bytes());
            head.push(Field { value: Span::new(start, bytes.len()), known, ..Field::default() });
        }
        (head, bytes)
    }

    fn suits(framing: Framing, fields: &[(Known, &str)]) -> bool {
        let (head, bytes) = head(framing, fields);
        Compression::compile(&spec()).unwrap().suits(&head, &bytes)
    }

    #[test]
    fn types_that_are_listed() {
        for (written, listed) in [
            ("text/html", true),
            ("TEXT/Plain ; charset=utf-8", true),
            ("application/json;charset=utf-8", true),
            ("application/jsonp", false),
            ("application/octet-stream", false),
            ("texts/html", false),
            ("text", false),
            ("", false),
        ] {
            assert_eq!(suits(Framing::Chunked, &[(Known::ContentType, written)]), listed, "{written}");
        }
        assert!(!suits(Framing::Chunked, &[]));
    }

    #[test]
    fn lengths_and_ends() {
        let html = [(Known::ContentType, "text/html")];
        assert!(suits(Framing::Length(100), &html) && suits(Framing::ToEnd, &html));
        assert!(!suits(Framing::Length(99), &html) && !suits(Framing::None, &html));
    }

    #[test]
    fn what_is_whole_and_may_be_changed() {
        let html = (Known::ContentType, "text/html");
        for other in [
            (Known::ContentEncoding, "gzip"),
            (Known::ContentRange, "bytes 0-9/100"),
            (Known::CacheControl, "no-transform"),
            (Known::CacheControl, "public, No-Transform ,max-age=3"),
        ] {
            assert!(!suits(Framing::Chunked, &[html, other]), "{other:?}");
            assert!(!suits(Framing::Chunked, &[other, html]), "{other:?}");
        }
        assert!(suits(Framing::Chunked, &[html, (Known::CacheControl, "max-age=3, no-transformation")]));
        let compression = Compression::compile(&spec()).unwrap();
        for (status, whole) in [
            (200, true),
            (203, true),
            (101, false),
            (204, false),
            (205, false),
            (206, false),
            (226, false),
            (304, false),
        ] {
            let (mut head, bytes) = head(Framing::Chunked, &[html]);
            head.status = status;
            assert_eq!(compression.suits(&head, &bytes), whole, "{status}");
        }
    }

    #[test]
    fn what_a_request_is_offered() {
        let compression = Compression::compile(&spec()).unwrap();
        let (mut head, bytes) =
            head(Framing::None, &[(Known::AcceptEncoding, "gzip"), (Known::AcceptEncoding, "br")]);
        assert_eq!(compression.offer(&head, &bytes), Some(Coding::Brotli));
        head.method = Method::Head;
        assert_eq!(compression.offer(&head, &bytes), None);
        head.method = Method::Get;
        head.version = Version::Http10;
        assert_eq!(compression.offer(&head, &bytes), None);
    }

    #[test]
    fn every_problem_is_told() {
        let written = CompressionSpec {
            algorithms: ["gzip", "deflate", "gzip"].map(str::to_owned).to_vec(),
            types: ["text/html", "html", "*/*", "text/", "a b/c"].map(str::to_owned).to_vec(),
            min_size: 0,
        };
        let errors = Compression::compile(&written).unwrap_err();
        let places: Vec<_> = errors.iter().map(Problem::place).collect();
        assert_eq!(places, ["algorithms.1", "algorithms.2", "types.1", "types.2", "types.3", "types.4"]);
        assert_eq!(errors[0].reason, "unknown algorithm \"deflate\"; known are zstd, br, gzip");
    }
}
