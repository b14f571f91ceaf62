//! Ends: said by close_notify, and not said: what may not be all is passed on as a reset and recorded as cut
//! off.

use super::*;

fn closes(client: &mut Client) {
    client.conn.send_close_notify();
    client.flush().unwrap();
}

/// The head of a request at the origin, whose end of the connection is given.
fn asked(origin: &Origin) -> std::net::TcpStream {
    let mut server = origin.accept();
    answer(&mut server, 0);
    server
}

#[test]
fn a_client_cut_off_is_a_reset_to_the_server() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let logged = Logged::start(raw(&authority, &[origin.address()]));
    let mut client = authority.client(logged.proxy.client("raw"), "a.example");
    client.write_all(b"not all").unwrap();
    let mut server = origin.accept();
    expect(&mut server, b"not all");
    finish(&client.sock);
    expect_reset(&mut server);
    assert_eq!(logged.records(1)[0]["end"], "client_truncated");
    // Before it has said anything.
    let (mut shaken, mut stream) = (machine(&authority), logged.proxy.client("raw"));
    shake(&mut shaken, &mut stream, |stream, flight| stream.write_all(flight).unwrap());
    finish(&stream);
    let _ = stream.read_to_end(&mut Vec::new());
    assert_eq!(logged.records(2)[1]["end"], "client_truncated");
    all_is_well(&logged.proxy);
}

#[test]
fn a_client_that_has_said_its_end_may_leave() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let logged = Logged::start(raw(&authority, &[origin.address()]));
    let mut client = authority.client(logged.proxy.client("raw"), "a.example");
    client.write_all(b"all").unwrap();
    closes(&mut client);
    let mut server = origin.accept();
    expect_last(&mut server, b"all");
    server.write_all(b"answer").unwrap();
    drop(server);
    expect_last(&mut client, b"answer");
    assert_eq!(logged.records(1)[0]["end"], "client_closed");
    all_is_well(&logged.proxy);
}

#[test]
fn what_was_said_before_a_reset_is_heard() {
    let authority = Authority::new();
    let proxy = Proxy::start(raw(&authority, &[echo()]));
    for _ in 0..100 {
        let (mut shaken, mut stream) = (machine(&authority), proxy.client("raw"));
        // The last flight, a message and a reset at once: what we have to say then cannot be sent.
        let (mut last, mut flights) = (Vec::new(), 0);
        shake(&mut shaken, &mut stream, |stream, flight| {
            flights += 1;
            match flights {
                1 => stream.write_all(flight).unwrap(),
                _ => last.extend_from_slice(flight),
            }
        });
        shaken.writer().write_all(b"word").unwrap();
        shaken.write_tls(&mut last).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&last).unwrap();
        reset(stream);
    }
    // Connections are counted when a worker's turn is over, which the last of them need not be.
    until("all have been heard", || {
        let stats = proxy.0.stats();
        let raw = &stats.listeners["raw"];
        raw.handshakes + raw.handshakes_failed.values().sum::<u64>() == 100
    });
    all_is_well(&proxy);
    let stats = proxy.0.stats();
    let listener = &stats.listeners["raw"];
    assert_eq!((listener.handshakes, &listener.handshakes_failed), (100, &std::collections::BTreeMap::new()));
}

#[test]
fn a_client_cut_off_in_its_body() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let logged = Logged::start(web(&authority, &[origin.address()]));
    let mut client = authority.client(logged.proxy.client("web"), "a.example");
    client.write_all(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
    let mut server = asked(&origin);
    expect(&mut server, b"half");
    finish(&client.sock);
    let _ = server.read_to_end(&mut Vec::new());
    assert_eq!(logged.records(1)[0]["end"], "client_truncated");
    drop(client);
    all_is_well(&logged.proxy);
}

/// `web`, with a backend that is reached by TLS.
fn both(authority: &Authority, origin: &Origin, protocol: &str) -> Value {
    let mut written = servers::behind_tls(authority, &[origin.address()], protocol);
    written["listeners"]["front"] = match protocol {
        "https" => web(authority, &[])["listeners"]["web"].clone(),
        _ => raw(authority, &[])["listeners"]["raw"].clone(),
    };
    written
}

