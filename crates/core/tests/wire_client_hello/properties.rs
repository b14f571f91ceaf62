//! Whatever the bytes: no panic, the same answer in every split, and nothing accepted that `tls-parser` reads
//! otherwise.

use headworks_core::wire::client_hello::{ClientHello, HelloParsed, ServerName, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tls_parser::{SNIType, TlsExtension, TlsMessage, TlsMessageHandshake};

use super::hello::*;

fn any_extension() -> impl Strategy<Value = (u16, Vec<u8>)> {
    prop_oneof![
        "[a-zA-Z0-9.-]{1,40}".prop_map(|name| (SERVER_NAME, server_name(&[(0, name.as_bytes())]))),
        vec("[ -~]{1,8}", 1..4)
            .prop_map(|list| { (ALPN, alpn(&list.iter().map(String::as_bytes).collect::<Vec<_>>())) }),
        vec(0x0300_u16..0x0306, 1..5).prop_map(|list| (SUPPORTED_VERSIONS, versions(&list))),
        vec(any::<u8>(), 0..60).prop_map(|content| (ECH, content)),
        (any::<u16>(), vec(any::<u8>(), 0..20)),
        (0_u16..50, vec(any::<u8>(), 0..20)),
    ]
}

prop_compose! {
    fn any_hello()(
        version in 0x0300_u16..0x0305,
        session in vec(any::<u8>(), 0..34),
        suites in vec(any::<u8>(), 1..9),
        compression in vec(any::<u8>(), 0..3),
        extensions in proptest::option::weighted(0.95, vec(any_extension(), 0..6)),
    ) -> Hello {
        let suites = suites.repeat(2);
        Hello { version, session, suites, compression, extensions }
    }
}

/// The host name and the ALPN list.
type Reading = (Option<Vec<u8>>, Vec<Vec<u8>>);

/// What `tls-parser` reads in one record, or None if it refuses.
fn oracle(bytes: &[u8]) -> Option<Reading> {
    let (_, plaintext) = tls_parser::parse_tls_plaintext(bytes).ok()?;
    let [TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello))] = plaintext.msg.as_slice() else {
        return None;
    };
    let (mut name, mut protocols) = (None, Vec::new());
    let block = hello.ext.unwrap_or_default();
    // It stops where an extension displeases it, so what it leaves is what it refuses.
    let (&[], extensions) = tls_parser::parse_tls_client_hello_extensions(block).ok()? else {
        return None;
    };
    for extension in extensions {
        match extension {
            TlsExtension::SNI(names) => {
                let found = names.iter().find(|(kind, _)| *kind == SNIType(0));
                name = found.map(|(_, name)| name.to_vec());
            }
            TlsExtension::ALPN(list) => protocols = list.iter().map(|protocol| protocol.to_vec()).collect(),
            _ => {}
        }
    }
    Some((name, protocols))
}

fn agrees(hello: &ClientHello, (name, protocols): &Reading) -> bool {
    let same_name = match (&hello.name, name) {
        (ServerName::Absent, None) | (ServerName::Literal, Some(_)) => true,
        (ServerName::Host(host), Some(name)) => {
            let name = name.strip_suffix(b".").unwrap_or(name);
            host.as_bytes() == name.to_ascii_lowercase()
        }
        _ => false,
    };
    same_name && hello.alpn.iter().eq(protocols.iter().map(|own| &own[..]))
}

/// The whole answer equals the answer of every prefix that decides.
fn split_law(bytes: &[u8], cuts: &[Index]) -> Result<(), TestCaseError> {
    let whole = parse(bytes);
    let (trickled, _) = trickle(bytes);
    // `need` may lie past the end, where an earlier answer would have been Partial or Invalid, but never
    // Complete.
    if matches!(whole, HelloParsed::Complete(_)) {
        prop_assert_eq!(&trickled, &whole);
    }
    let mut lengths: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    lengths.sort_unstable();
    for length in lengths {
        match parse(&bytes[..length]) {
            HelloParsed::Partial { need } => {
                prop_assert!(need > length);
                if matches!(whole, HelloParsed::Complete(_)) {
                    prop_assert!(need <= bytes.len());
                }
            }
            decided => prop_assert_eq!(&decided, &whole),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_bytes_obey_the_split_law(bytes in vec(any::<u8>(), 0..300), cuts in vec(any::<Index>(), 20)) {
        split_law(&bytes, &cuts)?;
    }

    #[test]
    fn arbitrary_bytes_in_a_record_obey_the_split_law(
        body in vec(any::<u8>(), 0..200),
        size in 1_usize..200,
        cuts in vec(any::<Index>(), 20),
    ) {
        let bytes: Vec<u8> = message(1, &body).chunks(size).flat_map(record).collect();
        split_law(&bytes, &cuts)?;
    }

    #[test]
    fn changed_hellos_obey_the_split_law(
        real in prop_oneof![Just(openssl()), Just(chrome()), Just(Hello::usual().records(40))],
        changes in vec((any::<Index>(), any::<u8>()), 1..8),
        cuts in vec(any::<Index>(), 20),
    ) {
        let mut bytes = real;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        split_law(&bytes, &cuts)?;
    }

    #[test]
    fn built_hellos_in_any_records_are_the_same(
        hello in any_hello(),
        size in 1_usize..300,
        cuts in vec(any::<Index>(), 20),
    ) {
        let records = hello.records(size);
        prop_assert_eq!(parse(&records), parse(&hello.bytes()));
        split_law(&records, &cuts)?;
    }

    #[test]
    fn what_is_accepted_reads_the_same_in_tls_parser(hello in any_hello()) {
        let bytes = hello.bytes();
        if let HelloParsed::Complete(parsed) = parse(&bytes) {
            // Other extensions with arbitrary content may be refused there: only these are looked at here.
            let known = hello.extensions.map(|extensions| {
                extensions.into_iter().filter(|(kind, _)| [SERVER_NAME, ALPN].contains(kind)).collect()
            });
            let read = oracle(&Hello { extensions: known, ..hello }.bytes());
            prop_assert!(read.as_ref().is_some_and(|read| agrees(&parsed, read)), "{parsed:?} {read:?}");
        }
    }

    #[test]
    fn changed_real_hellos_read_the_same_in_tls_parser(
        real in prop_oneof![Just(openssl()), Just(chrome())],
        at in any::<Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = real;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let (HelloParsed::Complete(parsed), Some(read)) = (parse(&bytes), oracle(&bytes)) {
            prop_assert!(agrees(&parsed, &read), "{parsed:?} {read:?}");
        }
    }
}
