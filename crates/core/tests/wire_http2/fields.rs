//! Header blocks as messages: what is accepted, as what, and what is refused for which reason.

use headworks_core::message::{Framing, Known, Method, Span, Version};
use headworks_core::wire::http1::{self, Limits, Malformed, Parsed};
use headworks_core::wire::http2::fields::write::{self, WrittenHead};
use headworks_core::wire::http2::fields::{BlockFault, BlockKind, Sheet, read};
use headworks_core::wire::http2::hpack::{HpackDecoder, HpackEncoder, HpackError, Indexing};
use headworks_core::wire::http2::priority::Priority;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const LIMITS: Limits = Limits { head: 1_000, fields: 8, line: 400 };
const REQUEST: BlockKind = BlockKind::Request { extended: false };
const EXTENDED: BlockKind = BlockKind::Request { extended: true };

/// Encodes `name: value` lines as they are. `!` in front: never to be indexed.
fn block(lines: &str) -> Vec<u8> {
    let (mut out, mut encoder) = (Vec::new(), HpackEncoder::new(true));
    for line in lines.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let (line, indexing) = match line.strip_prefix('!') {
            Some(line) => (line, Indexing::Never),
            None => (line, Indexing::Kept),
        };
        let at = line[1..].find(": ").unwrap() + 1;
        let line = line.as_bytes();
        encoder.field(&mut out, &line[..at], &line[at + 2..], indexing);
    }
    out
}

fn try_read(lines: &str, kind: BlockKind, end: bool) -> Result<Sheet, BlockFault> {
    let (mut sheet, block, mut decoder) = (Sheet::default(), block(lines), HpackDecoder::default());
    read(decoder.block(&block), kind, end, &LIMITS, &mut sheet).map(|()| sheet)
}

#[track_caller]
fn accept(lines: &str, kind: BlockKind, end: bool) -> Sheet {
    let sheet = try_read(lines, kind, end).unwrap();
    check(&sheet);
    sheet
}

/// What holds for every head: field lines are contiguous, and an empty one ends them.
fn check(sheet: &Sheet) {
    let (head, text) = (&sheet.head, &sheet.text);
    let mut at = head.fields.first().map_or(text.len() - 2, |field| field.name.start as usize);
    for field in &head.fields {
        assert_eq!(field.name.start as usize, at);
        assert_eq!(field.value.start, field.name.end + 2);
        assert_eq!(Known::of(field.name.of(text)), field.known);
        at = field.value.end as usize + 2;
        assert_eq!(&text[at - 2..at], b"\r\n");
    }
    assert_eq!((&text[at..], head.length), (&b"\r\n"[..], text.len()));
    assert!(head.version == Version::Http2 && head.persistent);
}

/// The field lines as they would be in HTTP/1.
fn lines(sheet: &Sheet) -> String {
    let end = sheet.text.len() - 2;
    let start = sheet.head.fields.first().map_or(end, |field| field.name.start as usize);
    String::from_utf8_lossy(&sheet.text[start..]).replace("\r\n", "|")
}

const GET: &str = ":method: GET\n:scheme: https\n:authority: a.example\n:path: /x?y\n";

#[test]
fn a_request() {
    let sheet = accept(&format!("{GET}accept: */*\npriority: u=1, i\n!x-key: secret"), REQUEST, true);
    let message = sheet.message();
    assert_eq!((message.host(), message.target()), (&b"a.example"[..], &b"/x?y"[..]));
    assert_eq!(message.text(message.head.method_span), b"GET");
    assert_eq!((message.head.method, message.head.framing), (Method::Get, Framing::None));
    assert_eq!(lines(&sheet), "host: a.example|accept: */*|priority: u=1, i|x-key: secret||");
    assert_eq!(sheet.priority, Some(Priority { urgency: 1, incremental: true }));
    assert_eq!(sheet.marked, b"x-key\n");
    let secret = accept(&format!("{GET}!authorization: a\n!etag: b\n!cookie: c\nx: y"), REQUEST, true);
    assert_eq!(secret.marked, b"etag\n", "what stays out of tables by its name is not marked");
    assert!(message.head.authority.is_empty() && message.head.scheme.is_empty());
    // Without any field, too.
    assert_eq!(lines(&accept(GET, REQUEST, true)), "host: a.example||");
}

