//! Servers reached by TLS that stall, break off, lie, leave, or say more than they were asked for.

use rcgen::date_time_ymd;

use super::servers::behind_tls;
use super::*;

/// `front` speaks `protocol`; `bad` is tried first, `good` next.
fn two(authority: &Authority, (bad, good): (SocketAddr, SocketAddr), protocol: &str) -> Value {
    let mut written = behind_tls(authority, &[bad, good], protocol);
    written["backends"]["app"]["connect_timeout"] = 300.into();
    written
}

fn config(authority: &Authority) -> rustls::ServerConfig {
    authority.server_config(&["app.internal"])
}

/// Answers one request.
fn serve(authority: &Authority, origin: &Origin) {
    let mut server = server(config(authority), origin.accept());
    answer(&mut server, 0);
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi").unwrap();
}

#[test]
fn a_server_that_cannot_shake_hands_is_passed_over() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    type Bad = Box<dyn Fn(std::net::TcpStream) + Send + Sync>;
    let refused = |config: rustls::ServerConfig| -> Bad {
        Box::new(move |stream| {
            let mut server = server(config.clone(), stream);
            assert!(server.read(&mut [0]).is_err(), "it was spoken to");
        })
    };
    let expired = authority.sign_as(&["app.internal"], |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    });
    let bads: Vec<(&str, Bad)> = vec![
        ("stalls", Box::new(|mut stream| _ = stream.read_to_end(&mut Vec::new()))),
        (
            "garbage",
            Box::new(|mut stream| {
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            }),
        ),
        (
            "closes",
            Box::new(|mut stream| {
                stream.read_exact(&mut [0; 5]).unwrap();
            }),
        ),
        (
            "resets",
            Box::new(|mut stream| {
                stream.read_exact(&mut [0; 5]).unwrap();
                reset(stream);
            }),
        ),
        (
            "alerts",
            Box::new(|mut stream| {
                stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            }),
        ),
        ("is untrusted", refused(stranger.server_config(&["app.internal"]))),
        ("has another name", refused(authority.server_config(&["other.internal"]))),
        ("has expired", refused(Authority::presenting(expired))),
    ];
    for (what, bad) in &bads {
        for protocol in ["http", "tcp"] {
            let (first, second) = (Origin::new(), Origin::new());
            let proxy = Proxy::start(two(&authority, (first.address(), second.address()), protocol));
            std::thread::scope(|scope| {
                scope.spawn(|| bad(first.accept()));
                scope.spawn(|| serve(&authority, &second));
                let mut client = proxy.client("front");
                let told = get(&mut client, "a.example", 2);
                assert!(told.ends_with("hi"), "{what}, {protocol}: {told}");
            });
            assert_eq!(
                proxy.0.stats().backends["app"].servers[&first.address().to_string()].connect_failures,
                1,
                "{what}"
            );
            all_is_well(&proxy);
        }
    }
}

#[test]
fn health_is_asked_by_tls() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for kind in ["tcp", "http"] {
        let origin = Origin::new();
        let mut written = behind_tls(&authority, &[origin.address()], "http");
        written["backends"]["app"]["health"] =
            json!({"kind": kind, "interval": 20, "timeout": 2_000, "rise": 1, "fall": 1});
        if kind == "http" {
            written["backends"]["app"]["health"]["http"] =
                json!({"method": "GET", "path": "/health", "host": null, "expect": "200", "body": null});
        }
        let proxy = Proxy::start(written);
        let check = |config: rustls::ServerConfig| {
            let mut server = server(config, origin.accept());
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && matches!(server.read(&mut byte), Ok(1)) {
                asked.push(byte[0]);
            }
            let _ = server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            let _ = server.flush();
        };
        let (mut down, mut up) = (false, false);
        while !down {
            check(stranger.server_config(&["app.internal"]));
            while let Some(notice) = proxy.0.next_notice(Duration::from_millis(1)) {
                if let Notice::ServerDown { reason, .. } = notice {
                    assert!(reason.contains("certificate") || reason.contains("trust"), "{reason}");
                    down = true;
                }
            }
        }
        while !up {
            check(config(&authority));
            while let Some(notice) = proxy.0.next_notice(Duration::from_millis(1)) {
                up |= matches!(notice, Notice::ServerUp { .. });
            }
        }
    }
}

#[test]
fn a_header_goes_before_tls() {
    let (authority, origin) = (Authority::new(), Origin::new());
    for protocol in ["http", "tcp"] {
        let mut written = behind_tls(&authority, &[origin.address()], protocol);
        written["backends"]["app"]["proxy_protocol"] = "v1".into();
        let proxy = Proxy::start(written);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = origin.accept();
                let (mut line, mut byte) = (Vec::new(), [0]);
                while !line.ends_with(b"\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    line.push(byte[0]);
                }
                assert!(line.starts_with(b"PROXY TCP4 127.0.0.1 127.0.0.1 "), "{line:?}");
                let mut server = server(config(&authority), stream);
                answer(&mut server, 0);
                server
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
                    .unwrap();
            });
            assert!(get(&mut proxy.client("front"), "a.example", 2).ends_with("hi"));
        });
        all_is_well(&proxy);
    }
}

