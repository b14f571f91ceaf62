//! Provider: the cipher suites, groups and versions that rustls may use, in our order of preference.
//!
//! Owns those lists. Must never offer a suite without forward secrecy or without authenticated encryption:
//! rustls has none, and what it has is what Mozilla's guide calls intermediate (modern: its TLS 1.3 part).

use std::sync::Arc;

use headworks_core::tls::TlsVersion;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// AES-128-GCM first: it is the fastest where processors have AES, which is everywhere that servers run, and
/// no attack makes use of the difference between its key and a longer one.
const SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

const CLASSIC: [&dyn SupportedKxGroup; 3] = [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// Makes aws-lc with our suites and groups.
pub(super) fn provider(post_quantum: bool) -> Arc<CryptoProvider> {
    let hybrid = post_quantum.then_some(kx_group::X25519MLKEM768);
    Arc::new(CryptoProvider {
        cipher_suites: SUITES.to_vec(),
        kx_groups: hybrid.into_iter().chain(CLASSIC).collect(),
        ..aws_lc_rs::default_provider()
    })
}

/// Returns the versions from `least` on.
pub(super) fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match least {
        TlsVersion::Tls12 => &BOTH,
        TlsVersion::Tls13 => &BOTH[..1],
    }
}

/// Whether our order of suites is better than the client's: with AES in the processor. Without it (where this
/// cannot be told, it is taken to be there) a client that puts ChaCha20 first is taken at its word.
pub(super) fn has_fast_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(not(target_arch = "x86_64"))]
    true
}
