//! Expression: the tree that a rule's expressions are compiled to, and what each comes to.
//!
//! Means what Python means by the same operation. Cost is bounded by the size of the tree and of the texts.
//! Must never allocate once its scratch has grown, nor panic on any tree that [`compile`](super::compile)
//! lets through.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::Failure;
use super::constant::{Constant, Matcher};
use super::running::Running;
use super::scratch::GROUPS;
use super::subject::Attribute;
use super::text::{self, Splitting};
use super::value::{Text, Value};
use crate::http::affinity::pairs;
use crate::message::{Known, Span};
use crate::spec::{EndSpec, PlainSpec};

type Result<T> = std::result::Result<T, Failure>;
type Boxed = Box<Expression>;

/// One expression.
#[derive(Debug)]
pub(super) enum Expression {
    None,
    Text(Box<[u8]>),
    Int(i64),
    Bool(bool),
    Attribute(Attribute),
    Slot(usize),
    Header(FieldName),
    HasHeader(FieldName),
    Query(Boxed),
    Cookie(Boxed),
    Compare(Comparison, Boxed, Boxed),
    IsNone(Boxed),
    Not(Boxed),
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Choose(Box<[Self; 3]>),
    OrElse(Boxed, Boxed),
    InSet(Boxed, usize),
    InText(Boxed, Boxed),
    InNetworks(Boxed, usize),
    Lookup(Boxed, usize, Option<Boxed>),
    Concat(Box<[Self]>),
    Lower(Boxed),
    Upper(Boxed),
    Affix(Boxed, Box<[Self]>, EndSpec),
    Remove(Boxed, Boxed, EndSpec),
    Strip(Boxed, Option<Boxed>, EndSpec),
    Split(Boxed, Option<Boxed>, Cutting),
    Partition(Boxed, Boxed, u8, EndSpec),
    Find(Boxed, Boxed, EndSpec),
    Len(Boxed),
    Number(Boxed),
    Str(Boxed),
    Slice(Boxed, Option<Boxed>, Option<Boxed>),
    Index(Boxed, Boxed),
    Match(Box<Matcher>, Boxed, usize),
    Group(usize, usize),
    Sample(u32, Boxed),
}

/// The name of a field, and the known name that it is where it is a literal.
#[derive(Debug)]
pub(super) struct FieldName {
    pub(super) name: Boxed,
    pub(super) known: Option<Known>,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// The part of a split text that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutting {
    pub(super) most: Option<usize>,
    pub(super) index: i64,
    pub(super) from: EndSpec,
}

impl Expression {
    /// Writes the item of this name for people.
    fn item_of(&self, whole: &str) -> String {
        match self {
            Self::Text(name) => format!("{whole}['{}']", name.escape_ascii()),
            _ => format!("{whole}[…]"),
        }
    }

