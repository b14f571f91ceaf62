//! Error pages: what a client reads when we refuse its request: built in, or given for a status by the
//! listener or the backend.
//!
//! A built-in page says the status, what it means and the request's id, as plain text, HTML or JSON,
//! whichever the client accepts. Must never say what only operators should know: addresses, names of
//! backends, reasons of failures.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::problem::Problem;
use crate::spec::PageSpec;

use super::accepts;
use super::status::{Always, phrase, push_length, push_start};
use super::template::Filter;
use super::text::{push_line, push_name, push_number};
use crate::problem::Flaw;

/// The pages given for some statuses; its clones share them.
#[derive(Debug, Default, Clone)]
pub struct Pages(Arc<[(u16, Given)]>);

#[derive(Debug)]
struct Given {
    content_type: Box<str>,
    body: Box<str>,
}

/// The occasion of one refusal.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The status.
    pub status: u16,
    /// The request's Accept; empty when there is none.
    pub accept: &'a [u8],
    /// The request's id; empty when there is none.
    pub request_id: &'a [u8],
    /// The request was HEAD: the page itself is left out.
    pub head_only: bool,
    /// Seconds after which the client may try again.
    pub retry_after: Option<u64>,
    /// Fields that every response of ours has.
    pub always: Always<'a>,
}

impl Pages {
    /// Compiles pages by status; the paths of the errors are those below `error_pages`.
    pub fn compile(specs: &BTreeMap<String, PageSpec>) -> Result<Self, Vec<Problem>> {
        let (mut pages, mut errors) = (BTreeMap::new(), Vec::new());
        for (key, page) in specs {
            match (read_status(key), check_type(&page.content_type)) {
                (Ok(status), Ok(())) => {
                    let given = Given {
                        content_type: page.content_type.trim().into(),
                        body: page.body.as_str().into(),
                    };
                    pages.insert(status, given);
                }
                (Err(wrong), _) => errors.push(wrong.at(&[key])),
                (_, Err(wrong)) => errors.push(wrong.at(&[key, "content_type"])),
            }
        }
        if errors.is_empty() { Ok(Self(pages.into_iter().collect())) } else { Err(errors) }
    }

    /// Appends the whole response: the backend's page if it has one for the status, else ours, else the
    /// built-in one.
    pub fn write(&self, out: &mut Vec<u8>, backend: Option<&Self>, page: &Page<'_>) {
        push_start(out, page.status, page.always);
        if page.status == 405 {
            // Refused is CONNECT alone, and 405 must say what is not (RFC 9110 section 15.5.6).
            push_line(out, "Allow", b"GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
        }
        if let Some(seconds) = page.retry_after {
            push_name(out, "Retry-After");
            push_number(out, seconds);
            out.extend_from_slice(b"\r\n");
        }
        push_line(out, "Cache-Control", b"no-store");
        match backend.and_then(|backend| backend.of(page.status)).or_else(|| self.of(page.status)) {
            Some(given) => {
                push_line(out, "Content-Type", given.content_type.as_bytes());
                push_length(out, given.body.len());
                if !page.head_only {
                    out.extend_from_slice(given.body.as_bytes());
                }
            }
            None => page.write_built_in(out),
        }
    }

    fn of(&self, status: u16) -> Option<&Given> {
        let index = self.0.binary_search_by_key(&status, |(status, _)| *status).ok()?;
        Some(&self.0[index].1)
    }
}

/// Types of the built-in page, as they are offered and declared; plain text for clients without a preference.
const TYPES: [&str; 4] = ["text/plain", "text/html", "application/json", "application/problem+json"];
const DECLARED: [&str; 4] =
    ["text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json", "application/problem+json"];

impl Page<'_> {
    fn write_built_in(&self, out: &mut Vec<u8>) {
        let kind = accepts::best(self.accept, &TYPES);
        push_line(out, "Content-Type", DECLARED[kind].as_bytes());
        let start = out.len();
        match kind {
            0 => self.write_text(out),
            1 => self.write_html(out),
            _ => self.write_json(out),
        }
        let length = out.len() - start;
        if self.head_only {
            out.truncate(start);
        }
        // The length is known last and belongs first: it is written behind the body and moved in front of it.
        let end = out.len();
        push_length(out, length);
        out[start..].rotate_left(end - start);
    }

