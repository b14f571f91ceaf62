//! Response heads: what ends their bodies, and what they may not say.

use headworks_core::message::{Framing, Known, Method};
use headworks_core::wire::http1::{Limits, Malformed, Parsed};

use super::{LIMITS, accept_response, decide, refuse_response};

fn ok(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n")
}

#[test]
fn status_lines() {
    for (line, status, reason) in [
        ("HTTP/1.1 200 OK", 200, "OK"),
        ("HTTP/1.0 404 Not Found", 404, "Not Found"),
        ("HTTP/1.1 599 ", 599, ""),
        ("HTTP/1.1 204", 204, ""),
        ("HTTP/1.1 600 Beyond", 600, "Beyond"),
        ("HTTP/1.1 999 Denied", 999, "Denied"),
        ("HTTP/1.1 100  \tgo \u{e9}", 100, " \tgo \u{e9}"),
    ] {
        let text = format!("{line}\r\n\r\n");
        let head = accept_response(&text, Method::Get);
        assert_eq!((head.status, head.reason.of(text.as_bytes())), (status, reason.as_bytes()), "{line}");
    }
    for (line, reason) in [
        ("HTTP/1.1 099 ", Malformed::Status),
        ("HTTP/1.1 000 ", Malformed::Status),
        ("HTTP/1.1 2000 ", Malformed::StatusLine),
        ("HTTP/1.1 20 OK", Malformed::StatusLine),
        ("HTTP/1.1 9999 ", Malformed::StatusLine),
        ("HTTP/1.1 60x ", Malformed::StatusLine),
        ("HTTP/1.1 +20 OK", Malformed::StatusLine),
        ("HTTP/1.1  200 OK", Malformed::StatusLine),
        ("HTTP/1.1\t200 OK", Malformed::StatusLine),
        ("HTTP/1.1 200\tOK", Malformed::StatusLine),
        ("HTTP/1.1", Malformed::StatusLine),
        ("HTTP/1.1 200 a\0b", Malformed::StatusLine),
        ("HTTP/1.1 200 a\rb", Malformed::BareCr),
        ("HTTP/2.0 200 OK", Malformed::Version),
        ("HTTP/1.2 200 OK", Malformed::Version),
        ("http/1.1 200 OK", Malformed::VersionSyntax),
        ("ICY 200 OK", Malformed::VersionSyntax),
        (" HTTP/1.1 200 OK", Malformed::VersionSyntax),
        ("\r\nHTTP/1.1 200 OK", Malformed::VersionSyntax),
    ] {
        refuse_response(&format!("{line}\r\n\r\n"), Method::Get, reason);
    }
}

#[test]
fn what_ends_a_body() {
    let framing = |text: &str, to| accept_response(text, to).framing;
    assert_eq!(framing(&ok(""), Method::Get), Framing::ToEnd);
    assert_eq!(framing(&ok("Content-Length: 0\r\n"), Method::Get), Framing::Length(0));
    assert_eq!(framing(&ok("Content-Length: 7\r\n"), Method::Post), Framing::Length(7));
    assert_eq!(framing(&ok("Transfer-Encoding: chunked\r\n"), Method::Get), Framing::Chunked);
    for fields in ["", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n"] {
        let head = accept_response(&ok(fields), Method::Head);
        assert_eq!((head.framing, head.persistent), (Framing::None, true));
        let unchanged = accept_response(&format!("HTTP/1.1 304 \r\n{fields}\r\n"), Method::Get);
        assert_eq!((unchanged.framing, unchanged.persistent), (Framing::None, !fields.contains("chunked")));
        assert!(head.field(Known::ContentLength).is_none_or(|field| !field.hop_by_hop));
    }
}

