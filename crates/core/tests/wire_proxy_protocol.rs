//! Traces of the PROXY protocol: bytes in, what they are out; and back.

#![allow(clippy::panic, clippy::unwrap_used)] // the lints spare only functions marked as tests, not their helpers

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use headworks_core::tls::{ClientCertificate, TlsFacts};
use headworks_core::wire::proxy_protocol::HeaderVersion;
use headworks_core::wire::proxy_protocol::{Announced, HeaderParsed, LIMIT, begins_header, parse, write};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;

type Pair = (SocketAddr, SocketAddr);

fn pair(source: &str, destination: &str) -> Option<Pair> {
    Some((source.parse().unwrap(), destination.parse().unwrap()))
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

/// 192.0.2.1:1000 to 198.51.100.7:443.
const ADDRESSES: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0x03, 0xe8, 0x01, 0xbb];

fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &u16::try_from(value.len()).unwrap().to_be_bytes()[..], value].concat()
}

/// CRC32c bit by bit: slow, and written differently from the one under test.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut state = !0_u32;
    for byte in bytes {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            state = (state >> 1) ^ (0x82f6_3b78 * (state & 1));
        }
    }
    !state
}

/// A TCP4 header with `before`, a checksum, `after`.
fn with_checksum(before: &[u8], after: &[u8]) -> Vec<u8> {
    let block = [&ADDRESSES, before, &extension(3, &[0; 4]), after].concat();
    let mut header = v2(PROXY, TCP4, &block);
    let sum = crc32c(&header).to_be_bytes();
    let at = 16 + ADDRESSES.len() + before.len() + 3;
    header[at..at + 4].copy_from_slice(&sum);
    header
}

/// Every prefix is Partial; the whole is complete, whatever follows it.
#[track_caller]
fn check_complete(header: &[u8], addresses: Option<Pair>) {
    for held in 0..header.len() {
        assert_eq!(parse(&header[..held]), HeaderParsed::Partial, "at {held}");
    }
    let expected = HeaderParsed::Complete { length: header.len(), addresses };
    assert_eq!(parse(header), expected);
    assert_eq!(parse(&[header, b"\r\n\x16\x03\x01 and on"].concat()), expected);
}

/// Partial up to some byte, and invalid from there on.
#[track_caller]
fn check_invalid(bytes: &[u8]) {
    let answers: Vec<HeaderParsed> = (0..=bytes.len()).map(|held| parse(&bytes[..held])).collect();
    let first = answers.iter().position(|answer| *answer != HeaderParsed::Partial).unwrap();
    assert!(answers[first..].iter().all(|answer| *answer == HeaderParsed::Invalid), "{answers:?}");
}

/// Found invalid with the last byte, not later.
#[track_caller]
fn check_invalid_at_once(bytes: &[u8]) {
    check_invalid(bytes);
    assert_eq!(parse(&bytes[..bytes.len() - 1]), HeaderParsed::Partial);
}

#[test]
fn v1_headers() {
    check_complete(
        b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
        pair("192.0.2.1:56324", "198.51.100.7:443"),
    );
    check_complete(
        b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
        pair("0.0.0.0:0", "255.255.255.255:65535"),
    );
    check_complete(
        b"PROXY TCP6 2001:DB8::1 ::ffff:192.0.2.1 1 2\r\n",
        pair("[2001:db8::1]:1", "[::ffff:192.0.2.1]:2"),
    );
    check_complete(b"PROXY UNKNOWN\r\n", None);
    check_complete(b"PROXY UNKNOWN \r\n", None);
    check_complete(b"PROXY UNKNOWN ff::ff 1 \0\xff\n\r whatever\r\n", None);
    let longest = "ffff:f...f:ffff".replace("f...f", "ffff:ffff:ffff:ffff:ffff:ffff");
    check_complete(
        format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").as_bytes(),
        pair(&format!("[{longest}]:65535"), &format!("[{longest}]:65535")),
    );
}

#[test]
fn v1_lines_end_within_107_bytes() {
    let of = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16)).into_bytes();
    check_complete(&of(107), None);
    check_invalid(&of(108));
    check_invalid_at_once(&of(108)[..106]);
    check_invalid(&[b'P'; 200]);
}

