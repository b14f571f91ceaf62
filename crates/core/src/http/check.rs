//! HttpCheck: what an active check asks a server by HTTP, and whether the answer is good.
//!
//! Takes as much of the answer as it needs and no more: a version, a status, and, where a text is looked for, enough of
//! the framing to find it in a chunked body. Any bytes may come from a server; what is no answer is a bad one.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::spec::HttpCheckSpec;

/// Bytes of an answer that are looked at.
pub const ANSWER_LIMIT: usize = 64 * 1024;

/// What a check asks and expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    method: Box<str>,
    path: Box<str>,
    host: Option<Box<str>>,
    expect: Box<[RangeInclusive<u16>]>,
    body: Option<Box<str>>,
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// More of it must come.
    Undecided,
    /// As expected.
    Good,
    /// Not so: why, in words.
    Bad(String),
}

impl HttpCheck {
    /// Compiles a check, or says what is wrong by key.
    pub fn compile(spec: &HttpCheckSpec) -> Result<Self, Vec<(&'static str, String)>> {
        let mut errors = Vec::new();
        if spec.method.is_empty()
            || !spec.method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        {
            errors.push(("method", format!("\"{}\" is no method, such as GET", spec.method)));
        } else if spec.method == "CONNECT" {
            errors.push(("method", "CONNECT asks for a tunnel, not for an answer".into()));
        }
        if !spec.path.starts_with('/')
            || !spec.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        {
            errors.push((
                "path",
                format!("\"{}\" does not begin with / or has characters to be encoded", spec.path),
            ));
        }
        if let Some(host) = spec.host.as_deref().filter(|host| !is_host(host)) {
            errors.push(("host", format!("\"{host}\" is no host")));
        }
        let expect = expected(&spec.expect).unwrap_or_else(|reason| {
            errors.push(("expect", reason));
            Box::default()
        });
        match spec.body.as_deref() {
            Some("") => errors.push(("body", "every body has the empty text".into())),
            Some(_) if spec.method == "HEAD" => {
                errors.push(("body", "answers to HEAD have no body".into()));
            }
            _ => {}
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            method: spec.method.as_str().into(),
            path: spec.path.as_str().into(),
            host: spec.host.as_deref().map(Into::into),
            expect,
            body: spec.body.as_deref().map(Into::into),
        })
    }

    /// The request to `server`, whose address is the Host unless one is configured.
    pub fn request(&self, server: &impl Display) -> Vec<u8> {
        let host = self.host.as_deref().map_or_else(|| host_of(server), str::to_owned);
        let Self { method, path, .. } = self;
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: headworks\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        .into_bytes()
    }

    /// Judges what came so far; `ended`: that no more will.
    pub fn judge(&self, answer: &[u8], ended: bool) -> Judgement {
        match self.look(answer) {
            Ok(Judgement::Undecided) if answer.len() >= ANSWER_LIMIT => {
                Judgement::Bad(self.lacking("the first 64 KiB of the answer"))
            }
            Ok(Judgement::Undecided) if ended => match answer.is_empty() {
                true => Judgement::Bad("it closed the connection without an answer".into()),
                false => Judgement::Bad(self.lacking("the answer")),
            },
            Ok(judgement) => judgement,
            Err(NoAnswer) => Judgement::Bad("what it answers is not HTTP".into()),
        }
    }

    fn look(&self, answer: &[u8]) -> Result<Judgement, NoAnswer> {
        let mut rest = answer;
        loop {
            let Some((status, after)) = status_line(rest)? else { return Ok(Judgement::Undecided) };
            // Interim responses come before the one that counts (RFC 9110 section 15.2).
            if (100..200).contains(&status) && status != 101 {
                let Some(end) = find(rest, b"\r\n\r\n") else { return Ok(Judgement::Undecided) };
                rest = &rest[end + 4..];
                continue;
            }
            if !self.expect.iter().any(|range| range.contains(&status)) {
                return Ok(Judgement::Bad(format!("its status is {status}")));
            }
            let Some(text) = self.body.as_deref() else { return Ok(Judgement::Good) };
            // The line's own end may be the first half of the head's.
            let Some(end) = find(&rest[after - 2..], b"\r\n\r\n") else { return Ok(Judgement::Undecided) };
            let (head, body) = (&rest[after..after + end], &rest[after + 2 + end..]);
            return Ok(self.look_for(text, head, body));
        }
    }

    /// Whether a body has `text`. `head` is the field lines, the last with its end.
    fn look_for(&self, text: &str, head: &[u8], body: &[u8]) -> Judgement {
        let joined;
        let (body, complete) = if is_chunked(head) {
            let (bytes, complete) = joined_chunks(body);
            joined = bytes;
            (&joined[..], complete)
        } else {
            let length = value(head, "content-length").and_then(|value| value.parse().ok());
            let end = length.map_or(body.len(), |length: usize| length.min(body.len()));
            (&body[..end], length == Some(end))
        };
        if find(body, text.as_bytes()).is_some() {
            return Judgement::Good;
        }
        match complete {
            true => Judgement::Bad(self.lacking("its body")),
            false => Judgement::Undecided,
        }
    }

    fn lacking(&self, what: &str) -> String {
        match &self.body {
            Some(text) => format!("{what} lacks \"{}\"", text.escape_debug()),
            None => format!("{what} is incomplete"),
        }
    }
}

