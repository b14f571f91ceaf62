//! Request heads: what is read from those that are accepted, limits, and the fields that concern one hop.

use headworks_core::message::{Framing, Head, Known, Method, Version};
use headworks_core::wire::http1::{Limits, Malformed, Parsed, may_be_complete};

use super::{LIMITS, accept_request, decide, read, refuse_request};

const BROWSER: &str = "GET /assets/site.css?v=7 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0\r\n\
    Accept: text/css,*/*;q=0.1\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/\r\n\
    Cookie: theme=dark; visit=caf\u{e9}\r\n\
    Connection: keep-alive\r\n\
    Sec-Fetch-Dest: style\r\n\
    If-None-Match: \"5f3a\"\r\n\
    X-Empty:\r\n\
    X-Blank: \t \r\n\
    \r\n";

fn names<'a>(text: &'a str, head: &Head, chosen: impl Fn(&Head, usize) -> bool) -> Vec<&'a str> {
    let all = (0..head.fields.len()).filter(|at| chosen(head, *at));
    all.map(|at| &text[head.fields[at].name.start as usize..head.fields[at].name.end as usize]).collect()
}

fn hop_by_hop<'a>(text: &'a str, head: &Head) -> Vec<&'a str> {
    names(text, head, |head, at| head.fields[at].hop_by_hop)
}