#[test]
fn v1_has_one_spelling() {
    for rest in [
        "",
        "TCP4\r\n",
        "TCP4 \r\n",
        "TCP4 192.0.2.1\r\n",
        "TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
        "TCP4\t192.0.2.1 192.0.2.2 1 2\r\n",
        " TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
        "TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "TCP4 192.0.2.1 192.0.2.2 1 00\r\n",
        "TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
        "TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "TCP4 192.0.2.1 192.0.2.2 1 4294967297\r\n",
        "TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        "TCP4 192.0.2 192.0.2.2 1 2\r\n",
        "TCP4 3221225985 192.0.2.2 1 2\r\n",
        "TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "TCP4 ::1 192.0.2.2 1 2\r\n",
        "TCP4 ::1 ::1 1 2\r\n",
        "TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "TCP6 ::1 192.0.2.2 1 2\r\n",
        "TCP6 [::1] [::1] 1 2\r\n",
        "TCP6 fe80::1%1 ::1 1 2\r\n",
        "TCP6 1::2::3 ::1 1 2\r\n",
        "TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n",
        "TCP4 192.0.2.1 192.0.2.2 1 2\r \n",
        "TCP4 192.0.2.1 192.0.2.2 1 2\0\r\n",
        "TCP4 192.0.2.1 192.0.2.2 1 \u{0662}\r\n",
        "UNKNOWNS\r\n",
        "UNKNOWN\t\r\n",
        "UNKNOW\r\n",
        "\r\n",
    ] {
        let line = format!("PROXY {rest}");
        if rest.is_empty() {
            assert_eq!(parse(line.as_bytes()), HeaderParsed::Partial);
        } else {
            check_invalid(line.as_bytes());
        }
    }
}

#[test]
fn v1_garbage_is_found_early() {
    for line in [
        "PROXY X",
        "PROXY TX",
        "PROXY TCP5",
        "PROXY UNKNOWNS",
        "PROXY TCP4 z",
        "PROXY TCP4 1.2\n",
        "PROXY \n",
    ] {
        check_invalid_at_once(line.as_bytes());
    }
    check_invalid_at_once(b"PROXY TCP4\r");
    check_invalid_at_once(b"PROXY TCP6 ::1 \rx");
}

#[test]
fn v2_headers() {
    check_complete(&v2(PROXY, TCP4, &ADDRESSES), pair("192.0.2.1:1000", "198.51.100.7:443"));
    let source = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
    let destination = "2001:db8::2".parse::<Ipv6Addr>().unwrap().octets();
    let block = [&source[..], &destination, &[0, 80, 0xff, 0xff]].concat();
    check_complete(&v2(PROXY, TCP6, &block), pair("[2001:db8::1]:80", "[2001:db8::2]:65535"));
    check_complete(&v2(PROXY, UNIX, &[b'/'; 216]), None);
    check_complete(&v2(PROXY, 0, &[]), None);
    check_complete(&v2(LOCAL, 0, &[]), None);
}

#[test]
fn v2_local_headers_are_skipped_unread() {
    check_complete(&v2(LOCAL, TCP4, &ADDRESSES), None);
    check_complete(&v2(LOCAL, 0xff, b"anything"), None);
}

#[test]
fn v2_commands_and_families() {
    for command in (0..=u8::MAX).filter(|command| ![LOCAL, PROXY].contains(command)) {
        check_invalid_at_once(&[SIGNATURE, &[command]].concat());
    }
    for family in (0..=u8::MAX).filter(|family| ![0, TCP4, TCP6, UNIX].contains(family)) {
        check_invalid_at_once(&[SIGNATURE, &[PROXY, family]].concat());
    }
}

#[test]
fn v2_lengths() {
    for (family, length) in [(TCP4, 11), (TCP6, 35), (UNIX, 215), (TCP4, 0)] {
        check_invalid_at_once(&v2(PROXY, family, &vec![0; length])[..16]);
    }
    let filler = |total: usize| [&ADDRESSES[..], &extension(4, &vec![0; total - 16 - 12 - 3])].concat();
    check_complete(&v2(PROXY, TCP4, &filler(LIMIT)), pair("192.0.2.1:1000", "198.51.100.7:443"));
    check_invalid_at_once(&v2(PROXY, TCP4, &filler(LIMIT + 1))[..16]);
    check_invalid_at_once(&v2(LOCAL, 0, &vec![0; LIMIT])[..16]);
}

