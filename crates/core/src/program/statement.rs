//! Statements: the way through a rule, from its first line to a verdict.
//!
//! Runs each statement at most once, so that a run ends. Must never know what an expression means.

use super::Failure;
use super::expression::Expression;
use super::running::Running;
use super::verdict::Saying;

/// One statement.
#[derive(Debug)]
pub(super) enum Statement {
    If { test: Expression, then: Box<[Self]>, otherwise: Box<[Self]>, line: u32, text: Box<str> },
    Let { slot: usize, value: Expression },
    Return { verdict: Option<Saying>, line: u32, text: Box<str> },
    Inline { body: Box<[Self]>, tail: bool, name: Box<str> },
}

/// The end that a run of statements came to.
#[derive(Debug)]
pub(super) enum Ended<'a> {
    /// Statements were run to the last.
    On,
    /// The rule is over, with this verdict.
    Return(Option<&'a Saying>),
}

/// The account of a run.
#[derive(Debug)]
pub(super) struct Trace<'t> {
    pub(super) file: &'t str,
    pub(super) steps: &'t mut Vec<String>,
}

/// Runs statements in order.
pub(super) fn run<'a>(
    statements: &'a [Statement],
    running: &mut Running<'a, '_>,
    trace: &mut Option<Trace<'_>>,
) -> Result<Ended<'a>, Failure> {
    for statement in statements {
        match statement {
            Statement::Let { slot, value } => running.slots[*slot] = value.value(running)?,
            Statement::Return { verdict, line, text } => {
                if let Some(trace) = trace {
                    trace.steps.push(format!("{}:{line}: return {text}", trace.file));
                }
                return Ok(Ended::Return(verdict.as_ref()));
            }
            Statement::If { test, then, otherwise, line, text } => {
                let holds = test.value(running)?.is_true();
                if let Some(trace) = trace {
                    let values = values(running);
                    let is = if holds { "true" } else { "false" };
                    trace.steps.push(format!("{}:{line}: {text} is {is}{values}", trace.file));
                }
                if let returned @ Ended::Return(_) =
                    run(if holds { then } else { otherwise }, running, trace)?
                {
                    return Ok(returned);
                }
            }
            Statement::Inline { body, tail, name } => {
                if let Some(trace) = trace {
                    trace.steps.push(format!("{}: asks {name}", trace.file));
                }
                match run(body, running, trace)? {
                    Ended::Return(Some(verdict)) => return Ok(Ended::Return(Some(verdict))),
                    Ended::On | Ended::Return(None) if *tail => return Ok(Ended::Return(None)),
                    Ended::On | Ended::Return(None) => {}
                }
            }
        }
    }
    Ok(Ended::On)
}

/// Writes the attributes read since the last call, with their values.
fn values(running: &mut Running<'_, '_>) -> String {
    let mut reads = running.reads.replace(Vec::new()).unwrap_or_default();
    reads.dedup();
    let parts: Vec<_> = reads.into_iter().map(|(name, value)| format!("{name} is {value}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}