#[test]
fn statuses_without_a_body() {
    for status in [100, 103, 199, 204] {
        let text = |fields: &str| format!("HTTP/1.1 {status} \r\n{fields}\r\n");
        let head = accept_response(&text(""), Method::Get);
        assert_eq!((head.framing, head.persistent), (Framing::None, true));
        let head = accept_response(&text("Content-Length: 0\r\n"), Method::Get);
        assert_eq!((head.framing, head.persistent), (Framing::None, true));
        assert!(head.field(Known::ContentLength).unwrap().hop_by_hop);
        if status < 200 {
            refuse_response(&text("Transfer-Encoding: chunked\r\n"), Method::Get, Malformed::NoBody);
        }
    }
    for status in [204, 304] {
        let text = format!("HTTP/1.1 {status} \r\nTransfer-Encoding: chunked\r\n\r\n");
        let head = accept_response(&text, Method::Get);
        assert_eq!((head.framing, head.persistent), (Framing::None, false));
        assert!(head.field(Known::TransferEncoding).unwrap().hop_by_hop, "it is not passed on");
    }
    refuse_response("HTTP/1.1 100 \r\nContent-Length: 5\r\n\r\n", Method::Get, Malformed::NoBody);
    let head = accept_response("HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n", Method::Get);
    assert_eq!((head.framing, head.persistent), (Framing::None, false));
}

#[test]
fn tunnels() {
    let switching = "HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let head = accept_response(switching, Method::Get);
    assert_eq!((head.upgrade, head.framing), (true, Framing::None));
    for text in [
        "HTTP/1.1 101 \r\n\r\n",
        "HTTP/1.1 101 \r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 \r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.0 101 \r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        refuse_response(text, Method::Get, Malformed::Switching);
    }
    let offer = "HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2\r\nContent-Length: 0\r\n\r\n";
    assert!(!accept_response(offer, Method::Get).upgrade);

    let head = accept_response(&ok("Content-Length: 0\r\n"), Method::Connect);
    assert_eq!((head.upgrade, head.framing), (true, Framing::None));
    assert!(head.field(Known::ContentLength).unwrap().hop_by_hop);
    refuse_response(&ok("Transfer-Encoding: chunked\r\n"), Method::Connect, Malformed::NoBody);
    let head = accept_response("HTTP/1.1 407 \r\nContent-Length: 3\r\n\r\n", Method::Connect);
    assert_eq!((head.upgrade, head.framing), (false, Framing::Length(3)));
}

#[test]
fn persistence() {
    for (text, persistent) in [
        ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false),
        ("HTTP/1.1 200 \r\n\r\n", false),
        ("HTTP/1.0 200 \r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true),
        ("HTTP/1.0 200 \r\nConnection: keep-alive\r\n\r\n", false),
    ] {
        assert_eq!(accept_response(text, Method::Get).persistent, persistent, "{text}");
    }
}

#[test]
fn what_is_for_requests_is_left_alone() {
    let head = accept_response(&ok("Host: a, b\r\nHost:\r\nExpect: much\r\n"), Method::Get);
    assert!(head.host.is_empty() && !head.expects_continue);
    // Some servers do, and it is not passed on either way.
    accept_response(&ok("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n"), Method::Get);
    refuse_response(&ok("Connection: Set-Cookie\r\n"), Method::Get, Malformed::Nominated);
}

#[test]
fn limits() {
    let text = ok("X-Long: 0123456789\r\nX-B: 1\r\n");
    for (limits, reason) in [
        (Limits { head: text.len() - 1, ..LIMITS }, Malformed::HeadTooLong),
        (Limits { fields: 1, ..LIMITS }, Malformed::TooManyFields),
        (Limits { line: 17, ..LIMITS }, Malformed::FieldTooLong),
        (Limits { line: 14, ..LIMITS }, Malformed::StatusLineTooLong),
    ] {
        assert_eq!(decide(text.as_bytes(), Some(Method::Get), &limits).0, Parsed::Invalid(reason));
    }
    let exact = Limits { head: text.len(), fields: 2, line: 18 };
    assert_eq!(decide(text.as_bytes(), Some(Method::Get), &exact).0, Parsed::Complete);
}
