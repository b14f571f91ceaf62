//! Compiling: a Program from its Spec, or every problem of it.
//!
//! What Python's compiler hands over is checked all the same: numbers of places, attributes, names of fields,
//! depth. Must never trust that a Spec came from there.

use crate::http::headers::allowed;
use crate::http::limits::RateLimit;
use crate::http::template::Purpose;
use crate::message::Known;
use crate::networks::Networks;
use crate::path;
use crate::problem::Problem;
use crate::spec::{
    ConstantSpec, EndSpec, ExpressionSpec as E, IntSpec, MannerSpec, ProgramKind, ProgramSpec, RateLimitSpec,
    StatementSpec, VerdictSpec,
};

use super::Program;
use super::constant::{Constant, Map, Matcher, Set};
use super::expression::{Comparison, Cutting, Expression, FieldName};
use super::findings::EditKind;
use super::running::{REGISTERS, SLOTS};
use super::scratch::GROUPS;
use super::statement::Statement;
use super::subject::Attribute;
use super::verdict::{Part, Saying};

/// Levels of expressions and statements within each other.
const MOST_DEPTH: usize = 200;

/// Keys that a `limit` remembers.
const LIMIT_KEYS: u32 = 100_000;

type Boxed = Box<Expression>;

/// One run of compiling.
struct Draft<'a> {
    spec: &'a ProgramSpec,
    constants: Vec<Constant>,
    limits: Vec<RateLimit>,
    asks_time: bool,
    depth: usize,
    errors: Vec<String>,
}

impl Program {
    /// Compiles a rule; the paths of the errors are empty.
    pub fn compile(spec: &ProgramSpec) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft {
            spec,
            constants: Vec::new(),
            limits: Vec::new(),
            asks_time: false,
            depth: 0,
            errors: Vec::new(),
        };
        if spec.slots > SLOTS {
            draft.errors.push(format!("{} local variables are more than {SLOTS}", spec.slots));
        }
        if spec.matches > REGISTERS {
            draft.errors.push(format!("{} matches are more than {REGISTERS}", spec.matches));
        }
        draft.constants = spec.constants.iter().map(|constant| draft.constant(constant)).collect();
        let body = draft.statements(&spec.body);
        let Draft { constants, limits, asks_time, errors, .. } = draft;
        if !errors.is_empty() {
            let problem = |reason| Problem::new(path![], format!("{}: {reason}", spec.name));
            return Err(errors.into_iter().map(problem).collect());
        }
        Ok(Self {
            name: spec.name.as_str().into(),
            file: spec.file.as_str().into(),
            kind: spec.kind,
            matches: spec.matches,
            constants: constants.into(),
            body,
            limits: limits.into(),
            asks_time,
        })
    }
}

