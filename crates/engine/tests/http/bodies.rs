//! Bodies: both framings both ways, large ones whole, early answers, ends in the middle, 100-continue.

use std::io::{Read, Write};
use std::thread;

use super::*;

const LARGE: usize = 8 << 20;

#[test]
fn chunks_go_up_and_down() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    for (size, count) in [(1, 5), (1_000, 100), (100_000, 7)] {
        let piece = "x".repeat(size);
        let body: String =
            (0..count).map(|_| format!("{size:x};an=extension\r\n{piece}\r\n")).collect::<String>()
                + "0\r\n\r\n";
        let whole = piece.repeat(count);
        asks.say("POST /up HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
        thread::scope(|scope| {
            scope.spawn(|| asks.stream.try_clone().unwrap().write_all(body.as_bytes()).unwrap());
            let mut answers = server(&origin);
            let request = answers.request();
            assert_eq!(request.field("content-length"), None);
            assert!(request.body == whole.as_bytes());
            answers.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
            answers.say(&body);
        });
        let answer = asks.expect_status(200);
        assert!(answer.body == whole.as_bytes() && !answer.closes());
    }
}

#[test]
fn trailers_pass_and_nothing_is_taken_for_one() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\nGET /next HTTP/1.1\r\nHost: a.example\r\n\r\n",
    );
    let mut answers = server(&origin);
    answers.serve("/", "1");
    answers.serve("/next", "2");
    asks.expect_body("1");
    asks.expect_body("2");
}

/// Sends noise up and gets other noise back, both so long, through one connection; twice.
fn large(head_up: &str, head_down: &str) {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    let mut answers = None;
    for seed in [3, 5] {
        asks.say(format!("POST /{seed} HTTP/1.1\r\nHost: a.example\r\n{head_up}\r\n\r\n"));
        let mut up = asks.stream.try_clone().unwrap();
        let sent = thread::scope(|scope| {
            let chunked = head_up.contains("chunked");
            let sender = scope.spawn(move || send_body(&mut up, seed, chunked));
            let answers = answers.get_or_insert_with(|| server(&origin));
            let request = answers.request();
            assert_eq!(request.body.len(), LARGE);
            let sent = sender.join().unwrap();
            assert_eq!(hash(&request.body), sent);
            sent
        });
        let answers = answers.as_mut().unwrap();
        answers.say(format!("HTTP/1.1 200 OK\r\n{head_down}\r\n\r\n"));
        let mut down = answers.stream.try_clone().unwrap();
        let chunked = head_down.contains("chunked");
        let sender = thread::spawn(move || send_body(&mut down, seed + 100, chunked));
        let answer = asks.expect_status(200);
        assert_eq!((answer.body.len(), hash(&answer.body)), (LARGE, sender.join().unwrap()));
        assert_ne!(hash(&answer.body), sent);
    }
    nobody_waits_at(origin);
    let stats = proxy.0.stats();
    assert!(stats.backends["app"].counters.bytes_in > 2 * LARGE as u64);
    assert!(stats.backends["app"].counters.bytes_out > 2 * LARGE as u64);
}

/// A large body of noise, in chunks or not; its hash.
fn send_body(stream: &mut impl Write, seed: u64, chunked: bool) -> u64 {
    let mut body = Vec::new();
    let hash = send_noise(&mut body, seed, LARGE);
    if !chunked {
        stream.write_all(&body).unwrap();
        return hash;
    }
    // Small ones and ones that are worth a pipe, in turns.
    let mut rest = &body[..];
    for size in [100, 300_000, 5, 2_000_000, 70_000].into_iter().cycle() {
        let (chunk, others) = rest.split_at(size.min(rest.len()));
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).unwrap();
        stream.write_all(chunk).unwrap();
        stream.write_all(b"\r\n").unwrap();
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    hash
}

/// The hash that `send_noise` gives.
fn hash(body: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    body.iter().for_each(|byte| hasher.write_u8(*byte));
    hasher.finish()
}

#[test]
fn large_bodies_of_known_length() {
    large(&format!("Content-Length: {LARGE}"), &format!("Content-Length: {LARGE}"));
}

