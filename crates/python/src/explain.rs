//! Explanations: which entry, backend and server a new connection would get, and why not the others.

use std::net::IpAddr;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;

use crate::plan::Plan;
use crate::to_json;

/// As JSON, every server taken to be up. Raises KeyError for an unknown listener, ValueError for a bad address.
pub(crate) fn explain(
    plan: &Plan,
    listener: &str,
    sni: Option<&str>,
    client: Option<&str>,
) -> PyResult<String> {
    let client: Option<IpAddr> = client
        .map(|text| {
            text.parse().map_err(|_| PyValueError::new_err(format!("\"{text}\" is not an IP address")))
        })
        .transpose()?;
    let found = plan.compiled.explain(listener, sni, client);
    to_json(&found.ok_or_else(|| PyKeyError::new_err(listener.to_owned()))?)
}
