//! Value: what an expression comes to, and Text: bytes that are lent by the subject or stand in the scratch.
//!
//! Values are copied freely and own nothing. Must never hold a text that does not outlive the evaluation.

use std::net::IpAddr;

use super::scratch::Scratch;
use crate::message::Span;

/// The value of an expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// `None`.
    None,
    /// A truth.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(Text<'a>),
    /// An IP address.
    Address(IpAddr),
    /// A match of a regular expression, in the register of this number.
    Match(usize),
}

/// A text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Text<'a> {
    /// Lent by the subject or the program.
    Lent(&'a [u8]),
    /// Made by the program: a place in the scratch.
    Made(Span),
}

impl<'a> Value<'a> {
    /// Makes a text that is lent.
    pub(super) fn text(bytes: &'a [u8]) -> Self {
        Self::Text(Text::Lent(bytes))
    }

    /// Makes a text that is lent; None where there is nothing.
    pub(super) fn some_text(bytes: &'a [u8]) -> Self {
        if bytes.is_empty() { Self::None } else { Self::text(bytes) }
    }

    /// Makes a text that is lent; None where there is none, or nothing in it.
    pub(super) fn some_text_of(text: Option<&'a str>) -> Self {
        Self::some_text(text.unwrap_or_default().as_bytes())
    }

    /// Whether it counts as true (Python's truth of values).
    pub(super) fn is_true(self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(truth) => truth,
            Self::Int(number) => number != 0,
            Self::Text(text) => !text.is_empty(),
            Self::Address(_) | Self::Match(_) => true,
        }
    }
}

impl<'a> Text<'a> {
    /// Returns the bytes.
    pub(super) fn of<'s>(self, scratch: &'s Scratch) -> &'s [u8]
    where
        'a: 's,
    {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Made(span) => span.of(&scratch.text),
        }
    }

    /// Returns the part of it between two places.
    pub(super) fn part(self, from: usize, to: usize) -> Self {
        match self {
            Self::Lent(bytes) => Self::Lent(&bytes[from..to]),
            Self::Made(span) => {
                let start = span.start as usize;
                Self::Made(Span::new(start + from, start + to))
            }
        }
    }

    /// Returns the number of bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Lent(bytes) => bytes.len(),
            Self::Made(span) => (span.end - span.start) as usize,
        }
    }

    /// Whether it has none.
    pub(super) fn is_empty(self) -> bool {
        self.len() == 0
    }
}
