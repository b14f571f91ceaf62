//! The way from accept through the handshake to where a client belongs: limits and access lists, reloads and
//! drains on the way, several workers.

use super::*;

/// A client whose ClientHello has come but for its last byte, and that byte.
fn half(authority: &Authority, proxy: &Proxy) -> (rustls::ClientConnection, std::net::TcpStream, Vec<u8>) {
    let (mut client, mut stream) = (machine(authority), proxy.client("web"));
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let rest = hello.split_off(hello.len() - 1);
    stream.write_all(&hello).unwrap();
    until("it was accepted", || proxy.0.stats().connections > 0);
    (client, stream, rest)
}

/// Sends the last byte and goes on.
fn go_on((mut client, mut stream, rest): (rustls::ClientConnection, std::net::TcpStream, Vec<u8>)) -> Client {
    stream.write_all(&rest).unwrap();
    client.read_tls(&mut stream).unwrap();
    client.process_new_packets().unwrap();
    shake(&mut client, &mut stream, |stream, flight| stream.write_all(flight).unwrap());
    rustls::StreamOwned::new(client, stream)
}

#[test]
fn who_is_denied_hears_it_when_the_handshake_is_complete() {
    let authority = Authority::new();
    let mut written = web(&authority, &[nobody()]);
    written["listeners"]["web"]["deny"] = json!(["127.0.0.0/8"]);
    let proxy = Proxy::start(written);
    let mut client = authority.client(proxy.client("web"), "a.example");
    write!(client, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
    all_is_well(&proxy);
    let mut written = raw(&authority, &[nobody()]);
    written["listeners"]["raw"]["deny"] = json!(["127.0.0.0/8"]);
    let logged = Logged::start(written);
    let mut client = authority.client(logged.proxy.client("raw"), "a.example");
    client.conn.complete_io(&mut client.sock).unwrap();
    expect_last(&mut client, b"");
    assert_eq!(logged.records(1)[0]["end"], "denied");
    all_is_well(&logged.proxy);
}

/// The alert `internal_error` in the clear.
const NO_PLACE: &[u8] = &[21, 3, 1, 0, 2, 2, 80];

#[test]
fn who_finds_no_place_is_told_by_an_alert() {
    let authority = Authority::new();
    for (name, mut written) in [("web", web(&authority, &[nobody()])), ("raw", raw(&authority, &[nobody()]))]
    {
        written["listeners"][name]["max_connections"] = 0.into();
        let logged = Logged::start(written);
        let mut client = machine(&authority);
        let mut stream = logged.proxy.client(name);
        // The alert is there whether the client has begun by then or not.
        let _ = client.write_tls(&mut stream);
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        assert_eq!(told, NO_PLACE, "{name}");
        client.read_tls(&mut &told[..]).unwrap();
        let error = client.process_new_packets().unwrap_err();
        assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::InternalError), "{name}");
        assert_eq!(logged.records(1)[0]["end"], "limit_reached");
    }
}

#[test]
fn a_handshake_takes_a_place_and_gives_it_back() {
    let authority = Authority::new();
    let mut written = web(&authority, &[greeter()]);
    written["listeners"]["web"]["max_connections"] = 1.into();
    let logged = Logged::start(written);
    let first = half(&authority, &logged.proxy);
    expect_last(&mut logged.proxy.client("web"), NO_PLACE);
    assert_eq!(logged.records(1)[0]["end"], "limit_reached");
    let mut client = go_on(first);
    assert!(get(&mut client, "a.example", 2).ends_with("hi"));
    drop(client);
    until("it is over", || logged.proxy.0.stats().connections == 0);
    drop(half(&authority, &logged.proxy));
    until("it is over", || logged.proxy.0.stats().connections == 0);
    let mut client = authority.client(logged.proxy.client("web"), "a.example");
    assert!(get(&mut client, "a.example", 2).ends_with("hi"));
    drop(client);
    all_is_well(&logged.proxy);
}

#[test]
fn a_reload_in_the_middle_of_a_handshake() {
    let (authority, origin) = (Authority::new(), greeter());
    let proxy = Proxy::start(web(&authority, &[nobody()]));
    let (held, other) = (half(&authority, &proxy), half(&authority, &proxy));
    proxy.apply(web(&authority, &[origin]));
    // The handshake goes on under the old Plan; its requests are decided by the one in force.
    assert!(get(&mut go_on(held), "a.example", 2).ends_with("hi"));
    // The listener is gone.
    proxy.apply(plain(&[origin]));
    let mut client = go_on(other);
    write!(client, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 "), "{text}");
    assert!(text.to_lowercase().contains("connection: close"), "{text}");
    drop(client);
    all_is_well(&proxy);
}

#[test]
fn a_drain_in_the_middle_of_a_handshake() {
    let authority = Authority::new();
    let proxy = Proxy::start(web(&authority, &[greeter()]));
    let held = half(&authority, &proxy);
    proxy.0.drain();
    let mut client = go_on(held);
    let mut text = String::new();
    // Asked or not, it is let go in good order.
    let _ = write!(client, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = client.read_to_string(&mut text);
    drop(client);
    assert!(proxy.0.wait_idle(LIMIT));
    all_is_well(&proxy);
}

#[test]
fn many_clients_and_several_workers() {
    let authority = Authority::new();
    let proxy = Proxy::start_with(web(&authority, &[greeter()]), Options { workers: 3, ..options() });
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..30 {
                    let mut client = authority.client(proxy.client("web"), "a.example");
                    for _ in 0..3 {
                        assert!(get(&mut client, "a.example", 2).ends_with("hi"));
                    }
                }
            });
        }
    });
    assert_eq!(proxy.0.stats().listeners["web"].handshakes, 180);
    all_is_well(&proxy);
}
