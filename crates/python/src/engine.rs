//! Engine as Python sees it: worker threads that serve a Plan.
//!
//! Every method may be called from any thread and lets other Python threads run. Must never hold a lock of
//! its own: the engine is safe to share.

use std::os::fd::RawFd;
use std::time::Duration;

use headworks_core::pool::Admin;
use headworks_engine::{ApplyError, Engine as Inner, Options};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::plan::{BindError, Plan};
use crate::to_json;

/// Worker threads that serve a Plan.
#[pyclass(frozen, module = "headworks._engine")]
pub(crate) struct Engine {
    inner: Inner,
}

#[pymethods]
impl Engine {
    /// Binds every listener and starts; see `_engine.pyi`.
    #[new]
    #[pyo3(signature = (plan, options, binder = None))]
    fn new(py: Python<'_>, plan: &Plan, options: &str, binder: Option<RawFd>) -> PyResult<Self> {
        let mut options: Options =
            serde_json::from_str(options).map_err(|error| PyValueError::new_err(error.to_string()))?;
        options.binder = binder;
        py.detach(|| Inner::start(&plan.compiled, options)).map(|inner| Self { inner }).map_err(raise)
    }

    /// Swaps to `plan` without dropping a connection.
    fn apply(&self, py: Python<'_>, plan: &Plan) -> PyResult<()> {
        py.detach(|| self.inner.apply(&plan.compiled)).map_err(raise)
    }

    /// The bound addresses of every listener.
    fn addresses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let addresses = PyDict::new(py);
        for (listener, bound) in py.detach(|| self.inner.addresses()) {
            addresses.set_item(listener, bound)?;
        }
        Ok(addresses)
    }

    /// A snapshot as JSON.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| to_json(&self.inner.stats()))
    }

    /// At most `limit` live connections as a JSON array.
    fn connections(&self, py: Python<'_>, limit: usize) -> PyResult<String> {
        py.detach(|| to_json(&self.inner.connections(limit)))
    }

    /// The next rare event as JSON, or None after `timeout` seconds.
    fn next_notice(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<String>> {
        let timeout = seconds(timeout)?;
        py.detach(|| self.inner.next_notice(timeout)).map(|notice| to_json(&notice)).transpose()
    }

    /// Sets what the operator says of a server, and its weight. Raises KeyError.
    #[pyo3(signature = (backend, server, admin, weight))]
    #[expect(clippy::too_many_arguments, reason = "self and the interpreter are among them")]
    fn set_server(
        &self,
        py: Python<'_>,
        backend: &str,
        server: &str,
        admin: Option<&str>,
        weight: Option<u32>,
    ) -> PyResult<()> {
        let admin = admin.map(parse_admin).transpose()?;
        py.detach(|| self.inner.set_server(backend, server, admin, weight))
            .map_err(|_| PyKeyError::new_err(format!("backend \"{backend}\" has no server \"{server}\"")))
    }

    /// Reopens the access log by its path.
    fn reopen_logs(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.inner.reopen_logs())?)
    }

    /// Stops accepting; connections go on.
    fn drain(&self, py: Python<'_>) {
        py.detach(|| self.inner.drain());
    }

    /// Waits up to `timeout` seconds until no connection is left; whether that is so.
    fn wait_idle(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = seconds(timeout)?;
        Ok(py.detach(|| self.inner.wait_idle(timeout)))
    }

    /// Closes every connection now and ends the threads. May be called twice.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.inner.stop());
    }
}

fn raise(error: ApplyError) -> PyErr {
    let raised = match error {
        ApplyError::Bind(errors) => to_json(&errors).map(BindError::new_err),
        ApplyError::Io(error) => Ok(PyErr::from(error)),
    };
    raised.unwrap_or_else(|error| error)
}

fn parse_admin(text: &str) -> PyResult<Admin> {
    match text {
        "ready" => Ok(Admin::Ready),
        "drain" => Ok(Admin::Drain),
        "maintenance" => Ok(Admin::Maintenance),
        _ => Err(PyValueError::new_err(format!("\"{text}\" is none of ready, drain, maintenance"))),
    }
}

fn seconds(timeout: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(timeout)
        .map_err(|_| PyValueError::new_err(format!("{timeout} is no number of seconds")))
}
