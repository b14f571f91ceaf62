//! Verdicts of rules: what each says at the end, as a tree whose texts are made when it is said.
//!
//! Texts are made in the order of the source. A limit that is exceeded goes before the word that ends it.
//! Must never do what it says: who asked does.

use super::Failure;
use super::expression::Expression;
use super::findings::{Edit, EditKind, End, Findings, LogField, Verdicts};
use super::running::Running;
use super::value::Value;
use crate::http::limits::RateLimit;
use crate::message::Span;
use crate::time::Millis;

/// A verdict.
#[derive(Debug)]
pub(super) struct Saying(pub(super) Box<[Part]>);

/// One part of a verdict.
#[derive(Debug)]
pub(super) enum Part {
    Log(Box<[(Box<str>, Expression)]>),
    Edit(EditKind, Box<str>, Option<Expression>),
    Path(Expression),
    Host(Expression),
    Query(Expression),
    /// The key, and the number of the limit.
    Limit(Expression, usize),
    Route(Expression, Option<Expression>),
    Respond(Expression, Option<Expression>, Box<[(Box<str>, Expression)]>),
    Redirect(Expression, u16),
    Reject(Option<Expression>),
    Consult(Box<str>),
}

/// The limits of a program, and the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct LimitsNow<'a> {
    pub(super) all: &'a [RateLimit],
    pub(super) now: Millis,
}

impl Saying {
    /// Says it: its texts are made, and all of it is noted. A failure leaves `said` without an end.
    pub(super) fn say<'a>(
        &'a self,
        run: &mut Running<'a, '_>,
        said: &mut Verdicts,
        limits: LimitsNow<'_>,
    ) -> Result<(), Failure> {
        let mut ends = None;
        for part in &self.0 {
            part.say(run, said, limits)?;
            let end = said.end.take();
            ends = end.filter(|end| ends.is_none() || matches!(end, End::Limited { .. })).or(ends);
        }
        said.end = ends;
        Ok(())
    }
}

impl Part {
    fn say<'a>(
        &'a self,
        run: &mut Running<'a, '_>,
        said: &mut Verdicts,
        limits: LimitsNow<'_>,
    ) -> Result<(), Failure> {
        match self {
            Self::Log(fields) => {
                for (key, value) in fields {
                    let (key, value) = (run.scratch.keep(Value::text(key.as_bytes()))?, keep(value, run)?);
                    said.log.push(LogField { key, value });
                }
            }
            Self::Edit(kind, name, value) => said.edits.push(edit(*kind, name, value.as_ref(), run)?),
            Self::Path(path) => said.path = Some(path_of(path, run)?),
            Self::Query(query) => said.query = Some(query_of(query, run)?),
            Self::Host(host) => said.host = Some(host_of(host, run)?),
            Self::Limit(key, number) => {
                let key = keep(key, run)?;
                let limit = limits.all.get(*number).ok_or(Failure::Type)?;
                if let Err(retry_after) = limit.admit_key(run.scratch.bytes(key), limits.now) {
                    said.end = Some(End::Limited { retry_after });
                }
            }
            Self::Route(backend, server) => {
                let backend = keep(backend, run)?;
                let server = server.as_ref().map(|server| optional(server, run)).transpose()?.flatten();
                said.end = Some(End::Route { backend, server });
            }
            Self::Respond(status, body, fields) => {
                let status = status.number(run)?;
                let status = u16::try_from(status).ok().filter(|status| (200..=599).contains(status));
                let body = body.as_ref().map(|body| keep(body, run)).transpose()?.unwrap_or_default();
                for (name, value) in fields {
                    let name = run.scratch.keep(Value::text(name.as_bytes()))?;
                    said.answer.push((name, keep(value, run)?));
                }
                said.end = Some(End::Respond { status: status.ok_or(Failure::Value)?, body });
            }
            Self::Redirect(to, code) => {
                said.end = Some(End::Redirect { to: keep(to, run)?, code: *code });
            }
            Self::Reject(reason) => {
                let reason = reason.as_ref().map(|reason| keep(reason, run)).transpose()?;
                said.end = Some(End::Reject { reason: reason.unwrap_or_default() });
            }
            Self::Consult(analyzer) => {
                let analyzer = run.scratch.keep(Value::text(analyzer.as_bytes()))?;
                said.end = Some(End::Consult { analyzer });
            }
        }
        Ok(())
    }
}

/// Makes the text of an expression.
fn keep<'a>(of: &'a Expression, run: &mut Running<'a, '_>) -> Result<Span, Failure> {
    let value = of.value(run)?;
    run.scratch.keep(value)
}

/// Makes the text of an expression that may be None.
fn optional<'a>(of: &'a Expression, run: &mut Running<'a, '_>) -> Result<Option<Span>, Failure> {
    match of.value(run)? {
        Value::None => Ok(None),
        value => run.scratch.keep(value).map(Some),
    }
}

fn edit<'a>(
    kind: EditKind,
    name: &'a str,
    value: Option<&'a Expression>,
    run: &mut Running<'a, '_>,
) -> Result<Edit, Failure> {
    let value = value.map(|value| optional(value, run)).transpose()?.flatten();
    // What is set to None is removed.
    let kind = if value.is_none() { EditKind::Remove } else { kind };
    let name = run.scratch.keep(Value::text(name.as_bytes()))?;
    Ok(Edit { kind, name, value: value.unwrap_or_default() })
}

/// Makes a path.
fn path_of<'a>(of: &'a Expression, run: &mut Running<'a, '_>) -> Result<Span, Failure> {
    let span = keep(of, run)?;
    if Findings::may_be_path(run.scratch.bytes(span)) { Ok(span) } else { Err(Failure::Value) }
}

/// Makes a query.
fn query_of<'a>(of: &'a Expression, run: &mut Running<'a, '_>) -> Result<Span, Failure> {
    let span = keep(of, run)?;
    if Findings::may_be_query(run.scratch.bytes(span)) { Ok(span) } else { Err(Failure::Value) }
}

/// Makes a host, held to what clients' hosts are.
fn host_of<'a>(of: &'a Expression, run: &mut Running<'a, '_>) -> Result<Span, Failure> {
    let span = keep(of, run)?;
    if Findings::may_be_host(run.scratch.bytes(span)) { Ok(span) } else { Err(Failure::Value) }
}
