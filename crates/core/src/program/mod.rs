//! Programs: rules that people wrote in Python, compiled to trees that judge requests, responses and hellos.
//!
//! | file | owns |
//! |---|---|
//! | `compile.rs` | the way from a Spec to a Program, with every problem |
//! | `statement.rs`, `expression.rs` | the trees, and how they run |
//! | `verdict.rs`, `findings.rs` | what a rule may say; what has been said of one thing |
//! | `list.rs` | the rules of a listener or backend, in order |
//! | `subject.rs` | what is judged, and its attributes |
//! | `value.rs`, `text.rs`, `constant.rs` | values, the methods of texts, what is looked into |
//! | `running.rs`, `scratch.rs` | one run, and the memory that runs share |
//! | `trial.rs` | one run for a test |
//!
//! No Python runs: an operation means what it means there, which a differential test holds. There are no
//! loops, so that a run costs no more than its source is long. Must never allocate per request once its
//! memory has grown, nor read a clock.

mod compile;
mod constant;
mod expression;
mod findings;
mod list;
mod running;
mod scratch;
mod statement;
mod subject;
mod text;
mod trial;
mod value;
mod verdict;

use std::fmt;

pub use findings::{Edit, EditKind, End, Findings, LogField, Verdicts};
pub use list::Programs;
pub use scratch::{MOST_TEXT, Scratch};
pub use subject::{Hello, Plain, Subject, attributes, read};
pub use trial::{TrialHello, TrialOutcome, TrialPart, TrialRequest, TrialResponse, TrialSubject, TrialTls};

use constant::Constant;
use running::Running;
use statement::{Ended, Statement, Trace, run};
use verdict::LimitsNow;

use crate::http::limits::RateLimit;
use crate::spec::ProgramKind;

/// A compiled rule.
#[derive(Debug)]
pub struct Program {
    name: Box<str>,
    file: Box<str>,
    kind: ProgramKind,
    matches: usize,
    constants: Box<[Constant]>,
    body: Box<[Statement]>,
    /// Limits of its verdicts, in the order of the source.
    limits: Box<[RateLimit]>,
    asks_time: bool,
}

/// A failure of a rule while it runs: what Python raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A text is no number, or cannot be split so.
    Value,
    /// There is no such part of a text.
    Index,
    /// A table has no such key.
    Key,
    /// An operation does not suit its values.
    Type,
    /// The texts made are longer than [`MOST_TEXT`].
    TooLong,
}

impl Program {
    /// Returns the name that `rules` has for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what it judges.
    pub fn kind(&self) -> ProgramKind {
        self.kind
    }

    /// Whether it takes the time of day.
    pub fn asks_time(&self) -> bool {
        self.asks_time
    }

    /// Returns limits with buckets of their own.
    fn fresh_limits(&self) -> Box<[RateLimit]> {
        self.limits.iter().map(|limit| limit.adopt(None)).collect()
    }

    fn run(
        &self,
        subject: &Subject<'_>,
        findings: &mut Findings,
        limits: LimitsNow<'_>,
        told: Option<&mut Vec<String>>,
    ) {
        findings.begin(self.matches);
        let Findings { scratch, said, .. } = findings;
        let mut running = Running::new(subject, &self.constants, scratch);
        running.reads = told.is_some().then(Vec::new);
        let mut trace = told.map(|steps| Trace { file: &self.file, steps });
        let mut outcome = run(&self.body, &mut running, &mut trace);
        if let Ok(Ended::Return(Some(verdict))) = &outcome
            && let Err(failure) = verdict.say(&mut running, said, limits)
        {
            outcome = Err(failure);
        }
        let word = match outcome {
            Ok(Ended::Return(Some(_))) => None,
            Ok(Ended::On | Ended::Return(None)) => Some("no verdict".to_owned()),
            Err(failure) => {
                said.failure = Some(failure);
                Some(format!("fails ({failure})"))
            }
        };
        if let Some((trace, word)) = trace.zip(word) {
            trace.steps.push(format!("{}: {word}", self.name));
        }
    }
}

impl Failure {
    /// Returns what Python would raise.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "ValueError",
            Self::Index => "IndexError",
            Self::Key => "KeyError",
            Self::Type => "TypeError",
            Self::TooLong => "MemoryError",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
