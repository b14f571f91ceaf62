//! The parts of HTTP/2 (RFC 9113) that are needed to read the first request of a client that begins with it:
//! the preface, frame headers and field blocks.
//!
//! Must never keep a connection: streams, windows and settings are no business of who only looks.

pub mod frame;
pub mod hpack;

/// The first bytes of every client (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