    /// Returns the value.
    pub(super) fn value<'a>(&'a self, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
        Ok(match self {
            Self::None => Value::None,
            Self::Text(text) => Value::text(text),
            Self::Int(number) => Value::Int(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Attribute(attribute) => return run.attribute(*attribute),
            Self::Slot(slot) => run.slots[*slot],
            Self::Header(name) => return name.header(run),
            Self::HasHeader(name) => Value::Bool(name.is_there(run)?),
            Self::Query(name) => {
                let value = query(name, run)?;
                run.tell(|| name.item_of("query_params"), value);
                value
            }
            Self::Cookie(name) => {
                let value = cookie(name, run)?;
                run.tell(|| name.item_of("cookies"), value);
                value
            }
            Self::Compare(how, one, other) => {
                let (one, other) = (one.value(run)?, other.value(run)?);
                Value::Bool(how.holds(one, other, run)?)
            }
            Self::IsNone(of) => Value::Bool(of.value(run)? == Value::None),
            Self::Not(of) => Value::Bool(!of.value(run)?.is_true()),
            Self::All(parts) => return decide(parts, run, false),
            Self::Any(parts) => return decide(parts, run, true),
            Self::Choose(parts) => {
                let [test, then, otherwise] = &**parts;
                return if test.value(run)?.is_true() { then.value(run) } else { otherwise.value(run) };
            }
            Self::OrElse(of, default) => {
                // As in Python, the default is made whether it is needed or not.
                let (of, default) = (of.value(run)?, default.value(run)?);
                if of == Value::None { default } else { of }
            }
            Self::InSet(of, constant) => return in_set(of, *constant, run),
            Self::InText(part, of) => {
                let (part, of) = (part.text(run)?, of.text(run)?);
                let (part, of) = (part.of(run.scratch), of.of(run.scratch));
                Value::Bool(text::find(of, part, EndSpec::Left).is_some())
            }
            Self::InNetworks(of, constant) => return in_networks(of, *constant, run),
            Self::Lookup(of, constant, default) => return lookup(of, *constant, default.as_deref(), run),
            Self::Concat(parts) => return concat(parts, run),
            Self::Lower(of) => return of.in_case(run, <[u8]>::make_ascii_lowercase),
            Self::Upper(of) => return of.in_case(run, <[u8]>::make_ascii_uppercase),
            Self::Affix(of, affixes, end) => return affix(of, affixes, *end, run),
            Self::Remove(of, affix, end) => return remove(of, affix, *end, run),
            Self::Strip(of, chars, end) => return strip(of, chars.as_deref(), *end, run),
            Self::Split(of, separator, cutting) => return split(of, separator.as_deref(), *cutting, run),
            Self::Partition(of, separator, index, end) => {
                return partition(of, separator, (*index, *end), run);
            }
            Self::Find(of, part, end) => {
                let (of, part) = (of.text(run)?, part.text(run)?);
                let at = text::find(of.of(run.scratch), part.of(run.scratch), *end);
                Value::Int(at.map_or(-1, |at| at as i64))
            }
            Self::Len(of) => Value::Int(of.text(run)?.len() as i64),
            Self::Number(of) => return number(of, run),
            Self::Str(of) => return of.written(run),
            Self::Slice(of, start, stop) => return slice(of, start.as_deref(), stop.as_deref(), run),
            Self::Index(of, at) => {
                let (of, at) = (of.text(run)?, at.number(run)?);
                let at = text::item(at, of.len()).ok_or(Failure::Index)?;
                Value::Text(of.part(at, at + 1))
            }
            Self::Match(pattern, of, register) => return matched(pattern, of, *register, run),
            Self::Group(register, group) => match run.scratch.groups.get(register * GROUPS + group) {
                Some(Some(span)) => {
                    Value::Text(run.matched[*register].part(span.start as usize, span.end as usize))
                }
                _ => Value::None,
            },
            Self::Sample(millionths, key) => return sample(*millionths, key, run),
        })
    }

    /// Returns the value, which must be a text.
    pub(super) fn text<'a>(&'a self, run: &mut Running<'a, '_>) -> Result<Text<'a>> {
        match self.value(run)? {
            Value::Text(text) => Ok(text),
            _ => Err(Failure::Type),
        }
    }

    /// Returns the value, which must be a number.
    pub(super) fn number<'a>(&'a self, run: &mut Running<'a, '_>) -> Result<i64> {
        match self.value(run)? {
            Value::Int(number) => Ok(number),
            Value::Bool(truth) => Ok(i64::from(truth)),
            _ => Err(Failure::Type),
        }
    }

    /// Returns the value as a text.
    fn written<'a>(&'a self, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
        match self.value(run)? {
            text @ Value::Text(_) => Ok(text),
            other => {
                let start = run.scratch.text.len();
                run.scratch.push_value(other)?;
                Ok(run.scratch.since(start))
            }
        }
    }

    fn in_case<'a>(&'a self, run: &mut Running<'a, '_>, change: fn(&mut [u8])) -> Result<Value<'a>> {
        let text = self.text(run)?;
        let start = run.scratch.text.len();
        run.scratch.push_text(text)?;
        change(&mut run.scratch.text[start..]);
        Ok(run.scratch.since(start))
    }
}