#[test]
fn v2_extensions_are_framed_to_the_last_byte() {
    let with = |extensions: &[u8]| v2(PROXY, TCP4, &[&ADDRESSES, extensions].concat());
    let addresses = pair("192.0.2.1:1000", "198.51.100.7:443");
    check_complete(&with(&extension(1, b"h2")), addresses);
    check_complete(
        &with(&[extension(2, b"a.example"), extension(4, b""), extension(0xe0, b"x")].concat()),
        addresses,
    );
    for bad in [&[4][..], &[4, 0], &[4, 0, 1], &[4, 0, 0, 4], &[4, 0xff, 0xff, 0], &[4, 0, 1, 0, 0]] {
        check_invalid_at_once(&with(bad));
    }
    check_complete(&v2(PROXY, 0, &extension(4, b"x")), None);
    check_invalid_at_once(&v2(PROXY, 0, b"x"));
    check_invalid_at_once(&v2(PROXY, UNIX, &[0; 217]));
}

#[test]
fn v2_checksums_are_verified() {
    let addresses = pair("192.0.2.1:1000", "198.51.100.7:443");
    let header = with_checksum(&extension(4, b"before"), &extension(1, b"h2"));
    check_complete(&header, addresses);
    check_complete(&with_checksum(&[], &[]), addresses);
    // Any bit after the lengths, but those that make the sum another extension.
    let kind = 16 + ADDRESSES.len() + extension(4, b"before").len();
    for bit in 16 * 8..header.len() * 8 {
        let mut changed = header.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!matches!(parse(&changed), HeaderParsed::Complete { .. }) || bit / 8 == kind, "bit {bit}");
    }
    check_invalid(&with_checksum(&[], &extension(3, &[0; 4])));
    check_invalid(&v2(PROXY, TCP4, &[&ADDRESSES[..], &extension(3, &[0; 3])].concat()));
}

#[test]
fn beginnings() {
    for signature in [SIGNATURE, b"PROXY "] {
        for held in 0..signature.len() {
            assert_eq!(begins_header(&signature[..held]), None, "{held}");
            assert_eq!(parse(&signature[..held]), HeaderParsed::Partial);
        }
        assert_eq!(begins_header(signature), Some(true));
        assert_eq!(begins_header(&[signature, b"x"].concat()), Some(true));
    }
    for other in
        [&b"\x16\x03\x01"[..], b"GET / HTTP/1.1", b"PROXY\t", b"proxy ", b"\r\n\r\n\0\r\nQUIT\r", b"\r\nGET"]
    {
        assert_eq!(begins_header(other), Some(false), "{other:?}");
        check_invalid(other);
    }
}

fn written(version: HeaderVersion, addresses: Option<Pair>) -> Vec<u8> {
    written_of_tls(version, addresses, None)
}

fn written_of_tls(version: HeaderVersion, addresses: Option<Pair>, tls: Option<&TlsFacts>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let announced =
        Announced { client: addresses.map(|pair| pair.0), local: addresses.map(|pair| pair.1), tls };
    write(version, announced, &mut out);
    out.split_off(6)
}

/// A handshake with a client that showed a certificate for this name, or none.
fn shaken(common_name: Option<&str>, resumed: bool) -> TlsFacts {
    TlsFacts {
        version: "TLSv1.2",
        cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        resumed,
        alpn: Some("http/1.1".into()),
        name: Some("a.example".into()),
        client: common_name
            .map(|name| ClientCertificate { common_name: name.into(), ..ClientCertificate::default() }),
        ..TlsFacts::default()
    }
}

