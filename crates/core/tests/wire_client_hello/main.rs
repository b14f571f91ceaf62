//! Traces of the ClientHello parser: bytes in, what they are out. A small builder makes hellos; two were sent
//! by real clients to a loopback socket.

#![allow(clippy::panic, clippy::unwrap_used)] // the lints spare only functions marked as tests, not their helpers

mod fields;
mod framing;
mod hello;
mod names;
mod properties;
