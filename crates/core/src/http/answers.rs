//! Answer: a redirect or a static response that we give ourselves where a table or a listener says so.
//!
//! Compiled once and written whole, head and body, for each request. Must never be written in part: the
//! caller has all of the answer in `out`.

use crate::problem::Problem;
use crate::spec::{RedirectSpec, RespondSpec};

use super::facts::ExchangeFacts;
use super::headers::allowed;
use super::redirect::Redirect;
use super::status::{Always, HSTS, is_bodiless, push_length, push_start};
use super::template::{Filter, Purpose, Template};
use super::text::{push_clean, push_line, push_name};
use crate::message::Message;
use crate::problem::Flaw;
use crate::program::{End, Findings};

/// A compiled redirect or static response.
#[derive(Debug)]
pub enum Answer {
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The request gets this response.
    Respond(Respond),
}

/// A compiled static response.
#[derive(Debug)]
pub struct Respond {
    status: u16,
    headers: Vec<(Box<str>, Template)>,
    body: Template,
    /// The media type that is sent unless `headers` has one.
    content_type: Option<&'static str>,
    /// The filter of the variables in the body that have none of their own: that of its media type.
    filter: Filter,
}

/// The occasion of an answer: one request, and what its answer takes from it.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// Facts that variables stand for. The method says whether a body is wanted.
    pub facts: &'a ExchangeFacts<'a>,
    /// The request, for `{header.NAME}`.
    pub message: Option<Message<'a>>,
    /// Fields that every response of ours has.
    pub always: Always<'a>,
}

impl Answer {
    /// Compiles a redirect; the paths of the errors are those below it.
    pub fn redirect(spec: &RedirectSpec) -> Result<Self, Vec<Problem>> {
        Redirect::compile(spec).map(Self::Redirect)
    }

    /// Compiles a static response; the paths of the errors are those below it.
    pub fn respond(spec: &RespondSpec) -> Result<Self, Vec<Problem>> {
        Respond::compile(spec).map(Self::Respond)
    }

    /// Returns `redirect` or `respond`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Redirect(_) => "redirect",
            Self::Respond(_) => "respond",
        }
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Redirect(redirect) => redirect.code,
            Self::Respond(respond) => respond.status,
        }
    }

    fn says_hsts(&self) -> bool {
        match self {
            Self::Redirect(_) => false,
            Self::Respond(respond) => respond.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(HSTS)),
        }
    }

    /// Appends the whole response.
    pub fn write(&self, out: &mut Vec<u8>, occasion: Occasion<'_>) {
        // The answer's own fields go before.
        let hsts = if self.says_hsts() { "" } else { occasion.always.hsts };
        push_start(out, self.status(), Always { hsts, ..occasion.always });
        let facts = ExchangeFacts { status: self.status(), ..*occasion.facts };
        match self {
            Self::Redirect(redirect) => {
                push_name(out, "Location");
                redirect.location(out, &facts, occasion.message);
                out.extend_from_slice(b"\r\n");
                push_length(out, 0);
            }
            Self::Respond(respond) => respond.write(out, &facts, occasion.message),
        }
    }
}

