//! HttpCheck: what an active check asks a server by HTTP, and whether the answer is good.
//!
//! Reads the answer as clients' responses are read: a server whose responses would be refused is not well.
//! Takes as much of it as the judgement needs and no more. Must never read a head or a body by itself: that
//! is the codec's.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::message::{Head, Method};
use crate::path;
use crate::problem::Problem;
use crate::spec::HealthSpec;
use crate::wire::body::Body;
use crate::wire::http1::{self, Limits, Malformed, Parsed};

/// Bytes of an answer that are looked at.
pub const ANSWER_LIMIT: usize = 64 * 1024;

/// Limits that no head exceeds which fits into the bytes looked at, whatever listeners allow.
const LIMITS: Limits = Limits { head: ANSWER_LIMIT + 1, fields: 1000, line: ANSWER_LIMIT + 1 };

/// The request and the expectation of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    method: Box<str>,
    path: Box<str>,
    host: Option<Box<str>>,
    expect: Box<[RangeInclusive<u16>]>,
    body: Option<Box<str>>,
}

/// The worth of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// More of the answer must come.
    Undecided,
    /// The answer is as expected.
    Good,
    /// The answer is not as expected, for this reason in words.
    Bad(String),
}

impl HttpCheck {
    /// Compiles a check; the paths of the errors are those below `health`.
    pub fn compile(spec: &HealthSpec) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        let mut wrong = |key: &str, reason: String| errors.push(Problem::new(path![key], reason));
        if spec.method.is_empty()
            || !spec.method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        {
            wrong("method", format!("\"{}\" is no method, such as GET", spec.method));
        } else if spec.method == "CONNECT" {
            wrong("method", "CONNECT asks for a tunnel, not for an answer".into());
        }
        if !spec.path.starts_with('/')
            || !spec.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        {
            let reason = format!("\"{}\" does not begin with / or has characters to be encoded", spec.path);
            wrong("path", reason);
        }
        if let Some(host) = spec.host.as_deref().filter(|host| !is_host(host)) {
            wrong("host", format!("\"{host}\" is no host"));
        }
        let expect = expected(&spec.expect).unwrap_or_else(|reason| {
            wrong("expect", reason);
            Box::default()
        });
        match spec.body.as_deref() {
            Some("") => wrong("body", "every body has the empty text".into()),
            Some(_) if spec.method == "HEAD" => {
                wrong("body", "answers to HEAD have no body".into());
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

    /// Returns the request to `server`, whose address is the Host unless one is configured.
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
            Ok(Judgement::Undecided) if ended && answer.is_empty() => {
                Judgement::Bad("it closed the connection without an answer".into())
            }
            Ok(Judgement::Undecided) if ended => Judgement::Bad(self.lacking("the answer")),
            Ok(judgement) => judgement,
            Err(why) => Judgement::Bad(format!("what it answers is not HTTP: {}", why.as_str())),
        }
    }

    fn look(&self, answer: &[u8]) -> Result<Judgement, Malformed> {
        let (mut head, mut rest) = (Head::default(), answer);
        let method = if &*self.method == "HEAD" { Method::Head } else { Method::Get };
        loop {
            match http1::response(rest, &LIMITS, method, &mut head) {
                Parsed::Partial => return Ok(Judgement::Undecided),
                Parsed::Invalid(why) => return Err(why),
                Parsed::Complete => rest = &rest[head.length..],
            }
            // Interim responses come before the one that counts (RFC 9110 section 15.2).
            if !(100..200).contains(&head.status) || head.status == 101 {
                break;
            }
        }
        if !self.expect.iter().any(|range| range.contains(&head.status)) {
            return Ok(Judgement::Bad(format!("its status is {}", head.status)));
        }
        match self.body.as_deref() {
            Some(text) => self.look_for(text, Body::new(head.framing, &LIMITS), rest),
            None => Ok(Judgement::Good),
        }
    }

    /// Whether a body has `text`; these are its first bytes.
    fn look_for(&self, text: &str, mut body: Body, bytes: &[u8]) -> Result<Judgement, Malformed> {
        let mut content = Vec::with_capacity(bytes.len());
        let read = body.decode(bytes, &mut |part| content.extend_from_slice(part));
        // Found is found, whatever comes after: the judgement must not hang on how many bytes came at once.
        if content.windows(text.len()).any(|window| window == text.as_bytes()) {
            return Ok(Judgement::Good);
        }
        let (_, complete) = read?;
        Ok(if complete { Judgement::Bad(self.lacking("its body")) } else { Judgement::Undecided })
    }

    fn lacking(&self, what: &str) -> String {
        match &self.body {
            Some(text) => format!("{what} lacks \"{}\"", text.escape_debug()),
            None => format!("{what} is incomplete"),
        }
    }
}

