//! What is told of a client's certificate, on arbitrary bytes: no panic, and nothing but printable ASCII.

#![no_main]

use headworks_core::tls::ClientCertificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let read = ClientCertificate::read(input);
    for text in [&read.subject, &read.common_name, &read.issuer, &read.serial, &read.fingerprint, &read.der] {
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
    }
});