#[test]
fn a_response_that_is_cut_off_is_not_passed_on_as_complete() {
    let (authority, origin) = (Authority::new(), Origin::new());
    for protocol in ["http", "https"] {
        let written = match protocol {
            "http" => servers::behind_tls(&authority, &[origin.address()], protocol),
            _ => both(&authority, &origin, protocol),
        };
        let logged = Logged::start(written);
        for (n, word) in [true, false].into_iter().enumerate() {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut server = server(authority.server_config(&["app.internal"]), origin.accept());
                    answer(&mut server, 0);
                    server.write_all(b"HTTP/1.1 200 OK\r\n\r\nup to the end").unwrap();
                    if word {
                        server.conn.send_close_notify();
                        server.flush().unwrap();
                    }
                });
                let mut got = Vec::new();
                let stream = logged.proxy.client("front");
                let read = match protocol {
                    "http" => {
                        let mut client = stream;
                        write!(client, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
                        client.read_to_end(&mut got)
                    }
                    _ => {
                        let mut client = authority.client(stream, "a.example");
                        write!(client, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
                        client.read_to_end(&mut got)
                    }
                };
                assert!(got.ends_with(b"up to the end"));
                assert_eq!(read.is_ok(), word, "{protocol}: {read:?}");
            });
            let end = if word { "completed" } else { "server_truncated" };
            assert_eq!(logged.records(n + 1)[n]["end"], end);
        }
        all_is_well(&logged.proxy);
    }
}

#[test]
fn a_server_cut_off_is_a_reset_to_the_client() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let logged = Logged::start(both(&authority, &origin, "tcp"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = server(authority.server_config(&["app.internal"]), origin.accept());
            expect(&mut server, b"go");
            server.write_all(b"not all").unwrap();
            finish(&server.sock);
            let _ = server.sock.read_to_end(&mut Vec::new());
        });
        let mut client = authority.client(logged.proxy.client("front"), "a.example");
        client.write_all(b"go").unwrap();
        expect(&mut client, b"not all");
        assert!(client.read(&mut [0]).is_err(), "no end");
    });
    assert_eq!(logged.records(1)[0]["end"], "server_truncated");
    all_is_well(&logged.proxy);
}

#[test]
fn a_tunnel_cut_off_is_a_reset_to_the_server() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let logged = Logged::start(web(&authority, &[origin.address()]));
    for word in [true, false] {
        let mut client = authority.client(logged.proxy.client("web"), "a.example");
        write!(client, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: word\r\n\r\n")
            .unwrap();
        let mut server = asked(&origin);
        server
            .write_all(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: word\r\n\r\nhello")
            .unwrap();
        answer(&mut client, 5);
        client.write_all(b"words").unwrap();
        expect(&mut server, b"words");
        match word {
            true => {
                closes(&mut client);
                expect_last(&mut server, b"");
                server.write_all(b"the rest").unwrap();
                drop(server);
                expect_last(&mut client, b"the rest");
            }
            false => {
                finish(&client.sock);
                expect_reset(&mut server);
            }
        }
    }
    assert_eq!(logged.records(2)[1]["end"], "client_truncated");
    all_is_well(&logged.proxy);
}

#[test]
fn a_kept_client_may_leave_as_it_likes() {
    let authority = Authority::new();
    let logged = Logged::start(web(&authority, &[greeter()]));
    for word in [true, false] {
        let mut client = authority.client(logged.proxy.client("web"), "a.example");
        get(&mut client, "a.example", 2);
        if word {
            closes(&mut client);
        }
        drop(client);
    }
    // The request and the end in one packet: it waits for its answer.
    let mut client = authority.client(logged.proxy.client("web"), "a.example");
    client.conn.complete_io(&mut client.sock).unwrap();
    client.conn.writer().write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    closes(&mut client);
    assert!(answer(&mut client, 2).ends_with("hi"));
    expect_last(&mut client, b"");
    let records = logged.records(3);
    assert!(records.iter().all(|record| record["end"] == "completed"), "{records:#?}");
    all_is_well(&logged.proxy);
}

#[test]
fn whoever_reads_slowly_hears_the_end() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(raw(&authority, &[origin.address()]));
    std::thread::scope(|scope| {
        for n in 0..24 {
            let mut client = authority.client(narrow(proxy.address("raw")), "a.example");
            client.write_all(b"go").unwrap();
            let mut server = origin.accept();
            scope.spawn(move || {
                expect(&mut server, b"go");
                send_noise(&mut server, 3, 150_000 + 997 * n);
                drop(server);
            });
            // It has said its end before: both are over as soon as the server's is passed on.
            closes(&mut client);
            scope.spawn(move || {
                let length = read_noise(&mut client).0;
                assert_eq!(length, 150_000 + 997 * n);
            });
        }
    });
    all_is_well(&proxy);
}
