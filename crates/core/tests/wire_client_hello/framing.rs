//! Records, handshake header, arrival.

use headworks_core::wire::client_hello::{ClientHello, Defect, HelloParsed, ServerName, parse};

use super::hello::*;

#[test]
fn a_hello_of_openssl() {
    let hello = check_every_prefix(&openssl());
    assert_eq!(hello.name, host("www.example.com"));
    assert!(hello.alpn.iter().eq([&b"h2"[..], b"http/1.1"]));
    assert_eq!((hello.version, hello.encrypted), (0x0304, false));
}

#[test]
fn a_post_quantum_hello_with_grease_and_ech() {
    let bytes = chrome();
    assert!(bytes.len() > 1500);
    let hello = check_every_prefix(&bytes);
    assert_eq!(hello.name, host("pq.example.com"));
    assert!(hello.alpn.iter().eq([&b"h2"[..], b"http/1.1"]));
    assert_eq!((hello.version, hello.encrypted), (0x0304, true));
}

#[test]
fn records_of_any_size_give_the_same_hello() {
    let hello = Hello::usual();
    let whole = complete(&hello.bytes());
    for size in [1, 2, 3, 4, 5, 6, 7, 50, hello.message().len() - 1] {
        assert_eq!(check_every_prefix(&hello.records(size)), whole, "records of {size}");
    }
}

#[test]
fn a_hello_longer_than_a_record() {
    let hello = Hello::named(b"big.example.com").with(51, vec![9; 40_000]);
    let bytes = hello.bytes();
    assert_eq!(complete(&bytes).name, host("big.example.com"));
    assert_eq!(parse(&bytes[..bytes.len() - 1]), HelloParsed::Partial { need: bytes.len() });
    // From nine bytes on it is known how much must come: two more records at least.
    assert_eq!(parse(&bytes[..9]), HelloParsed::Partial { need: bytes.len() });
}

#[test]
fn need_is_exact_once_the_length_is_known() {
    let bytes = Hello::usual().bytes();
    for held in 0..9 {
        assert_eq!(parse(&bytes[..held]), HelloParsed::Partial { need: held + 1 });
    }
    for held in 9..bytes.len() {
        assert_eq!(parse(&bytes[..held]), HelloParsed::Partial { need: bytes.len() });
    }
}

#[test]
fn thousands_of_one_byte_records_need_few_parses() {
    let bytes = Hello::named(b"slow.example.com").with(51, vec![9; 10_000]).records(1);
    assert!(bytes.len() > 60_000);
    let (parsed, asked) = trickle(&bytes);
    assert!(matches!(parsed, HelloParsed::Complete(_)));
    assert!(asked < 100, "{asked} parses");
}

#[test]
fn what_is_not_tls_is_refused_by_its_first_byte() {
    for first in 0..=u8::MAX {
        let expected = first == 22 || first >= 0x80;
        assert_eq!(parse(&[first]) != HelloParsed::Invalid(Defect::NotTls), expected, "{first}");
    }
    check_invalid(b"GET / HTTP/1.1\r\n\r\n", Defect::NotTls);
    check_invalid(b"\x15\x03\x01\0\x02\x02\x28", Defect::NotTls);
}

#[test]
fn bad_records() {
    check_invalid(b"\x16\x02\x01\0\x40\x01", Defect::RecordVersion);
    check_invalid(b"\x16\x03\x01\0\0", Defect::RecordLength);
    check_invalid(b"\x16\x03\x01\x41\x01\x01", Defect::RecordLength);
    assert!(matches!(parse(b"\x16\x03\x01\x41\0\x01"), HelloParsed::Partial { .. }));
    let start = &Hello::usual().records(50)[..55];
    check_invalid(&[start, b"\x17\x03\x03\0\x01"].concat(), Defect::RecordType);
    check_invalid(&[start, b"\x15\x03\x03\0\x02\x01\0"].concat(), Defect::RecordType);
    check_invalid(&[start, b"\x16\x03\x03\0\0"].concat(), Defect::RecordLength);
    check_invalid(&[start, b"\x16\xfe\xff\0\x01"].concat(), Defect::RecordVersion);
}

#[test]
fn bad_handshake_headers() {
    let body = Hello::usual().body();
    check_invalid(&record(&message(2, &body)), Defect::HandshakeType);
    // Seen with the first byte of the message, in whichever record that is.
    assert_eq!(parse(b"\x16\x03\x01\0\x20\x02"), HelloParsed::Invalid(Defect::HandshakeType));
    check_invalid(b"\x16\x03\x01\0\x01\0", Defect::HandshakeType);
    check_invalid(&record(&message(1, &body[..40])), Defect::HandshakeLength);
    check_invalid(b"\x16\x03\x01\x20\0\x01\xff\0\0", Defect::HandshakeLength);
    check_invalid(b"\x16\x03\x01\x20\0\x01\x02\x01\x80", Defect::HandshakeLength);
}

#[test]
fn the_longest_hello_there_can_be() {
    let mut hello = Hello::new();
    hello.suites = vec![1; 0xfffe];
    hello.compression = vec![0; 255];
    let hello = hello.with(21, vec![0; 0xffff - 4]);
    assert_eq!(complete(&hello.bytes()).name, ServerName::Absent);
}

#[test]
fn a_hello_must_end_its_record() {
    let message = Hello::usual().message();
    check_invalid(&record(&[&message[..], &[1]].concat()), Defect::RecordExcess);
    check_invalid(&record(&message.repeat(2)), Defect::RecordExcess);
    let (first, second) = message.split_at(60);
    check_invalid(&[record(first), record(&[second, &[0]].concat())].concat(), Defect::RecordExcess);
}

fn sslv2(version: u16, suites: u16, session: u16, challenge: u16) -> Vec<u8> {
    let length = 9 + suites + session + challenge;
    let mut bytes = (length | 0x8000).to_be_bytes().to_vec();
    bytes.push(1);
    for field in [version, suites, session, challenge] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.resize(usize::from(length) + 2, 5);
    bytes
}

#[test]
fn sslv2_hellos_have_no_name() {
    for (bytes, version) in [
        (sslv2(0x0002, 3, 0, 16), 0x0002),
        (sslv2(0x0300, 9, 16, 32), 0x0300),
        (sslv2(0x0303, 300, 0, 32), 0x0303),
    ] {
        assert_eq!(check_every_prefix(&bytes), ClientHello { version, ..ClientHello::default() });
    }
}

#[test]
fn bad_sslv2_hellos() {
    check_invalid(&sslv2(0x0302, 4, 0, 16), Defect::Sslv2);
    check_invalid(&sslv2(0x0302, 0, 0, 32), Defect::Sslv2);
    check_invalid(&sslv2(0x0302, 6, 8, 16), Defect::Sslv2);
    check_invalid(&sslv2(0x0302, 6, 0, 15), Defect::Sslv2);
    check_invalid(&sslv2(0x0302, 6, 0, 33), Defect::Sslv2);
    check_invalid(&sslv2(0x0404, 6, 0, 16), Defect::Version);
    check_invalid(b"\x80\x2e\x02", Defect::HandshakeType);
    check_invalid(b"\x80\x05", Defect::Sslv2);
    let mut longer = sslv2(0x0302, 6, 0, 16);
    longer[1] += 1;
    check_invalid(&longer, Defect::Sslv2);
}
