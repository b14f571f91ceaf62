//! Handshakes that come in pieces, break off, stall, or are none: counted under the right reason, one record
//! each.

use super::*;

/// A proxy whose listener `web` gives handshakes `milliseconds`, with a log.
fn hasty(authority: &Authority, milliseconds: u64) -> Logged {
    let mut written = web(authority, &[greeter()]);
    written["listeners"]["web"]["tls"]["handshake_timeout"] = milliseconds.into();
    Logged::start(written)
}

fn failed(proxy: &Proxy) -> std::collections::BTreeMap<String, u64> {
    let stats = proxy.0.stats();
    let failed = &stats.listeners["web"].handshakes_failed;
    failed
        .iter()
        .map(|(reason, count)| (reason.to_string(), *count))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Sends `bytes` and reads what comes to the end, or to the reset.
fn told(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
    let mut client = proxy.client("web");
    client.write_all(bytes).unwrap();
    finish(&client);
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    answer
}

#[test]
fn a_client_hello_split_anywhere_is_one() {
    let authority = Authority::new();
    let proxy = Proxy::start(web(&authority, &[greeter()]));
    let length = client_hello(&authority).len();
    // Every byte of what is parsed first; then now and then.
    for at in (1..80).chain((80..length).step_by(61)) {
        let (mut client, mut stream) = (machine(&authority), proxy.client("web"));
        stream.set_nodelay(true).unwrap();
        let mut first = true;
        shake(&mut client, &mut stream, |stream, flight| {
            let (start, rest) = flight.split_at(if first { at } else { 0 });
            stream.write_all(start).unwrap();
            if first {
                // A turn of the worker between the two: it lists what it has of the first.
                let rows = proxy.0.connections(10);
                assert!(rows.len() <= 10);
            }
            first = false;
            stream.write_all(rest).unwrap();
        });
        let mut client = rustls::StreamOwned::new(client, stream);
        assert!(get(&mut client, "a.example", 2).ends_with("hi"));
    }
    assert!(failed(&proxy).is_empty());
    all_is_well(&proxy);
}

#[test]
fn a_handshake_byte_by_byte() {
    let authority = Authority::new();
    let proxy = Proxy::start(web(&authority, &[greeter()]));
    let (mut client, mut stream) = (machine(&authority), proxy.client("web"));
    stream.set_nodelay(true).unwrap();
    shake(&mut client, &mut stream, |stream, flight| {
        for byte in flight {
            stream.write_all(&[*byte]).unwrap();
        }
    });
    let mut client = rustls::StreamOwned::new(client, stream);
    assert!(get(&mut client, "a.example", 2).ends_with("hi"));
    drop(client);
    all_is_well(&proxy);
}

#[test]
fn a_handshake_that_breaks_off_anywhere_has_left() {
    let authority = Authority::new();
    let logged = hasty(&authority, 10_000);
    let mut count = 0;
    for flight in 0..2 {
        for at in (0..).step_by(if flight == 0 { 40 } else { 5 }) {
            let (mut client, mut stream) = (machine(&authority), logged.proxy.client("web"));
            let mut number = 0;
            let over = loop {
                let mut bytes = Vec::new();
                client.write_tls(&mut bytes).unwrap();
                if number == flight {
                    while client.wants_write() {
                        client.write_tls(&mut bytes).unwrap();
                    }
                    stream.write_all(&bytes[..at.min(bytes.len() - 1)]).unwrap();
                    break at >= bytes.len();
                }
                stream.write_all(&bytes).unwrap();
                number += 1;
                while !client.wants_write() {
                    client.read_tls(&mut stream).unwrap();
                    client.process_new_packets().unwrap();
                }
            };
            drop(stream);
            count += 1;
            if over {
                break;
            }
        }
    }
    let records = logged.records(count);
    assert!(records.iter().all(|record| record["tls_error"] == "left"), "{records:#?}");
    assert_eq!(failed(&logged.proxy), [("left".to_owned(), count as u64)].into());
    all_is_well(&logged.proxy);
}

#[test]
fn stalled_at_every_step() {
    let authority = Authority::new();
    let logged = hasty(&authority, 60);
    let hello = client_hello(&authority);
    let steps: [&[u8]; 4] = [b"", &hello[..3], &hello[..hello.len() - 1], &hello];
    for step in steps {
        let mut client = logged.proxy.client("web");
        client.write_all(step).unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    }
    let records = logged.records(steps.len());
    assert!(records.iter().all(|record| record["end"] == "handshake_timeout"), "{records:#?}");
    assert_eq!(failed(&logged.proxy), [("timed_out".to_owned(), 4)].into());
    all_is_well(&logged.proxy);
}

#[test]
fn what_is_no_handshake() {
    let authority = Authority::new();
    let logged = hasty(&authority, 10_000);
    let hello = client_hello(&authority);
    let changed = |at: usize, byte: u8| {
        let mut bytes = hello.clone();
        bytes[at] = byte;
        bytes
    };
    let cases: [(&str, Vec<u8>); 8] = [
        ("not_tls", b"\x00\x01\x02\x03garbage that goes on for a while".to_vec()),
        ("not_tls", b"SSH-2.0-client\r\n".to_vec()),
        ("not_tls", changed(0, 23)),
        ("not_tls", changed(0, 99)),
        ("not_tls", changed(1, 9)),
        ("not_tls", vec![22, 3, 1, 0xff, 0xff, 1, 0, 0, 0]),
        ("not_tls", vec![21, 3, 1, 0, 2, 2, 40]),
        ("plain_http", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec()),
    ];
    let mut expected = std::collections::BTreeMap::new();
    for (reason, bytes) in &cases {
        let answer = told(&logged.proxy, bytes);
        assert_eq!(answer.starts_with(b"HTTP/1.1 400"), *reason == "plain_http", "{reason}");
        *expected.entry((*reason).to_owned()).or_insert(0) += 1;
    }
    let records = logged.records(cases.len());
    for ((reason, bytes), record) in cases.iter().zip(&records) {
        assert_eq!(record["tls_error"], *reason, "{record} {:?}", &bytes[..7]);
    }
    assert_eq!(failed(&logged.proxy), expected);
    all_is_well(&logged.proxy);
}

#[test]
fn what_comes_instead_of_the_second_flight() {
    let authority = Authority::new();
    let logged = hasty(&authority, 10_000);
    let hello = client_hello(&authority);
    let fragments: Vec<u8> = std::iter::repeat_n([22, 3, 3, 0, 1, 11], 20_000).flatten().collect();
    let changes: Vec<u8> = std::iter::repeat_n([20, 3, 3, 0, 1, 1], 1_000).flatten().collect();
    let cases: [&[u8]; 9] = [
        b"garbage, garbage, garbage",
        &[21, 3, 3, 0, 2, 2, 48],
        &[22, 3, 3, 0, 0],
        &[22, 3, 3, 0xff, 0xff, 0, 0],
        &[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
        &[22, 3, 3, 0, 4, 20, 0, 0, 0],
        &hello,
        &fragments,
        &changes,
    ];
    for case in cases {
        let mut client = logged.proxy.client("web");
        client.write_all(&hello).unwrap();
        // The server's flight has begun: it is the second one's turn.
        client.read_exact(&mut [0; 5]).unwrap();
        let _ = client.write_all(case);
        let _ = client.read_to_end(&mut Vec::new());
    }
    let records = logged.records(cases.len());
    assert!(records.iter().all(|record| record["end"] == "handshake_failed"), "{records:#?}");
    assert_eq!(records[1]["tls_error"], "alerted");
    assert_eq!(failed(&logged.proxy).values().sum::<u64>(), cases.len() as u64);
    assert!(!failed(&logged.proxy).contains_key("left"), "{:?}", failed(&logged.proxy));
    all_is_well(&logged.proxy);
}

/// Fatal, unencrypted: internal_error.
const PLAIN_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

#[test]
fn an_alert_at_every_step_of_a_handshake() {
    let authority = Authority::new();
    let logged = hasty(&authority, 10_000);
    let hello = client_hello(&authority);
    // Of a hello in two records: before it, and between them.
    for held in [0, 1, 4, 40, hello.len() - 6] {
        let first = match held {
            0 => Vec::new(),
            _ => [&[22, 3, 1, (held >> 8) as u8, held as u8], &hello[5..5 + held]].concat(),
        };
        told(&logged.proxy, &[&first[..], &PLAIN_ALERT].concat());
    }
    // Of a TLS 1.2 client's second flight: behind its key, behind its change of cipher.
    for records in [1, 2] {
        let mut stream = logged.proxy.client("web");
        let mut client = old_machine(&authority);
        stream.write_all(&said(&mut client)).unwrap();
        while !client.wants_write() {
            client.read_tls(&mut stream).unwrap();
            client.process_new_packets().unwrap();
        }
        let flight = said(&mut client);
        let broken_off = [&flight[..end_of_record(&flight, records)], &PLAIN_ALERT].concat();
        stream.write_all(&broken_off).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let records = logged.records(7);
    let reasons: Vec<_> = records.iter().map(|record| record["tls_error"].as_str().unwrap()).collect();
    assert_eq!(reasons[..6], ["not_tls", "not_tls", "not_tls", "not_tls", "not_tls", "alerted"]);
    // Behind the change of cipher nothing is said in the clear.
    assert_eq!(reasons[6], "malformed");
    all_is_well(&logged.proxy);
}

#[test]
fn an_alert_at_every_step_of_a_request() {
    let authority = Authority::new();
    // Nobody accepts there, so that a whole request waits for its answer.
    let origin = Origin::new();
    let proxy = Proxy::start(web(&authority, &[origin.address()]));
    let request = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n0123456789";
    for raw in [Raw::new, Raw::old] {
        for said in [0, 1, 20, request.len() - 10, request.len() - 5, request.len()] {
            let mut client = raw(&authority, proxy.client("web"));
            if said > 0 {
                client.send(BYTES, &request[..said]);
            }
            client.send(ALERT, &[2, 80]);
            // Nothing is read of a client that waits for its answer, until it ends.
            finish(&client.stream);
            client.drain();
        }
    }
    all_is_well(&proxy);
}

/// What a client has to say now.
fn said(client: &mut rustls::ClientConnection) -> Vec<u8> {
    let mut flight = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut flight).unwrap();
    }
    flight
}

/// Where so many of the first records end.
fn end_of_record(flight: &[u8], records: usize) -> usize {
    (0..records).fold(0, |at, _| at + 5 + usize::from(u16::from_be_bytes([flight[at + 3], flight[at + 4]])))
}

#[test]
fn an_old_version_is_not_spoken() {
    let authority = Authority::new();
    let proxy = Proxy::start(web(&authority, &[nobody()]));
    // TLS 1.1 and no extension that says more: the ClientHello of long ago.
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0xc0, 0x0a, 0xc0, 0x14, 1, 0]);
    let mut bytes = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    bytes.extend(body);
    let answer = told(&proxy, &bytes);
    assert_eq!((answer[0], answer[5]), (21, 2), "a fatal alert: {answer:?}");
    // What SSL 2.0 began with, which offers what came later.
    let start = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x02\x00\x80";
    told(&proxy, &[&start[..], &[5; 31]].concat());
    assert_eq!(failed(&proxy).values().sum::<u64>(), 2);
    all_is_well(&proxy);
}