/// The bytes are not an HTTP/1 response.
struct NoAnswer;

/// `200-399,401` as ranges.
fn expected(written: &str) -> Result<Box<[RangeInclusive<u16>]>, String> {
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| digits && (100..600).contains(status))
    };
    let mut ranges = Vec::new();
    for element in written.split(',').map(str::trim) {
        let (first, last) = element.split_once('-').unwrap_or((element, element));
        let ends = status(first.trim()).zip(status(last.trim())).filter(|(first, last)| first <= last);
        let Some((first, last)) = ends else {
            return Err(format!(
                "\"{element}\" is neither a status (100 to 599) nor a range such as 200-399"
            ));
        };
        ranges.push(first..=last);
    }
    Ok(ranges.into())
}

/// A unix socket has no name of its own.
fn host_of(server: &impl Display) -> String {
    let written = server.to_string();
    if is_host(&written) { written } else { "localhost".into() }
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]~%".contains(&byte);
    !text.is_empty() && !text.starts_with("unix:") && text.bytes().all(plain)
}

/// The status of a response and where its first field line begins; None: too few bytes to tell.
fn status_line(bytes: &[u8]) -> Result<Option<(u16, usize)>, NoAnswer> {
    const SHAPE: &[u8] = b"HTTP/1.x 999";
    for (&byte, &shape) in bytes.iter().zip(SHAPE) {
        let fits = match shape {
            b'x' => matches!(byte, b'0' | b'1'),
            b'9' => byte.is_ascii_digit(),
            plain => byte == plain,
        };
        if !fits {
            return Err(NoAnswer);
        }
    }
    let Some(rest) = bytes.get(SHAPE.len()..) else { return Ok(None) };
    if rest.first().is_some_and(|&byte| !matches!(byte, b' ' | b'\r')) {
        return Err(NoAnswer);
    }
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    if end == 0 || rest[end - 1] != b'\r' {
        return Err(NoAnswer);
    }
    let status = bytes[9..12].iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    match status {
        100..=599 => Ok(Some((status, SHAPE.len() + end + 1))),
        _ => Err(NoAnswer),
    }
}

/// The value of the first field with this name, in lower case.
fn value(head: &[u8], name: &str) -> Option<String> {
    let line = head.split(|&byte| byte == b'\n').find(|line| {
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
            && line.get(name.len()) == Some(&b':')
    })?;
    let value = std::str::from_utf8(line[name.len() + 1..].trim_ascii()).ok()?;
    Some(value.to_ascii_lowercase())
}

fn is_chunked(head: &[u8]) -> bool {
    value(head, "transfer-encoding").is_some_and(|coding| coding == "chunked")
}

