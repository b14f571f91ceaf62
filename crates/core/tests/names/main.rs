//! Traces of names: answers of nameservers as bytes in, what a name resolves to out.

#![allow(clippy::panic, clippy::unwrap_used)] // the lints spare only functions marked as tests, not what they call

mod inquiry;
mod message;
mod search;
mod wire;
