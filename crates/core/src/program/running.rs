//! Running: one run of a program: its subject, local variables and memory.
//!
//! Must never outlive the call that it serves.

use super::Failure;
use super::constant::Constant;
use super::scratch::Scratch;
use super::subject::{Attribute, Subject};
use super::value::{Text, Value};

/// Local variables at most.
pub(super) const SLOTS: usize = 32;

/// Registers for matches at most.
pub(super) const REGISTERS: usize = 16;

/// One run of a program. `'a`: the program and its subject; `'s`: the memory.
#[derive(Debug)]
pub(super) struct Running<'a, 's> {
    pub(super) subject: &'s Subject<'a>,
    pub(super) constants: &'a [Constant],
    pub(super) scratch: &'s mut Scratch,
    pub(super) slots: [Value<'a>; SLOTS],
    /// Texts that the matches of the registers are in.
    pub(super) matched: [Text<'a>; REGISTERS],
    /// Attributes that were read, with their values, where somebody wants to know.
    pub(super) reads: Option<Vec<(String, String)>>,
}

impl<'a, 's> Running<'a, 's> {
    /// Begins a run.
    pub(super) fn new(subject: &'s Subject<'a>, constants: &'a [Constant], scratch: &'s mut Scratch) -> Self {
        let (slots, matched) = ([Value::None; SLOTS], [Text::Lent(b""); REGISTERS]);
        Self { subject, constants, scratch, slots, matched, reads: None }
    }

    /// Returns the value of an attribute; texts of the time are made.
    pub(super) fn attribute(&mut self, attribute: Attribute) -> Result<Value<'a>, Failure> {
        let made = match attribute {
            Attribute::Now(of) => of.parts(self.subject.wall),
            _ => None,
        };
        let value = match made {
            None => attribute.of(self.subject),
            Some((parts, between)) => {
                let start = self.scratch.text.len();
                for (index, part) in parts.into_iter().enumerate() {
                    if index > 0 {
                        self.scratch.push(&[between])?;
                    }
                    if part < 10 {
                        self.scratch.push(b"0")?;
                    }
                    self.scratch.push_value(Value::Int(part as i64))?;
                }
                self.scratch.since(start)
            }
        };
        self.tell(|| attribute.name().to_owned(), value);
        Ok(value)
    }

    /// Notes what was read, where somebody wants to know.
    pub(super) fn tell(&mut self, name: impl FnOnce() -> String, value: Value<'a>) {
        if let Some(reads) = &mut self.reads {
            reads.push((name(), self.scratch.shown(value)));
        }
    }
}
