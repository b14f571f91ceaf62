//! The HTTP/1.1 codec: message heads (RFC 9112) read into a [`Head`], in one pass and in place.
//!
//! Owns the syntax of heads and what it means for framing: request and status lines, field lines, targets,
//! Host, Connection. Ambiguity is refused, never repaired: what is accepted here must be read alike by every
//! other reader. Must never accept a head that another part would have to look at twice, and never wait for
//! bytes that could not help.

use crate::message::{Head, Method};

pub(super) mod authority;
mod bytes;
mod connection;
mod fields;
mod malformed;
mod request;
mod response;
mod target;
mod version;
mod window;
pub mod write;

pub use malformed::Malformed;

pub(super) use bytes::{is_text, is_text_run, is_token_byte};
pub(super) use fields::{is_framing_in_disguise, read_length};
pub(super) use request::recognise;

/// The role of the message that a head belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Request,
    Response,
}

/// Limits on the size of a head.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes at most, with the empty line.
    pub head: usize,
    /// Fields at most.
    pub fields: usize,
    /// Bytes of a request line, status line or field line at most, without its CRLF.
    pub line: usize,
}

/// A judgement on the bytes held so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The bytes could still become a head.
    Partial,
    /// A whole head; [`Head::length`] says where it ends.
    Complete,
    /// No further bytes can make this a head.
    Invalid(Malformed),
}

/// Whether a text may stand in a Host field: a host, perhaps with a port, that no two readers take for two.
pub fn is_host(text: &[u8]) -> bool {
    authority::read(text).is_some()
}

/// Reads a request head. `head` is of use only after [`Parsed::Complete`].
pub fn request(held: &[u8], limits: &Limits, head: &mut Head) -> Parsed {
    head.clear();
    window::parsed(request::read(window::Window::new(held, limits), head))
}

/// Reads a response head; what ends its body depends on the method of the request it answers (RFC 9112
/// section 6.3).
pub fn response(held: &[u8], limits: &Limits, to: Method, head: &mut Head) -> Parsed {
    head.clear();
    window::parsed(response::read(window::Window::new(held, limits), to, head))
}

/// Whether it is worth reading `held` again when a first `seen` bytes of it were found partial: false spares
/// those who are sent a head byte by byte from reading all of it each time.
///
/// True whenever a head may end within the new bytes, and whenever they might exceed a limit by a [`STEP`] or
/// so. What is invalid in another way is found at the next step or line feed that ends nothing.
pub fn may_be_complete(held: &[u8], seen: usize, limits: &Limits) -> bool {
    if seen == 0 || held.len() >= limits.head || held.len() / STEP != seen / STEP {
        return true;
    }
    let ends_head = |at: usize| match held.get(at.wrapping_sub(1)) {
        Some(b'\r') => held.get(at.wrapping_sub(2)) == Some(&b'\n'),
        _ => true, // a bare line feed: refused at once
    };
    (seen..held.len()).any(|at| held[at] == b'\n' && ends_head(at))
}

/// Bytes after which a partial head is read again whatever they are.
const STEP: usize = 1024;