fn with(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

#[test]
fn a_browser_is_read() {
    let head = accept_request(BROWSER);
    let bytes = BROWSER.as_bytes();
    assert_eq!((head.method, head.version, head.length), (Method::Get, Version::Http11, bytes.len()));
    assert_eq!(head.target.of(bytes), b"/assets/site.css?v=7");
    assert_eq!(head.host.of(bytes), b"www.example.com");
    assert!(head.persistent && !head.upgrade && !head.expects_continue);
    assert!(head.authority.is_empty() && head.scheme.is_empty());
    assert_eq!(head.framing, Framing::None);
    assert_eq!(head.fields.len(), 12);
    assert_eq!(head.fields[1].name.of(bytes), b"User-Agent");
    assert!(head.fields[1].value.of(bytes).ends_with(b"Firefox/141.0"));
    assert_eq!(head.field(Known::Cookie).unwrap().value.of(bytes), "theme=dark; visit=caf\u{e9}".as_bytes());
    assert!(head.fields[10].value.is_empty() && head.fields[11].value.is_empty());
    assert_eq!(hop_by_hop(BROWSER, &head), ["Connection"]);
}

#[test]
fn a_head_is_used_again() {
    let (_, mut head) =
        read(b"POST http://a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", None, &LIMITS);
    let memory = head.fields.as_ptr();
    let second = b"GET / HTTP/1.0\r\n\r\n";
    assert_eq!(headworks_core::wire::http1::request(second, &LIMITS, &mut head), Parsed::Complete);
    assert_eq!((head.framing, head.version, head.method), (Framing::None, Version::Http10, Method::Get));
    assert!(head.fields.is_empty() && head.host.is_empty() && head.authority.is_empty());
    assert_eq!(head.fields.as_ptr(), memory);
}

#[test]
fn methods() {
    use Method::{Connect, Delete, Get, Head, Options, Other, Patch, Post, Put, Trace};
    for (word, method) in [
        ("GET", Get),
        ("HEAD", Head),
        ("POST", Post),
        ("PUT", Put),
        ("DELETE", Delete),
        ("OPTIONS", Options),
        ("TRACE", Trace),
        ("PATCH", Patch),
        ("get", Other),
        ("GETS", Other),
        ("M-SEARCH", Other),
        ("!#$%&'*+-.^_`|~9", Other),
    ] {
        let text = format!("{word} / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = accept_request(&text);
        assert_eq!((head.method, head.method_span.of(text.as_bytes())), (method, word.as_bytes()));
    }
    assert_eq!(accept_request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").method, Connect);
}

#[test]
fn targets() {
    for (method, target, host, parts) in [
        ("GET", "/", "a", ("", "", "/")),
        ("GET", "//b/c", "a", ("", "", "//b/c")),
        ("GET", "/a:b@c?d=http://e/", "a", ("", "", "/a:b@c?d=http://e/")),
        ("GET", "/{|}\\^`\"<>[]", "a", ("", "", "/{|}\\^`\"<>[]")),
        ("GET", "http://a/b?c", "a", ("http", "a", "/b?c")),
        ("GET", "HTTPS://A.example", "a.EXAMPLE", ("HTTPS", "A.example", "")),
        ("GET", "http://a:80/", "a", ("http", "a:80", "/")),
        ("GET", "https://a/", "a:443", ("https", "a", "/")),
        ("GET", "http://[::1]:8080/", "[::1]:8080", ("http", "[::1]:8080", "/")),
        ("OPTIONS", "*", "a", ("", "", "*")),
        ("OPTIONS", "/x", "a", ("", "", "/x")),
        ("CONNECT", "a:443", "a:443", ("", "a:443", "")),
        ("CONNECT", "a:443", "A", ("", "a:443", "")),
        ("CONNECT", "[::1]:443", "[::1]:443", ("", "[::1]:443", "")),
    ] {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = accept_request(&text);
        let read = [head.scheme, head.authority, head.target].map(|span| span.of(text.as_bytes()));
        assert_eq!(read, [parts.0, parts.1, parts.2].map(str::as_bytes), "{text}");
    }
}

#[test]
fn hosts() {
    for host in [
        "",
        "a",
        "a:1",
        "A-b_c.d~e.",
        "192.0.2.1:65535",
        "[2001:db8::1]",
        "[::ffff:192.0.2.1]:08080",
        "xn--bcher-kva.example",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost:{host} \r\n\r\n");
        assert_eq!(accept_request(&text).host.of(text.as_bytes()), host.as_bytes());
    }
    for host in [
        "a,b",
        "a b",
        "a/b",
        "a?b",
        "a@b",
        "a:b@c",
        "a\\b",
        "a#b",
        "a:",
        "a:x",
        "a:65536",
        "a:123456",
        "a:-1",
        "a:1:2",
        ":80",
        ".",
        ".a",
        "a..b",
        "a..",
        "%61",
        "[::1",
        "::1",
        "[::1]a",
        "[::1]:",
        "[1.2.3.4]",
        "[]",
        "[v1.a]",
        "[fe80::1%25eth0]",
        "h\u{e9}",
        "a;b",
        "(a)",
        "\"a\"",
        "http://a",
    ] {
        refuse_request(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), Malformed::Host);
    }
    refuse_request("GET / HTTP/1.1\r\nAccept: a\r\n\r\n", Malformed::HostMissing);
    refuse_request("GET http://a/ HTTP/1.1\r\n\r\n", Malformed::HostMissing);
    refuse_request(&with("hOST: a"), Malformed::HostTwice);
    refuse_request(&with("Host:"), Malformed::HostTwice);
    for (target, host) in [
        ("http://a/", "b"),
        ("http://a/", ""),
        ("http://a/", "a:81"),
        ("http://a:443/", "a"),
        ("https://a:80/", "a"),
        ("http://a./", "a"),
    ] {
        refuse_request(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"), Malformed::HostDisagrees);
        refuse_request(&format!("GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n"), Malformed::HostDisagrees);
    }
    for host in ["a:444", "b", "b:443", ""] {
        refuse_request(&format!("CONNECT a:443 HTTP/1.1\r\nHost: {host}\r\n\r\n"), Malformed::HostDisagrees);
    }
}

#[test]
fn framing() {
    let framing = |fields: &str| accept_request(&with(fields)).framing;
    assert_eq!(framing("Content-Length: 0"), Framing::Length(0));
    assert_eq!(framing("content-length:\t0042 "), Framing::Length(42));
    assert_eq!(framing("Content-Length: 9999999999999999999"), Framing::Length(9_999_999_999_999_999_999));
    assert_eq!(framing("Transfer-Encoding: chunked"), Framing::Chunked);
    assert_eq!(framing("TRANSFER-ENCODING:CHUNKED"), Framing::Chunked);
}

#[test]
fn persistence() {
    for (version, connection, persistent) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: x-a ,\t, ,close,\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let head = accept_request(&format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n"));
        assert_eq!(head.persistent, persistent, "{version} {connection}");
    }
}

#[test]
fn upgrades_and_expectations() {
    let upgrades = |fields: &str| accept_request(&with(fields)).upgrade;
    assert!(upgrades("Connection: Upgrade\r\nUpgrade: websocket"));
    assert!(upgrades("Upgrade: websocket\r\nConnection: keep-alive, upgrade"));
    assert!(!upgrades("Connection: Upgrade"));
    assert!(!upgrades("Upgrade: websocket"));
    let old = "GET / HTTP/1.0\r\nExpect: 100-continue\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n";
    assert!(!accept_request(old).upgrade && !accept_request(old).expects_continue);
    assert!(accept_request(&with("Expect: 100-Continue")).expects_continue);
    for value in ["", "100", "200-ok", "y 100-continue", "100-continue, 100-continue", "100-continue;a"] {
        refuse_request(&with(&format!("Expect: {value}")), Malformed::Expectation);
    }
}

#[test]
fn what_concerns_one_hop() {
    let text = with(
        "X-A: 1\r\nConnection: x-a, TE\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\nX-B: 1\r\nconnection: X-B\r\nx-a: 2\r\n\
         Proxy-Connection: close\r\nHTTP2-Settings: a\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nX-C: 1",
    );
    let head = accept_request(&text);
    let kept = names(&text, &head, |head, at| !head.fields[at].hop_by_hop);
    assert_eq!(kept, ["Host", "X-C"]);
    for option in [
        "Host",
        "content-length",
        "TRANSFER-ENCODING",
        "Authorization",
        "Cookie",
        "X-Forwarded-For",
        "Via",
        "Expect",
        "Cache-Control",
    ] {
        refuse_request(&with(&format!("Connection: close, {option}")), Malformed::Nominated);
    }
    for value in ["a b", "close;", "\"close\"", "a=b", "clos\u{e9}"] {
        refuse_request(&with(&format!("Connection: {value}")), Malformed::Connection);
    }
    accept_request(&with(&format!("Connection: {}", "a,".repeat(16))));
    refuse_request(&with(&format!("Connection: {}", "a,".repeat(17))), Malformed::Connection);
}

#[test]
fn limits_are_exact_and_refuse_at_once() {
    let text = with("X-Long: 0123456789");
    let exact = Limits { head: text.len(), fields: 2, line: 18 };
    assert_eq!(decide(text.as_bytes(), None, &exact).0, Parsed::Complete);
    for (limits, reason, at) in [
        (Limits { head: text.len() - 1, ..exact }, Malformed::HeadTooLong, text.len() - 1),
        (Limits { fields: 1, ..exact }, Malformed::TooManyFields, 26),
        (Limits { line: 17, ..exact }, Malformed::FieldTooLong, 25 + 19),
        (Limits { line: 13, ..exact }, Malformed::RequestLineTooLong, 15),
        (Limits { line: 5, ..exact }, Malformed::RequestLineTooLong, 7),
        (Limits { head: 0, ..exact }, Malformed::HeadTooLong, 0),
    ] {
        assert_eq!(decide(text.as_bytes(), None, &limits).0, Parsed::Invalid(reason));
        let held = &text.as_bytes()[..at];
        assert_eq!(read(held, None, &limits).0, Parsed::Invalid(reason), "at {at}");
        assert_eq!(read(&held[..at.saturating_sub(1)], None, &limits).0 == Parsed::Partial, at > 0);
    }
}

#[test]
fn a_slow_sender_is_not_read_again_and_again() {
    let text =
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-Field: some text\r\n".repeat(95)).into_bytes();
    let worth = |held: &usize| may_be_complete(&text[..*held], held - 1, &LIMITS);
    let reads = (2..=text.len()).filter(worth).count();
    assert!(reads <= 2 + text.len() / 1024, "{reads}");
    assert!(may_be_complete(b"G", 0, &LIMITS));
    assert!(may_be_complete(b"GET / HTTP/1.1\n", 14, &LIMITS));
    assert!(may_be_complete(b"GET / ", 5, &Limits { head: 6, ..LIMITS }));
    assert!(!may_be_complete(b"GET / HTTP/1.1\r\n", 14, &LIMITS));
}

#[test]
fn every_byte_where_it_may_not_be() {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_text = |byte: u8| byte == b'\t' || !byte.is_ascii_control();
    let accepts = |bytes: &[u8]| read(bytes, None, &LIMITS).0 == Parsed::Complete;
    for byte in 0..=255_u8 {
        // At every place of the words that are looked at eight bytes at a time.
        for (before, after) in (0..18).flat_map(|before| (0..18).map(move |after| (before, after))) {
            let word = [&vec![b'x'; before][..], &[byte], &vec![b'x'; after]].concat();
            let with = |head: &str, tail: &str| [head.as_bytes(), &word, tail.as_bytes()].concat();
            let value = with("GET / HTTP/1.1\r\nHost: a\r\nX:", "\r\n\r\n");
            assert_eq!(accepts(&value), is_text(byte), "{}", value.escape_ascii());
            let name = with("GET / HTTP/1.1\r\nHost: a\r\n", ": b\r\n\r\n");
            let is_name = is_token(byte) || byte == b':' && before > 0;
            assert_eq!(accepts(&name), is_name, "{}", name.escape_ascii());
            let method = with("", " / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(accepts(&method), is_token(byte), "{}", method.escape_ascii());
            let target = with("GET /", " HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(
                accepts(&target),
                byte.is_ascii_graphic() && byte != b'#',
                "{}",
                target.escape_ascii()
            );
        }
    }
}

#[test]
fn names_that_are_acted_on() {
    use Known::{
        Accept, AcceptEncoding, CacheControl, ContentEncoding, ContentRange, ContentType, Cookie, Date, Etag,
        Forwarded, Http2Settings, KeepAlive, Other, ProxyConnection, SetCookie, Te, Trailer, Upgrade, Vary,
        Via, XForwardedFor, XForwardedHost, XForwardedProto,
    };
    for (name, known) in [
        ("Accept", Accept),
        ("Accept-Encoding", AcceptEncoding),
        ("Cache-Control", CacheControl),
        ("Content-Encoding", ContentEncoding),
        ("Content-Range", ContentRange),
        ("Content-Type", ContentType),
        ("Cookie", Cookie),
        ("Date", Date),
        ("ETag", Etag),
        ("Forwarded", Forwarded),
        ("HTTP2-Settings", Http2Settings),
        ("Keep-Alive", KeepAlive),
        ("Proxy-Connection", ProxyConnection),
        ("Set-Cookie", SetCookie),
        ("TE", Te),
        ("Trailer", Trailer),
        ("Upgrade", Upgrade),
        ("Vary", Vary),
        ("Via", Via),
        ("X-Forwarded-For", XForwardedFor),
        ("X-Forwarded-Host", XForwardedHost),
        ("X-Forwarded-Proto", XForwardedProto),
        ("Accept-Language", Other),
        ("X-Forwarded-Fox", Other),
        ("Cookies", Other),
    ] {
        for name in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
            assert_eq!(accept_request(&with(&format!("{name}: 1"))).fields[1].known, known, "{name}");
        }
    }
}