#[test]
fn tls_is_told_in_extensions() {
    let below = |bits: u8, verify: u32, name: Option<&str>| {
        let name = name.map_or_else(Vec::new, |name| extension(0x22, name.as_bytes()));
        let inner =
            [extension(0x21, b"TLSv1.2"), extension(0x23, b"ECDHE-RSA-AES128-GCM-SHA256"), name].concat();
        let ssl = extension(0x20, &[&[bits][..], &verify.to_be_bytes(), &inner].concat());
        [extension(1, b"http/1.1"), extension(2, b"a.example"), ssl].concat()
    };
    let addresses = pair("192.0.2.1:1000", "198.51.100.7:443");
    let long = "x".repeat(256);
    for (tls, extensions) in [
        (shaken(None, false), below(1, 1, None)),
        (shaken(None, true), below(1, 1, None)),
        (shaken(Some("Ann"), false), below(1 | 2 | 4, 0, Some("Ann"))),
        (shaken(Some("Ann"), true), below(1 | 4, 0, Some("Ann"))),
        (shaken(Some(""), false), below(1 | 2 | 4, 0, None)),
        (shaken(Some(&long), false), below(1 | 2 | 4, 0, None)),
    ] {
        let header = written_of_tls(HeaderVersion::V2, addresses, Some(&tls));
        assert_eq!(header, v2(PROXY, TCP4, &[&ADDRESSES[..], &extensions].concat()));
        check_complete(&header, addresses);
        // Without addresses there still is TLS to tell of.
        let header = written_of_tls(HeaderVersion::V2, None, Some(&tls));
        assert_eq!(header, v2(PROXY, 0, &extensions));
        check_complete(&header, None);
        assert_eq!(written_of_tls(HeaderVersion::V1, None, Some(&tls)), b"PROXY UNKNOWN\r\n");
    }
    let modern = TlsFacts { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", ..TlsFacts::default() };
    let header = written_of_tls(HeaderVersion::V2, addresses, Some(&modern));
    let inner = [extension(0x21, b"TLSv1.3"), extension(0x23, b"TLS_AES_256_GCM_SHA384")].concat();
    let ssl = extension(0x20, &[&[1, 0, 0, 0, 1][..], &inner].concat());
    assert_eq!(header, v2(PROXY, TCP4, &[&ADDRESSES[..], &ssl].concat()));
}

#[test]
fn written_headers() {
    let v1 = |source, destination| {
        String::from_utf8(written(HeaderVersion::V1, pair(source, destination))).unwrap()
    };
    assert_eq!(v1("192.0.2.1:1", "192.0.2.2:65535"), "PROXY TCP4 192.0.2.1 192.0.2.2 1 65535\r\n");
    assert_eq!(v1("[2001:db8::1]:1", "[::1]:2"), "PROXY TCP6 2001:db8::1 ::1 1 2\r\n");
    let v2_of = |source, destination| written(HeaderVersion::V2, pair(source, destination));
    assert_eq!(v2_of("192.0.2.1:1000", "198.51.100.7:443"), v2(PROXY, TCP4, &ADDRESSES));
    assert_eq!(v2_of("[::1]:1", "[::2]:2").len(), 16 + 36);
}

#[test]
fn mapped_addresses_are_announced_as_what_they_are() {
    let v1 = |source, destination| {
        String::from_utf8(written(HeaderVersion::V1, pair(source, destination))).unwrap()
    };
    let plain = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    assert_eq!(v1("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2"), plain);
    assert_eq!(v1("[::ffff:192.0.2.1]:1", "192.0.2.2:2"), plain);
    assert_eq!(v1("192.0.2.1:1", "[::ffff:192.0.2.2]:2"), plain);
    assert_eq!(v1("[::ffff:192.0.2.1]:1", "[::1]:2"), "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
    let mapped = pair("[::ffff:192.0.2.1]:1000", "[::ffff:198.51.100.7]:443");
    assert_eq!(written(HeaderVersion::V2, mapped), v2(PROXY, TCP4, &ADDRESSES));
}

#[test]
fn what_cannot_be_announced() {
    let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let other: SocketAddr = "[::1]:1".parse().unwrap();
    for (client, local) in [
        (None, None),
        (Some(address), None),
        (None, Some(address)),
        (Some(address), Some(other)),
        (Some(other), Some(address)),
    ] {
        let mut out = Vec::new();
        let announced = Announced { client, local, tls: None };
        write(HeaderVersion::V1, announced, &mut out);
        assert_eq!(out, b"PROXY UNKNOWN\r\n");
        out.clear();
        write(HeaderVersion::V2, announced, &mut out);
        assert_eq!(out, v2(LOCAL, 0, &[]));
    }
}

fn any_pair() -> impl Strategy<Value = Pair> {
    let v4 =
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((Ipv4Addr::from(ip), port)));
    let v6 =
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((Ipv6Addr::from(ip), port)));
    prop_oneof![(v4.clone(), v4), (v6.clone(), v6)]
}

