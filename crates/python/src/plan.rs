//! Plan as Python sees it: a compiled configuration, and the errors of compiling and binding.
//!
//! Compiled once, for checking, explaining and running alike: an engine runs a copy with its own live state.
//! Must never change what was compiled.

use std::net::IpAddr;

use headworks_core::explain::Asked;
use headworks_core::spec::Spec;
use headworks_engine::{Deployment, look_up};
use pyo3::create_exception;
use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::consult::advice;
use crate::{from_json, seconds, to_json};

create_exception!(
    headworks._engine,
    PlanError,
    PyValueError,
    "A Spec that cannot be compiled; args[0] is JSON."
);
create_exception!(
    headworks._engine,
    BindError,
    PyOSError,
    "Listeners that cannot be bound; args[0] is JSON."
);

/// A compiled, immutable configuration.
#[pyclass(frozen, module = "headworks._engine")]
pub(crate) struct Plan {
    pub(crate) compiled: Deployment,
}

#[pymethods]
impl Plan {
    /// Compiles a Spec given as JSON. Raises PlanError with every problem.
    #[staticmethod]
    fn compile(py: Python<'_>, spec: &str) -> PyResult<Self> {
        let spec: Spec = from_json(spec)?;
        match py.detach(|| Deployment::compile(&spec)) {
            Ok(compiled) => Ok(Self { compiled }),
            Err(errors) => Err(PlanError::new_err(to_json(&errors)?)),
        }
    }

    /// What a client that asks for this would get, as JSON, every server taken to be up. `asked` is JSON,
    /// too. `answers`: what analyzers have said so far, written as for `Questions.answer`.
    ///
    /// Raises KeyError for an unknown listener, ValueError for a bad client address.
    #[pyo3(signature = (listener, asked, client, answers=None))]
    #[expect(clippy::too_many_arguments, reason = "Python hands them over one by one")]
    fn explain(
        &self,
        py: Python<'_>,
        listener: &str,
        asked: &str,
        client: Option<&str>,
        answers: Option<Vec<Option<Bound<'_, PyTuple>>>>,
    ) -> PyResult<String> {
        let mut asked: Asked = from_json(asked)?;
        asked.client = client.map(parse_address).transpose()?;
        let read = |answer: Option<Bound<'_, PyTuple>>| answer.as_ref().map(advice).transpose();
        let read_all = |answers: Vec<_>| answers.into_iter().map(|one| Ok(read(one)?.unwrap_or_default()));
        asked.answers = answers.map(|answers| read_all(answers).collect::<PyResult<_>>()).transpose()?;
        let found = py.detach(|| self.compiled.explain(listener, &asked));
        to_json(&found.ok_or_else(|| PyKeyError::new_err(listener.to_owned()))?)
    }

    /// Asks where the names of a backend lead now; see `_engine.pyi`.
    fn look_up(&self, py: Python<'_>, backend: &str, asked: Option<&str>, timeout: f64) -> PyResult<String> {
        let patience = seconds(timeout)?.as_millis().try_into().unwrap_or(u64::MAX);
        let found = py.detach(|| look_up(&self.compiled, backend, asked, patience));
        to_json(&found.ok_or_else(|| PyKeyError::new_err(backend.to_owned()))?)
    }
}

fn parse_address(text: &str) -> PyResult<IpAddr> {
    text.parse().map_err(|_| PyValueError::new_err(format!("\"{text}\" is not an IP address")))
}
