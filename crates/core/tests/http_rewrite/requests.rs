//! Requests as servers get them, case by case.

use serde_json::json;

use super::*;

#[test]
fn what_needs_no_change_is_copied() {
    let text = "GET /a?b HTTP/1.1\nHost: a.example\nuser-agent:x\nAccept:  */*  \nX-Empty:\ncookie: a=1";
    assert_eq!(request(text, &json!({}), &json!({})), text);
}

#[test]
fn hop_by_hop_fields_are_left_out() {
    let text = "GET / HTTP/1.1\nConnection: close, x-hop\nHost: a\nTE: trailers\nX-Hop: 1\nAccept: */*\nKeep-Alive: 1\nProxy-Connection: x\nX-Last: 2";
    assert_eq!(request(text, &json!({}), &json!({})), "GET / HTTP/1.1\nHost: a\nAccept: */*\nX-Last: 2");
}

#[test]
fn framing_is_written_by_us() {
    for (sent, written) in [
        ("content-length:  5", "\nContent-Length: 5"),
        ("Content-Length: 0", "\nContent-Length: 0"),
        ("transfer-encoding: Chunked", "\nTransfer-Encoding: chunked"),
        ("transfer-encoding: chunked\nTrailer: X-Sum", "\nTrailer: X-Sum\nTransfer-Encoding: chunked"),
        ("content-length: 5\nTrailer: X-Sum", "\nContent-Length: 5"),
        ("X: y", "\nX: y"),
    ] {
        let text = format!("POST / HTTP/1.1\nHost: a\n{sent}");
        assert_eq!(request(&text, &json!({}), &json!({})), format!("POST / HTTP/1.1\nHost: a{written}"));
    }
}

#[test]
fn upgrades_are_asked_for_but_not_to_h2c() {
    let ask = |upgrade: &str| {
        let text =
            format!("GET / HTTP/1.1\nHost: a\nConnection: keep-alive, Upgrade\nUpgrade: {upgrade}\nX: y");
        request(&text, &json!({}), &json!({})).split_off("GET / HTTP/1.1\nHost: a\nX: y".len())
    };
    assert_eq!(ask("websocket"), "\nUpgrade: websocket\nConnection: upgrade");
    assert_eq!(ask("H2C, websocket"), "\nUpgrade: websocket\nConnection: upgrade");
    assert_eq!(ask("h2c"), "");
    let old = "GET / HTTP/1.0\nHost: a\nConnection: Upgrade\nUpgrade: websocket";
    assert_eq!(request(old, &json!({}), &json!({})), "GET / HTTP/1.1\nHost: a", "RFC 9110 section 7.8");
}

#[test]
fn targets_become_origin_form() {
    for (target, written) in [
        ("GET http://a.example/x?y", "GET /x?y"),
        ("GET http://a.example", "GET /"),
        ("OPTIONS http://a.example", "OPTIONS *"),
        ("OPTIONS *", "OPTIONS *"),
        ("PURGE /x", "PURGE /x"),
        ("CONNECT a.example:443", "CONNECT a.example:443"),
    ] {
        let written_now = request(&format!("{target} HTTP/1.1\nHost: a.example"), &json!({}), &json!({}));
        assert!(written_now.starts_with(&format!("{written} HTTP/1.1\nHost: a.example")), "{written_now}");
    }
}

#[test]
fn prefixes_are_stripped_and_added() {
    let keys = json!({"strip_prefix": "/api/", "add_prefix": "/v1"});
    for (target, written) in
        [("/api", "/v1/"), ("/api/x?y", "/v1/x?y"), ("/apix", "/v1/apix"), ("/%61pi/x", "/v1/%61pi/x")]
    {
        let text = format!("GET {target} HTTP/1.1\nHost: a");
        assert_eq!(request(&text, &json!({}), &keys), format!("GET {written} HTTP/1.1\nHost: a"));
    }
}

#[test]
fn hosts() {
    let absolute = "GET http://A.example:80/ HTTP/1.1\nAccept: x\nHost: a.example";
    for (text, keys, written) in [
        (
            "GET / HTTP/1.1\nX: y\nhost: a",
            json!({"host": "app.internal:8080"}),
            "Host: app.internal:8080\nX: y",
        ),
        (absolute, json!({}), "Host: A.example:80\nAccept: x"),
        ("GET / HTTP/1.0\nX: y", json!({}), "Host: app\nX: y"),
        ("GET / HTTP/1.1\nHost:\nX: y", json!({}), "Host: app\nX: y"),
        ("GET http://b.example/ HTTP/1.0\nX: y", json!({}), "Host: b.example\nX: y"),
        ("GET / HTTP/1.0\nX: y", json!({"host": "b"}), "Host: b\nX: y"),
    ] {
        assert_eq!(request(text, &json!({}), &keys), format!("GET / HTTP/1.1\n{written}"));
    }
}