#[test]
fn a_certificate_that_the_wire_does_not_take_at_once() {
    let authority = Authority::new();
    let names: Vec<String> = (0..1_500).map(|n| format!("name-number-{n:05}.some.long.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["a.example"]).collect();
    let mut written = web(&authority, &[greeter()]);
    written["listeners"]["web"]["tls"]["certificates"] = json!([authority.certificate(&names)]);
    let proxy = Proxy::start(written);
    for _ in 0..2 {
        let stream = narrow(proxy.address("web"));
        // Its first words come later than its connection: it is waited for.
        until("it was accepted", || proxy.0.stats().connections > 0);
        let mut client = authority.client(stream, "a.example");
        assert!(get(&mut client, "a.example", 2).ends_with("hi"));
        drop(client);
        until("it is over", || proxy.0.stats().connections == 0);
    }
    assert!(failed(&proxy).is_empty(), "{:?}", failed(&proxy));
}

#[test]
fn who_was_refused_is_recorded_once() {
    let authority = Authority::new();
    let logged = hasty(&authority, 10_000);
    let mut client = logged.proxy.client("web");
    client.write_all(b"no hello at all, and the connection stays open").unwrap();
    logged.records(1);
    logged.proxy.0.stop();
    let _ = client.read_to_end(&mut Vec::new());
    assert_eq!(lines(&logged.path).len(), 1);
}