/// What the chunks so far hold, and whether the last one is among them. What is not in chunks ends it.
fn joined_chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut joined = Vec::new();
    loop {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return (joined, false) };
        let digits = rest[..end].split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        rest = &rest[end + 1..];
        match size {
            None | Some(0) => return (joined, true),
            Some(size) if size >= rest.len() => {
                joined.extend_from_slice(rest);
                return (joined, false);
            }
            Some(size) => {
                joined.extend_from_slice(&rest[..size]);
                rest = rest[size..].strip_prefix(b"\r\n").unwrap_or(&rest[size..]);
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(expect: &str, body: Option<&str>) -> HttpCheckSpec {
        HttpCheckSpec {
            method: "GET".into(),
            path: "/health?full=1".into(),
            host: None,
            expect: expect.into(),
            body: body.map(str::to_owned),
        }
    }

    fn check(expect: &str, body: Option<&str>) -> HttpCheck {
        HttpCheck::compile(&spec(expect, body)).unwrap()
    }

    fn bad(reason: &str) -> Judgement {
        Judgement::Bad(reason.into())
    }

    #[test]
    fn what_is_asked() {
        let request = String::from_utf8(check("200", None).request(&"192.0.2.1:80")).unwrap();
        assert_eq!(
            request,
            "GET /health?full=1 HTTP/1.1\r\nHost: 192.0.2.1:80\r\nUser-Agent: headworks\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        let request = String::from_utf8(check("200", None).request(&"unix:/run/app.sock")).unwrap();
        assert!(request.contains("\r\nHost: localhost\r\n"), "{request}");
        let named = HttpCheckSpec { host: Some("app.example".into()), ..spec("200", None) };
        let request = String::from_utf8(HttpCheck::compile(&named).unwrap().request(&"[::1]:80")).unwrap();
        assert!(request.contains("\r\nHost: app.example\r\n"), "{request}");
    }

    #[test]
    fn statuses() {
        let check = check("200-399, 401,404", None);
        for (answer, judgement) in [
            ("HTTP/1.1 200 OK\r\n", Judgement::Good),
            ("HTTP/1.0 399 \r\n", Judgement::Good),
            ("HTTP/1.1 401\r\n", Judgement::Good),
            ("HTTP/1.1 400 Bad Request\r\n", bad("its status is 400")),
            ("HTTP/1.1 503 Busy\r\n\r\n", bad("its status is 503")),
            ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Gone\r\n", Judgement::Good),
            ("HTTP/1.1 100 Continue\r\n\r\n", Judgement::Undecided),
            ("HTTP/1.1 20", Judgement::Undecided),
            ("", Judgement::Undecided),
        ] {
            assert_eq!(check.judge(answer.as_bytes(), false), judgement, "{answer}");
        }
        assert_eq!(check.judge(b"", true), bad("it closed the connection without an answer"));
        assert_eq!(check.judge(b"HTTP/1.1 200", true), bad("the answer is incomplete"));
        assert_eq!(
            check.judge(&b"HTTP/1.1 200 ".repeat(6000)[..ANSWER_LIMIT], false),
            bad("the first 64 KiB of the answer is incomplete")
        );
    }

    #[test]
    fn what_is_no_answer() {
        for answer in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/2 200\r\n",
            "HTTP/1.2 200 OK\r\n",
            "HTTP/1.1  200\r\n",
            "HTTP/1.1 20x\r\n",
            "HTTP/1.1 2000\r\n",
            "HTTP/1.1 200 OK\n",
            "HTTP/1.1 099 OK\r\n",
            "HTTP/1.1 600 OK\r\n",
            "http/1.1 200 OK\r\n",
            "\0",
        ] {
            assert_eq!(
                check("200", None).judge(answer.as_bytes(), false),
                bad("what it answers is not HTTP"),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_text_in_the_body() {
        let check = check("200", Some("all is well"));
        let lacks = bad("its body lacks \"all is well\"");
        for (answer, judgement) in [
            ("HTTP/1.1 200 OK\r\nX: all is well\r\n\r\n", Judgement::Undecided),
            ("HTTP/1.1 200 OK\r\n\r\n<p>all is well", Judgement::Good),
            ("HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\n<p>al", lacks.clone()),
            ("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<p>al", Judgement::Undecided),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nall i\r\n6\r\ns well\r\n",
                Judgement::Good,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall i\r\n0\r\n\r\n", lacks),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nall is", Judgement::Undecided),
            ("HTTP/1.1 500 Oops\r\n\r\nall is well", bad("its status is 500")),
        ] {
            assert_eq!(check.judge(answer.as_bytes(), false), judgement, "{answer}");
        }
        let ended = check.judge(b"HTTP/1.1 200 OK\r\n\r\nall is", true);
        assert_eq!(ended, bad("the answer lacks \"all is well\""));
    }

    #[test]
    fn what_cannot_be_asked_or_expected() {
        for expect in ["", "2xx", "99", "600", "200-", "399-200", "200,,201", "0200", "+20", "200-300-400"] {
            let errors = HttpCheck::compile(&spec(expect, None)).unwrap_err();
            assert_eq!(errors.iter().map(|error| error.0).collect::<Vec<_>>(), ["expect"], "{expect}");
        }
        let wrong = HttpCheckSpec {
            method: "get it".into(),
            path: "health".into(),
            host: Some("a\r\nb".into()),
            expect: "x".into(),
            body: Some(String::new()),
        };
        let errors = HttpCheck::compile(&wrong).unwrap_err();
        let keys: Vec<_> = errors.iter().map(|error| error.0).collect();
        assert_eq!(keys, ["method", "path", "host", "expect", "body"]);
        let head = HttpCheckSpec { method: "HEAD".into(), ..spec("200", Some("x")) };
        assert_eq!(HttpCheck::compile(&head).unwrap_err()[0].0, "body");
        for (method, path) in [("CONNECT", "/"), ("GET", "/a b"), ("GET", "/ä"), ("GET", "/#part")] {
            let written = HttpCheckSpec { method: method.into(), path: path.into(), ..spec("200", None) };
            assert!(HttpCheck::compile(&written).is_err(), "{method} {path}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(
            start in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
            rest in "[0-9a-f\r\n: ;]{0,200}",
        ) {
            let answer = [start, &rest].concat();
            let check = check("200", Some("beef"));
            let first = (0..answer.len()).map(|length| check.judge(&answer.as_bytes()[..length], false)).find(|judgement| *judgement != Judgement::Undecided);
            let whole = check.judge(answer.as_bytes(), false);
            // Bad once is bad; good once is good: more bytes change nothing.
            prop_assert!(first.is_none_or(|first| first == whole));
        }
    }
}