#[test]
fn large_bodies_in_chunks() {
    large("Transfer-Encoding: chunked", "Transfer-Encoding: chunked");
}

#[test]
fn a_slow_reader_gets_all_of_a_large_body_and_holds_up_nobody() {
    let (origin, proxy) = pair();
    let mut slow = client(&proxy);
    slow.ask("/large");
    let mut answers = server(&origin);
    answers.request();
    answers.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
    let sender = thread::spawn(move || send_body(&mut answers.stream, 9, false));
    slow.head();
    // While it does not read on, others are served.
    let mut other = client(&proxy);
    other.ask("/other");
    server(&origin).serve("/other", "ok");
    other.expect_body("ok");
    let body = slow.take(LARGE);
    assert_eq!(hash(&body), sender.join().unwrap());
}

#[test]
fn a_response_to_the_end_ends_the_clients_connection() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\n\r\nall ");
    answers.say("there is");
    drop(answers);
    let answer = asks.answer();
    assert!(answer.closes());
    assert_eq!(answer.text(), "all there is");
}

#[test]
fn a_large_response_to_the_end() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\n\r\n");
    let sender = thread::spawn(move || send_body(&mut answers.stream, 9, false));
    let answer = asks.answer();
    assert_eq!((answer.body.len(), hash(&answer.body)), (LARGE, sender.join().unwrap()));
}

/// What the client reads when its server ends like this after these bytes.
fn cut(response: &str, end: impl Fn(End)) -> std::io::Result<Vec<u8>> {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say(response);
    // The client has the beginning, so that it is no matter of order.
    let head = asks.head();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    end(answers);
    let mut rest = Vec::new();
    asks.stream.read_to_end(&mut rest).map(|_| rest)
}

#[test]
fn a_response_that_breaks_off_does_not_look_complete() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n0\r\n",
    ] {
        for end in [|end: End| drop(end), |end: End| reset(end.stream)] {
            if let Ok(rest) = cut(response, end) {
                assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 10 + 10, "{response}");
                assert!(response.contains("chunked") || rest.len() < 10);
            }
        }
    }
    // Of a body to the end a reset is all that tells.
    cut("HTTP/1.1 200 OK\r\n\r\nsome", |end| reset(end.stream)).expect_err("a reset, not an end");
}

#[test]
fn chunks_that_turn_out_malformed_break_the_response_off() {
    for bad in ["x\r\n", "3\r\nabcd\r\n", "ffffffffffffffffff\r\n", "-1\r\n", "3\nabc\r\n"] {
        let (origin, proxy) = pair();
        let mut asks = client(&proxy);
        asks.ask("/");
        let mut answers = server(&origin);
        answers.request();
        answers.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        asks.head();
        answers.say(bad);
        let mut rest = Vec::new();
        let _ = asks.stream.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("\r\n0\r\n"), "{bad:?}");
        answers.expect_gone();
    }
}

#[test]
fn malformed_chunks_of_a_request_are_refused_and_reach_no_server_whole() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let mut answers = server(&origin);
    assert!(answers.head().starts_with("POST / "));
    asks.say("oh\r\n\r\n");
    assert!(asks.expect_status(400).closes());
    answers.expect(b"3\r\nabc\r\n");
    answers.expect_gone();
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(format!("POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: {LARGE}\r\n\r\nbegin"));
    let mut answers = server(&origin);
    answers.head();
    answers.say("HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\n\r\nstop");
    let answer = asks.expect_status(413);
    assert!(answer.closes(), "its body is not wanted");
    assert_eq!(answer.text(), "stop");
    // Whatever it still sends is not asked of anybody.
    answers.expect(b"begin");
    answers.expect_gone();
    nobody_waits_at(origin);
}

#[test]
fn an_early_answer_is_delivered_although_the_server_reads_no_more() {
    for end in [|end: End| drop(end), |end: End| finish(&end.stream)] {
        let (origin, proxy) = pair();
        let mut asks = client(&proxy);
        asks.say(format!("POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: {LARGE}\r\n\r\n"));
        let mut up = asks.stream.try_clone().unwrap();
        let sender = thread::spawn(move || {
            // Cut off at some point, or not: the proxy may read it all.
            let _ = up.write_all(&vec![b'x'; LARGE]);
        });
        let mut answers = server(&origin);
        answers.head();
        answers.take(10_000);
        answers.say("HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop");
        end(answers);
        assert_eq!(asks.expect_status(413).text(), "stop");
        drop(asks);
        sender.join().unwrap();
    }
}

