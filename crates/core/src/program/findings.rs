//! Findings: all that programs have said of one request, response or hello.
//!
//! ```text
//!   rule 1: rewrite(set_headers={"X-Tenant": "a"})     -> edits
//!   rule 2: log(tenant="a")                            -> log
//!   rule 3: route("canary")                            -> end: nothing after it is asked
//! ```
//!
//! Texts stand in its scratch, whose memory serves request after request. Must never hold what a subject
//! lent.

use super::Failure;
use super::scratch::{GROUPS, Scratch};
use super::value::Text;
use crate::close::ConsultFault;
use crate::http::facts::split;
use crate::http::names;
use crate::message::Span;
use crate::spec::ProgramKind;
use crate::wire::http1::is_host;

/// Findings of the programs asked.
#[derive(Debug, Default)]
pub struct Findings {
    /// Memory of the texts.
    pub scratch: Scratch,
    /// Verdicts of the programs.
    pub said: Verdicts,
}

/// Verdicts of programs; every [`Span`] is a place in the scratch.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// The kind of head that changes are for.
    pub of: ProgramKind,
    /// The word that ends it: nothing after it is asked.
    pub end: Option<End>,
    /// Changes of fields, in order.
    pub edits: Vec<Edit>,
    /// The path that takes the place of the one asked for.
    pub path: Option<Span>,
    /// The host that takes the place of the one asked for.
    pub host: Option<Span>,
    /// The query that takes the place of the one asked for; empty: none.
    pub query: Option<Span>,
    /// Path and query together, once they are put together.
    pub target: Option<Span>,
    /// Fields for the access record.
    pub log: Vec<LogField>,
    /// Fields of an answer of our own: names and values.
    pub answer: Vec<(Span, Span)>,
    /// A program failed, and nothing after it was asked.
    pub failure: Option<Failure>,
    /// Name of the analyzer whose word ended it, or that failed.
    pub analyzer: Option<Span>,
    /// The reason for which the analyzer has no answer.
    pub fault: Option<ConsultFault>,
    /// How many programs of the present list were asked.
    pub asked: usize,
}

/// The word that ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The way leads to this backend.
    Route {
        /// The backend's name.
        backend: Span,
        /// The server's address.
        server: Option<Span>,
    },
    /// An answer of our own.
    Respond {
        /// The status.
        status: u16,
        /// The body.
        body: Span,
    },
    /// The client is sent elsewhere.
    Redirect {
        /// The location.
        to: Span,
        /// The status.
        code: u16,
    },
    /// The client is refused.
    Reject {
        /// The reason, for the record.
        reason: Span,
    },
    /// The client asks too often.
    Limited {
        /// Seconds after which it may ask again.
        retry_after: u64,
    },
    /// An analyzer is asked.
    Consult {
        /// The analyzer's name.
        analyzer: Span,
    },
}

/// A change of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// The change.
    pub kind: EditKind,
    /// The field's name.
    pub name: Span,
    /// The value; empty where it is removed.
    pub value: Span,
}

/// The kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditKind {
    /// One field takes the place of all of the name.
    Set,
    /// One more field.
    Add,
    /// All fields of the name are left out.
    Remove,
}

/// A field of the access record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogField {
    /// The key.
    pub key: Span,
    /// The value.
    pub value: Span,
}

impl Findings {
    /// Forgets everything but a modest part of the memory.
    pub fn clear(&mut self) {
        self.scratch.clear();
        #[rustfmt::skip]
        let Verdicts {
            of, end, edits, path, host, query, target, log, answer, failure, analyzer, fault, asked,
        } = &mut self.said;
        edits.clear();
        log.clear();
        answer.clear();
        (*of, *end, *path, *host, *query, *target, *failure) = Default::default();
        (*analyzer, *fault, *asked) = Default::default();
    }