prop_compose! {
    fn any_tls()(
        modern in any::<bool>(), resumed in any::<bool>(), alpn in prop::option::of("[a-z0-9/.]{1,255}"),
        name in prop::option::of("[a-z0-9.-]{1,253}"), client in prop::option::of("\\PC{0,300}"),
    ) -> TlsFacts {
        TlsFacts {
            version: if modern { "TLSv1.3" } else { "TLSv1.2" },
            cipher: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            alpn: alpn.map(Into::into),
            name: name.map(Into::into),
            ..shaken(client.as_deref(), resumed)
        }
    }
}

fn any_version() -> impl Strategy<Value = HeaderVersion> {
    prop_oneof![Just(HeaderVersion::V1), Just(HeaderVersion::V2)]
}

/// What `ppp` reads: the length, and the addresses if it has any for us.
fn oracle(bytes: &[u8]) -> Option<(usize, Option<Pair>)> {
    match ppp::HeaderResult::parse(bytes) {
        ppp::HeaderResult::V1(header) => {
            let header = header.ok()?;
            let addresses = match header.addresses {
                ppp::v1::Addresses::Unknown => None,
                ppp::v1::Addresses::Tcp4(ip) => Some((
                    (ip.source_address, ip.source_port).into(),
                    (ip.destination_address, ip.destination_port).into(),
                )),
                ppp::v1::Addresses::Tcp6(ip) => Some((
                    (ip.source_address, ip.source_port).into(),
                    (ip.destination_address, ip.destination_port).into(),
                )),
            };
            Some((header.header.len(), addresses))
        }
        ppp::HeaderResult::V2(header) => {
            let header = header.ok()?;
            let addresses = match header.addresses {
                _ if header.command == ppp::v2::Command::Local => None,
                ppp::v2::Addresses::IPv4(ip) => Some((
                    (ip.source_address, ip.source_port).into(),
                    (ip.destination_address, ip.destination_port).into(),
                )),
                ppp::v2::Addresses::IPv6(ip) => Some((
                    (ip.source_address, ip.source_port).into(),
                    (ip.destination_address, ip.destination_port).into(),
                )),
                _ => None,
            };
            Some((header.as_bytes().len(), addresses))
        }
    }
}

