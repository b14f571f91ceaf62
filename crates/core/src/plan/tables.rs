//! Compiling tables and the answers that their entries and listeners give.

use std::collections::{BTreeMap, BTreeSet};

use super::{Compiler, NamedTable};
use crate::balance;
use crate::consult::Consultants;
use crate::http::answers::Answer;
use crate::path;
use crate::problem::{Item, Problem};
use crate::protocol::{self, Protocol, TlsUse};
use crate::spec::{FirstBytesSpec, ListenerSpec, RedirectSpec, RespondSpec, TableSpec, TargetSpec};
use crate::table::{AnswerIndex, BackendIndex, Table, Target};

const ONE_TARGET: &str = "give one of backend, redirect, respond and alpn";

impl Compiler<'_> {
    pub(super) fn tables(&mut self) -> Box<[NamedTable]> {
        let numbers: BTreeMap<&str, BackendIndex> =
            self.spec.backends.keys().map(String::as_str).zip(0..).collect();
        let mut tables = Vec::with_capacity(self.spec.tables.len());
        for (name, TableSpec(entries)) in &self.spec.tables {
            let mut known = Vec::with_capacity(entries.len());
            let mut alpn = Vec::new();
            for (nth, (pattern, entry)) in entries.iter().enumerate() {
                let path = path!["tables", name, pattern];
                if let Some(written) = &entry.alpn {
                    alpn.resize(nth, None);
                    alpn.push(self.alpn_ways(&path, written, &numbers));
                }
                let by_alpn = alpn.get(nth).and_then(Option::as_ref).map(|ways| Target::Backend(ways.any()));
                let target = self.target(path, entry, &numbers).or(by_alpn);
                known.push((pattern.clone(), target.unwrap_or(Target::Backend(0))));
            }
            let table = self.table(name, &known);
            let consultants = self.entry_consultants(name, entries);
            let (name, alpn) = (name.as_str().into(), alpn.into());
            tables.push(NamedTable { name, entries: known, consultants, alpn, table });
        }
        tables.into()
    }

    /// Returns the analyzers of each entry; nothing where none has any.
    fn entry_consultants(&mut self, name: &str, entries: &[(String, TargetSpec)]) -> Box<[Consultants]> {
        if entries.iter().all(|(_, entry)| entry.analyzers.is_empty()) {
            return Box::default();
        }
        let list = entries.iter();
        list.map(|(pattern, entry)| {
            self.consultants(&path!["tables", name, pattern, "analyzers"], &entry.analyzers)
        })
        .collect()
    }

    fn table(&mut self, name: &str, entries: &[(String, Target)]) -> Table {
        Table::compile(entries).unwrap_or_else(|errors| {
            for error in errors {
                let pattern = entries[error.entry].0.as_str();
                self.report(path!["tables", name, pattern], error.reason, error.hint);
            }
            Table::default()
        })
    }

    /// Returns what an entry leads to; None when that is wrong, which has been reported then.
    fn target(
        &mut self,
        path: Vec<Item>,
        entry: &TargetSpec,
        numbers: &BTreeMap<&str, BackendIndex>,
    ) -> Option<Target> {
        if entry.alpn.is_some() {
            if entry.backend.is_some() || entry.redirect.is_some() || entry.respond.is_some() {
                self.error(path, ONE_TARGET);
            }
            return None;
        }
        match (&entry.backend, &entry.redirect, &entry.respond) {
            (Some(backend), None, None) => {
                let number = numbers.get(backend.as_str()).copied();
                if number.is_none() {
                    self.unknown_backend(path, backend);
                }
                number.map(Target::Backend)
            }
            (None, Some(redirect), None) => self.redirect(path, redirect).map(Target::Answer),
            (None, None, Some(respond)) => self.respond(path, respond).map(Target::Answer),
            (None, None, None) => {
                self.error(path, "backend, redirect, respond or alpn is needed");
                None
            }
            _ => {
                self.error(path, ONE_TARGET);
                None
            }
        }
    }

    /// Returns the answer that a listener gives to every request.
    pub(super) fn listener_answer(&mut self, name: &str, spec: &ListenerSpec) -> Option<AnswerIndex> {
        match (&spec.redirect, &spec.respond) {
            (Some(redirect), _) => self.redirect(path!["listeners", name], redirect),
            (None, Some(respond)) => self.respond(path!["listeners", name], respond),
            (None, None) => None,
        }
    }

    fn redirect(&mut self, path: Vec<Item>, spec: &RedirectSpec) -> Option<AnswerIndex> {
        self.answer(path, "redirect", Answer::redirect(spec))
    }

    fn respond(&mut self, path: Vec<Item>, spec: &RespondSpec) -> Option<AnswerIndex> {
        self.answer(path, "respond", Answer::respond(spec))
    }

    /// Keeps a compiled answer, or reports each problem at its key below `what`.
    fn answer(
        &mut self,
        mut path: Vec<Item>,
        what: &'static str,
        compiled: Result<Answer, Vec<Problem>>,
    ) -> Option<AnswerIndex> {
        path.push(what.into());
        let answer = self.below(path, compiled.map(Some))?;
        self.answers.push(answer);
        Some((self.answers.len() - 1) as AnswerIndex)
    }

    /// Reports what a table may not have at a listener: entries by ALPN where nobody reads the ClientHello,
    /// and, where clients make no requests, anything but names that lead to backends.
    pub(super) fn check_table(&mut self, name: &str, protocol: &dyn Protocol, table: u32) {
        self.check_table_at(path!["listeners", name, "table"], protocol, table);
    }

    /// Reports the same of a table that is named at `path`.
    pub(super) fn check_table_at(&mut self, path: Vec<Item>, protocol: &dyn Protocol, table: u32) {
        let Some(TableSpec(entries)) = self.spec.tables.values().nth(table as usize) else { return };
        let kind = protocol.name();
        let by_alpn = entries.iter().find(|(_, entry)| entry.alpn.is_some() && !protocol.passes_tls());
        if let Some((pattern, _)) = by_alpn {
            let reason =
                format!("entry \"{pattern}\" goes by ALPN, of which a {kind} listener learns nothing");
            self.error(path.clone(), reason);
        }
        if protocol.exchanges() {
            return;
        }
        let wrong = entries.iter().find_map(|(pattern, entry)| {
            if entry.backend.is_none() && (entry.redirect.is_some() || entry.respond.is_some()) {
                Some(format!("entry \"{pattern}\" answers requests itself, which a {kind} listener cannot"))
            } else if Table::is_path(pattern) {
                Some(format!("entry \"{pattern}\" has a path, of which a {kind} listener learns nothing"))
            } else {
                None
            }
        });
        if let Some(reason) = wrong {
            self.error(path, reason);
        }
    }

    /// Reports a redirect to https at an https listener: its clients would go in circles.
    pub(super) fn check_circles(&mut self, name: &str, spec: &ListenerSpec) {
        let by_https = |protocol: &dyn Protocol| protocol.exchanges() && protocol.tls() == TlsUse::Must;
        if !protocol::find(&spec.protocol).is_some_and(by_https) {
            return;
        }
        let circles =
            |redirect: Option<&RedirectSpec>| redirect.is_some_and(|redirect| redirect.to == "https");
        let hint = || Some("give the http listener a table or a redirect of its own".to_owned());
        if circles(spec.redirect.as_ref()) {
            let reason = "clients of an https listener are there already".to_owned();
            self.report(path!["listeners", name, "redirect", "to"], reason, hint());
        }
        let entries = spec.table.as_ref().and_then(|table| self.spec.tables.get(table));
        let wrong = entries.into_iter().flat_map(|table| &table.0);
        if let Some((pattern, _)) = wrong.into_iter().find(|(_, entry)| circles(entry.redirect.as_ref())) {
            let reason = format!("entry \"{pattern}\" redirects to https, where clients are already");
            self.report(path!["listeners", name, "table"], reason, hint());
        }
    }

    /// Reports backends that hash something of requests where clients make none.
    pub(super) fn check_balances(&mut self) {
        let spec = self.spec;
        for (name, listener) in &spec.listeners {
            let Some(protocol) = protocol::find(&listener.protocol).filter(|protocol| !protocol.exchanges())
            else {
                continue;
            };
            let kinds = || listener.first_bytes.iter().flat_map(FirstBytesSpec::kinds);
            let prefixes = listener.first_bytes.iter().flat_map(|kinds| &kinds.prefixes);
            let silent = listener.first_bytes.iter().filter_map(|kinds| kinds.silent.as_deref());
            let tables = listener.table.iter().chain(kinds().filter_map(|kind| kind.table.as_ref()));
            let tables = tables.filter_map(|table| spec.tables.get(table));
            let named: BTreeSet<&str> = tables
                .flat_map(|table| &table.0)
                .flat_map(|(_, entry)| entry.backends())
                .chain(listener.backend.as_deref())
                .chain(listener.fallback.as_deref())
                .chain(kinds().flat_map(|kind| [kind.backend.as_deref(), kind.fallback.as_deref()]).flatten())
                .chain(prefixes.map(|(_, backend)| backend.as_str()))
                .chain(silent)
                .collect();
            for backend in named {
                let balance = spec.backends.get(backend).and_then(|backend| balance::find(&backend.balance));
                if let Some(balance) = balance.filter(|balance| balance.asks_request()) {
                    let (balance, kind) = (balance.name(), protocol.name());
                    let reason = format!("{balance} needs requests, and listeners.{name} ({kind}) sees none");
                    self.error(path!["backends", backend, "balance"], reason);
                }
            }
        }
    }
}
