//! Plan as Python sees it: a checked configuration, and the errors of checking and binding.
//!
//! Keeps the Spec beside the Plan because the engine compiles for its own number of workers and takes live state over
//! from the Plan it runs. Must never change a Spec.

use std::net::IpAddr;

use headworks_core::explain::Asked;
use headworks_core::plan::Plan as CorePlan;
use headworks_core::spec::Spec;
use headworks_engine::Deployment;
use pyo3::create_exception;
use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::to_json;

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
    pub(crate) spec: Spec,
    pub(crate) compiled: Deployment,
}

#[pymethods]
impl Plan {
    /// Compiles a Spec given as JSON. Raises PlanError with every problem.
    #[staticmethod]
    fn compile(py: Python<'_>, spec: &str) -> PyResult<Self> {
        let spec: Spec =
            serde_json::from_str(spec).map_err(|error| PyValueError::new_err(error.to_string()))?;
        // The engine compiles again for its workers: one shard is enough to check and to explain.
        match py.detach(|| Deployment::new(CorePlan::compile(&spec, 1, None)?, None)) {
            Ok(compiled) => Ok(Self { spec, compiled }),
            Err(errors) => Err(PlanError::new_err(to_json(&errors)?)),
        }
    }

    /// What a client that asks for this would get, as JSON, every server taken to be up. `asked` is JSON, too.
    ///
    /// Raises KeyError for an unknown listener, ValueError for a bad client address.
    fn explain(&self, py: Python<'_>, listener: &str, asked: &str, client: Option<&str>) -> PyResult<String> {
        let mut asked: Asked =
            serde_json::from_str(asked).map_err(|error| PyValueError::new_err(error.to_string()))?;
        asked.client = client.map(parse_address).transpose()?;
        let found = py.detach(|| self.compiled.explain(listener, &asked));
        to_json(&found.ok_or_else(|| PyKeyError::new_err(listener.to_owned()))?)
    }
}

fn parse_address(text: &str) -> PyResult<IpAddr> {
    text.parse().map_err(|_| PyValueError::new_err(format!("\"{text}\" is not an IP address")))
}
