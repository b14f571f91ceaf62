//! The fields of the hello, versions, ALPN, ECH, and extensions as such.

use headworks_core::wire::client_hello::{Defect, ServerName};

use super::hello::*;

#[test]
fn a_hello_may_end_before_the_extensions() {
    for version in [0x0300, 0x0301] {
        let hello = Hello { version, extensions: None, session: Vec::new(), ..Hello::new() };
        let parsed = check_every_prefix(&hello.bytes());
        assert_eq!((parsed.name, parsed.version), (ServerName::Absent, version));
    }
    assert_eq!(check_every_prefix(&Hello::new().bytes()).name, ServerName::Absent);
}

#[test]
fn versions_offered() {
    let offered = |legacy, list: Option<&[u16]>| {
        let hello = Hello { version: legacy, ..Hello::new() };
        let hello =
            list.into_iter().fold(hello, |hello, list| hello.with(SUPPORTED_VERSIONS, versions(list)));
        complete(&hello.bytes()).version
    };
    assert_eq!(offered(0x0301, None), 0x0301);
    assert_eq!(offered(0x0302, None), 0x0302);
    assert_eq!(offered(0x0303, None), 0x0303);
    assert_eq!(offered(0x0304, None), 0x0303);
    assert_eq!(offered(0x0303, Some(&[0x0304])), 0x0304);
    assert_eq!(offered(0x0303, Some(&[0xfafa, 0x0302, 0x0304, 0x0303])), 0x0304);
    assert_eq!(offered(0x0303, Some(&[0x0301, 0x0302])), 0x0302);
    assert_eq!(offered(0x0303, Some(&[0x7f1c, 0x8a8a])), 0x0303);
}

#[test]
fn bad_versions() {
    for content in [vec![], vec![0], vec![1, 3], vec![3, 3, 4, 3], vec![2, 3], vec![2, 3, 4, 0]] {
        check_invalid(&Hello::new().with(SUPPORTED_VERSIONS, content).bytes(), Defect::SupportedVersions);
    }
    check_invalid(&Hello { version: 0x02ff, ..Hello::new() }.bytes(), Defect::Version);
}

#[test]
fn bad_fixed_fields() {
    check_invalid(&Hello { session: vec![0; 33], ..Hello::new() }.bytes(), Defect::SessionId);
    check_invalid(&Hello { suites: Vec::new(), ..Hello::new() }.bytes(), Defect::CipherSuites);
    check_invalid(&Hello { suites: vec![1; 5], ..Hello::new() }.bytes(), Defect::CipherSuites);
    check_invalid(&Hello { compression: Vec::new(), ..Hello::new() }.bytes(), Defect::Compression);
}

#[test]
fn lengths_and_fields_must_agree() {
    let body = Hello::usual().body();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut body = body.clone();
        change(&mut body);
        record(&message(1, &body))
    };
    check_invalid(&with(|body| body.push(0)), Defect::Trailing);
    check_invalid(&with(|body| body.truncate(body.len() - 1)), Defect::Truncated);
    check_invalid(&with(|body| body[68] = 0xff), Defect::Truncated);
    check_invalid(&Hello { extensions: None, ..Hello::new() }.bytes_with_tail(&[0]), Defect::Truncated);
    let extensions = |block: &[u8]| {
        let bare = Hello { extensions: None, ..Hello::new() };
        bare.bytes_with_tail(&vector16(block))
    };
    for block in [&[0][..], &[0, 0], &[0, 0, 0], &[0, 21, 0, 1], &[0, 21, 0, 0, 0], &[0, 21, 0, 2, 0]] {
        check_invalid(&extensions(block), Defect::Extension);
    }
}

impl Hello {
    fn bytes_with_tail(&self, tail: &[u8]) -> Vec<u8> {
        record(&message(1, &[&self.body()[..], tail].concat()))
    }
}

#[test]
fn no_extension_twice() {
    for kind in [SERVER_NAME, ALPN, SUPPORTED_VERSIONS] {
        let usual = Hello::usual();
        let found = usual.extensions.iter().flatten().find(|(other, _)| *other == kind).unwrap().1.clone();
        check_invalid(&usual.with(kind, found).bytes(), Defect::DuplicateExtension);
    }
    check_invalid(&Hello::usual().with(63, vec![]).with(63, vec![1]).bytes(), Defect::DuplicateExtension);
    check_invalid(&Hello::usual().with(ECH, vec![]).with(ECH, vec![]).bytes(), Defect::DuplicateExtension);
    check_invalid(&Hello::usual().with(0x1a1a, vec![]).bytes(), Defect::DuplicateExtension);
}

#[test]
fn many_extensions_are_no_burden() {
    let many = |count: u16| (0..count).fold(Hello::new(), |hello, at| hello.with(0x4000 + at, Vec::new()));
    for count in [15, 16, 17, 18, 1000, 15_000] {
        let hello = many(count);
        assert_eq!(complete(&hello.bytes()).name, ServerName::Absent);
        for twice in [0x4000, 0x4000 + count / 2, 0x4000 + count - 1] {
            let doubled = hello.clone().with(twice, Vec::new()).bytes();
            assert_eq!(super::hello::defect(&doubled), Some(Defect::DuplicateExtension), "{count}");
        }
    }
}

#[test]
fn encrypted_hellos_keep_their_outer_name() {
    let parsed = check_every_prefix(&Hello::named(b"public.example").with(ECH, vec![0; 200]).bytes());
    assert!(parsed.encrypted);
    assert_eq!(parsed.name, host("public.example"));
}

#[test]
fn alpn_lists() {
    let parsed = complete(&Hello::new().with(ALPN, alpn(&[b"\x0a\x0a", b"h3", &[0xff; 255]])).bytes());
    assert_eq!(parsed.alpn.iter().map(|protocol| protocol.len()).collect::<Vec<_>>(), [2, 2, 255]);
    let bad = [vec![], vec![0], vec![0, 0], vec![0, 1, 0], vec![0, 2, 2, b'h'], vec![0, 3, 2, b'h', b'2', 0]];
    for content in bad {
        check_invalid(&Hello::new().with(ALPN, content).bytes(), Defect::Alpn);
    }
    check_invalid(&Hello::new().with(ALPN, alpn(&[b"h2", b""])).bytes(), Defect::Alpn);
}

#[test]
fn every_protocol_of_a_long_list_is_kept() {
    let mut protocols = vec![&b"x"[..]; 30_000];
    let parsed = complete(&Hello::new().with(ALPN, alpn(&protocols)).bytes());
    assert!(parsed.alpn.iter().eq(protocols.iter().copied()));
    protocols.push(b"");
    check_last_invalid(&Hello::new().with(ALPN, alpn(&protocols)).bytes(), Defect::Alpn);
}

#[track_caller]
fn check_last_invalid(bytes: &[u8], expected: Defect) {
    assert_eq!(super::hello::defect(bytes), Some(expected));
    assert_eq!(super::hello::defect(&bytes[..bytes.len() - 1]), None);
}