#[test]
fn expectations_are_for_http_1_1() {
    for (version, kept) in [("1.0", false), ("1.1", true)] {
        let text = format!("PUT / HTTP/{version}\nHost: a\nExpect: 100-continue\nContent-Length: 3");
        assert_eq!(request(&text, &json!({}), &json!({})).contains("Expect: 100-continue"), kept);
    }
}

const CLAIMS: &str = "GET / HTTP/1.1\nHost: a:80\nX-Forwarded-For: 198.51.100.1\nx-forwarded-for: 198.51.100.2\nX_Forwarded_For: 6.6.6.6\nX-Forwarded-Proto: https\nX-Forwarded-Host: b\nX-Forwarded-Port: 1\nForwarded: for=198.51.100.1\nX-Real-IP: 6.6.6.6\nAccept: x";

#[test]
fn claims_of_strangers_are_replaced() {
    for (kinds, written) in [
        (json!([]), ""),
        (
            json!(["x_forwarded"]),
            "\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: a:80",
        ),
        (json!(["forwarded"]), "\nForwarded: for=192.0.2.1;proto=http;host=\"a:80\""),
    ] {
        let keys = json!({"forwarded": kinds, "trusted": ["10.0.0.0/8"]});
        assert_eq!(
            request(CLAIMS, &keys, &json!({})),
            format!("GET / HTTP/1.1\nHost: a:80\nAccept: x{written}")
        );
    }
}

#[test]
fn claims_of_the_trusted_are_kept_and_added_to() {
    let keys = json!({"forwarded": ["x_forwarded", "forwarded"], "trusted": ["192.0.2.0/24"]});
    assert_eq!(
        request(CLAIMS, &keys, &json!({})),
        "GET / HTTP/1.1\nHost: a:80\nX-Forwarded-Proto: https\nX-Forwarded-Host: b\nX-Forwarded-Port: 1\nX-Real-IP: 6.6.6.6\nAccept: x\n\
         X-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.1\n\
         Forwarded: for=198.51.100.1, for=192.0.2.1;proto=http;host=\"a:80\""
    );
    let none = json!({"forwarded": [], "trusted": ["192.0.2.0/24"]});
    assert_eq!(request(CLAIMS, &none, &json!({})), CLAIMS.replace("X_Forwarded_For: 6.6.6.6\n", ""));
}

#[test]
fn clients_of_every_family() {
    let keys = json!({"forwarded": ["x_forwarded", "forwarded"], "trusted": ["::/0"]});
    for (client, address, node) in [
        (Some("[2001:db8::1]:5"), "2001:db8::1", "\"[2001:db8::1]\""),
        (Some("[::ffff:192.0.2.9]:5"), "192.0.2.9", "192.0.2.9"),
        (None, "unknown", "unknown"),
    ] {
        let written = request_of(client, "GET / HTTP/1.1\nHost: a", &keys, &json!({}));
        assert!(written.contains(&format!("\nX-Forwarded-For: {address}\n")), "{written}");
        assert!(written.ends_with(&format!("\nForwarded: for={node};proto=http;host=a")), "{written}");
    }
}

#[test]
fn via_is_appended() {
    let keys = json!({"via": "headworks"});
    let written = request("GET / HTTP/1.0\nHost: a\nVia: 1.1 b", &keys, &json!({}));
    assert_eq!(written, "GET / HTTP/1.1\nHost: a\nVia: 1.1 b\nVia: 1.0 headworks");
}

#[test]
fn request_ids_are_one_field() {
    let keys = json!({"request_id": "X-Request-Id"});
    let text = "GET / HTTP/1.1\nHost: a\nx-request-id: theirs\nX_Request_ID: theirs";
    assert_eq!(request(text, &keys, &json!({})), "GET / HTTP/1.1\nHost: a\nX-Request-Id: an-id");
}

#[test]
fn request_ids_are_wanted_where_a_rule_writes_them() {
    for rules in ["request_headers", "response_headers"] {
        for (value, wanted) in [("{request.id}", true), ("{host}", false)] {
            let keys = json!({rules: {"set": [["X-A", value]]}});
            assert_eq!(listener(&keys).wants_request_id(), wanted);
            assert_eq!(backend(&keys).wants_request_id(), wanted);
        }
    }
    assert!(listener(&json!({"request_id": "X-Request-Id"})).wants_request_id());
}

