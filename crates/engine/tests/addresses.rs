//! Where listeners are bound and servers are found: unix sockets, inherited descriptors, both address
//! families.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use common::*;
use serde_json::{Value, json};
use socket2::SockRef;

/// A listener with this `bind` for one server.
fn bound(bind: &Value, server: &str) -> Value {
    json!({
        "listeners": {"plain": {"protocol": "tcp", "backend": "app", "bind": bind}},
        "backends": {"app": {"servers": [server]}},
    })
}

fn unix_client(path: &std::path::Path) -> UnixStream {
    let client = UnixStream::connect(path).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

#[test]
fn unix_sockets_on_both_sides() {
    let (front, back) = (scratch_path("front.sock"), scratch_path("back.sock"));
    let origin = UnixListener::bind(&back).unwrap();
    SockRef::from(&origin).set_read_timeout(Some(LIMIT)).unwrap();
    let unix = |path: &std::path::Path| format!("unix:{}", path.display());
    let proxy = Proxy::start(bound(&json!([unix(&front)]), &unix(&back)));
    assert_eq!(proxy.bound("plain"), unix(&front));
    assert_eq!(std::fs::metadata(&front).unwrap().permissions().mode() & 0o777, 0o660);
    let mut client = unix_client(&front);
    let mut server = origin.accept().unwrap().0;
    server.set_read_timeout(Some(LIMIT)).unwrap();
    client.write_all(b"ping").unwrap();
    expect(&mut server, b"ping");
    assert_eq!(proxy.0.connections(1)[0].client, "unix");
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            let hash = send_noise(&mut server, 7, 2 << 20);
            server.shutdown(std::net::Shutdown::Write).unwrap();
            hash
        });
        assert_eq!(read_noise(&mut client), (2 << 20, sent.join().unwrap()));
    });
    proxy.0.stop();
    assert!(!front.exists(), "the file goes with its listener");
    std::fs::remove_file(back).unwrap();
}

#[test]
fn a_socket_file_left_over_is_replaced_and_another_file_is_not() {
    let origin = Origin::new();
    let path = scratch_path("left.sock");
    drop(UnixListener::bind(&path).unwrap());
    let written = bound(&json!([format!("unix:{}", path.display())]), &origin.address().to_string());
    let proxy = Proxy::start(written.clone());
    unix_client(&path);
    origin.accept();
    drop(proxy);
    std::fs::write(&path, "precious").unwrap();
    assert!(headworks_engine::Engine::start(&compiled(written), options()).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_inherited_descriptor() {
    let origin = Origin::new();
    let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = inherited.local_addr().unwrap();
    let bind = json!([format!("fd:{}", inherited.as_raw_fd())]);
    let proxy = Proxy::start(bound(&bind, &origin.address().to_string()));
    assert_eq!(proxy.address("plain"), address);
    talk(&mut connect(address), &mut origin.accept());
    // A reload keeps it.
    proxy.apply(bound(&bind, &origin.address().to_string()));
    talk(&mut connect(address), &mut origin.accept());
    let stream = connect(address);
    let no_listener = json!([format!("fd:{}", stream.as_raw_fd())]);
    assert!(proxy.0.apply(&compiled(bound(&no_listener, "192.0.2.1:1"))).is_err());
}

#[test]
fn both_families_or_one() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return; // A machine without IPv6.
    }
    let origin = Origin::new();
    let server = origin.address().to_string();
    let proxy = Proxy::start(bound(&json!([":0", "[::1]:0", "127.0.0.1:0"]), &server));
    let addresses = proxy.0.addresses().remove(0).1;
    let port = |text: &String| text.parse::<SocketAddr>().unwrap().port();
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port(&addresses[0]))),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port(&addresses[0]))),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port(&addresses[1]))),
        SocketAddr::from((Ipv4Addr::LOCALHOST, port(&addresses[2]))),
    ] {
        let mut client = connect(address);
        talk(&mut client, &mut origin.accept());
        let shown = client.local_addr().unwrap().to_string();
        assert!(
            proxy.0.connections(9).iter().any(|row| row.client == shown),
            "IPv4 is shown as IPv4: {shown}"
        );
    }
    let mut written = bound(&json!([":0"]), &server);
    written["listeners"]["plain"]["ipv6_only"] = json!(true);
    let only_v6 = Proxy::start(written);
    let port = only_v6.address("plain").port();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    talk(&mut connect((Ipv6Addr::LOCALHOST, port).into()), &mut origin.accept());
}

#[test]
fn an_ipv6_server_and_a_source_address() {
    let origin = Origin::new();
    let mut written = bound(&json!(["127.0.0.1:0"]), &origin.address().to_string());
    written["backends"]["app"]["source"] = json!("127.0.0.9");
    let proxy = Proxy::start(written);
    let mut client = proxy.client("plain");
    let mut server = origin.accept();
    assert_eq!(server.peer_addr().unwrap().ip(), Ipv4Addr::new(127, 0, 0, 9));
    talk(&mut client, &mut server);
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
    let origin = Origin::from(listener);
    proxy.apply(bound(&json!(["127.0.0.1:0"]), &origin.address().to_string()));
    talk(&mut proxy.client("plain"), &mut origin.accept());
}

#[test]
fn workers_share_the_port_they_are_given() {
    let origin = Origin::new();
    let options = headworks_engine::Options { workers: 3, ..options() };
    let proxy = Proxy::start_with(plain(&[origin.address()]), options);
    let mut pairs: Vec<_> = (0..30).map(|_| (proxy.client("plain"), origin.accept())).collect();
    for (client, server) in &mut pairs {
        client.write_all(b"x").unwrap();
        server.write_all(b"y").unwrap();
        expect(client, b"y");
    }
    assert_eq!(proxy.0.connections(usize::MAX).len(), 30);
    assert_eq!(proxy.0.connections(7).len(), 7);
    let mut received = Vec::new();
    for (client, mut server) in pairs {
        drop(client);
        server.read_to_end(&mut received).unwrap();
    }
    assert_eq!(received.len(), 30);
    assert!(proxy.0.wait_idle(LIMIT));
}