impl FieldName {
    /// Calls `met` with the place of each field of this name, in order.
    fn fields<'a>(&'a self, run: &mut Running<'a, '_>, mut met: impl FnMut(Span)) -> Result<()> {
        let Some(message) = run.subject.message else { return Ok(()) };
        if let Some(known) = self.known {
            if message.head.has(known) {
                let fields = message.head.fields.iter().filter(|field| field.known == known);
                fields.for_each(|field| met(field.value));
            }
            return Ok(());
        }
        let name = self.name.text(run)?;
        let name = name.of(run.scratch);
        let fields = message.head.fields.iter();
        fields
            .filter(|field| message.name(field).eq_ignore_ascii_case(name))
            .for_each(|field| met(field.value));
        Ok(())
    }

    fn is_there<'a>(&'a self, run: &mut Running<'a, '_>) -> Result<bool> {
        let mut found = false;
        self.fields(run, |_| found = true)?;
        Ok(found)
    }

    /// Returns the values of all fields of this name, with commas between them (RFC 9110 section 5.3).
    fn header<'a>(&'a self, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
        let mut values: SmallVec<[Span; 8]> = SmallVec::new();
        self.fields(run, |value| values.push(value))?;
        let Some(message) = run.subject.message else { return Ok(Value::None) };
        let value = match values[..] {
            [] => Value::None,
            [only] => Value::text(message.text(only)),
            [first, ref others @ ..] => {
                let start = run.scratch.text.len();
                run.scratch.push(message.text(first))?;
                for other in others {
                    run.scratch.push(b", ")?;
                    run.scratch.push(message.text(*other))?;
                }
                run.scratch.since(start)
            }
        };
        run.tell(|| self.name.item_of("headers"), value);
        Ok(value)
    }
}

impl Comparison {
    fn holds(self, one: Value<'_>, other: Value<'_>, run: &Running<'_, '_>) -> Result<bool> {
        let order = match (one, other) {
            (Value::Text(one), Value::Text(other)) => {
                let (one, other) = (one.of(run.scratch), other.of(run.scratch));
                if self == Self::Eq {
                    return Ok(one == other);
                }
                Some(one.cmp(other))
            }
            (Value::Int(_) | Value::Bool(_), Value::Int(_) | Value::Bool(_)) => {
                Some(integer(one).cmp(&integer(other)))
            }
            (Value::Address(one), Value::Address(other)) => Some(one.cmp(&other)),
            (Value::None, Value::None) => Some(Ordering::Equal),
            _ => None,
        };
        let ordered = !matches!(one, Value::None | Value::Address(_));
        match (self, order) {
            (Self::Eq, order) => Ok(order == Some(Ordering::Equal)),
            (Self::Ne, order) => Ok(order != Some(Ordering::Equal)),
            (Self::Lt, Some(order)) if ordered => Ok(order.is_lt()),
            (Self::Le, Some(order)) if ordered => Ok(order.is_le()),
            (Self::Gt, Some(order)) if ordered => Ok(order.is_gt()),
            (Self::Ge, Some(order)) if ordered => Ok(order.is_ge()),
            _ => Err(Failure::Type),
        }
    }
}

fn integer(value: Value<'_>) -> i64 {
    match value {
        Value::Int(number) => number,
        Value::Bool(truth) => i64::from(truth),
        _ => 0,
    }
}

/// Returns the first value whose truth is `until`, or else the last.
fn decide<'a>(parts: &'a [Expression], run: &mut Running<'a, '_>, until: bool) -> Result<Value<'a>> {
    let mut last = Value::Bool(!until);
    for part in parts {
        last = part.value(run)?;
        if last.is_true() == until {
            break;
        }
    }
    Ok(last)
}

fn in_set<'a>(of: &'a Expression, constant: usize, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
    let value = of.value(run)?;
    Ok(Value::Bool(match &run.constants[constant] {
        Constant::Set(set) => set.contains(value, run.scratch),
        Constant::Map(map) => map.get(value, run.scratch).is_some(),
        Constant::Networks(_) | Constant::Regex { .. } => return Err(Failure::Type),
    }))
}

fn in_networks<'a>(of: &'a Expression, constant: usize, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
    let Constant::Networks(networks) = &run.constants[constant] else { return Err(Failure::Type) };
    match of.value(run)? {
        Value::Address(address) => Ok(Value::Bool(networks.contains(address))),
        Value::None => Ok(Value::Bool(false)),
        _ => Err(Failure::Type),
    }
}

