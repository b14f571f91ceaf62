//! `[analyzers.NAME]`: objects written in Python that are consulted, as far as the data path knows them.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// An analyzer that somebody wrote in Python.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalyzerSpec {
    /// The version of its source and arguments: as long as it stays the same, so does what runs.
    pub version: String,
    /// Milliseconds in which it must answer.
    pub deadline: Millis,
    /// The consequence when it does not.
    pub on_failure: OnFailure,
    /// Connections and exchanges that may wait for it at once.
    pub waiting: u32,
    /// The moments at which it is asked.
    pub hooks: Vec<Hook>,
}

/// The consequence when an analyzer has no verdict within its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The flow goes on as if it had passed.
    Pass,
    /// The connection or exchange is refused.
    Reject,
}

/// The moments at which an analyzer is asked, or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// A client has connected, and nothing was read.
    Accepted,
    /// First bytes of a client are held.
    FirstBytes,
    /// A ClientHello is held.
    Hello,
    /// The head of a request is held.
    Request,
    /// A part of a request's body is held.
    RequestBody,
    /// The head of a response is held.
    Response,
    /// A part of a response's body is held.
    ResponseBody,
    /// Connections and exchanges are over.
    Ended,
}

impl Hook {
    /// Every hook, in the order in which they are met.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::FirstBytes,
        Self::Hello,
        Self::Request,
        Self::RequestBody,
        Self::Response,
        Self::ResponseBody,
        Self::Ended,
    ];

    /// Returns the name of its method.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::FirstBytes => "first_bytes",
            Self::Hello => "hello",
            Self::Request => "request",
            Self::RequestBody => "request_body",
            Self::Response => "response",
            Self::ResponseBody => "response_body",
            Self::Ended => "ended",
        }
    }
}