    fn write_text(&self, out: &mut Vec<u8>) {
        self.push_title(out);
        out.extend_from_slice(b"\n\n");
        out.extend_from_slice(sentence(self.status).as_bytes());
        out.push(b'\n');
        if !self.request_id.is_empty() {
            out.extend_from_slice(b"\nRequest id: ");
            out.extend_from_slice(self.request_id);
            out.push(b'\n');
        }
    }

    fn write_html(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>");
        self.push_title(out);
        out.extend_from_slice(b"</title>\n<h1>");
        self.push_title(out);
        out.extend_from_slice(b"</h1>\n<p>");
        out.extend_from_slice(sentence(self.status).as_bytes());
        out.extend_from_slice(b"</p>\n");
        if !self.request_id.is_empty() {
            out.extend_from_slice(b"<p>Request id: <code>");
            let start = out.len();
            out.extend_from_slice(self.request_id);
            Filter::Html.apply(out, start);
            out.extend_from_slice(b"</code></p>\n");
        }
        out.extend_from_slice(b"</html>\n");
    }

    /// Writes the members of a problem as RFC 9457 has them, and the request's id.
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"status\":");
        push_number(out, u64::from(self.status));
        out.extend_from_slice(b",\"title\":\"");
        out.extend_from_slice(phrase(self.status).as_bytes());
        out.extend_from_slice(b"\",\"detail\":\"");
        out.extend_from_slice(sentence(self.status).as_bytes());
        if !self.request_id.is_empty() {
            out.extend_from_slice(b"\",\"request_id\":\"");
            push_json(out, self.request_id);
        }
        out.extend_from_slice(b"\"}\n");
    }

    fn push_title(&self, out: &mut Vec<u8>) {
        push_number(out, u64::from(self.status));
        let phrase = phrase(self.status);
        if !phrase.is_empty() {
            out.push(b' ');
            out.extend_from_slice(phrase.as_bytes());
        }
    }
}

/// Returns what a status means for the client, and what to do. The sentences are written so that neither HTML
/// nor JSON needs anything escaped.
fn sentence(status: u16) -> &'static str {
    match status {
        400 => "The request could not be understood.",
        403 => "You are not allowed to ask for this.",
        404 => "There is nothing at this address. Check that it is spelled correctly.",
        405 => "This method is not allowed here.",
        408 => "The request did not arrive in time. Please try again.",
        413 => "The request is larger than what is accepted here.",
        414 => "The address is longer than what is accepted here.",
        421 => "No site of this name is served here.",
        425 => "The request came too early to be safe. Please send it again.",
        429 => "You have sent too many requests. Please wait a moment before you try again.",
        431 => "The header fields of the request are larger than what is accepted here.",
        500 => "The request could not be passed on.",
        501 => "The request needs something that is not supported here.",
        502 => "The answer of the server could not be understood. Please try again in a moment.",
        503 => "The service cannot take the request right now. Please try again in a moment.",
        504 => "The server did not answer in time. Please try again in a moment.",
        505 => "This version of HTTP is not supported here.",
        ..500 => "The request cannot be served.",
        _ => "The request could not be served. Please try again in a moment.",
    }
}

/// Appends what stands inside a JSON string; bytes that are no ASCII text are left out.
fn push_json(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => out.push(*byte),
            _ => {}
        }
    }
}

fn read_status(key: &str) -> Result<u16, Flaw> {
    let status = key.parse().ok().filter(|status| (400..=599).contains(status) && key.len() == 3);
    status.ok_or_else(|| Flaw::new(format!("\"{}\" is no status from 400 to 599", key.escape_debug())))
}