#[test]
fn request_ids_are_taken_from_the_trusted_if_they_are_sane() {
    let long = "x".repeat(128);
    let rules = listener(&json!({"request_id": "X-Request-Id", "trusted": ["192.0.2.0/24"]}));
    let strangers = listener(&json!({"request_id": "X-Request-Id"}));
    let made = b"00000000-0000-4000-8000-000000000000";
    for (fields, chosen) in [
        ("x-request-id: abc", &b"abc"[..]),
        (&format!("x-request-id: {long}"), long.as_bytes()),
        (&format!("x-request-id: {long}x"), made),
        ("x-request-id: a b", made),
        ("x-request-id:", made),
        ("x-request-id: a\nX-Request-Id: b", made),
        ("Accept: x", made),
    ] {
        let bytes = wire(&format!("GET / HTTP/1.1\nHost: a\n{fields}"));
        let head = read_request(&bytes);
        let message = Message::new(&head, &bytes);
        assert_eq!(rules.choose_request_id(message, facts().client, [0, 0]).as_bytes(), chosen, "{fields}");
        assert_eq!(strangers.choose_request_id(message, facts().client, [0, 0]).as_bytes(), made);
    }
}

#[test]
fn rules_of_the_backend_come_after_those_of_the_listener() {
    let keys = json!({"request_headers": {
        "set": [["X-A", "listener"], ["X-B", "listener"], ["X-Who", "{client.address}:{client.port} {method} {uri}"]],
        "add": [["X-C", "listener"]],
        "remove": ["x-internal-*", "Referer"],
    }});
    let backend_keys = json!({"request_headers": {"set": [["x-b", "backend"]], "add": [["X-C", "{backend}/{name}"]], "remove": ["X-A"]}});
    let text = "GET /p?q HTTP/1.1\nHost: a\nX-A: 1\nX_B: 1\nx-c: 1\nX_Internal_User: 1\nX-Internal-A: 1\nreferer: x\nAccept: y";
    assert_eq!(
        request(text, &keys, &backend_keys),
        "GET /p?q HTTP/1.1\nHost: a\nx-c: 1\nAccept: y\nX-Who: 192.0.2.1:5000 GET /p?q\nX-C: listener\nx-b: backend\nX-C: app/a.example"
    );
}

#[test]
fn rules_come_after_our_own_fields() {
    let keys = json!({"forwarded": ["x_forwarded", "forwarded"], "via": "hw", "request_id": "X-Id", "request_headers": {
        "set": [["X-Forwarded-For", "{header.cf-connecting-ip}"]], "remove": ["x-forwarded-h*", "Forwarded", "via", "X-ID"],
    }});
    let text = "GET / HTTP/1.1\nHost: a\nCF-Connecting-IP: 1.2.3.4\nVia: 1.1 b";
    assert_eq!(
        request(text, &keys, &json!({})),
        "GET / HTTP/1.1\nHost: a\nCF-Connecting-IP: 1.2.3.4\nX-Forwarded-Proto: http\nX-Forwarded-For: 1.2.3.4"
    );
}

#[test]
fn prefixes_never_remove_what_the_request_needs() {
    let keys = json!({"request_headers": {"remove": ["h*", "e*", "c*", "t*"]}});
    let text = "PUT / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 3\nCookie: a\nETag: x";
    assert_eq!(
        request(text, &keys, &json!({})),
        "PUT / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 3"
    );
}

#[test]
fn servers_do_not_see_the_cookie_of_affinity() {
    let keys = json!({"affinity": {"cookie": "HW", "secret": null, "max_age": null}});
    for (cookies, left) in
        [("HW=1", ""), ("a=1; HW=2; b=3", "Cookie: a=1; b=3\n"), ("a=1;  b", "Cookie: a=1;  b\n")]
    {
        let text = format!("GET / HTTP/1.1\nHost: a\nX: y\nCookie: {cookies}\nAccept: z");
        assert_eq!(
            request(&text, &json!({}), &keys),
            format!("GET / HTTP/1.1\nHost: a\nX: y\n{left}Accept: z")
        );
    }
}

#[test]
fn a_cookie_that_was_set_is_read_again() {
    let keys = json!({"affinity": {"cookie": "HW", "secret": "0123456789abcdef", "max_age": null}});
    let backend = backend(&keys);
    let affinity = backend.affinity.as_ref().unwrap();
    let mut set = Vec::new();
    affinity.write(&mut set, 0xfeed, false);
    let cookie = String::from_utf8(set).unwrap().split_once(';').unwrap().0.to_owned();
    let wrong = format!("HW=000000000000feed.{}", "0".repeat(32));
    for (cookies, identity) in [
        (cookie.clone(), Some(0xfeed)),
        (format!("a=1; {cookie}"), Some(0xfeed)),
        (format!("a=1\nCookie: {wrong}; {cookie};"), Some(0xfeed)),
        (wrong, None),
        ("a=1".into(), None),
        (format!("X{cookie}"), None),
    ] {
        let bytes = wire(&format!("GET / HTTP/1.1\nHost: a\nCookie: {cookies}"));
        let head = read_request(&bytes);
        assert_eq!(affinity.read(Message::new(&head, &bytes)), identity, "{cookies}");
    }
}
