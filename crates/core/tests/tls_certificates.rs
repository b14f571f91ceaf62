//! What servers are told of a client's certificate, against certificates written out by hand, and on any
//! bytes.

use headworks_core::tls::ClientCertificate;
use proptest::prelude::*;

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANISATION: &[u8] = &[0x55, 4, 10];

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        length @ ..=0x7f => vec![length as u8],
        length @ ..=0xff => vec![0x81, length as u8],
        length => vec![0x82, (length >> 8) as u8, length as u8],
    };
    [&[tag], &length[..], content].concat()
}

fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    element(0x30, &[element(6, kind), element(tag, value)].concat())
}

/// A Name of parts, each of which is a set of attributes.
fn name(parts: &[&[Vec<u8>]]) -> Vec<u8> {
    element(0x30, &parts.iter().map(|part| element(0x31, &part.concat())).collect::<Vec<_>>().concat())
}

fn certificate(serial: &[u8], issuer: &[u8], subject: &[u8]) -> Vec<u8> {
    let version = element(0xa0, &element(2, &[2]));
    let (algorithm, validity) = (element(0x30, &[]), element(0x30, &[]));
    let tbs = [&version, &element(2, serial), &algorithm, issuer, &validity, subject].concat();
    element(0x30, &[element(0x30, &tbs), algorithm, element(3, &[0])].concat())
}

/// The subject of a certificate with one attribute.
fn told(kind: &[u8], tag: u8, value: &[u8]) -> String {
    let subject = name(&[&[attribute(kind, tag, value)]]);
    ClientCertificate::read(&certificate(&[1], &name(&[]), &subject)).subject.into()
}

#[test]
fn names_are_written_most_specific_first() {
    let issuer =
        name(&[&[attribute(ORGANISATION, 19, b"Example")], &[attribute(COMMON_NAME, 12, b"Authority")]]);
    let subject = name(&[
        &[attribute(&[0x55, 4, 6], 19, b"NL")],
        &[attribute(ORGANISATION, 12, "Müller, Söhne & Co.".as_bytes())],
        &[
            attribute(COMMON_NAME, 12, b"Alice"),
            attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], 22, b"a@b.example"),
        ],
    ]);
    let der = certificate(&[0, 0x9f, 1], &issuer, &subject);
    let read = ClientCertificate::read(&der);
    assert_eq!(&*read.subject, r"CN=Alice+emailAddress=a@b.example,O=M\C3\BCller\, S\C3\B6hne & Co.,C=NL");
    assert_eq!(
        (&*read.common_name, &*read.issuer, &*read.serial),
        ("Alice", "CN=Authority,O=Example", "9f01")
    );
    assert_eq!(read.fingerprint.len(), 64);
    // The example of FIPS 180-2 for SHA-256, which is no certificate at all.
    let none = ClientCertificate::read(b"abc");
    assert_eq!(&*none.fingerprint, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!((&*none.subject, &*none.serial, &*none.der), ("", "", "YWJj"));
}

#[test]
fn what_could_be_taken_for_something_else_is_escaped() {
    for (value, escaped) in [
        (&b"a,b+c;d<e>f\"g\\h"[..], r#"a\,b\+c\;d\<e\>f\"g\\h"#),
        (b" both ends ", r"\ both ends\ "),
        (b"#first # second", r"\#first # second"),
        (b" ", r"\ "),
        (b"", ""),
        (b"a\r\nX-Admin: 1\0\x7f", r"a\0D\0AX-Admin: 1\00\7F"),
        ("\u{202e}\u{85}".as_bytes(), r"\E2\80\AE\C2\85"),
        (b"a=b", "a=b"),
    ] {
        assert_eq!(told(COMMON_NAME, 12, value), format!("CN={escaped}"));
    }
}

#[test]
fn old_kinds_of_strings_are_read_and_others_shown_as_they_are() {
    assert_eq!(told(COMMON_NAME, 20, b"M\xfcller"), r"CN=M\C3\BCller");
    assert_eq!(told(COMMON_NAME, 30, b"\0A\xd8\x3d\xde\x00"), r"CN=A\F0\9F\98\80");
    assert_eq!(told(COMMON_NAME, 28, b"\0\0\0A"), "CN=A");
    for (tag, value, shown) in [
        (30, &b"\0A\0"[..], "#1e03004100"),
        (30, b"\xd8\x3d", "#1e02d83d"),
        (28, b"\0\0\xd8\0", "#1c040000d800"),
        (12, b"\xff", "#0c01ff"),
        (4, b"A", "#040141"),
    ] {
        assert_eq!(told(COMMON_NAME, tag, value), format!("CN={shown}"));
    }
}

#[test]
fn kinds_without_a_short_name_are_numbers() {
    assert_eq!(told(&[0x2a, 0x03, 0x84, 0x01], 12, b"x"), "1.2.3.513=x");
    assert_eq!(told(&[0x88, 0x37, 0x01], 12, b"x"), "2.999.1=x");
    assert_eq!(told(&[0x55, 4, 97], 12, b"x"), "2.5.4.97=x");
    // A number that is too long or cut off ends what is written of it.
    assert_eq!(told(&[0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], 12, b"x"), "1.2=x");
    assert_eq!(told(&[0x2a, 0x80], 12, b"x"), "1.2=x");
}

fn is_plain(read: &ClientCertificate) -> bool {
    [&read.subject, &read.common_name, &read.issuer, &read.serial, &read.fingerprint, &read.der]
        .iter()
        .all(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)))
}

proptest! {
    #[test]
    fn any_bytes_give_printable_ascii(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(is_plain(&ClientCertificate::read(&bytes)));
    }

    #[test]
    fn any_name_gives_printable_ascii(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..8), any::<u8>(),
            prop::collection::vec(any::<u8>(), 0..300)), 0..4),
        cut in any::<prop::sample::Index>(),
        flipped in any::<u8>(),
    ) {
        let parts: Vec<_> = parts.iter().map(|(kind, tag, value)| [attribute(kind, *tag, value)]).collect();
        let subject = name(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>());
        let mut der = certificate(&[1], &subject, &subject);
        let read = ClientCertificate::read(&der);
        prop_assert!(is_plain(&read));
        prop_assert_eq!(&read.issuer, &read.subject);
        let place = cut.index(der.len());
        prop_assert!(is_plain(&ClientCertificate::read(&der[..place])));
        der[place] ^= flipped;
        prop_assert!(is_plain(&ClientCertificate::read(&der)));
    }

    /// Whoever reads the text finds the value again.
    #[test]
    fn nothing_is_lost_by_escaping(value in any::<String>()) {
        let told = told(COMMON_NAME, 12, value.as_bytes());
        let mut escaped = told.strip_prefix("CN=").unwrap_or_default().bytes();
        let mut found = Vec::new();
        while let Some(byte) = escaped.next() {
            let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
            found.push(match byte {
                b'\\' => match escaped.next() {
                    Some(first) if first.is_ascii_hexdigit() => {
                        let second = escaped.next().and_then(digit);
                        digit(first).zip(second).map_or(0, |(first, second)| first << 4 | second)
                    }
                    other => other.unwrap_or_default(),
                },
                byte => byte,
            });
        }
        prop_assert_eq!(found, value.as_bytes());
    }
}
