//! Answers of our own: error pages in the form that is accepted, pages that were given; the cookie that keeps
//! a client at its server.

use serde_json::json;

use super::*;

#[test]
fn error_pages_come_in_the_form_that_is_accepted() {
    let proxy = Proxy::start(web_with(&[nobody()], json!({"request_id": "X-Request-Id"})));
    let mut asks = client(&proxy);
    for (accepts, kind) in [
        ("*/*", "text/plain; charset=utf-8"),
        ("text/html, */*;q=0.1", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
    ] {
        asks.say(format!("GET / HTTP/1.1\r\nHost: a.example\r\nAccept: {accepts}\r\n\r\n"));
        let answer = asks.expect_status(503);
        assert_eq!(answer.field("content-type"), Some(kind));
        assert!(answer.text().contains("503") && answer.field("date").is_some(), "{}", answer.text());
    }
    asks.say("HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let answer = asks.bare_answer();
    assert_eq!(answer.status(), 503);
    asks.ask("/");
    let length = asks.expect_status(503).body.len();
    assert!(length > 0);
}

#[test]
fn error_pages_that_were_given() {
    let page = |body: &str| json!({"503": {"content_type": "text/html", "body": body}});
    let mut written = web_with(&[nobody()], json!({"error_pages": page("the listener's")}));
    let proxy = Proxy::start(written.clone());
    let mut asks = client(&proxy);
    asks.ask("/");
    assert_eq!(asks.expect_status(503).text(), "the listener's");
    written["backends"]["app"]["http"] = json!({"error_pages": page("the backend's"), "maintenance": true});
    proxy.apply(written);
    asks.ask("/");
    let answer = asks.expect_status(503);
    assert_eq!((answer.text(), answer.field("content-type")), ("the backend's", Some("text/html")));
}

#[test]
fn what_a_server_says_is_not_replaced() {
    let origin = Origin::new();
    let pages = json!({"500": {"content_type": "text/html", "body": "ours"}});
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"error_pages": pages})));
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\ntheirs");
    let answer = asks.expect_status(500);
    assert_eq!((answer.text(), answer.line.as_str()), ("theirs", "HTTP/1.1 500 Oh"));
}

#[test]
fn a_cookie_keeps_a_client_at_its_server() {
    let (a, b) = (Origin::new(), Origin::new());
    let mut written = web(&[a.address(), b.address()]);
    let affinity = json!({"cookie": "at", "secret": "0123456789abcdef", "max_age": 60_000});
    written["backends"]["app"]["http"] = json!({"affinity": affinity});
    let proxy = Proxy::start(written.clone());
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut at_a = server(&a);
    at_a.serve("/", "a");
    let answer = asks.expect_body("a");
    let cookie = answer.field("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("at=") && cookie.contains("Max-Age=60"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let with_cookie = format!("GET /more HTTP/1.1\r\nHost: a.example\r\nCookie: x=y; {pair}\r\n\r\n");
    for _ in 0..5 {
        asks.say(&with_cookie);
        let request = at_a.serve("/more", "a");
        assert_eq!(request.field("cookie"), Some("x=y"), "it is no matter of the server's");
        assert_eq!(asks.expect_body("a").field("set-cookie"), None);
    }
    // One that was made up is not believed.
    asks.say("GET /else HTTP/1.1\r\nHost: a.example\r\nCookie: at=0123456789abcdef.0123456789abcdef0123456789abcdef\r\n\r\n");
    let mut at_b = server(&b);
    at_b.serve("/else", "b");
    assert!(asks.expect_body("b").field("set-cookie").is_some());
    // A server that is gone is replaced, and the client told of the new one.
    written["backends"]["app"]["servers"] = json!([b.address().to_string()]);
    proxy.apply(written);
    asks.say(&with_cookie);
    at_b.serve("/more", "b");
    assert!(asks.expect_body("b").field("set-cookie").is_some());
}
