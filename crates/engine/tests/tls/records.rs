//! Records after a handshake: split, in fragments, broken, without end, and out of place.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;

use super::*;

/// The client's and the origin's end of a connection through `raw`, with one word passed.
fn pair(authority: &Authority, proxy: &Proxy, origin: &Origin) -> (Raw, std::net::TcpStream) {
    let mut client = Raw::new(authority, proxy.client("raw"));
    client.send(BYTES, b"hello");
    let mut server = origin.accept();
    expect(&mut server, b"hello");
    (client, server)
}

#[test]
fn a_fragment_of_a_message_waits_while_we_write() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(raw(&authority, &[origin.address()]));
    let (mut witness, mut beside) = pair(&authority, &proxy, &origin);
    let (mut client, mut server) = pair(&authority, &proxy, &origin);
    // The beginning of a KeyUpdate, whose rest never comes. What goes before it tells that it was read.
    let mut bytes = client.record(BYTES, b"go");
    bytes.extend(client.record(HANDSHAKE, &[24, 0]));
    client.stream.write_all(&bytes).unwrap();
    expect(&mut server, b"go");
    for _ in 0..3 {
        server.write_all(b"an answer").unwrap();
        client.stream.read_exact(&mut [0; 20]).unwrap();
    }
    drop((client, server));
    witness.send(BYTES, b"still here");
    expect(&mut beside, b"still here");
    drop((witness, beside));
    all_is_well(&proxy);
}

#[test]
fn what_is_broken_behind_good_bytes_is_told_at_once() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(raw(&authority, &[origin.address()]));
    let (mut client, mut server) = pair(&authority, &proxy, &origin);
    let mut bytes = client.record(BYTES, b"good");
    let mut broken = client.record(BYTES, b"bad");
    *broken.last_mut().unwrap() ^= 1;
    bytes.extend_from_slice(&broken);
    client.stream.write_all(&bytes).unwrap();
    expect(&mut server, b"good");
    expect_reset(&mut server);
    client.drain();
    all_is_well(&proxy);
}

#[test]
fn records_with_little_or_no_content() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(raw(&authority, &[origin.address()]));
    let (mut client, mut server) = pair(&authority, &proxy, &origin);
    for _ in 0..30 {
        client.send(BYTES, b"");
    }
    client.send(BYTES, b"after all");
    expect(&mut server, b"after all");
    // As little as is allowed, without end, while another client is served by the same worker.
    let (mut witness, mut beside) = pair(&authority, &proxy, &origin);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let block: Vec<u8> = (0..3_000)
                    .flat_map(|n| client.record(BYTES, &[7; 1][usize::from(n % 30 > 0)..]))
                    .collect();
                client.stream.write_all(&block).unwrap();
            }
            drop(client);
        });
        scope.spawn(|| server.read_to_end(&mut Vec::new()));
        for _ in 0..100 {
            witness.send(BYTES, b"ping");
            expect(&mut beside, b"ping");
        }
        done.store(true, Relaxed);
    });
    drop((witness, beside));
    all_is_well(&proxy);
    // Nothing at all is too little.
    let (mut client, mut server) = pair(&authority, &proxy, &origin);
    for _ in 0..40 {
        let record = client.record(BYTES, b"");
        let _ = client.stream.write_all(&record);
    }
    expect_reset(&mut server);
    drop(client);
    all_is_well(&proxy);
}

#[test]
fn keys_are_updated_both_ways() {
    let authority = Authority::new();
    let proxy = Proxy::start(raw(&authority, &[echo()]));
    let mut client = authority.client(proxy.client("raw"), "a.example");
    for n in 0..1_000_u32 {
        client.write_all(&n.to_be_bytes()).unwrap();
        client.conn.refresh_traffic_keys().unwrap();
        expect(&mut client, &n.to_be_bytes());
    }
    drop(client);
    // A thousand in a row and nothing else: no one who means well does that.
    let mut client = authority.client(proxy.client("raw"), "a.example");
    client.write_all(b"ping").unwrap();
    expect(&mut client, b"ping");
    for _ in 0..1_000 {
        let _ = client.conn.refresh_traffic_keys();
        if client.conn.wants_write() && client.conn.write_tls(&mut client.sock).is_err() {
            break;
        }
    }
    assert!(client.read(&mut [0]).is_err(), "an alert");
    drop(client);
    all_is_well(&proxy);
}