/// The same answer at every prefix that decides; what is accepted is what `ppp` accepts.
fn check_laws(bytes: &[u8]) -> Result<(), TestCaseError> {
    let whole = parse(bytes);
    for held in 0..bytes.len() {
        let part = parse(&bytes[..held]);
        prop_assert!(part == HeaderParsed::Partial || part == whole, "{part:?} at {held}, {whole:?}");
    }
    if let HeaderParsed::Complete { length, addresses } = whole {
        prop_assert!(length <= bytes.len() && length <= LIMIT);
        // There, what follows UNKNOWN may not hold everything, and the family of a LOCAL header matters.
        let lenient = bytes.starts_with(b"PROXY UNKNOWN ") || bytes.get(12) == Some(&LOCAL);
        prop_assert!(lenient || oracle(bytes) == Some((length, addresses)), "{whole:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_is_written_is_read(version in any_version(), pair in any_pair(), cut in any::<Index>()) {
        let header = written(version, Some(pair));
        let HeaderParsed::Complete { length, addresses: Some(read) } = parse(&header) else {
            return Err(TestCaseError::fail("not complete"));
        };
        prop_assert_eq!(length, header.len());
        prop_assert_eq!(read.0.ip().to_canonical(), pair.0.ip().to_canonical());
        prop_assert_eq!(read.1.ip().to_canonical(), pair.1.ip().to_canonical());
        prop_assert_eq!((read.0.port(), read.1.port()), (pair.0.port(), pair.1.port()));
        prop_assert_eq!(oracle(&header), Some((length, Some(read))));
        prop_assert_eq!(parse(&header[..cut.index(header.len())]), HeaderParsed::Partial);
    }

    #[test]
    fn what_is_written_of_tls_is_read(
        pair in prop::option::of(any_pair()), tls in any_tls(), cut in any::<Index>(),
    ) {
        let header = written_of_tls(HeaderVersion::V2, pair, Some(&tls));
        let HeaderParsed::Complete { length, addresses } = parse(&header) else {
            return Err(TestCaseError::fail("not complete"));
        };
        prop_assert!(length == header.len() && length <= LIMIT);
        prop_assert_eq!(parse(&header[..cut.index(header.len())]), HeaderParsed::Partial);
        prop_assert_eq!(oracle(&header), Some((length, addresses)));
        // Where there are no addresses it takes extensions for such.
        let block = ppp::v2::TypeLengthValues::from(&header[16..]);
        let read = ppp::v2::Header::try_from(&header[..]).unwrap();
        let extensions = if pair.is_some() { read.tlvs() } else { block };
        let extensions: Vec<_> = extensions.collect::<Result<_, _>>().unwrap();
        let value = |kind: u8| extensions.iter().find(|one| one.kind == kind).map(|one| one.value.to_vec());
        prop_assert_eq!(value(1), tls.alpn.as_ref().map(|alpn| alpn.as_bytes().to_vec()));
        prop_assert_eq!(value(2), tls.name.as_ref().map(|name| name.as_bytes().to_vec()));
        let ssl = value(0x20).unwrap();
        prop_assert_eq!(ssl[0] & 6 != 0, tls.client.is_some());
        let (at, short) = (5 + 3, |client: &ClientCertificate| (1..256).contains(&client.common_name.len()));
        prop_assert_eq!(&ssl[at..at + tls.version.len()], tls.version.as_bytes());
        let name = tls.client.as_ref().filter(|client| short(client)).map(|client| client.common_name.as_bytes());
        prop_assert!(name.is_none_or(|name| ssl.ends_with(name)));
    }

    #[test]
    fn changed_headers_obey_the_laws(
        version in any_version(),
        pair in any_pair(),
        tls in prop::option::of(any_tls()),
        changes in vec((any::<Index>(), any::<u8>()), 0..3),
        tail in vec(any::<u8>(), 0..5),
    ) {
        let mut header = written_of_tls(version, Some(pair), tls.as_ref());
        for (at, byte) in changes {
            let at = at.index(header.len());
            header[at] = byte;
        }
        header.extend(tail);
        check_laws(&header)?;
    }

    #[test]
    fn lines_obey_the_laws(line in "PROXY (TCP4|TCP6|UNKNOWN)( [0-9a-f.:]{1,12}){0,5}[ -~]?\r?\n?") {
        check_laws(line.as_bytes())?;
    }

    #[test]
    fn blocks_obey_the_laws(
        command in prop_oneof![Just(PROXY), Just(LOCAL)],
        family in prop_oneof![Just(0), Just(TCP4), Just(TCP6), Just(UNIX), any::<u8>()],
        block in vec(any::<u8>(), 0..260),
        kinds in vec((1_u8..6, vec(any::<u8>(), 0..6)), 0..4),
    ) {
        let extensions: Vec<u8> = kinds.iter().flat_map(|(kind, value)| extension(*kind, value)).collect();
        let block = match family {
            0 => extensions,
            TCP4 => [&ADDRESSES[..], &extensions].concat(),
            TCP6 => [&[1; 36][..], &extensions].concat(),
            _ => block,
        };
        check_laws(&v2(command, family, &block))?;
    }

    #[test]
    fn arbitrary_bytes_obey_the_laws(bytes in vec(any::<u8>(), 0..60), signed in any::<bool>()) {
        let bytes = if signed { [SIGNATURE, &bytes].concat() } else { bytes };
        check_laws(&bytes)?;
    }
}