impl Draft<'_> {
    fn wrong(&mut self, reason: impl Into<String>) {
        self.errors.push(reason.into());
    }

    fn constant(&mut self, constant: &ConstantSpec) -> Constant {
        match constant {
            ConstantSpec::Set(items) => Constant::Set(Set::of(items)),
            ConstantSpec::Map(pairs) => Constant::Map(Map::of(pairs)),
            ConstantSpec::Networks(written) => {
                Constant::Networks(Networks::parse(written).unwrap_or_else(|errors| {
                    errors.into_iter().for_each(|(_, reason)| self.wrong(reason));
                    Networks::default()
                }))
            }
            ConstantSpec::Regex { pattern, ends } => {
                Constant::Regex { pattern: pattern.clone(), ends: *ends }
            }
        }
    }

    fn statements(&mut self, statements: &[StatementSpec]) -> Box<[Statement]> {
        statements.iter().map(|statement| self.statement(statement)).collect()
    }

    fn statement(&mut self, statement: &StatementSpec) -> Statement {
        if self.is_too_deep() {
            return Statement::Return { verdict: None, line: 0, text: Box::default() };
        }
        self.depth += 1;
        let compiled = match statement {
            StatementSpec::If { test, then, otherwise, line, text } => Statement::If {
                test: self.expression(test),
                then: self.statements(then),
                otherwise: self.statements(otherwise),
                line: *line,
                text: text.as_str().into(),
            },
            StatementSpec::Let { slot, value } => {
                self.check_place(*slot, self.spec.slots, "local variable");
                Statement::Let { slot: *slot, value: self.expression(value) }
            }
            StatementSpec::Return { verdict, line, text } => {
                let verdict = (!verdict.is_empty()).then(|| self.verdict(verdict));
                Statement::Return { verdict, line: *line, text: text.as_str().into() }
            }
            StatementSpec::Inline { body, tail, name } => {
                Statement::Inline { body: self.statements(body), tail: *tail, name: name.as_str().into() }
            }
        };
        self.depth -= 1;
        compiled
    }

    /// Whether there are too many levels, which is said once.
    fn is_too_deep(&mut self) -> bool {
        let deep = self.depth >= MOST_DEPTH;
        if deep {
            let reason = format!("it is nested deeper than {MOST_DEPTH} levels");
            if !self.errors.contains(&reason) {
                self.wrong(reason);
            }
        }
        deep
    }

    fn check_place(&mut self, place: usize, all: usize, what: &str) {
        if place >= all {
            self.wrong(format!("there is no {what} {place}"));
        }
    }

    fn boxed(&mut self, expression: &E) -> Boxed {
        Box::new(self.expression(expression))
    }

    fn maybe(&mut self, expression: Option<&E>) -> Option<Boxed> {
        expression.map(|expression| self.boxed(expression))
    }

    fn all(&mut self, expressions: &[E]) -> Box<[Expression]> {
        expressions.iter().map(|expression| self.expression(expression)).collect()
    }

    fn expression(&mut self, expression: &E) -> Expression {
        if self.is_too_deep() {
            return Expression::None;
        }
        self.depth += 1;
        let compiled = self.compiled(expression);
        self.depth -= 1;
        compiled
    }

    fn compiled(&mut self, expression: &E) -> Expression {
        use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
        match expression {
            E::None => Expression::None,
            E::Text(text) => Expression::Text(text.as_bytes().into()),
            E::Int(IntSpec::Number(number)) => Expression::Int(*number),
            E::Int(IntSpec::Of(of)) => Expression::Number(self.boxed(of)),
            E::Bool(truth) => Expression::Bool(*truth),
            E::Get(name) => self.attribute(name),
            E::Slot(slot) => {
                self.check_place(*slot, self.spec.slots, "local variable");
                Expression::Slot(*slot)
            }
            E::Header(name) => Expression::Header(self.field_name(name)),
            E::HasHeader(name) => Expression::HasHeader(self.field_name(name)),
            E::Query(name) => Expression::Query(self.boxed(name)),
            E::Cookie(name) => Expression::Cookie(self.boxed(name)),
            E::Eq(one, other) => self.compare(Eq, one, other),
            E::Ne(one, other) => self.compare(Ne, one, other),
            E::Lt(one, other) => self.compare(Lt, one, other),
            E::Le(one, other) => self.compare(Le, one, other),
            E::Gt(one, other) => self.compare(Gt, one, other),
            E::Ge(one, other) => self.compare(Ge, one, other),
            E::IsNone(of) => Expression::IsNone(self.boxed(of)),
            E::Not(of) => Expression::Not(self.boxed(of)),
            E::And(parts) => Expression::All(self.all(parts)),
            E::Or(parts) => Expression::Any(self.all(parts)),
            E::Choose(test, then, otherwise) => Expression::Choose(Box::new([
                self.expression(test),
                self.expression(then),
                self.expression(otherwise),
            ])),
            E::OrElse(of, default) => Expression::OrElse(self.boxed(of), self.boxed(default)),
            E::InSet(of, constant) => {
                self.check_constant(*constant, |one| matches!(one, Constant::Set(_) | Constant::Map(_)));
                Expression::InSet(self.boxed(of), *constant)
            }
            E::InNetworks(of, constant) => {
                self.check_constant(*constant, |one| matches!(one, Constant::Networks(_)));
                Expression::InNetworks(self.boxed(of), *constant)
            }
            E::Lookup(of, constant, default) => {
                self.check_constant(*constant, |one| matches!(one, Constant::Map(_)));
                Expression::Lookup(self.boxed(of), *constant, self.maybe(default.as_deref()))
            }
            E::Match(constant, of, register, manner) => self.pattern(*constant, of, (*register, *manner)),
            E::Group(register, group) => {
                self.check_place(*register, self.spec.matches, "match");
                self.check_place(*group, GROUPS, "group");
                Expression::Group(*register, *group)
            }
            E::Sample(millionths, key) => Expression::Sample(*millionths, self.boxed(key)),
            of_text => self.of_text(of_text),
        }
    }

    /// Compiles what texts are asked and made of.
    fn of_text(&mut self, expression: &E) -> Expression {
        match expression {
            E::InText(part, of) => Expression::InText(self.boxed(part), self.boxed(of)),
            E::Concat(parts) => Expression::Concat(self.all(parts)),
            E::Lower(of) => Expression::Lower(self.boxed(of)),
            E::Upper(of) => Expression::Upper(self.boxed(of)),
            E::Starts(of, affixes) => Expression::Affix(self.boxed(of), self.all(affixes), EndSpec::Left),
            E::Ends(of, affixes) => Expression::Affix(self.boxed(of), self.all(affixes), EndSpec::Right),
            E::RemovePrefix(of, affix) => {
                Expression::Remove(self.boxed(of), self.boxed(affix), EndSpec::Left)
            }
            E::RemoveSuffix(of, affix) => {
                Expression::Remove(self.boxed(of), self.boxed(affix), EndSpec::Right)
            }
            E::Strip(of, chars, end) => Expression::Strip(self.boxed(of), self.maybe(chars.as_deref()), *end),
            E::Split(of, separator, most, index, from) => {
                let most = most.and_then(|most| usize::try_from(most).ok());
                let cutting = Cutting { most, index: *index, from: *from };
                Expression::Split(self.boxed(of), self.maybe(separator.as_deref()), cutting)
            }
            E::Partition(of, separator, index, end) => {
                Expression::Partition(self.boxed(of), self.boxed(separator), *index, *end)
            }
            E::Find(of, part, end) => Expression::Find(self.boxed(of), self.boxed(part), *end),
            E::Len(of) => Expression::Len(self.boxed(of)),
            E::Str(of) => Expression::Str(self.boxed(of)),
            E::Slice(of, start, stop) => {
                let (start, stop) = (self.maybe(start.as_deref()), self.maybe(stop.as_deref()));
                Expression::Slice(self.boxed(of), start, stop)
            }
            E::Index(of, at) => Expression::Index(self.boxed(of), self.boxed(at)),
            _ => Expression::None,
        }
    }

    fn attribute(&mut self, name: &str) -> Expression {
        match Attribute::find(name, self.spec.kind) {
            Some(attribute) => {
                self.asks_time |= attribute.asks_time();
                Expression::Attribute(attribute)
            }
            None => {
                self.wrong(format!("there is no attribute \"{name}\""));
                Expression::None
            }
        }
    }

    fn field_name(&mut self, name: &E) -> FieldName {
        let known = match name {
            E::Text(text) => Some(Known::of(text.as_bytes())).filter(|known| *known != Known::Other),
            _ => None,
        };
        FieldName { name: self.boxed(name), known }
    }

    fn compare(&mut self, how: Comparison, one: &E, other: &E) -> Expression {
        Expression::Compare(how, self.boxed(one), self.boxed(other))
    }

    fn check_constant(&mut self, constant: usize, suits: fn(&Constant) -> bool) {
        if !self.constants.get(constant).is_some_and(suits) {
            self.wrong(format!("there is no such constant {constant}"));
        }
    }

    fn pattern(&mut self, constant: usize, of: &E, found: (usize, MannerSpec)) -> Expression {
        let (register, manner) = found;
        self.check_place(register, self.spec.matches, "match");
        let compiled = match self.constants.get(constant) {
            Some(Constant::Regex { pattern, ends }) => Matcher::compile(pattern, *ends, manner),
            _ => Err(format!("there is no such constant {constant}")),
        };
        match compiled {
            Ok(pattern) if pattern.groups() > GROUPS => {
                self.wrong(format!("an expression has more than {} groups", GROUPS - 1));
                Expression::None
            }
            Ok(pattern) => Expression::Match(Box::new(pattern), self.boxed(of), register),
            Err(reason) => {
                self.wrong(reason);
                Expression::None
            }
        }
    }

    /// Compiles a verdict.
    fn verdict(&mut self, parts: &[VerdictSpec]) -> Saying {
        let mut compiled = Vec::new();
        for part in parts {
            self.part(part, &mut compiled);
        }
        let kind = self.spec.kind;
        for what in compiled.iter().filter_map(|part| part.unsuited(kind)) {
            self.wrong(what);
        }
        if compiled.iter().filter(|part| part.ends()).count() > 1 {
            self.wrong("a verdict has one of route, respond, redirect, reject and consult");
        }
        Saying(compiled.into())
    }

    fn part(&mut self, part: &VerdictSpec, out: &mut Vec<Part>) {
        let made = match part {
            VerdictSpec::Route { backend, server } => {
                let server = server.as_ref().map(|server| self.expression(server));
                Part::Route(self.expression(backend), server)
            }
            VerdictSpec::Respond { status, body, headers } => {
                let headers = self.fields(headers, Purpose::Answer);
                let body = body.as_ref().map(|body| self.expression(body));
                Part::Respond(self.expression(status), body, headers)
            }
            VerdictSpec::Redirect { to, code } => {
                if !matches!(code, 301 | 302 | 303 | 307 | 308) {
                    self.wrong(format!("{code} is no status of a redirect: 301, 302, 303, 307 or 308"));
                }
                Part::Redirect(self.expression(to), *code)
            }
            VerdictSpec::Reject { reason } => {
                Part::Reject(reason.as_ref().map(|reason| self.expression(reason)))
            }
            VerdictSpec::Limit { key, requests, per, burst } => {
                Part::Limit(self.expression(key), self.limit(*requests, *per, *burst))
            }
            VerdictSpec::Log(fields) => {
                let is_key = |key: &str| {
                    let mut bytes = key.bytes();
                    bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
                        && bytes
                            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                };
                if let Some((key, _)) = fields.iter().find(|(key, _)| !is_key(key)) {
                    self.wrong(format!("\"{key}\" is no key of a record: small letters, digits and _"));
                }
                let fields = fields.iter().map(|(key, value)| (key.as_str().into(), self.expression(value)));
                Part::Log(fields.collect())
            }
            VerdictSpec::Consult(analyzer) => Part::Consult(analyzer.as_str().into()),
            VerdictSpec::Rewrite { .. } => return self.rewrite(part, out),
        };
        out.push(made);
    }

    fn rewrite(&mut self, part: &VerdictSpec, out: &mut Vec<Part>) {
        let VerdictSpec::Rewrite { set, add, remove, path, host, query } = part else { return };
        let response = self.spec.kind == ProgramKind::Response;
        let purpose = if response { Purpose::Response } else { Purpose::Request };
        for (kind, fields) in [(EditKind::Set, set), (EditKind::Add, add)] {
            let fields = Vec::from(self.fields(fields, purpose));
            out.extend(fields.into_iter().map(|(name, value)| Part::Edit(kind, name, Some(value))));
        }
        for name in remove {
            self.check_field(name, purpose);
            out.push(Part::Edit(EditKind::Remove, name.as_str().into(), None));
        }
        out.extend(path.as_ref().map(|path| Part::Path(self.expression(path))));
        out.extend(host.as_ref().map(|host| Part::Host(self.expression(host))));
        out.extend(query.as_ref().map(|query| Part::Query(self.expression(query))));
    }

    fn fields(&mut self, fields: &[(String, E)], purpose: Purpose) -> Box<[(Box<str>, Expression)]> {
        fields
            .iter()
            .map(|(name, value)| {
                self.check_field(name, purpose);
                (name.as_str().into(), self.expression(value))
            })
            .collect()
    }

    fn check_field(&mut self, name: &str, purpose: Purpose) {
        if let Err(flaw) = allowed(name, purpose) {
            self.wrong(flaw.reason);
        }
    }

    /// Makes the buckets of a limit, and returns its number.
    fn limit(&mut self, requests: u32, per: u64, burst: u32) -> usize {
        let spec = RateLimitSpec { requests, per, burst: Some(burst), keys: LIMIT_KEYS, header: None };
        match RateLimit::compile(&spec) {
            Ok(limit) => self.limits.push(limit),
            Err(problems) => problems.into_iter().for_each(|problem| self.wrong(problem.reason)),
        }
        self.limits.len().saturating_sub(1)
    }
}

impl Part {
    /// Says why a part suits no rule of this kind; None where it does.
    fn unsuited(&self, kind: ProgramKind) -> Option<&'static str> {
        match (self, kind) {
            (Self::Respond(..) | Self::Redirect(..) | Self::Edit(..), ProgramKind::Hello) => {
                Some("a hello has no answer and no fields: route, reject, limit and log are for it")
            }
            (Self::Path(_) | Self::Host(_) | Self::Query(_), ProgramKind::Hello | ProgramKind::Response) => {
                Some("only requests have a path, a host and a query to rewrite")
            }
            (Self::Route(..) | Self::Limit(..), ProgramKind::Response) => {
                Some("a response goes to its client: respond, redirect, reject, rewrite and log are for it")
            }
            _ => None,
        }
    }

    /// Whether nothing after it is asked.
    fn ends(&self) -> bool {
        matches!(
            self,
            Self::Route(..) | Self::Respond(..) | Self::Redirect(..) | Self::Reject(_) | Self::Consult(_)
        )
    }
}