#[test]
fn a_response_may_begin_while_the_request_goes_on() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say("POST /echo HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut answers = server(&origin);
    answers.head();
    answers.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(asks.head().to_lowercase().contains("connection: close"));
    for word in ["one", "two", "three"] {
        let chunk = format!("{:x}\r\n{word}\r\n", word.len());
        asks.say(&chunk);
        answers.expect(chunk.as_bytes());
        answers.say(&chunk);
        assert_eq!(asks.chunk(), word.as_bytes());
    }
    asks.say("0\r\n\r\n");
    answers.expect(b"0\r\n\r\n");
    answers.say("3\r\nend\r\n0\r\n\r\n");
    assert_eq!(asks.chunk(), b"end");
    assert_eq!(asks.chunk(), b"");
    asks.expect_end();
}

#[test]
fn expect_100_continue() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    let head = "POST /up HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    asks.say(head);
    let mut answers = server(&origin);
    assert!(answers.head().to_lowercase().contains("expect: 100-continue\r\n"));
    answers.say("HTTP/1.1 100 Continue\r\n\r\n");
    let interim = asks.bare_answer();
    assert_eq!((interim.status(), interim.closes()), (100, false));
    asks.say("body");
    answers.expect(b"body");
    answers.reply("ok");
    assert!(!asks.expect_body("ok").closes());

    // Interim and final in one piece, more than one.
    asks.say(format!("{head}body"));
    answers.request();
    answers.say(format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{}",
        ok("both")
    ));
    assert_eq!(asks.bare_answer().status(), 100);
    let hints = asks.bare_answer();
    assert_eq!((hints.status(), hints.field("link")), (103, Some("</x>")));
    assert!(!asks.expect_body("both").closes());

    // The server will not have it.
    asks.say(head);
    answers.head();
    answers.say("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
    assert!(asks.expect_status(401).closes(), "whether the body follows is not known");
    nobody_waits_at(origin);
}

#[test]
fn too_many_interim_responses_are_none() {
    let origin = Origin::new();
    let mut written = web(&[origin.address()]);
    written["backends"]["app"]["interim_limit"] = json!(32);
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(33));
    for _ in 0..32 {
        assert_eq!(asks.bare_answer().status(), 103);
    }
    asks.expect_status(502);
}

#[test]
fn old_clients() {
    let (origin, proxy) = pair();
    // One that knows no chunks gets none, and no interim response either.
    let mut asks = client(&proxy);
    asks.say("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let mut answers = server(&origin);
    let request = answers.request();
    assert!(request.line.ends_with(" HTTP/1.1"), "a version is its sender's own");
    answers.say("HTTP/1.1 100 Continue\r\n\r\n");
    answers.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n");
    answers.say("0\r\n\r\n");
    let answer = asks.expect_body("abcdef");
    assert!(answer.closes() && answer.field("transfer-encoding").is_none());
    asks.expect_end();
    // Kept if it asks for that, and told so.
    let mut asks = client(&proxy);
    for _ in 0..2 {
        asks.say("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        answers.serve("/old", "ok");
        assert_eq!(asks.expect_body("ok").field("connection"), Some("keep-alive"));
    }
    asks.say("GET /old HTTP/1.0\r\n\r\n");
    answers.serve("/old", "ok");
    asks.expect_body("ok");
    asks.expect_end();
    nobody_waits_at(origin);
}

#[test]
fn responses_without_a_body() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    let mut answers = None;
    for (method, response) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        asks.say(get("/").replace("GET", method));
        let answers = answers.get_or_insert_with(|| server(&origin));
        answers.request();
        answers.say(response);
        let answer = asks.bare_answer();
        assert!(!answer.closes(), "{response}");
        assert_eq!(
            answer.field("content-length"),
            if response.contains("1000") { Some("1000") } else { answer.field("content-length") }
        );
    }
    nobody_waits_at(origin);
}