    /// Goes on with things of another kind: changes of the head before are done.
    pub fn go_on_with(&mut self, kind: ProgramKind) {
        let said = &mut self.said;
        said.edits.clear();
        said.answer.clear();
        (said.path, said.host, said.query, said.target) = (None, None, None, None);
        (said.of, said.end, said.asked) = (kind, None, 0);
    }

    /// Makes room for the matches of a program that begins.
    pub(super) fn begin(&mut self, matches: usize) {
        self.scratch.groups.clear();
        self.scratch.groups.resize(matches * GROUPS, None);
    }

    /// Goes on with the first program of another list.
    pub fn begin_list(&mut self) {
        self.said.asked = 0;
    }

    /// Notes the analyzer that has the word, and why it has none.
    pub fn note_analyzer(&mut self, name: &str, fault: Option<ConsultFault>) {
        self.said.analyzer = Some(self.scratch.store(name.as_bytes()));
        self.said.fault = fault;
    }

    /// Whether nothing after it is to be asked.
    pub fn is_over(&self) -> bool {
        self.said.end.is_some() || self.said.failure.is_some()
    }

    /// Returns a text.
    pub fn text(&self, span: Span) -> &[u8] {
        self.scratch.bytes(span)
    }

    /// Whether the head is changed on its way.
    pub fn rewrites(&self) -> bool {
        let Verdicts { edits, path, host, query, .. } = &self.said;
        !edits.is_empty() || path.is_some() || host.is_some() || query.is_some()
    }

    /// Whether fields of this name are not passed on as they came.
    pub fn drops(&self, name: &[u8]) -> bool {
        let mut edits = self.said.edits.iter().filter(|edit| edit.kind != EditKind::Add);
        edits.any(|edit| names::is(name, self.text(edit.name)))
    }

    /// Puts path and query together, as far as they are replaced; the rest is that of `asked`.
    pub fn put_target_together(&mut self, asked: &[u8]) {
        let Verdicts { path, query, .. } = &self.said;
        if (path.is_none() && query.is_none()) || !asked.starts_with(b"/") {
            return;
        }
        let (asked_path, asked_query) = split(asked);
        let path = path.map_or(Text::Lent(asked_path), Text::Made);
        let query = query.map_or(Text::Lent(asked_query), Text::Made);
        match self.scratch.push_target(path, query) {
            Ok(target) => self.said.target = Some(target),
            Err(failure) => self.said.failure = Some(failure),
        }
    }

    /// Whether this may take the place of a path.
    pub(crate) fn may_be_path(bytes: &[u8]) -> bool {
        bytes.first() == Some(&b'/') && is_plain(bytes, b"?#")
    }

    /// Whether this may take the place of a query.
    pub(crate) fn may_be_query(bytes: &[u8]) -> bool {
        is_plain(bytes, b"#")
    }

    /// Whether this may take the place of a host.
    pub(crate) fn may_be_host(bytes: &[u8]) -> bool {
        is_host(bytes)
    }

    /// Returns the target that takes the place of the one asked for.
    pub fn target(&self) -> Option<&[u8]> {
        self.said.target.map(|target| self.text(target))
    }

    /// Returns the host that takes the place of the one asked for.
    pub fn host(&self) -> Option<&[u8]> {
        self.said.host.map(|host| self.text(host))
    }

    /// Returns the fields that are written: the last word on each name that is set, and all that are added.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let edits = &self.said.edits;
        let last = move |at: usize, edit: &Edit| {
            let mut later = edits[at + 1..].iter().filter(|later| later.kind != EditKind::Add);
            !later.any(|later| names::is(self.text(later.name), self.text(edit.name)))
        };
        edits
            .iter()
            .enumerate()
            .filter(move |(at, edit)| edit.kind != EditKind::Remove && last(*at, edit))
            .map(|(_, edit)| (self.text(edit.name), self.text(edit.value)))
    }
}

/// Whether a part of a target is graphic ASCII without what would end it.
fn is_plain(bytes: &[u8], ends: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_graphic() && !ends.contains(byte))
}