#[test]
fn the_host_is_said_once() {
    for (host, expected) in [
        ("host: a.example", Ok("host: a.example|x: y||")),
        ("host: A.Example:443", Ok("host: a.example|x: y||")),
        ("host: b.example", Err(Malformed::HostDisagrees)),
        ("host: a.example:80", Err(Malformed::HostDisagrees)),
        ("host: a.example\nhost: a.example", Err(Malformed::HostTwice)),
        ("host: u@a.example", Err(Malformed::Host)),
    ] {
        let result = try_read(&format!("{GET}{host}\nx: y"), REQUEST, true);
        let seen = result.as_ref().map(lines).map_err(|fault| *fault);
        assert_eq!(seen, expected.map(str::to_owned).map_err(BlockFault::Malformed), "{host}");
    }
    let bare = ":method: GET\n:scheme: http\n:path: /\n";
    let sheet = accept(&format!("{bare}x: y\nhost: a.example:8080"), REQUEST, true);
    assert_eq!(sheet.message().host(), b"a.example:8080");
    for (lines, reason) in [
        (bare.to_owned(), Malformed::HostMissing),
        (format!("{bare}host: "), Malformed::Host),
        (format!(":authority: \n{bare}"), Malformed::Host),
    ] {
        assert_eq!(try_read(&lines, REQUEST, true).unwrap_err(), BlockFault::Malformed(reason));
    }
}

#[test]
fn crumbs_become_one_cookie() {
    let sheet = accept(&format!("{GET}cookie: a=1\ncookie: b=2\ncookie: c=3\nx: y"), REQUEST, true);
    assert_eq!(lines(&sheet), "host: a.example|cookie: a=1; b=2; c=3|x: y||");
    let bare = ":method: GET\n:scheme: http\n:path: /\n";
    let scattered = "cookie: a=1\nx: y\ncookie: b=2\nhost: a.example\ncookie: c=3\ncookie: d=4";
    let sheet = accept(&format!("{bare}{scattered}"), REQUEST, true);
    assert_eq!(lines(&sheet), "x: y|host: a.example|cookie: a=1; b=2; c=3; d=4||");
    assert_eq!(sheet.message().host(), b"a.example");
    // Each crumb counts.
    let many = "cookie: a\n".repeat(9);
    let result = try_read(&format!("{GET}{many}"), REQUEST, true);
    assert_eq!(result.unwrap_err(), BlockFault::Malformed(Malformed::TooManyFields));
    // Those of responses are not crumbs.
    let sheet = accept(":status: 200\ncookie: a\ncookie: b", BlockKind::Response(Method::Get), true);
    assert_eq!(lines(&sheet), "cookie: a|cookie: b||");
}

#[test]
fn bodies_of_requests() {
    for (method, fields, end, expected) in [
        ("GET", "", true, Ok(Framing::None)),
        ("GET", "", false, Ok(Framing::Stream)),
        ("POST", "", true, Ok(Framing::Length(0))),
        ("POST", "", false, Ok(Framing::Stream)),
        ("POST", "content-length: 5", false, Ok(Framing::Length(5))),
        ("POST", "content-length: 0", false, Ok(Framing::Length(0))),
        ("POST", "content-length: 0", true, Ok(Framing::Length(0))),
        ("POST", "content-length: 5", true, Err(Malformed::LengthDisagrees)),
        ("POST", "content-length: +5", false, Err(Malformed::ContentLength)),
        ("POST", "content-length: 5\ncontent-length: 5", false, Err(Malformed::ContentLengthTwice)),
        ("POST", "transfer-encoding: chunked", false, Err(Malformed::ConnectionField)),
    ] {
        let text = format!(":method: {method}\n:scheme: http\n:authority: a\n:path: /\n{fields}");
        let framing = try_read(&text, REQUEST, end).map(|sheet| sheet.head.framing);
        assert_eq!(framing, expected.map_err(BlockFault::Malformed), "{method} {fields} {end}");
    }
}

