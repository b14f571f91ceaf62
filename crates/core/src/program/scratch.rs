//! Scratch: memory of a running program: texts that it makes, and where groups of its matches are.
//!
//! Serves program after program, so that none allocates once it has grown. Must never grow beyond
//! [`MOST_TEXT`], whatever a client sends.

use crate::http::text::{push_ip, push_number};
use crate::message::Span;

use super::Failure;
use super::value::{Text, Value};

/// Bytes that the programs judging one thing may make.
pub const MOST_TEXT: usize = 64 * 1024;

/// Groups of a regular expression, with the whole match.
pub(super) const GROUPS: usize = 10;

/// Memory of running programs.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Texts made, one behind the other.
    pub(super) text: Vec<u8>,
    /// Places of groups in the text that was matched; [`GROUPS`] for each register.
    pub(super) groups: Vec<Option<Span>>,
}

/// Capacity that a cleared scratch keeps.
const MODEST: usize = 4 * 1024;

impl Scratch {
    /// Forgets everything but a modest part of the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(MODEST);
        self.groups.clear();
    }

    /// Returns a text that it holds.
    pub fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.text)
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.within(bytes.len())?;
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends a text, which it may hold itself.
    pub(super) fn push_text(&mut self, text: Text<'_>) -> Result<(), Failure> {
        match text {
            Text::Lent(bytes) => self.push(bytes),
            Text::Made(span) => {
                self.within(span.len())?;
                self.text.extend_from_within(span.start as usize..span.end as usize);
                Ok(())
            }
        }
    }

    /// Appends a value as Python's `str` writes it.
    pub(super) fn push_value(&mut self, value: Value<'_>) -> Result<(), Failure> {
        match value {
            Value::Text(text) => self.push_text(text),
            Value::Bool(truth) => self.push(if truth { b"True" } else { b"False" }),
            Value::Int(number) => {
                self.within(20)?;
                if number < 0 {
                    self.text.push(b'-');
                }
                push_number(&mut self.text, number.unsigned_abs());
                Ok(())
            }
            Value::Address(address) => {
                self.within(46)?;
                push_ip(&mut self.text, address);
                Ok(())
            }
            Value::None => self.push(b"None"),
            Value::Match(_) => Err(Failure::Type),
        }
    }

    /// Appends a text that an analyzer has said, of any length, and returns where it stands.
    pub(crate) fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Span::new(start, self.text.len())
    }

    /// Appends a value and returns where it stands.
    pub(super) fn keep(&mut self, value: Value<'_>) -> Result<Span, Failure> {
        if let Value::Text(Text::Made(span)) = value {
            return Ok(span);
        }
        let start = self.text.len();
        self.push_value(value)?;
        Ok(Span::new(start, self.text.len()))
    }

    /// Appends path and query, which may be empty, and returns where they stand.
    pub(super) fn push_target(&mut self, path: Text<'_>, query: Text<'_>) -> Result<Span, Failure> {
        let start = self.text.len();
        self.push_text(path)?;
        if !query.is_empty() {
            self.push(b"?")?;
            self.push_text(query)?;
        }
        Ok(Span::new(start, self.text.len()))
    }

    /// Returns the text made since there were `start` bytes.
    pub(super) fn since<'a>(&self, start: usize) -> Value<'a> {
        Value::Text(Text::Made(Span::new(start, self.text.len())))
    }

    fn within(&self, more: usize) -> Result<(), Failure> {
        if self.text.len() + more > MOST_TEXT { Err(Failure::TooLong) } else { Ok(()) }
    }

    /// Writes a value for people, as Python's `repr` does.
    pub(super) fn shown(&self, value: Value<'_>) -> String {
        match value {
            Value::None => "None".to_owned(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Text(text) => format!("'{}'", text.of(self).escape_ascii()),
            Value::Address(address) => address.to_string(),
            Value::Match(_) => "a match".to_owned(),
        }
    }
}
