//! TOML 1.0 with positions: a value as JSON in file order, and where every key and array item is written.
//!
//! Must never know which keys mean something: that is the configuration's. Lines and columns count from 1,
//! columns in characters (not bytes).

use std::ops::Range;

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::to_json;

create_exception!(
    headworks._engine,
    TomlError,
    PyValueError,
    "Text that is not TOML; args are (reason, line, column)."
);

/// Parse TOML; see `_engine.pyi`.
#[pyfunction]
pub(crate) fn parse_toml(py: Python<'_>, text: &str) -> PyResult<String> {
    py.detach(|| parse(text)).map_err(|(reason, at)| TomlError::new_err((reason, at.line, at.column)))
}

fn parse(text: &str) -> Result<String, (String, Position)> {
    let lines = Lines::of(text);
    let root = DeTable::parse(text).map_err(|error| {
        let reason = error.message().replace('\n', ", ");
        (reason, lines.position(error.span().map_or(0, |span| span.start)))
    })?;
    let mut walk = Walk { lines: &lines, path: Vec::new(), positions: Vec::new() };
    walk.table(root.get_ref())?;
    let document = Document { value: Table(root.get_ref()), positions: walk.positions };
    to_json(&document).map_err(|error| (error.to_string(), Position { line: 1, column: 1 }))
}

#[derive(Serialize)]
struct Document<'a> {
    value: Table<'a>,
    positions: Vec<(Vec<Key>, usize, usize)>,
}

#[derive(Serialize, Clone)]
#[serde(untagged)]
enum Key {
    Name(String),
    Index(usize),
}

struct Position {
    line: usize,
    column: usize,
}

/// Where lines begin: a byte offset becomes a position by one binary search.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or("");
        Position { line, column: before.chars().count() + 1 }
    }
}

/// Collects positions and refuses what JSON cannot carry.
struct Walk<'a> {
    lines: &'a Lines<'a>,
    path: Vec<Key>,
    positions: Vec<(Vec<Key>, usize, usize)>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Result<(), (String, Position)> {
        for (key, value) in table.iter() {
            self.item(Key::Name(key.get_ref().to_string()), key.span(), value)?;
        }
        Ok(())
    }

    fn item(
        &mut self,
        key: Key,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), (String, Position)> {
        let at = self.lines.position(span.start);
        self.path.push(key);
        self.positions.push((self.path.clone(), at.line, at.column));
        match value.get_ref() {
            DeValue::Table(table) => self.table(table)?,
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.item(Key::Index(index), item.span(), item)?;
                }
            }
            DeValue::Integer(number) if integer(number).is_none() => {
                let reason = format!("{number} does not fit in 64 bits");
                return Err((reason, self.lines.position(value.span().start)));
            }
            _ => {}
        }
        self.path.pop();
        Ok(())
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A table in file order: the order of regular expressions matters.
struct Table<'a>(&'a DeTable<'a>);

impl Serialize for Table<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (key, value) in entries {
            map.serialize_entry(key.get_ref(), &Value(value.get_ref()))?;
        }
        map.end()
    }
}

struct Value<'a>(&'a DeValue<'a>);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            DeValue::String(text) => serializer.serialize_str(text),
            DeValue::Integer(number) => match integer(number) {
                Some(number) => serializer.serialize_i64(number),
                None => Err(S::Error::custom("an integer does not fit in 64 bits")),
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => serializer.serialize_f64(number),
                // JSON has neither inf nor nan.
                _ => serializer.serialize_str(number.as_str()),
            },
            DeValue::Boolean(value) => serializer.serialize_bool(*value),
            DeValue::Datetime(time) => serializer.serialize_str(&time.to_string()),
            DeValue::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    list.serialize_element(&Value(item.get_ref()))?;
                }
                list.end()
            }
            DeValue::Table(table) => Table(table).serialize(serializer),
        }
    }
}