#[test]
fn bodies_of_responses() {
    use Malformed::{LengthDisagrees, NoBody, Pseudo, Status, Switching};
    for (to, fields, end, expected) in [
        (Method::Get, ":status: 200", false, Ok(Framing::Stream)),
        (Method::Get, ":status: 200", true, Ok(Framing::Length(0))),
        (Method::Get, ":status: 200\ncontent-length: 7", false, Ok(Framing::Length(7))),
        (Method::Get, ":status: 200\ncontent-length: 7", true, Err(LengthDisagrees)),
        (Method::Head, ":status: 200\ncontent-length: 7", true, Ok(Framing::None)),
        (Method::Get, ":status: 304\ncontent-length: 7", true, Ok(Framing::None)),
        (Method::Get, ":status: 204\ncontent-length: 7", true, Ok(Framing::None)),
        (Method::Get, ":status: 103", false, Ok(Framing::None)),
        (Method::Get, ":status: 103", true, Err(Switching)),
        (Method::Get, ":status: 101", false, Err(Switching)),
        (Method::Connect, ":status: 200", false, Ok(Framing::None)),
        (Method::Connect, ":status: 200\ncontent-length: 7", false, Err(NoBody)),
        (Method::Get, ":status: 99", false, Err(Status)),
        (Method::Get, ":status: 0200", false, Err(Status)),
        (Method::Get, ":status: +20", false, Err(Status)),
        (Method::Get, ":status: 200\n:status: 200", false, Err(Pseudo)),
        (Method::Get, "x: y", false, Err(Pseudo)),
        (Method::Get, "", false, Err(Pseudo)),
        (Method::Get, ":path: /", false, Err(Pseudo)),
    ] {
        let framing = try_read(fields, BlockKind::Response(to), end).map(|sheet| sheet.head.framing);
        assert_eq!(framing, expected.map_err(BlockFault::Malformed), "{fields} {end}");
    }
    assert!(accept(":status: 200", BlockKind::Response(Method::Connect), false).head.upgrade);
}