fn check_type(content_type: &str) -> Result<(), Flaw> {
    let written = content_type.bytes().all(|byte| matches!(byte, b' '..=b'~')) && content_type.contains('/');
    if written {
        Ok(())
    } else {
        Err(Flaw::new(format!("\"{}\" is no media type", content_type.escape_debug()))
            .hint("write one such as text/html; charset=utf-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16, accept: &'static str) -> Page<'static> {
        Page {
            status,
            accept: accept.as_bytes(),
            request_id: b"a\"<b>",
            head_only: false,
            retry_after: None,
            always: Always { date: b"Sun, 06 Nov 1994 08:49:37 GMT", ..Always::default() },
        }
    }

    /// Returns head and body, whose length is what the head says.
    fn written(pages: &Pages, backend: Option<&Pages>, page: &Page<'_>) -> (String, String) {
        let mut out = b"before".to_vec();
        pages.write(&mut out, backend, page);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.strip_prefix("before").unwrap().split_once("\r\n\r\n").unwrap();
        let length: usize = head.rsplit_once("Content-Length: ").unwrap().1.parse().unwrap();
        assert_eq!(body.len(), if page.head_only { 0 } else { length }, "{text}");
        (head.to_owned(), body.to_owned())
    }

    fn given(pages: &[(&str, &str, &str)]) -> Result<Pages, Vec<Problem>> {
        let page = |content_type: &str, body: &str| PageSpec {
            content_type: content_type.to_owned(),
            body: body.to_owned(),
        };
        Pages::compile(&pages.iter().map(|(key, kind, body)| ((*key).to_owned(), page(kind, body))).collect())
    }

    #[test]
    fn a_page_is_what_the_client_accepts() {
        let none = Pages::default();
        let (head, body) = written(&none, None, &page(503, "*/*"));
        assert_eq!(
            head,
            "HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nCache-Control: no-store\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 121"
        );
        assert_eq!(
            body,
            "503 Service Unavailable\n\nThe service cannot take the request right now. Please try again in a moment.\n\
             \nRequest id: a\"<b>\n"
        );
        let (head, body) = written(&none, None, &page(404, "text/html,*/*;q=0.8"));
        assert!(head.contains("Content-Type: text/html; charset=utf-8\r\n"), "{head}");
        assert!(
            body.contains("<h1>404 Not Found</h1>") && body.contains("<code>a&quot;&lt;b&gt;</code>"),
            "{body}"
        );
        for kind in ["application/json", "application/problem+json"] {
            let (head, body) = written(&none, None, &page(429, kind));
            assert!(head.contains(&format!("Content-Type: {kind}\r\n")), "{head}");
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["status"], 429);
            assert_eq!(value["title"], "Too Many Requests");
            assert_eq!(value["request_id"], "a\"<b>");
        }
    }

    #[test]
    fn every_status_has_a_page_without_anything_to_escape() {
        for status in 400..=599 {
            let page = Page { request_id: b"", ..page(status, "application/json") };
            let (_, body) = written(&Pages::default(), None, &page);
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert!(!sentence(status).contains(['<', '>', '&', '"', '\\']), "{status}");
            assert!(value.get("request_id").is_none() && value["status"] == status);
        }
    }

    #[test]
    fn fields_go_with_the_status_and_the_occasion() {
        let none = Pages::default();
        let (head, _) = written(&none, None, &page(405, ""));
        assert!(head.contains("\r\nAllow: GET, "), "{head}");
        let always = Always { close: true, hsts: "max-age=5", ..Always::default() };
        let page = Page { always, retry_after: Some(7), head_only: true, ..page(429, "") };
        let (head, body) = written(&none, None, &page);
        assert!(
            head.contains(
                "\r\nStrict-Transport-Security: max-age=5\r\nConnection: close\r\nRetry-After: 7\r\n"
            ),
            "{head}"
        );
        assert!(body.is_empty() && !head.contains("Allow"));
    }

    #[test]
    fn the_backends_page_goes_before_the_listeners_and_that_before_the_built_in() {
        let listener = given(&[("503", "text/html", "ours"), ("404", "text/plain", "none here")]).unwrap();
        let backend = given(&[("503", "application/json", "{}")]).unwrap();
        let (head, body) = written(&listener, Some(&backend), &page(503, "text/html"));
        assert!(head.contains("application/json") && body == "{}");
        assert_eq!(written(&listener, Some(&backend), &page(404, "")).1, "none here");
        assert_eq!(written(&listener, None, &page(503, "")).1, "ours");
        assert!(written(&listener, Some(&backend), &page(502, "")).1.starts_with("502 Bad Gateway"));
        let head_only = Page { head_only: true, ..page(503, "") };
        assert!(written(&listener, None, &head_only).0.ends_with("Content-Length: 4"));
    }

    #[test]
    fn mistakes_are_told_at_their_keys() {
        let errors = given(&[
            ("399", "text/html", ""),
            ("600", "text/html", ""),
            ("0404", "text/html", ""),
            ("404", "html", ""),
            ("405", "text/html\r\nX: y", ""),
        ])
        .unwrap_err();
        let paths: Vec<_> = errors.iter().map(|error| error.place()).collect();
        assert_eq!(paths, ["0404", "399", "404.content_type", "405.content_type", "600"]);
    }
}