impl Respond {
    fn compile(spec: &RespondSpec) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        if !(200..=599).contains(&spec.status) {
            let wrong = Flaw::new(format!("{} is no status between 200 and 599", spec.status));
            errors.push(wrong.at(&["status"]));
        }
        if is_bodiless(spec.status) && !spec.body.is_empty() {
            let wrong = Flaw::new(format!("a response with status {} has no body", spec.status));
            errors.push(wrong.at(&["body"]));
        }
        let mut headers = Vec::with_capacity(spec.headers.len());
        for (name, value) in &spec.headers {
            let compiled = ours(name).and_then(|()| allowed(name, Purpose::Answer));
            match compiled.and_then(|()| Template::compile_line(value, Purpose::Answer)) {
                Ok(value) => headers.push((name.as_str().into(), value)),
                Err(wrong) => errors.push(wrong.at(&["headers", name])),
            }
        }
        let body =
            Template::compile(&spec.body, Purpose::Answer).map_err(|wrong| errors.push(wrong.at(&["body"])));
        let given = spec.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let filter = given.map_or(Filter::Raw, |(_, value)| Filter::of_content_type(value));
        let content_type = (given.is_none() && !spec.body.is_empty()).then_some("text/plain; charset=utf-8");
        match body {
            Ok(body) if errors.is_empty() => {
                Ok(Self { status: spec.status, headers, body, content_type, filter })
            }
            _ => Err(errors),
        }
    }

    /// Says by which filter the variables of the body are written that have none of their own; None where
    /// there is nothing to say.
    pub fn filtering(&self) -> Option<String> {
        let filters = self.filter != Filter::Raw && self.body.has_unfiltered();
        filters.then(|| {
            format!("variables of its body are written as {}, for its media type", self.filter.as_str())
        })
    }

    fn write(&self, out: &mut Vec<u8>, facts: &ExchangeFacts<'_>, message: Option<Message<'_>>) {
        if let Some(content_type) = self.content_type {
            push_line(out, "Content-Type", content_type.as_bytes());
        }
        for (name, value) in &self.headers {
            push_name(out, name);
            value.write(out, facts, message);
            out.extend_from_slice(b"\r\n");
        }
        push_body(out, self.status, facts.method, |out| {
            self.body.write_filtered(out, facts, message, self.filter);
        });
    }
}

/// Appends the end of the head, and the body that `write` writes if there is to be one.
fn push_body(out: &mut Vec<u8>, status: u16, method: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    if status == 204 || status == 304 {
        return out.extend_from_slice(b"\r\n");
    }
    let start = out.len();
    write(out);
    let length = out.len() - start;
    if method == b"HEAD" {
        out.truncate(start);
    }
    // The length is known last and belongs first: it is written behind the body and moved in front of it.
    let end = out.len();
    push_length(out, length);
    out[start..].rotate_left(end - start);
}

