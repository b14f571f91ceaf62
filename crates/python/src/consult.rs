//! Questions to analyzers as Python sees them: pulled in batches, read lazily, answered in batches.
//!
//! Owns how an answer is written: a tuple of parts, each a tuple that begins with its word. Must never call
//! an analyzer: Python's threads do.

use std::time::Duration;

use headworks_core::close::ConsultFault;
use headworks_core::consult::{Advice, AdvicePart, BodyWord, RateKind};
use headworks_core::program::{EditKind, Plain};
use headworks_core::spec::ProgramKind;
use headworks_engine::{Answer, Question as Asked, Questions as Inner};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::seconds;

/// The questions put to one analyzer.
#[pyclass(frozen, module = "headworks._engine")]
pub(crate) struct Questions {
    inner: Inner,
}

/// One question.
#[pyclass(frozen, module = "headworks._engine")]
pub(crate) struct Question {
    inner: Asked,
}

/// Questions, numbers of those that need no answer any more, and connections and exchanges that are over.
type Pulled = (Vec<Question>, Vec<u64>, Vec<u64>);

impl Questions {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl Questions {
    /// Takes what has come; see `_engine.pyi`.
    fn pull(&self, py: Python<'_>, most: usize, timeout: f64) -> PyResult<Option<Pulled>> {
        let timeout = seconds(timeout)?;
        // Letting others run may cost a turn of theirs: only who has to wait does so.
        let batch = if timeout.is_zero() || self.inner.is_ready() {
            self.inner.pull(most, Duration::ZERO)
        } else {
            py.detach(|| self.inner.pull(most, timeout))
        };
        Ok(batch.map(|batch| {
            let questions = batch.questions.into_iter().map(|inner| Question { inner }).collect();
            (questions, batch.cancelled, batch.over)
        }))
    }

    /// A descriptor that is readable while there is something to pull.
    fn fileno(&self) -> PyResult<i32> {
        self.inner.descriptor().ok_or_else(|| PyOSError::new_err("no descriptor was left for this analyzer"))
    }

    /// Gives answers; see `_engine.pyi`.
    #[expect(clippy::needless_pass_by_value, reason = "Python's list is read into values of ours")]
    fn answer(
        &self,
        answers: Vec<(Bound<'_, Question>, Option<Bound<'_, PyTuple>>)>,
        busy: f64,
    ) -> PyResult<()> {
        let mut given = Vec::with_capacity(answers.len());
        for (question, parts) in &answers {
            let advice = parts.as_ref().map(advice).transpose()?.unwrap_or_default();
            given.push(Answer { ticket: question.get().inner.ticket, advice });
        }
        let busy = Duration::try_from_secs_f64(busy).unwrap_or_default();
        // Nothing is waited for here, so that others need not run meanwhile.
        self.inner.answer(given, busy);
        Ok(())
    }
}

#[pymethods]
impl Question {
    #[getter]
    fn hook<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        // The one object that Python has of each, so that methods are found by it at once.
        PyString::intern(py, self.inner.hook().as_str())
    }

    #[getter]
    fn ticket(&self) -> u64 {
        self.inner.ticket.number
    }

    #[getter]
    fn connection(&self) -> u64 {
        self.inner.connection()
    }

    #[getter]
    fn exchange(&self) -> u64 {
        self.inner.exchange()
    }

    #[getter]
    fn chunk<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.chunk())
    }

    #[getter]
    fn last(&self) -> bool {
        self.inner.is_last()
    }

    /// An attribute by the name that rules have for it.
    fn attribute<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(value) = self.inner.attribute(name) else {
            return Err(PyValueError::new_err(format!("there is no attribute \"{name}\" here")));
        };
        Ok(match value {
            Plain::None => None,
            Plain::Bool(truth) => Some(truth.into_pyobject(py)?.to_owned().into_any()),
            Plain::Int(number) => Some(number.into_pyobject(py)?.into_any()),
            Plain::Text(text) => Some(decoded(py, text)?.into_any()),
            Plain::Address(address) => Some(PyString::new(py, &address.to_string()).into_any()),
        })
    }

    /// A field of the request.
    fn header<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyString>>> {
        self.field(py, ProgramKind::Request, name)
    }

    /// All fields of the request.
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Vec<Field<'py>>> {
        self.fields(py, ProgramKind::Request)
    }

    /// A field of the response.
    fn response_header<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyString>>> {
        self.field(py, ProgramKind::Response, name)
    }

    /// All fields of the response.
    fn response_headers<'py>(&self, py: Python<'py>) -> PyResult<Vec<Field<'py>>> {
        self.fields(py, ProgramKind::Response)
    }
}

/// Name and value.
type Field<'py> = (Bound<'py, PyString>, Bound<'py, PyString>);

impl Question {
    fn field<'py>(
        &self,
        py: Python<'py>,
        of: ProgramKind,
        name: &str,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        self.inner.field(of, name).map(|value| decoded(py, &value)).transpose()
    }

    fn fields<'py>(&self, py: Python<'py>, of: ProgramKind) -> PyResult<Vec<Field<'py>>> {
        let fields = self.inner.fields(of).into_iter();
        fields.map(|(name, value)| Ok((decoded(py, name)?, decoded(py, value)?))).collect()
    }
}

