//! The Connection field (RFC 9110 section 7.6.1): its options, and the fields they nominate as concerning one
//! hop only. Must never let an option take away a field that the next reader needs to see the same message.

use super::bytes::is_token_byte;
use super::{Malformed, Role};
use crate::message::{Field, Known};

/// Options that nominate fields, in one head, at most. Each is compared with every field; real heads have one
/// or two.
const NOMINATIONS: usize = 16;

/// The options of all Connection fields of a head.
#[derive(Default)]
pub(super) struct Options {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
    /// There are options that nominate fields.
    pub others: bool,
}

impl Options {
    pub(super) fn read(&mut self, value: &[u8]) -> Result<(), Malformed> {
        // Nearly all are one of these two.
        if matches!(value, b"keep-alive" | b"close") {
            let closes = value.len() == 5;
            self.close |= closes;
            self.keep_alive |= !closes;
            return Ok(());
        }
        for option in split(value) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ if option.iter().all(|byte| is_token_byte(*byte)) => self.others = true,
                _ => return Err(Malformed::Connection),
            }
        }
        Ok(())
    }
}

/// Marks the fields that Connection nominates.
pub(super) fn nominate(held: &[u8], fields: &mut [Field], role: Role) -> Result<(), Malformed> {
    let mut count = 0;
    for at in 0..fields.len() {
        if fields[at].known != Known::Connection {
            continue;
        }
        for option in split(fields[at].value.of(held)) {
            count += 1;
            if count > NOMINATIONS {
                return Err(Malformed::Connection);
            }
            if is_end_to_end(option, role) {
                return Err(Malformed::Nominated);
            }
            let nominated = |field: &&mut Field| field.name.of(held).eq_ignore_ascii_case(option);
            fields.iter_mut().filter(nominated).for_each(|field| field.hop_by_hop = true);
        }
    }
    Ok(())
}

/// Fields meant for every reader may not be nominated (RFC 9110 section 7.6.1). Who nominates one wants the
/// server to see another message, another client or no credentials: to take it away would do their work, to
/// pass it on would disobey.
fn is_end_to_end(option: &[u8], role: Role) -> bool {
    match Known::of(option) {
        Known::Other => option.eq_ignore_ascii_case(b"authorization"),
        Known::Http2Settings | Known::KeepAlive | Known::ProxyConnection | Known::Te | Known::Upgrade => {
            false
        }
        // Never passed on anyway. `Connection: Connection` means nothing, and some servers nominate
        // Transfer-Encoding.
        Known::Connection => false,
        Known::TransferEncoding => role == Role::Request,
        // Trailer only announces, and RFC 2616 had it concern one hop.
        Known::Trailer => false,
        _ => true,
    }
}

/// Returns the elements of a list (RFC 9110 section 5.6.1), the empty ones left out.
fn split(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let trim = |element: &mut &[u8]| {
        while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = *element {
            *element = rest;
        }
    };
    value
        .split(|byte| *byte == b',')
        .map(move |mut element| {
            trim(&mut element);
            element
        })
        .filter(|element| !element.is_empty())
}