#[test]
fn nothing_is_agreed_on_again() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(raw(&authority, &[origin.address()]));
    let mut client = Raw::old(&authority, proxy.client("raw"));
    client.send(BYTES, b"hello");
    let mut server = origin.accept();
    expect(&mut server, b"hello");
    let again = client_hello(&authority)[5..].to_vec();
    // The first time we say that we will not, and go on; the second time is the last.
    client.send(HANDSHAKE, &again);
    client.send(BYTES, b"anyway");
    expect(&mut server, b"anyway");
    client.send(HANDSHAKE, &again);
    expect_reset(&mut server);
    client.drain();
    all_is_well(&proxy);
}

#[test]
fn warnings_are_counted() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(raw(&authority, &[origin.address()]));
    let mut client = Raw::old(&authority, proxy.client("raw"));
    client.send(BYTES, b"hello");
    let mut server = origin.accept();
    expect(&mut server, b"hello");
    for _ in 0..3 {
        client.send(ALERT, &[1, 100]);
    }
    client.send(BYTES, b"anyway");
    expect(&mut server, b"anyway");
    for _ in 0..100 {
        let record = client.record(ALERT, &[1, 100]);
        if client.stream.write_all(&record).is_err() {
            break;
        }
    }
    expect_reset(&mut server);
    client.drain();
    all_is_well(&proxy);
}

#[test]
fn a_conversation_split_anywhere_says_the_same() {
    let authority = Authority::new();
    let proxy = Proxy::start(raw(&authority, &[echo()]));
    let said: &[&[u8]] = &[b"one", b"", b"a second word", b"3"];
    let read = || proxy.0.connections(1).first().map_or(0, |row| row.bytes_in);
    let mut at = 0;
    loop {
        let mut client = Raw::new(&authority, proxy.client("raw"));
        let (mut bytes, mut complete) = (Vec::new(), 0);
        for word in said {
            bytes.extend(client.record(BYTES, word));
            complete += if bytes.len() <= at { word.len() as u64 } else { 0 };
        }
        bytes.extend(client.record(ALERT, &[1, 0]));
        if at > bytes.len() {
            break;
        }
        client.stream.set_nodelay(true).unwrap();
        client.stream.write_all(&bytes[..at]).unwrap();
        until("the whole records before were read", || read() == complete);
        client.stream.write_all(&bytes[at..]).unwrap();
        client.drain();
        until("it is over", || proxy.0.stats().connections == 0);
        at += 3;
    }
    all_is_well(&proxy);
    let stats = proxy.0.stats();
    let counters = &stats.listeners["raw"].counters;
    let length: usize = said.iter().map(|word| word.len()).sum();
    // The last one left without a word.
    assert_eq!(counters.bytes_in, (counters.connections - 1) * length as u64);
    assert_eq!(counters.bytes_out, counters.bytes_in);
}

#[test]
fn whatever_follows_a_handshake() {
    let authority = Authority::new();
    let proxy = Proxy::start(raw(&authority, &[echo()]));
    let config = ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(garbage in prop::collection::vec(any::<u8>(), 0..400), typ in 19..25_u8)| {
        let mut client = Raw::new(&authority, proxy.client("raw"));
        match typ {
            20..24 => client.send(typ.into(), &garbage),
            _ => client.stream.write_all(&garbage).unwrap(),
        }
        // It is over in any case, whatever was made of that before.
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        client.drain();
    });
    all_is_well(&proxy);
}
