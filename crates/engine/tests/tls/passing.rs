//! What is asked and answered over TLS that ends here.

use std::io::Write;

use super::*;

#[test]
fn a_request_and_its_answer() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(web(&authority, &[origin.address()]));
    let mut client = authority.client(proxy.client("web"), "a.example");
    for _ in 0..2 {
        std::thread::scope(|scope| {
            let told = scope.spawn(|| get(&mut client, "a.example", 2));
            let mut server = origin.accept();
            let asked = answer(&mut server, 0);
            assert!(asked.starts_with("GET /path HTTP/1.1\r\n"), "{asked}");
            server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi").unwrap();
            assert!(told.join().unwrap().ends_with("\r\n\r\nhi"));
        });
    }
    let stats = proxy.0.stats();
    assert_eq!(stats.listeners["web"].handshakes, 1);
    assert_eq!(stats.listeners["web"].counters.requests, 2);
}

#[test]
fn bytes_both_ways_to_their_ends() {
    const LENGTH: usize = 4 << 20;
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(raw(&authority, &[origin.address()]));
    let mut client = authority.client(proxy.client("raw"), "a.example");
    std::thread::scope(|scope| {
        let origin = scope.spawn(|| {
            let mut server = origin.accept();
            let got = read_noise(&mut server);
            let sent = send_noise(&mut server, 7, LENGTH);
            (got, sent)
        });
        let sent = send_noise(&mut client, 5, LENGTH);
        client.conn.send_close_notify();
        client.flush().unwrap();
        let got = read_noise(&mut client);
        let (theirs, theirs_sent) = origin.join().unwrap();
        assert_eq!(theirs, (LENGTH, sent));
        assert_eq!(got, (LENGTH, theirs_sent));
    });
    until("nothing is left", || proxy.0.stats().connections == 0);
}

#[test]
fn a_name_that_is_passed_through_is_not_decrypted_here() {
    let (ours, theirs, origin, inner) = (Authority::new(), Authority::new(), Origin::new(), Origin::new());
    let mut written = web(&ours, &[origin.address()]);
    written["listeners"]["web"]["tls"]["passthrough"] = "untouched".into();
    written["tables"] = json!({"untouched": [["inner.example", "inner"]]});
    written["backends"]["inner"] = json!({"servers": [inner.address().to_string()]});
    let proxy = Proxy::start(written);
    std::thread::scope(|scope| {
        let served = scope.spawn(|| {
            let config = theirs.server_config(&["inner.example"]);
            let mut server = server(config, inner.accept());
            assert!(answer(&mut server, 0).starts_with("GET /path"));
            server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        });
        let mut client = theirs.client(proxy.client("web"), "inner.example");
        assert!(get(&mut client, "inner.example", 0).starts_with("HTTP/1.1 204"));
        served.join().unwrap();
    });
    let mut client = ours.client(proxy.client("web"), "a.example");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = origin.accept();
            answer(&mut server, 0);
            server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        });
        assert!(get(&mut client, "a.example", 0).starts_with("HTTP/1.1 204"));
    });
}

#[test]
fn http_in_plain_text_gets_a_word_in_plain_text() {
    let authority = Authority::new();
    let proxy = Proxy::start(web(&authority, &[nobody()]));
    let mut client = proxy.client("web");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut client, &mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
    assert_eq!(proxy.0.stats().listeners["web"].handshakes_failed["plain_http"], 1);
}

/// What a connection was opened with counts for as long as it stands, whatever the certificates are called by
/// then.
#[test]
fn a_reload_that_reorders_certificates_misdirects_nobody() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let mut written = web(&authority, &[origin.address()]);
    let certificates =
        [authority.certificate(&["127.0.0.1", "a.example"]), authority.certificate(&["b.example"])];
    written["listeners"]["web"]["tls"]["certificates"] = json!([certificates[0], certificates[1]]);
    let proxy = Proxy::start(written.clone());
    // An address is no name to ask for: the client gets the default.
    let mut client = authority.client(proxy.client("web"), "127.0.0.1");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = origin.accept();
            for _ in 0..2 {
                answer(&mut server, 0);
                server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            }
        });
        assert!(get(&mut client, "a.example", 0).starts_with("HTTP/1.1 204"));
        written["listeners"]["web"]["tls"]["certificates"] = json!([certificates[1], certificates[0]]);
        proxy.apply(written.clone());
        assert!(get(&mut client, "a.example", 0).starts_with("HTTP/1.1 204"));
        assert!(get(&mut client, "b.example", 0).starts_with("HTTP/1.1 421"));
    });
}