#[test]
fn what_a_request_may_not_be() {
    use Malformed::{
        ConnectionField, Expectation, FieldName, FieldTooLong, FieldValue, HeadTooLong, Host, Pseudo,
        RequestLineTooLong, Target, Te, TooManyFields, Underscore,
    };
    let long = "v".repeat(399);
    let rest = ":scheme: http\n:authority: a\n:path: /\n";
    for (text, reason) in [
        (rest.to_owned(), Pseudo),
        (format!(":method: G T\n{rest}"), Malformed::Method),
        (format!(":method: GET\n:method: GET\n{rest}"), Pseudo),
        (format!(":method: GET\n:what: GET\n{rest}"), Pseudo),
        (format!(":method: GET\n:status: 200\n{rest}"), Pseudo),
        (format!(":method: GET\nx: y\n{rest}"), Pseudo),
        (":method: GET\n:authority: a\n:path: /".into(), Pseudo),
        (":method: GET\n:scheme: http\n:authority: a".into(), Pseudo),
        (":method: GET\n:scheme: http\n:authority: a\n:path: ".into(), Target),
        (":method: GET\n:scheme: http\n:authority: a\n:path: x".into(), Target),
        (":method: GET\n:scheme: http\n:authority: a\n:path: *".into(), Target),
        (":method: GET\n:scheme: http\n:authority: a\n:path: /a b".into(), Target),
        (":method: GET\n:scheme: http\n:authority: a\n:path: /#a".into(), Target),
        (":method: GET\n:scheme: ftp\n:authority: a\n:path: /".into(), Target),
        (":method: GET\n:scheme: http\n:authority: u@a\n:path: /".into(), Host),
        (":method: GET\n:scheme: http\n:authority: a, b\n:path: /".into(), Host),
        (format!(":method: GET\n:scheme: http\n:authority: a\n:path: /{long}x"), RequestLineTooLong),
        (format!("{GET}Accept: x"), FieldName),
        (format!("{GET}a b: x"), FieldName),
        (format!("{GET}x:  y"), FieldValue),
        (format!("{GET}x: y\t"), FieldValue),
        (format!("{GET}x: a\0b"), FieldValue),
        (format!("{GET}x: a\x7fb"), FieldValue),
        (format!("{GET}content_length: 5"), Underscore),
        (format!("{GET}connection: close"), ConnectionField),
        (format!("{GET}keep-alive: x"), ConnectionField),
        (format!("{GET}proxy-connection: x"), ConnectionField),
        (format!("{GET}upgrade: h2c"), ConnectionField),
        (format!("{GET}http2-settings: x"), ConnectionField),
        (format!("{GET}te: gzip"), Te),
        (format!("{GET}te: trailers, gzip"), Te),
        (format!("{GET}expect: x"), Expectation),
        (format!("{GET}x: {long}"), FieldTooLong),
        (format!("{GET}{}", format!("xxxx: {}\n", &long[..390]).repeat(3)), HeadTooLong),
        (format!("{GET}{}", "x: y\n".repeat(9)), TooManyFields),
        // Extended CONNECT where we have not said that we understand it.
        (format!(":method: CONNECT\n:protocol: websocket\n{rest}"), Pseudo),
        (format!(":method: CONNECT\n{rest}"), Pseudo),
        (":method: CONNECT\n:authority: a".into(), Target),
        (":method: CONNECT".into(), Pseudo),
        (":method: CONNECT\n:authority: a:1\ncontent-length: 1".into(), Malformed::NoBody),
    ] {
        let result = try_read(&text, REQUEST, false);
        assert_eq!(result.unwrap_err(), BlockFault::Malformed(reason), "{text:?}");
    }
}

#[test]
fn line_ends_in_values_are_refused() {
    let mut out = block(GET);
    out.extend_from_slice(b"\x00\x01x\x0cb\r\nevil: one");
    let (mut sheet, mut decoder) = (Sheet::default(), HpackDecoder::default());
    let result = read(decoder.block(&out), REQUEST, true, &LIMITS, &mut sheet);
    assert_eq!(result, Err(BlockFault::Malformed(Malformed::FieldValue)));
}

#[test]
fn other_methods() {
    let sheet = accept(":method: OPTIONS\n:scheme: http\n:authority: a\n:path: *", REQUEST, true);
    assert_eq!(sheet.message().target(), b"*");
    let sheet = accept(":method: CONNECT\n:authority: a.example:443\nx: y", REQUEST, false);
    assert_eq!((sheet.head.method, sheet.message().target()), (Method::Connect, &b"a.example:443"[..]));
    assert_eq!(lines(&sheet), "host: a.example:443|x: y||");
    let text = ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: a\n:path: /chat\nsec-websocket-version: 13";
    let sheet = accept(text, EXTENDED, false);
    assert!(sheet.head.upgrade && sheet.head.method == Method::Get);
    assert_eq!(sheet.head.method_span.of(&sheet.text), b"GET");
    assert_eq!((sheet.message().target(), sheet.message().host()), (&b"/chat"[..], &b"a"[..]));
    assert_eq!(lines(&sheet), "host: a|upgrade: websocket|sec-websocket-version: 13||");
    for text in [
        ":method: GET\n:protocol: websocket\n:scheme: https\n:authority: a\n:path: /",
        ":method: CONNECT\n:protocol: web socket\n:scheme: https\n:authority: a\n:path: /",
        ":method: CONNECT\n:protocol: websocket\n:authority: a:1",
    ] {
        assert!(matches!(try_read(text, EXTENDED, false), Err(BlockFault::Malformed(Malformed::Pseudo))));
    }
    assert!(accept(&format!("{GET}te: trailers"), REQUEST, true).head.fields[1].hop_by_hop);
    assert!(accept(&format!("{GET}expect: 100-Continue"), REQUEST, false).head.expects_continue);
}

