//! Translates: the module `headworks._engine`. JSON text crosses the boundary, never live objects.
//!
//! Owns the conversion between Python's types and errors and those of core and engine, and nothing else: a
//! rule found here is in the wrong room. Whatever may block lets other Python threads run (`Python::detach`).

mod consult;
mod engine;
mod judge;
mod plan;
mod toml;

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The native module: Plans, the Engine, and TOML with positions.
#[pymodule(gil_used = false)]
mod _engine {
    #[pymodule_export]
    use super::consult::{Question, Questions};
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::judge::{attributes, judge};
    #[pymodule_export]
    use super::plan::{BindError, Plan, PlanError};
    #[pymodule_export]
    use super::toml::{TomlError, parse_toml};
    #[pymodule_export]
    use super::{balances, counters, fitting_filter, metrics, protocols};
}

/// Names of every balancing algorithm.
#[pyfunction]
fn balances() -> Vec<&'static str> {
    headworks_core::balance::REGISTRY.iter().map(|balance| balance.name()).collect()
}

/// Returns the filter that variables without one get in a body of this media type.
#[pyfunction]
fn fitting_filter(content_type: &str) -> &'static str {
    headworks_core::http::template::Filter::of_content_type(content_type).as_str()
}

/// Returns the names of every counter, each with what it counts: what `stats()` has of listeners, backends
/// and servers.
#[pyfunction]
fn counters(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let counters = PyDict::new(py);
    for count in headworks_core::tally::Count::ALL {
        counters.set_item(count.name(), count.help())?;
    }
    Ok(counters)
}

/// The table of metrics as JSON.
#[pyfunction]
fn metrics() -> PyResult<String> {
    to_json(headworks_engine::FAMILIES)
}

/// The facts of every protocol a listener can speak, by its name.
#[pyfunction]
fn protocols(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let protocols = PyDict::new(py);
    for protocol in headworks_core::protocol::REGISTRY {
        let facts = PyDict::new(py);
        facts.set_item("names", protocol.names())?;
        facts.set_item("requests", protocol.exchanges())?;
        facts.set_item("tls", protocol.tls().word())?;
        facts.set_item("passes_tls", protocol.passes_tls())?;
        facts.set_item("kinds", protocol.kinds())?;
        facts.set_item("versions", protocol.versions())?;
        protocols.set_item(protocol.name(), facts)?;
    }
    Ok(protocols)
}

/// A value that is written as JSON. Raises ValueError.
///
/// Rules may be nested deeper than the reader of JSON allows by itself; core has a bound of its own.
fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> PyResult<T> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    T::deserialize(&mut reader).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// `value` as JSON. Values of core and engine are plain, so a failure is a mistake here, not in the input.
fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| pyo3::exceptions::PyRuntimeError::new_err(error.to_string()))
}

/// A time that is given in seconds. Raises ValueError.
pub(crate) fn seconds(timeout: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(timeout)
        .map_err(|_| PyValueError::new_err(format!("{timeout} is no number of seconds")))
}