/// Bytes as rules see them: ASCII, with what is none escaped as surrogates (PEP 383).
fn decoded<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Ok(PyString::new(py, text)),
        _ => {
            PyString::from_encoded_object(&PyBytes::new(py, bytes), Some(c"ascii"), Some(c"surrogateescape"))
        }
    }
}

/// Returns what the parts of an answer come to.
pub(crate) fn advice(parts: &Bound<'_, PyTuple>) -> PyResult<Advice> {
    let mut advice = Advice::default();
    for part in parts {
        add(&mut advice, part.cast::<PyTuple>()?)?;
    }
    Ok(advice)
}

fn add(advice: &mut Advice, part: &Bound<'_, PyTuple>) -> PyResult<()> {
    let word: String = part.get_item(0)?.extract()?;
    match word.as_str() {
        "bypass" => advice.bypass = true,
        "wait" => advice.need = Some(part.get_item(1)?.extract()?),
        "read_body" => advice.read_body = Some(part.get_item(1)?.extract()?),
        "replace" => advice.body = BodyWord::Replace(part.get_item(1)?.extract()?),
        "drop" => advice.body = BodyWord::Drop,
        "finish" => advice.finish = true,
        "failed" => {
            let kind: String = part.get_item(1)?.extract()?;
            advice.fault = Some(match kind.as_str() {
                "raised" => ConsultFault::Raised,
                "stopping" => ConsultFault::Stopping,
                _ => ConsultFault::Verdict,
            });
        }
        "rewrite" => add_rewrite(advice, part)?,
        "log" => {
            for field in part.get_item(1)?.try_iter()? {
                let (key, value): (String, Bound<'_, PyString>) = field?.extract()?;
                let value = encoded(&value)?;
                advice.parts.push(AdvicePart::Log { key: key.into(), value });
            }
        }
        _ => advice.parts.push(way(&word, part)?),
    }
    Ok(())
}

fn way(word: &str, part: &Bound<'_, PyTuple>) -> PyResult<AdvicePart> {
    let text = |at: usize| -> PyResult<Box<str>> { Ok(part.get_item(at)?.extract::<String>()?.into()) };
    Ok(match word {
        "route" => {
            let server: Option<String> = part.get_item(2)?.extract()?;
            AdvicePart::Route { backend: text(1)?, server: server.map(Into::into) }
        }
        "respond" => {
            let mut fields = Vec::new();
            for field in part.get_item(3)?.try_iter()? {
                let (name, value): (String, Bound<'_, PyString>) = field?.extract()?;
                fields.push((name.into(), encoded(&value)?));
            }
            let body: Vec<u8> = part.get_item(2)?.extract()?;
            AdvicePart::Respond { status: part.get_item(1)?.extract()?, body: body.into(), fields }
        }
        "redirect" => AdvicePart::Redirect { to: bytes(part, 1)?, code: part.get_item(2)?.extract()? },
        "reject" => AdvicePart::Reject { reason: bytes(part, 1)? },
        "limit" => AdvicePart::Limit {
            key: bytes(part, 1)?,
            kind: RateKind {
                requests: part.get_item(2)?.extract()?,
                per: part.get_item(3)?.extract()?,
                burst: part.get_item(4)?.extract()?,
            },
        },
        "consult" => AdvicePart::Consult { analyzer: text(1)? },
        _ => return Err(PyValueError::new_err(format!("\"{word}\" is no part of an answer"))),
    })
}

fn add_rewrite(advice: &mut Advice, part: &Bound<'_, PyTuple>) -> PyResult<()> {
    for field in part.get_item(1)?.try_iter()? {
        let (name, value): (String, Option<Bound<'_, PyString>>) = field?.extract()?;
        let kind = if value.is_some() { EditKind::Set } else { EditKind::Remove };
        let value = value.as_ref().map(encoded).transpose()?.unwrap_or_default();
        advice.parts.push(AdvicePart::Edit { kind, name: name.into(), value });
    }
    for field in part.get_item(2)?.try_iter()? {
        let (name, value): (String, Bound<'_, PyString>) = field?.extract()?;
        let value = encoded(&value)?;
        advice.parts.push(AdvicePart::Edit { kind: EditKind::Add, name: name.into(), value });
    }
    for name in part.get_item(3)?.try_iter()? {
        let name: String = name?.extract()?;
        advice.parts.push(AdvicePart::Edit {
            kind: EditKind::Remove,
            name: name.into(),
            value: Box::default(),
        });
    }
    for (at, made) in
        [(4, AdvicePart::Path as fn(Box<[u8]>) -> AdvicePart), (5, AdvicePart::Host), (6, AdvicePart::Query)]
    {
        let item = part.get_item(at)?;
        if !item.is_none() {
            advice.parts.push(made(encoded(item.cast::<PyString>()?)?));
        }
    }
    Ok(())
}

fn bytes(part: &Bound<'_, PyTuple>, at: usize) -> PyResult<Box<[u8]>> {
    encoded(part.get_item(at)?.cast::<PyString>()?)
}

/// Returns the bytes of a text: UTF-8, with the surrogates of PEP 383 as the bytes that they stand for.
fn encoded(text: &Bound<'_, PyString>) -> PyResult<Box<[u8]>> {
    if let Ok(plain) = text.to_str() {
        return Ok(plain.as_bytes().into());
    }
    let bytes = text.call_method1("encode", ("utf-8", "surrogateescape"))?;
    Ok(bytes.cast::<PyBytes>()?.as_bytes().into())
}