#[test]
fn trailers() {
    let sheet = accept("grpc-status: 0\ngrpc-message: ok", BlockKind::Trailers, true);
    assert_eq!(lines(&sheet), "grpc-status: 0|grpc-message: ok||");
    for (text, reason) in [
        (":status: 200", Malformed::Pseudo),
        ("content-length: 1", Malformed::TrailerField),
        ("host: a", Malformed::TrailerField),
        ("connection: x", Malformed::TrailerField),
        ("X: y", Malformed::FieldName),
    ] {
        let result = try_read(text, BlockKind::Trailers, true);
        assert_eq!(result.unwrap_err(), BlockFault::Malformed(reason), "{text}");
    }
}

#[test]
fn what_is_refused_is_decoded_to_its_end() {
    let (mut sheet, mut decoder) = (Sheet::default(), HpackDecoder::default());
    let first = block(&format!("{GET}Bad: x\nx-later: kept"));
    let result = read(decoder.block(&first), REQUEST, true, &LIMITS, &mut sheet);
    assert_eq!(result, Err(BlockFault::Malformed(Malformed::FieldName)));
    // The last field is in the table.
    let next = [&block(":method: GET\n:scheme: http\n:path: /\nhost: a")[..], &[0xbf]].concat();
    assert_eq!(read(decoder.block(&next), REQUEST, true, &LIMITS, &mut sheet), Ok(()));
    assert!(lines(&sheet).contains("x-later: kept"));
    let broken = [&block(GET)[..], &[0x80]].concat();
    let result = read(decoder.block(&broken), REQUEST, true, &LIMITS, &mut sheet);
    assert_eq!(result, Err(BlockFault::Undecodable(HpackError::Index)));
}

#[test]
fn a_byte_that_stands_for_a_kilobyte_is_a_bomb() {
    let large = block(&format!("{GET}x: {}", "v".repeat(300)));
    for (times, expected) in
        [(1, Ok(())), (10, Err(BlockFault::Malformed(Malformed::HeadTooLong))), (100, Err(BlockFault::Bomb))]
    {
        let (mut sheet, mut decoder) = (Sheet::default(), HpackDecoder::default());
        let bytes = [&large[..], &vec![0xbe; times]].concat();
        let limits = Limits { fields: 1_000, ..LIMITS };
        assert_eq!(read(decoder.block(&bytes), REQUEST, true, &limits, &mut sheet), expected);
        assert!(sheet.text.len() <= LIMITS.head + 310);
    }
}

/// Sends a text of HTTP/1 over a header block and back.
fn over(text: &str, kind: BlockKind, extended: bool) -> Option<String> {
    let (mut encoder, mut decoder) = (HpackEncoder::new(true), HpackDecoder::default());
    let (mut out, mut sheet) = (Vec::new(), Sheet::default());
    let head = WrittenHead { text: text.as_bytes(), marked: b"x-key\n" };
    match kind {
        BlockKind::Request { .. } => write::request(&mut encoder, &mut out, head, b"https")?,
        BlockKind::Response(_) => write::response(&mut encoder, &mut out, head, extended)?,
        BlockKind::Trailers => write::trailers(&mut encoder, &mut out, head.text, head.marked),
    }
    read(decoder.block(&out), kind, false, &LIMITS, &mut sheet).unwrap();
    check(&sheet);
    let start = match kind {
        BlockKind::Request { .. } => {
            let message = sheet.message();
            [message.text(message.head.method_span), b" ", message.target(), b"|"].concat()
        }
        BlockKind::Response(_) => format!("{}|", sheet.head.status).into_bytes(),
        BlockKind::Trailers => Vec::new(),
    };
    Some(format!(
        "{}{}{}",
        String::from_utf8_lossy(&start),
        lines(&sheet),
        String::from_utf8_lossy(&sheet.marked)
    ))
}