fn lookup<'a>(
    of: &'a Expression,
    constant: usize,
    default: Option<&'a Expression>,
    run: &mut Running<'a, '_>,
) -> Result<Value<'a>> {
    let key = of.value(run)?;
    // As in Python, the default is made whether it is needed or not.
    let default = default.map(|default| default.value(run)).transpose()?;
    let Constant::Map(map) = &run.constants[constant] else { return Err(Failure::Type) };
    match (map.get(key, run.scratch), default) {
        (Some(PlainSpec::Text(text)), _) => Ok(Value::text(text.as_bytes())),
        (Some(PlainSpec::Int(number)), _) => Ok(Value::Int(*number)),
        (Some(PlainSpec::Bool(truth)), _) => Ok(Value::Bool(*truth)),
        (Some(PlainSpec::None), _) => Ok(Value::None),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(Failure::Key),
    }
}

fn concat<'a>(parts: &'a [Expression], run: &mut Running<'a, '_>) -> Result<Value<'a>> {
    // Parts may make texts of their own: the whole is written behind all of them.
    let mut values: SmallVec<[Value<'a>; 8]> = SmallVec::new();
    for part in parts {
        values.push(part.value(run)?);
    }
    let start = run.scratch.text.len();
    for value in values {
        run.scratch.push_value(value)?;
    }
    Ok(run.scratch.since(start))
}

fn affix<'a>(
    of: &'a Expression,
    affixes: &'a [Expression],
    end: EndSpec,
    run: &mut Running<'a, '_>,
) -> Result<Value<'a>> {
    let of = of.text(run)?;
    for affix in affixes {
        let affix = affix.text(run)?;
        let (of, affix) = (of.of(run.scratch), affix.of(run.scratch));
        if if end == EndSpec::Right { of.ends_with(affix) } else { of.starts_with(affix) } {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn remove<'a>(
    of: &'a Expression,
    affix: &'a Expression,
    end: EndSpec,
    run: &mut Running<'a, '_>,
) -> Result<Value<'a>> {
    let (of, affix) = (of.text(run)?, affix.text(run)?);
    let (whole, part) = (of.of(run.scratch), affix.of(run.scratch));
    Ok(Value::Text(match end {
        EndSpec::Right if whole.ends_with(part) => of.part(0, of.len() - affix.len()),
        EndSpec::Left if whole.starts_with(part) => of.part(affix.len(), of.len()),
        _ => of,
    }))
}

fn strip<'a>(
    of: &'a Expression,
    chars: Option<&'a Expression>,
    end: EndSpec,
    run: &mut Running<'a, '_>,
) -> Result<Value<'a>> {
    let of = of.text(run)?;
    let chars = chars.map(|chars| chars.text(run)).transpose()?;
    let (from, to) = text::strip(of.of(run.scratch), chars.map(|chars| chars.of(run.scratch)), end);
    Ok(Value::Text(of.part(from, to)))
}

fn split<'a>(
    of: &'a Expression,
    separator: Option<&'a Expression>,
    cutting: Cutting,
    run: &mut Running<'a, '_>,
) -> Result<Value<'a>> {
    let of = of.text(run)?;
    let separator = separator.map(|separator| separator.text(run)).transpose()?;
    if separator.is_some_and(Text::is_empty) {
        return Err(Failure::Value);
    }
    let separator = separator.map(|separator| separator.of(run.scratch));
    let splitting = Splitting { separator, most: cutting.most, from: cutting.from };
    let (from, to) = splitting.part(of.of(run.scratch), cutting.index).ok_or(Failure::Index)?;
    Ok(Value::Text(of.part(from, to)))
}

