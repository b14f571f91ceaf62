//! Traces of the HTTP/2 codec: bytes in, frames, heads and events out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod fields;
mod frames;
mod rules;
mod stage;
mod trunk;