#[test]
fn written_heads_lose_what_is_of_their_version_alone() {
    let request = "GET /x HTTP/1.1\r\nX-Key: 1\r\nHost: a.example\r\nConnection: TE\r\nTE: trailers\r\nKeep-Alive: 5\r\n\
        Transfer-Encoding: chunked\r\nUpgrade: x\r\nAccept:  a, b \r\n\r\n";
    let expected = "GET /x|host: a.example|x-key: 1|te: trailers|accept: a, b||x-key\n";
    assert_eq!(over(request, REQUEST, false).as_deref(), Some(expected));
    let connect = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";
    assert_eq!(over(connect, REQUEST, false).as_deref(), Some("CONNECT a.example:443|host: a.example:443||"));
    let response = "HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let to = BlockKind::Response(Method::Get);
    assert_eq!(over(response, to, false).as_deref(), Some("200|server: x||"));
    assert_eq!(over("HTTP/1.1 404 \r\n\r\n", to, false).as_deref(), Some("404||"));
    let switched = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\
        Sec-WebSocket-Protocol: y\r\n\r\n";
    assert_eq!(over(switched, to, true).as_deref(), Some("200|sec-websocket-protocol: y||"));
    assert_eq!(over(switched, to, false), None);
    assert_eq!(over("GET / HTTP/1.1\r\nX: y\r\n\r\n", REQUEST, false), None);
    assert_eq!(over("what", REQUEST, false), None);
    for text in ["X: y\r\nZ: 1\r\n\r\n", "X: y\r\nZ: 1\r\n"] {
        assert_eq!(over(text, BlockKind::Trailers, false).as_deref(), Some("x: y|z: 1||"));
    }
    let long = "N".repeat(100);
    let response = format!("HTTP/1.1 200 OK\r\n{long}: y\r\n\r\n");
    let expected = format!("200|{}: y||", long.to_ascii_lowercase());
    assert_eq!(over(&response, to, false).as_deref(), Some(&*expected));
}

const TRICKY: &[&str] = &[
    ":method: GET",
    ":method: POST",
    ":method: CONNECT",
    ":scheme: http",
    ":path: /",
    ":path: /a",
    ":authority: a",
    ":authority: b:80",
    "host: a",
    "host: b",
    "cookie: a=1",
    "cookie: b",
    "content-length: 1",
    "content-length: 0",
    "te: trailers",
    "x: y",
    "X: y",
    "connection: x",
    ":protocol: websocket",
    ":status: 200",
    "expect: 100-continue",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is accepted is a request of HTTP/1 as well, and no two.
    #[test]
    fn what_is_accepted_is_one_request(parts in vec(select(TRICKY), 0..10), end: bool) {
        if let Ok(sheet) = try_read(&parts.join("\n"), EXTENDED, end) {
            check(&sheet);
            let message = sheet.message();
            let version = b" HTTP/1.1\r\n";
            let line = [message.text(message.head.method_span), b" ", message.target(), version].concat();
            let start = message.head.fields[0].name.start as usize;
            let text = [&line[..], &sheet.text[start..]].concat();
            let mut head = Default::default();
            let limits = Limits { head: 9_000, ..LIMITS };
            prop_assert_eq!(http1::request(&text, &limits, &mut head), Parsed::Complete);
            prop_assert_eq!(head.length, text.len());
            prop_assert_eq!(head.fields.len(), message.head.fields.len());
            let value = |span: Span| span.of(&text);
            prop_assert_eq!(value(head.host), message.host());
        }
    }

    #[test]
    fn any_fields_do_no_harm(bytes in vec(any::<u8>(), 0..120), end: bool) {
        for kind in [REQUEST, EXTENDED, BlockKind::Response(Method::Get), BlockKind::Trailers] {
            let (mut sheet, mut decoder) = (Sheet::default(), HpackDecoder::default());
            if read(decoder.block(&bytes), kind, end, &LIMITS, &mut sheet).is_ok() {
                check(&sheet);
            }
        }
    }
}