fn partition<'a>(
    of: &'a Expression,
    separator: &'a Expression,
    wanted: (u8, EndSpec),
    run: &mut Running<'a, '_>,
) -> Result<Value<'a>> {
    let (of, separator) = (of.text(run)?, separator.text(run)?);
    if separator.is_empty() {
        return Err(Failure::Value);
    }
    let (index, end) = wanted;
    let length = of.len();
    let (first, second) = match text::find(of.of(run.scratch), separator.of(run.scratch), end) {
        Some(at) => (at, at + separator.len()),
        // Nothing is found: all of it is the first part, or the last.
        None if end == EndSpec::Right => (0, 0),
        None => (length, length),
    };
    Ok(Value::Text(match index {
        0 => of.part(0, first),
        1 => of.part(first, second),
        _ => of.part(second, length),
    }))
}

fn number<'a>(of: &'a Expression, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
    match of.value(run)? {
        Value::Text(text) => text::number(text.of(run.scratch)).map(Value::Int).ok_or(Failure::Value),
        Value::Bool(truth) => Ok(Value::Int(i64::from(truth))),
        number @ Value::Int(_) => Ok(number),
        _ => Err(Failure::Type),
    }
}

fn slice<'a>(
    of: &'a Expression,
    start: Option<&'a Expression>,
    stop: Option<&'a Expression>,
    run: &mut Running<'a, '_>,
) -> Result<Value<'a>> {
    let of = of.text(run)?;
    let mut bound = |place: Option<&'a Expression>, open: usize| match place {
        Some(place) => place.number(run).map(|place| text::clamp(place, of.len())),
        None => Ok(open),
    };
    let (from, to) = (bound(start, 0)?, bound(stop, of.len())?);
    Ok(Value::Text(of.part(from, to.max(from))))
}

fn matched<'a>(
    pattern: &'a Matcher,
    of: &'a Expression,
    register: usize,
    run: &mut Running<'a, '_>,
) -> Result<Value<'a>> {
    let of = of.text(run)?;
    let mut groups = [None; GROUPS];
    let found = pattern.find(of.of(run.scratch), |group, place| {
        if let Some(slot) = groups.get_mut(group) {
            *slot = place.map(|(start, end)| Span::new(start, end));
        }
    });
    if !found {
        return Ok(Value::None);
    }
    run.matched[register] = of;
    run.scratch.groups[register * GROUPS..][..GROUPS].copy_from_slice(&groups);
    Ok(Value::Match(register))
}

fn sample<'a>(millionths: u32, key: &'a Expression, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
    let key = match key.value(run)? {
        Value::None => return Ok(Value::Bool(false)),
        Value::Text(text) => text::mixed(text.of(run.scratch)),
        other => {
            let start = run.scratch.text.len();
            run.scratch.push_value(other)?;
            text::mixed(&run.scratch.text[start..])
        }
    };
    Ok(Value::Bool(key % 1_000_000 < u64::from(millionths)))
}

/// Returns the value of the first parameter of a name, decoded.
fn query<'a>(name: &'a Expression, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
    let name = name.text(run)?;
    let name = name.of(run.scratch);
    let parameters = run.subject.facts.query().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let mut parameters = parameters.map(|pair| cut(pair, b'='));
    let Some((_, value)) = parameters.find(|(key, _)| text::decodes_to(key, name)) else {
        return Ok(Value::None);
    };
    if !value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Value::text(value));
    }
    let start = run.scratch.text.len();
    run.scratch.push(value)?;
    run.scratch.text.truncate(start);
    text::decode(value, &mut run.scratch.text);
    Ok(run.scratch.since(start))
}

/// Returns the value of the first cookie of a name (RFC 6265 section 4.2).
fn cookie<'a>(name: &'a Expression, run: &mut Running<'a, '_>) -> Result<Value<'a>> {
    let name = name.text(run)?;
    let name = name.of(run.scratch);
    let Some(message) = run.subject.message else { return Ok(Value::None) };
    let mut cookies = message.values(Known::Cookie).flat_map(pairs);
    let found = cookies.find_map(|cookie| {
        let (key, value) = cut(cookie, b'=');
        (key == name && key.len() < cookie.len()).then_some(value)
    });
    Ok(found.map_or(Value::None, Value::text))
}

fn cut(pair: &[u8], at: u8) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == at) {
        Some(place) => (&pair[..place], &pair[place + 1..]),
        None => (pair, b""),
    }
}
