//! Rules on their own: one compiled and run on a described subject, for tests; and the attributes there are.
//!
//! Must never decide anything: core does.

use headworks_core::program::{self, Program, TrialSubject};
use headworks_core::spec::{ProgramKind, ProgramSpec};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::plan::PlanError;
use crate::{from_json, to_json};

/// Runs a rule on a subject, both JSON; see `_engine.pyi`.
#[pyfunction]
pub(crate) fn judge(program: &str, subject: &str) -> PyResult<String> {
    let (program, subject): (ProgramSpec, TrialSubject) = (from_json(program)?, from_json(subject)?);
    let program = match Program::compile(&program) {
        Ok(program) => program,
        Err(errors) => return Err(PlanError::new_err(to_json(&errors)?)),
    };
    let tried = program.attempt(&subject);
    to_json(&tried.ok_or_else(|| PyValueError::new_err("the head is none that could be read"))?)
}

/// Names of the attributes that rules of a kind may read.
#[pyfunction]
pub(crate) fn attributes(kind: &str) -> PyResult<Vec<&'static str>> {
    let kind: ProgramKind = from_json(&format!("\"{kind}\""))?;
    Ok(program::attributes(kind).collect())
}
