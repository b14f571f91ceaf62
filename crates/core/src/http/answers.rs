//! Answer: what we answer ourselves where a table or a listener says so: a redirect or a static response.

use crate::spec::{RedirectSpec, RespondSpec};

/// A compiled redirect or static response.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    kind: &'static str,
}

/// What is wrong with a RedirectSpec or RespondSpec: the key, and why.
pub type Problems = Vec<(&'static str, String)>;

impl Answer {
    /// Compiles a redirect.
    pub fn redirect(spec: &RedirectSpec) -> Result<Self, Problems> {
        match spec.code {
            301 | 302 | 303 | 307 | 308 => Ok(Self { status: spec.code, kind: "redirect" }),
            other => Err(vec![("code", format!("{other} is none of 301, 302, 303, 307, 308"))]),
        }
    }

    /// Compiles a static response.
    pub fn respond(spec: &RespondSpec) -> Result<Self, Problems> {
        match spec.status {
            200..=599 => Ok(Self { status: spec.status, kind: "respond" }),
            other => Err(vec![("status", format!("{other} is no status between 200 and 599"))]),
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// `redirect` or `respond`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}