/// Reads `200-399,401` as ranges.
fn expected(written: &str) -> Result<Box<[RangeInclusive<u16>]>, String> {
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| digits && (100..1000).contains(status))
    };
    let mut ranges = Vec::new();
    for element in written.split(',').map(str::trim) {
        let (first, last) = element.split_once('-').unwrap_or((element, element));
        let ends = status(first.trim()).zip(status(last.trim())).filter(|(first, last)| first <= last);
        let Some((first, last)) = ends else {
            return Err(format!(
                "\"{element}\" is neither a status (100 to 999) nor a range such as 200-399"
            ));
        };
        ranges.push(first..=last);
    }
    Ok(ranges.into())
}

/// Returns the Host for a server: its address, or `localhost` for a unix socket, which has no name.
fn host_of(server: &impl Display) -> String {
    let written = server.to_string();
    if is_host(&written) { written } else { "localhost".into() }
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]~%".contains(&byte);
    !text.is_empty() && !text.starts_with("unix:") && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(expect: &str, body: Option<&str>) -> HealthSpec {
        HealthSpec {
            kind: "http".into(),
            interval: 2000,
            timeout: 1000,
            rise: 2,
            fall: 3,
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
        let named = HealthSpec { host: Some("app.example".into()), ..spec("200", None) };
        let request = String::from_utf8(HttpCheck::compile(&named).unwrap().request(&"[::1]:80")).unwrap();
        assert!(request.contains("\r\nHost: app.example\r\n"), "{request}");
    }

    #[test]
    fn statuses() {
        let check = check("200-399, 401,404", None);
        for (answer, judgement) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Judgement::Good),
            ("HTTP/1.1 200 OK\r\n", Judgement::Undecided),
            ("HTTP/1.0 399 \r\n\r\n", Judgement::Good),
            ("HTTP/1.1 401\r\n\r\n", Judgement::Good),
            ("HTTP/1.1 400 Bad Request\r\n\r\n", bad("its status is 400")),
            ("HTTP/1.1 503 Busy\r\n\r\n", bad("its status is 503")),
            ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Gone\r\n\r\n", Judgement::Good),
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
            "http/1.1 200 OK\r\n",
            "\0",
        ] {
            let judgement = check("200", None).judge(answer.as_bytes(), false);
            let Judgement::Bad(reason) = judgement else { panic!("{answer}: {judgement:?}") };
            assert!(reason.starts_with("what it answers is not HTTP: "), "{answer}: {reason}");
        }
    }

    #[test]
    fn a_server_whose_responses_would_be_refused_is_not_well() {
        for (fields, why) in [
            ("Content-Length: 2\r\nContent-Length: 2\r\n", "more than one Content-Length"),
            (
                "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                "both Content-Length and Transfer-Encoding",
            ),
            ("Transfer-Encoding: gzip\r\n", "the transfer coding is not chunked"),
            ("@: x\r\n", "a field name is not a token"),
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\nok");
            let expected = bad(&format!("what it answers is not HTTP: {why}"));
            for check in [check("200", None), check("200", Some("ok"))] {
                assert_eq!(check.judge(answer.as_bytes(), false), expected, "{fields}");
            }
        }
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n";
        let expected = bad("what it answers is not HTTP: a chunk size is not valid");
        assert_eq!(check("200", Some("ok")).judge(chunks.as_bytes(), false), expected);
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
        for expect in
            ["", "2xx", "99", "1000", "099", "200-", "399-200", "200,,201", "0200", "+20", "200-300-400"]
        {
            let errors = HttpCheck::compile(&spec(expect, None)).unwrap_err();
            assert_eq!(errors.iter().map(Problem::place).collect::<Vec<_>>(), ["expect"], "{expect}");
        }
        let wrong = HealthSpec {
            method: "get it".into(),
            path: "health".into(),
            host: Some("a\r\nb".into()),
            expect: "x".into(),
            body: Some(String::new()),
            ..spec("200", None)
        };
        let errors = HttpCheck::compile(&wrong).unwrap_err();
        let keys: Vec<_> = errors.iter().map(Problem::place).collect();
        assert_eq!(keys, ["method", "path", "host", "expect", "body"]);
        let head = HealthSpec { method: "HEAD".into(), ..spec("200", Some("x")) };
        assert_eq!(HttpCheck::compile(&head).unwrap_err()[0].place(), "body");
        for (method, path) in [("CONNECT", "/"), ("GET", "/a b"), ("GET", "/ä"), ("GET", "/#part")] {
            let written = HealthSpec { method: method.into(), path: path.into(), ..spec("200", None) };
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