/// Appends the whole response that a rule has made; `method` says whether a body is wanted.
pub fn write_found(out: &mut Vec<u8>, findings: &Findings, method: &[u8], always: Always<'_>) {
    let fields =
        || findings.said.answer.iter().map(|(name, value)| (findings.text(*name), findings.text(*value)));
    let has = |wanted: &str| fields().any(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
    let hsts = if has(HSTS) { "" } else { always.hsts };
    let always = Always { hsts, ..always };
    match findings.said.end {
        Some(End::Redirect { to, code }) => {
            push_start(out, code, always);
            push_name(out, "Location");
            push_clean(out, findings.text(to));
            out.extend_from_slice(b"\r\n");
            push_length(out, 0);
        }
        Some(End::Respond { status, body }) => {
            push_start(out, status, always);
            let body = if is_bodiless(status) { b"" } else { findings.text(body) };
            if !body.is_empty() && !has("content-type") {
                push_line(out, "Content-Type", b"text/plain; charset=utf-8");
            }
            for (name, value) in fields() {
                out.extend_from_slice(name);
                out.extend_from_slice(b": ");
                push_clean(out, value);
                out.extend_from_slice(b"\r\n");
            }
            push_body(out, status, method, |out| out.extend_from_slice(body));
        }
        // Nobody asks for the answer of a rule that made none.
        _ => {}
    }
}

/// Refuses the name of a field that every response of ours has.
fn ours(name: &str) -> Result<(), Flaw> {
    if name.eq_ignore_ascii_case("date") {
        Err(Flaw::new("the Date field is written by the proxy"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn respond(status: u16, body: &str, headers: &[(&str, &str)]) -> RespondSpec {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        RespondSpec { status, body: body.to_owned(), headers }
    }

    fn written(answer: &Answer, method: &str, close: bool) -> String {
        let facts = ExchangeFacts {
            scheme: "http",
            host: b"a.example",
            method: method.as_bytes(),
            target: b"/x?<y>",
            ..ExchangeFacts::default()
        };
        let mut out = b"before".to_vec();
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        let always = Always { date, close, hsts: "" };
        answer.write(&mut out, Occasion { facts: &facts, message: None, always });
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    #[test]
    fn a_redirect_is_a_location_without_a_body() {
        let answer = Answer::redirect(&RedirectSpec { to: "https".into(), code: 308 }).unwrap();
        assert_eq!((answer.kind(), answer.status()), ("redirect", 308));
        assert_eq!(
            written(&answer, "GET", false),
            "HTTP/1.1 308 Permanent Redirect\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Location: https://a.example/x?<y>\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn answers_of_our_own_say_hsts_unless_they_say_something_else() {
        let always = Always { hsts: "max-age=5", ..Always::default() };
        let own = respond(200, "", &[("strict-transport-security", "max-age=0")]);
        let plain = respond(200, "", &[]);
        let redirect = Answer::redirect(&RedirectSpec { to: "/a".into(), code: 308 }).unwrap();
        for (answer, said) in [
            (redirect, "Strict-Transport-Security: max-age=5\r\n"),
            (Answer::respond(&plain).unwrap(), "Strict-Transport-Security: max-age=5\r\n"),
            (Answer::respond(&own).unwrap(), "strict-transport-security: max-age=0\r\n"),
        ] {
            let mut out = Vec::new();
            answer.write(&mut out, Occasion { facts: &ExchangeFacts::default(), message: None, always });
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains(said), "{text}");
            assert_eq!(text.to_lowercase().matches("strict-transport").count(), 1, "{text}");
        }
    }

    #[test]
    fn a_response_has_its_length_before_its_body_and_no_body_for_head() {
        let answer =
            Answer::respond(&respond(404, "no {path} for {status}\n", &[("X-A", "{method}")])).unwrap();
        let head = "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\
                    Content-Type: text/plain; charset=utf-8\r\n";
        let rest = "Content-Length: 14\r\n\r\n";
        let expected = format!("{head}X-A: GET\r\n{rest}no /x for 404\n");
        assert_eq!(written(&answer, "GET", true), expected);
        assert_eq!(written(&answer, "HEAD", true), format!("{head}X-A: HEAD\r\n{rest}"));
    }

    #[test]
    fn what_variables_say_is_escaped_in_html() {
        let html = [("content-type", "text/html; charset=utf-8")];
        let answer = Answer::respond(&respond(200, "<b>{query}</b>", &html)).unwrap();
        let text = written(&answer, "GET", false);
        assert!(text.ends_with("Content-Length: 16\r\n\r\n<b>&lt;y&gt;</b>"), "{text}");
        assert_eq!(text.to_lowercase().matches("content-type").count(), 1);
    }

    #[test]
    fn a_value_in_json_stays_one() {
        let json = [("content-type", "application/json")];
        let answer = Answer::respond(&respond(200, r#"{{"query":"{query}"}}"#, &json)).unwrap();
        let Answer::Respond(compiled) = &answer else { panic!("a response") };
        assert!(compiled.filtering().is_some_and(|said| said.contains("written as json")));
        let facts = ExchangeFacts { target: br#"/?","admin":true,"y":""#, ..ExchangeFacts::default() };
        let mut out = Vec::new();
        answer.write(&mut out, Occasion { facts: &facts, message: None, always: Always::default() });
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with(r#"{"query":"\",\"admin\":true,\"y\":\""}"#), "{text}");
    }

    #[test]
    fn some_statuses_have_no_body_and_an_empty_body_no_type() {
        for (status, length) in
            [(204, ""), (304, ""), (205, "Content-Length: 0\r\n"), (200, "Content-Length: 0\r\n")]
        {
            let answer = Answer::respond(&respond(status, "", &[])).unwrap();
            let text = written(&answer, "GET", false);
            assert!(text.ends_with(&format!("GMT\r\n{length}\r\n")), "{text}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_its_key() {
        let wrong = respond(
            204,
            "{no.such}",
            &[
                ("Content-Length", "1"),
                ("a b", "c"),
                ("Date", "x"),
                ("X", "{backend}"),
                ("Y", "a\nb"),
                ("Z", "ok"),
            ],
        );
        let errors = Answer::respond(&wrong).unwrap_err();
        let paths: Vec<_> = errors.iter().map(|error| error.place()).collect();
        assert_eq!(
            paths,
            [
                "body",
                "headers.Content-Length",
                "headers.a b",
                "headers.Date",
                "headers.X",
                "headers.Y",
                "body"
            ]
        );
        assert_eq!(Answer::respond(&respond(600, "", &[])).unwrap_err()[0].place(), "status");
        let errors = Answer::redirect(&RedirectSpec { to: "nowhere".into(), code: 200 }).unwrap_err();
        assert_eq!(errors.len(), 2);
    }
}
