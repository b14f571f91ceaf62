//! HTTP as it is whatever the version: message heads, exchanges, rewriting, answers of our own.
//!
//! Codecs (`wire/http1`) fill a [`Head`](head::Head) and frame bodies; everything here works on Heads and
//! bytes and never knows which version either side speaks. Must never move bytes or read a clock.

pub mod accept_encoding;
pub mod accepts;
pub mod affinity;
pub mod answers;
pub mod check;
pub mod coding;
pub mod compression;
pub mod exchange;
pub mod facts;
pub mod forwarded;
pub mod headers;
pub mod limits;
pub mod listener;
pub(crate) mod names;
pub mod pages;
pub mod redirect;
pub mod request_id;
pub mod rewrite;
pub mod rules;
pub mod status;
pub mod target;
pub mod template;
pub(crate) mod text;
