//! Engine as Python sees it: worker threads that serve a Plan.
//!
//! Every method may be called from any thread and lets other Python threads run. Must never hold a lock of
//! its own: the engine is safe to share. Must never touch the engine in a forked copy of its process, where
//! its threads are not: there every method raises but `stop`, which does nothing.

use std::os::fd::RawFd;
use std::process;

use headworks_core::pool::Admin;
use headworks_core::spec::ServerSpec;
use headworks_engine::{ApplyError, Cursor, Engine as Inner, Options, ServerError};
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::consult::Questions;
use crate::plan::{BindError, Plan};
use crate::{from_json, seconds, to_json};

/// Worker threads that serve a Plan.
#[pyclass(frozen, module = "headworks._engine")]
pub(crate) struct Engine {
    /// The engine; None only while this is dropped.
    inner: Option<Inner>,
    /// The process that it runs in.
    process: u32,
}

impl Engine {
    fn is_forked(&self) -> bool {
        process::id() != self.process
    }

    /// Returns the engine, unless this is a forked copy of its process.
    fn inner(&self) -> PyResult<&Inner> {
        let here = self.inner.as_ref().filter(|_| !self.is_forked());
        here.ok_or_else(|| {
            PyRuntimeError::new_err("the engine runs in the process that this one was forked from")
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.is_forked() {
            // To drop it would join threads that are not here.
            std::mem::forget(self.inner.take());
        }
    }
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
        py.detach(|| Inner::start(&plan.compiled, options))
            .map(|inner| Self { inner: Some(inner), process: process::id() })
            .map_err(raise)
    }

    /// Swaps to `plan` without dropping a connection.
    fn apply(&self, py: Python<'_>, plan: &Plan) -> PyResult<()> {
        let inner = self.inner()?;
        py.detach(|| inner.apply(&plan.compiled)).map_err(raise)
    }

    /// The bound addresses of every listener.
    fn addresses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (inner, addresses) = (self.inner()?, PyDict::new(py));
        for (listener, bound) in py.detach(|| inner.addresses()) {
            addresses.set_item(listener, bound)?;
        }
        Ok(addresses)
    }

    /// A snapshot as JSON.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.inner()?;
        py.detach(|| to_json(&inner.stats()))
    }

    /// A page of at most `limit` live connections as JSON. Raises ValueError.
    #[pyo3(signature = (limit, wanted = "{}", cursor = None))]
    fn connections(
        &self,
        py: Python<'_>,
        limit: usize,
        wanted: &str,
        cursor: Option<&str>,
    ) -> PyResult<String> {
        let (inner, filter) = (self.inner()?, from_json(wanted)?);
        let from = cursor.map_or_else(|| Ok(Cursor::default()), str::parse).map_err(PyValueError::new_err)?;
        py.detach(|| to_json(&inner.connection_page(limit, filter, from)))
    }

    /// All counters as text for scrapers. Raises ValueError.
    fn metrics(&self, py: Python<'_>, request: &str) -> PyResult<String> {
        let (inner, request) = (self.inner()?, from_json(request)?);
        Ok(py.detach(|| inner.metrics(&request)))
    }

    /// The last refusals as a JSON array, oldest first.
    fn refusals(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.inner()?;
        Ok(py.detach(|| format!("[{}]", inner.refusals().join(","))))
    }

    /// Closes the connections with these numbers; how many there were.
    fn close(&self, py: Python<'_>, ids: Vec<u64>) -> PyResult<usize> {
        let inner = self.inner()?;
        Ok(py.detach(|| inner.close(&ids)))
    }

    /// The next rare event as JSON, or None after `timeout` seconds.
    fn next_notice(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<String>> {
        let (inner, timeout) = (self.inner()?, seconds(timeout)?);
        py.detach(|| inner.next_notice(timeout)).map(|notice| to_json(&notice)).transpose()
    }

    /// Begins or ends to hand out access records.
    fn tap_records(&self, py: Python<'_>, wanted: bool) -> PyResult<()> {
        let inner = self.inner()?;
        py.detach(|| inner.tap_records(wanted));
        Ok(())
    }

    /// The access records since the last call as lines of JSON, and how many found no place; None after
    /// `timeout` seconds.
    fn next_records(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<(String, u64)>> {
        let (inner, timeout) = (self.inner()?, seconds(timeout)?);
        Ok(py.detach(|| inner.next_records(timeout)).map(|taken| (taken.lines, taken.dropped)))
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
        let (inner, admin) = (self.inner()?, admin.map(parse_admin).transpose()?);
        py.detach(|| inner.set_server(backend, server, admin, weight))
            .map_err(|_| PyKeyError::new_err(format!("backend \"{backend}\" has no server \"{server}\"")))
    }

    /// Adds a server, given as JSON. Raises KeyError, ValueError.
    fn add_server(&self, py: Python<'_>, backend: &str, server: &str) -> PyResult<()> {
        let (inner, server) = (self.inner()?, from_json::<ServerSpec>(server)?);
        py.detach(|| inner.add_server(backend, &server)).map_err(|error| server_error(backend, &error))
    }

    /// Removes a server by its address. Raises KeyError.
    fn remove_server(&self, py: Python<'_>, backend: &str, server: &str) -> PyResult<()> {
        let inner = self.inner()?;
        let missing = || PyKeyError::new_err(format!("backend \"{backend}\" has no server \"{server}\""));
        py.detach(|| inner.remove_server(backend, server)).map_err(|_| missing())
    }

    /// Makes these the servers that `source` gives, a JSON list. Raises KeyError, ValueError.
    fn set_servers(&self, py: Python<'_>, backend: &str, source: &str, servers: &str) -> PyResult<()> {
        let (inner, servers) = (self.inner()?, from_json::<Vec<ServerSpec>>(servers)?);
        let given = py.detach(|| inner.give_servers(backend, source, &servers));
        given.map_err(|error| server_error(backend, &error))
    }

    /// The questions put to an analyzer of the configuration that runs. Raises KeyError.
    fn analyzer(&self, py: Python<'_>, name: &str) -> PyResult<Questions> {
        let inner = self.inner()?;
        let found = py.detach(|| inner.analyzer(name)).map(Questions::new);
        found.ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    /// Reopens the access log by its path.
    fn reopen_logs(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.inner()?;
        Ok(py.detach(|| inner.reopen_logs())?)
    }

    /// Stops accepting; connections go on.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.inner()?;
        py.detach(|| inner.drain());
        Ok(())
    }

    /// Waits up to `timeout` seconds until no connection is left; whether that is so.
    fn wait_idle(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let (inner, timeout) = (self.inner()?, seconds(timeout)?);
        Ok(py.detach(|| inner.wait_idle(timeout)))
    }

    /// Closes every connection now and ends the threads. May be called twice. In a forked copy: nothing.
    fn stop(&self, py: Python<'_>) {
        if let Ok(inner) = self.inner() {
            py.detach(|| inner.stop());
        }
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

/// Returns what is raised when servers cannot be changed.
fn server_error(backend: &str, error: &ServerError) -> PyErr {
    match error {
        ServerError::Unknown => PyKeyError::new_err(format!("there is no backend \"{backend}\"")),
        ServerError::Wrong(reason) => PyValueError::new_err(reason.clone()),
    }
}