#[test]
fn a_kept_connection_that_has_gone_is_not_used() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(behind_tls(&authority, &[origin.address()], "http"));
    let mut client = proxy.client("front");
    for way in 0..4 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut server = server(config(&authority), origin.accept());
                assert!(answer(&mut server, 0).starts_with("GET /path"));
                server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
                match way {
                    0 => server.conn.send_close_notify(),
                    1 => finish(&server.sock),
                    2 => server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").unwrap(),
                    _ => return reset(server.into_parts().1),
                }
                let _ = server.flush();
                // It goes when we do.
                let _ = server.sock.read_to_end(&mut Vec::new());
            });
            let told = get(&mut client, "a.example", 2);
            assert!(told.ends_with("hi"), "after way {way}: {told}");
        });
    }
}

#[test]
fn an_answer_that_comes_before_a_reset_is_read() {
    let (authority, origin) = (Authority::new(), Origin::new());
    for _ in 0..20 {
        let logged = Logged::start(behind_tls(&authority, &[origin.address()], "http"));
        let proxy = &logged.proxy;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut server = server(config(&authority), origin.accept());
                answer(&mut server, 0);
                server
                    .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                    .unwrap();
                server.conn.send_close_notify();
                server.flush().unwrap();
                // What was sent and not read makes of this close a reset.
            });
            let mut client = proxy.client("front");
            client
                .write_all(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 8000000\r\n\r\n")
                .unwrap();
            let body = vec![0; 8_000_000];
            let mut sender = client.try_clone().unwrap();
            scope.spawn(move || _ = sender.write_all(&body));
            let told = answer(&mut client, 0);
            assert!(told.starts_with("HTTP/1.1 413"), "{told} {:?}", logged.records(1));
            let _ = client.shutdown(std::net::Shutdown::Both);
        });
    }
}

#[test]
fn a_session_is_resumed() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(behind_tls(&authority, &[origin.address()], "http"));
    let config = config(&authority);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        std::thread::scope(|scope| {
            let kind = scope.spawn(|| {
                let mut server = server(config.clone(), origin.accept());
                answer(&mut server, 0);
                server
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
                    .unwrap();
                server.conn.handshake_kind()
            });
            assert!(get(&mut proxy.client("front"), "a.example", 2).ends_with("hi"));
            kinds.push(kind.join().unwrap());
        });
    }
    assert_eq!(kinds, [Some(rustls::HandshakeKind::Full), Some(rustls::HandshakeKind::Resumed)]);
}

#[test]
fn half_a_ticket_does_not_hurt() {
    // A fragment of a message from a server while we write to it: by the other end's hand only, as no honest
    // one does so.
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(behind_tls(&authority, &[origin.address()], "tcp"));
    let mut client = proxy.client("front");
    let stream = std::thread::scope(|scope| {
        let accepted = scope.spawn(|| RawServer::new(config(&authority), origin.accept()));
        client.write_all(b"first").unwrap();
        accepted.join().unwrap()
    });
    let mut server = stream;
    let mut bytes = server.0.record(BYTES, b"go");
    bytes.extend(server.0.record(HANDSHAKE, &[4, 0, 0]));
    server.0.stream.write_all(&bytes).unwrap();
    expect(&mut client, b"go");
    client.write_all(b"second").unwrap();
    server.0.stream.read_exact(&mut [0; 28]).unwrap();
    drop((client, server));
    all_is_well(&proxy);
}

#[test]
fn a_flood_of_tickets_keeps_nobody_waiting() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(behind_tls(&authority, &[origin.address()], "tcp"));
    let pair = || {
        let mut client = proxy.client("front");
        client.write_all(b"hello").unwrap();
        (client, RawServer::new(config(&authority), origin.accept()).0)
    };
    let (_flooded, mut flood) = pair();
    let (mut witness, mut beside) = pair();
    // Lifetime, age, nonce, ticket, no extensions.
    let ticket = [4, 0, 0, 15, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 7, 0, 0];
    let done = std::sync::atomic::AtomicBool::new(false);
    let block: Vec<u8> = (0..40_000).flat_map(|_| flood.record(HANDSHAKE, &ticket)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = flood.stream.write_all(&block);
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let block: Vec<u8> = (0..4_000).flat_map(|_| flood.record(HANDSHAKE, &ticket)).collect();
                if flood.stream.write_all(&block).is_err() {
                    break;
                }
            }
        });
        for _ in 0..20 {
            beside.send(BYTES, b"ping");
            expect(&mut witness, b"ping");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    drop((_flooded, flood, witness, beside));
    all_is_well(&proxy);
}
