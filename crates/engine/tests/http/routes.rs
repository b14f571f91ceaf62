//! Where each request goes: by host and path, anew for every request of a connection, and by the Plan in
//! force.

use serde_json::json;

use super::*;

fn sites(a: &Origin, b: &Origin) -> Value {
    json!({
        "listeners": {"web": {"protocol": "http", "table": "sites"}},
        "tables": {"sites": [
            ["a.example", "a"],
            ["b.example", "b"],
            ["a.example/b", "b"],
            {"pattern": "old.example", "redirect": {"to": "https", "code": 308}},
            {"pattern": "down.example", "respond": {"status": 503, "body": "back soon, {host}", "headers": [["Retry-After", "60"]]}},
        ]},
        "backends": {"a": {"servers": [a.address().to_string()]}, "b": {"servers": [b.address().to_string()]}},
    })
}

fn of(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn each_request_of_a_connection_has_its_own_server() {
    let (a, b) = (Origin::new(), Origin::new());
    let proxy = Proxy::start(sites(&a, &b));
    let mut asks = client(&proxy);
    asks.say(of("a.example", "/1"));
    let mut at_a = server(&a);
    at_a.serve("/1", "a1");
    asks.expect_body("a1");
    asks.say(of("b.example", "/2"));
    let mut at_b = server(&b);
    at_b.serve("/2", "b2");
    asks.expect_body("b2");
    // And pipelined.
    let all =
        [of("a.example", "/3"), of("A.Example.:80", "/b/4"), of("b.example", "/5"), of("a.example", "/bb")];
    asks.say(all.concat());
    at_a.serve("/3", "a3");
    at_b.serve("/b/4", "b4");
    at_b.serve("/5", "b5");
    at_a.serve("/bb", "a6");
    for body in ["a3", "b4", "b5", "a6"] {
        asks.expect_body(body);
    }
    asks.say("GET http://b.example/7?x HTTP/1.1\r\nHost: b.example\r\n\r\n");
    at_b.serve("/7?x", "b7");
    asks.expect_body("b7");
    nobody_waits_at(a);
    nobody_waits_at(b);
}

#[test]
fn answers_of_tables() {
    let (a, b) = (Origin::new(), Origin::new());
    let proxy = Proxy::start(sites(&a, &b));
    let mut asks = client(&proxy);
    for _ in 0..2 {
        asks.say(of("old.example", "/x?y=1"));
        assert_eq!(asks.expect_status(308).field("location"), Some("https://old.example/x?y=1"));
        asks.say(of("down.example", "/"));
        let down = asks.expect_status(503);
        assert_eq!((down.text(), down.field("retry-after")), ("back soon, down.example", Some("60")));
        asks.say(of("none.example", "/"));
        assert!(!asks.expect_status(421).closes());
    }
    // A body that nobody wants is passed over when it came along.
    asks.say(format!(
        "POST / HTTP/1.1\r\nHost: old.example\r\nContent-Length: 4\r\n\r\nbody{}",
        of("old.example", "/2")
    ));
    asks.expect_status(308);
    asks.expect_status(308);
    // And of one that did not come, nothing is waited for.
    asks.say("POST / HTTP/1.1\r\nHost: old.example\r\nContent-Length: 4\r\n\r\n");
    assert!(asks.expect_status(308).closes());
    asks.expect_end();
    nobody_waits_at(a);
    nobody_waits_at(b);
}

#[test]
fn a_listener_that_redirects_all() {
    let mut written = json!({"listeners": {"web": {"protocol": "http"}}});
    written["listeners"]["web"]["http"] = json!({"redirect": {"to": "https", "code": 301}});
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    asks.say(of("any.example:8080", "/a/b"));
    let location = asks.expect_status(301).field("location").unwrap().to_owned();
    assert!(location.starts_with("https://any.example") && location.ends_with("/a/b"), "{location}");
    asks.say(get("/").replace("GET", "HEAD"));
    assert_eq!(asks.bare_answer().status(), 301);
    asks.ask("/next");
    asks.expect_status(301);
}

#[test]
fn paths_without_an_entry_and_a_fallback() {
    let origin = Origin::new();
    let mut written = json!({
        "listeners": {"web": {"protocol": "http", "table": "sites"}},
        "tables": {"sites": [["a.example/api", "app"]]},
        "backends": {"app": {"servers": [origin.address().to_string()]}},
    });
    let proxy = Proxy::start(written.clone());
    let mut asks = client(&proxy);
    asks.say(of("a.example", "/other"));
    asks.expect_status(404);
    asks.say(of("a.example", "/api/x"));
    let mut answers = server(&origin);
    answers.serve("/api/x", "ok");
    asks.expect_body("ok");
    asks.say("GET / HTTP/1.0\r\n\r\n");
    assert!(asks.expect_status(400).closes());
    written["listeners"]["web"]["fallback"] = json!("app");
    proxy.apply(written);
    for said in ["GET /1 HTTP/1.0\r\n\r\n", "GET /1 HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n"]
    {
        let mut asks = client(&proxy);
        asks.say(said);
        answers.serve("/1", "ok");
        asks.expect_body("ok");
    }
}

#[test]
fn a_kept_connection_is_routed_by_the_new_plan() {
    let (a, b) = (Origin::new(), Origin::new());
    let mut written = sites(&a, &b);
    let proxy = Proxy::start(written.clone());
    let mut asks = client(&proxy);
    let mut busy = client(&proxy);
    asks.say(of("a.example", "/1"));
    let mut at_a = server(&a);
    at_a.serve("/1", "a1");
    asks.expect_body("a1");
    busy.say(of("a.example", "/busy"));
    at_a.request();
    written["tables"]["sites"] = json!([["*", "b"]]);
    proxy.apply(written.clone());
    asks.say(of("a.example", "/2"));
    let mut at_b = server(&b);
    at_b.serve("/2", "b2");
    asks.expect_body("b2");
    // What was under way goes on by the old one, and its connection by the new.
    at_a.reply("still a");
    assert!(!busy.expect_body("still a").closes());
    busy.say(of("a.example", "/3"));
    at_b.serve("/3", "b3");
    busy.expect_body("b3");
    // Server connections outlive the reload, too.
    written["tables"]["sites"] = json!([["*", "a"]]);
    proxy.apply(written);
    asks.say(of("a.example", "/4"));
    at_a.serve("/4", "a4");
    asks.expect_body("a4");
    nobody_waits_at(a);
    nobody_waits_at(b);
}

#[test]
fn a_listener_that_is_gone_lets_its_clients_go_after_their_exchange() {
    let origin = Origin::new();
    let written = web(&[origin.address()]);
    let mut other = written.clone();
    other["listeners"]["other"] = other["listeners"]["web"].take();
    other["listeners"].as_object_mut().unwrap().remove("web");
    let proxy = Proxy::start(written);
    let (mut busy, mut kept) = (client(&proxy), client(&proxy));
    kept.ask("/kept");
    let mut answers = server(&origin);
    answers.serve("/kept", "ok");
    kept.expect_body("ok");
    busy.ask("/busy");
    answers.request();
    proxy.apply(other);
    answers.reply("ok");
    busy.expect_body("ok");
    for asks in [&mut busy, &mut kept] {
        asks.ask("/last");
        answers.serve("/last", "ok");
        assert!(asks.expect_body("ok").closes());
        asks.expect_end();
    }
}

#[test]
fn two_servers_take_turns() {
    let (a, b) = (Origin::new(), Origin::new());
    let proxy = Proxy::start(web(&[a.address(), b.address()]));
    let mut asks = client(&proxy);
    let mut ends: [Option<End>; 2] = [None, None];
    for round in 0..6 {
        asks.ask("/");
        let origin = [&a, &b][round % 2];
        ends[round % 2].get_or_insert_with(|| server(origin)).serve("/", "ok");
        asks.expect_body("ok");
    }
}

#[test]
fn a_path_prefix_is_taken_off_and_the_host_set() {
    let origin = Origin::new();
    let mut written =
        web_with(&[origin.address()], json!({"forwarded": ["x_forwarded"], "request_id": "X-Request-Id"}));
    written["backends"]["app"]["http"] = json!({
        "strip_prefix": "/api", "add_prefix": "/v2", "host": "inner.example",
        "request_headers": {"set": [["X-Client", "{client.address}"]], "remove": ["Cookie"]},
        "response_headers": {"add": [["X-By", "{server}"]], "remove": ["Server"]},
    });
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    asks.say("GET /api/x HTTP/1.1\r\nHost: a.example\r\nCookie: a=b\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    let mut answers = server(&origin);
    let request = answers.request();
    assert_eq!(request.line, "GET /v2/x HTTP/1.1");
    assert_eq!(request.field("host"), Some("inner.example"));
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"), "who is not trusted is not believed");
    assert_eq!(request.field("x-forwarded-host"), Some("a.example"));
    assert_eq!((request.field("x-client"), request.field("cookie")), (Some("127.0.0.1"), None));
    assert!(request.field("x-request-id").is_some_and(|id| !id.is_empty()));
    answers.say("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 0\r\n\r\n");
    let answer = asks.expect_status(200);
    assert_eq!(answer.field("server"), None);
    assert_eq!(answer.field("x-by"), Some(origin.address().to_string().as_str()));
}
