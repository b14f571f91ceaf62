//! The PROXY protocol parser on arbitrary bytes: no panic, the same answer at every prefix that decides, and what is read
//! is written and read again unchanged.

#![no_main]

use headworks_core::wire::proxy_protocol::HeaderVersion;
use headworks_core::wire::proxy_protocol::{Announced, HeaderParsed, LIMIT, begins_header, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    for held in 0..bytes.len().min(LIMIT) {
        let part = parse(&bytes[..held]);
        assert!(part == HeaderParsed::Partial || part == whole);
    }
    let HeaderParsed::Complete { length, addresses } = whole else { return };
    assert!(length <= bytes.len().min(LIMIT));
    assert_eq!(begins_header(bytes), Some(true));
    let Some((source, destination)) = addresses else { return };
    for version in [HeaderVersion::V1, HeaderVersion::V2] {
        let mut header = Vec::new();
        let announced = Announced { client: Some(source), local: Some(destination), tls: None };
        write(version, announced, &mut header);
        let HeaderParsed::Complete { length, addresses: Some(again) } = parse(&header) else {
            panic!("written but not read: {header:?}")
        };
        assert_eq!(length, header.len());
        // Mapped addresses are written as IPv4.
        assert_eq!(again.0.ip().to_canonical(), source.ip().to_canonical());
        assert_eq!(again.1.ip().to_canonical(), destination.ip().to_canonical());
        assert_eq!((again.0.port(), again.1.port()), (source.port(), destination.port()));
    }
});
