//! Extensions: what a version 2 header says of TLS behind the addresses (section 2.2): the protocol agreed
//! on, the name asked for, and how the connection is secured. Must never write more than [`super::LIMIT`]
//! leaves beside the addresses, whatever is in a client's certificate.

use crate::tls::TlsFacts;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;

/// Bits of the first byte of [`SSL`] (section 2.2.5).
const OVER_TLS: u8 = 0x01;
const CERTIFICATE_SENT: u8 = 0x02;
const CERTIFICATE_OF_SESSION: u8 = 0x04;

/// Bytes of a common name at most. X.520 allows 64 characters; a longer name is left out, because half of it
/// names another.
const LONGEST_NAME: usize = 255;

/// Appends the extensions.
pub(super) fn write(tls: &TlsFacts, out: &mut Vec<u8>) {
    if let Some(alpn) = &tls.alpn {
        push(out, ALPN, alpn);
    }
    if let Some(name) = &tls.name {
        push(out, AUTHORITY, name);
    }
    let start = begin(out, SSL);
    out.push(match &tls.client {
        None => OVER_TLS,
        Some(_) if tls.resumed => OVER_TLS | CERTIFICATE_OF_SESSION,
        Some(_) => OVER_TLS | CERTIFICATE_SENT | CERTIFICATE_OF_SESSION,
    });
    // Zero stands for a certificate that was verified; those that could not be never get so far.
    out.extend_from_slice(&u32::from(tls.client.is_none()).to_be_bytes());
    push(out, SSL_VERSION, tls.version);
    push(out, SSL_CIPHER, openssl_name(tls.cipher));
    if let Some(client) = tls.client.as_ref().filter(|client| !client.common_name.is_empty()) {
        push(out, SSL_CN, &client.common_name);
    }
    end(out, start);
}

fn push(out: &mut Vec<u8>, kind: u8, value: &str) {
    if value.len() <= LONGEST_NAME {
        let start = begin(out, kind);
        out.extend_from_slice(value.as_bytes());
        end(out, start);
    }
}

/// Begins an extension, whose length is not known yet; where its value begins.
fn begin(out: &mut Vec<u8>, kind: u8) -> usize {
    out.extend_from_slice(&[kind, 0, 0]);
    out.len()
}

fn end(out: &mut [u8], start: usize) {
    let length = (out.len() - start) as u16;
    out[start - 2..start].copy_from_slice(&length.to_be_bytes());
}

/// Returns the name in the specification, which names ciphers as OpenSSL does: those of TLS 1.3 like
/// everybody, those of TLS 1.2 in its own way.
fn openssl_name(iana: &str) -> &str {
    match iana {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => "ECDHE-RSA-CHACHA20-POLY1305",
        other => other,
    }
}
