//! Servers that are reached by TLS.

use std::io::Write;

use super::*;

pub(crate) fn behind_tls(authority: &Authority, servers: &[SocketAddr], protocol: &str) -> Value {
    json!({
        "listeners": {"front": {"protocol": protocol, "backend": "app"}},
        "backends": {"app": {"servers": texts(servers), "tls": {
            "verify": true, "ca": [authority.der()], "server_name": "app.internal", "min_version": "1.2",
            "alpn": [], "certificate": null,
        }}},
    })
}

#[test]
fn requests_are_kept_on_one_connection() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(behind_tls(&authority, &[origin.address()], "http"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = server(authority.server_config(&["app.internal"]), origin.accept());
            for _ in 0..3 {
                assert!(answer(&mut server, 0).starts_with("GET /path"));
                server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
            }
        });
        let mut client = proxy.client("front");
        for _ in 0..3 {
            assert!(get(&mut client, "a.example", 2).ends_with("hi"));
        }
    });
}

#[test]
fn bytes_are_encrypted_on_their_way_to_a_server() {
    const LENGTH: usize = 1 << 20;
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(behind_tls(&authority, &[origin.address()], "tcp"));
    std::thread::scope(|scope| {
        let served = scope.spawn(|| {
            let mut server = server(authority.server_config(&["app.internal"]), origin.accept());
            let got = read_noise(&mut server);
            server.write_all(b"done").unwrap();
            server.conn.send_close_notify();
            server.flush().unwrap();
            got
        });
        let mut client = proxy.client("front");
        let sent = send_noise(&mut client, 3, LENGTH);
        finish(&client);
        expect_last(&mut client, b"done");
        assert_eq!(served.join().unwrap(), (LENGTH, sent));
    });
}

#[test]
fn a_server_that_is_somebody_else_is_refused() {
    let (authority, stranger, origin) = (Authority::new(), Authority::new(), Origin::new());
    let proxy = Proxy::start(behind_tls(&authority, &[origin.address()], "http"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = server(stranger.server_config(&["app.internal"]), origin.accept());
            let mut byte = [0];
            assert!(std::io::Read::read(&mut server, &mut byte).is_err(), "it was spoken to");
        });
        let mut client = proxy.client("front");
        write!(client, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut client, &mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    });
}
