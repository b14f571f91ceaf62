//! Compiler: one run of compiling, with the Spec it reads and the problems it has found so far.
//!
//! Owns how problems are reported and names looked up; `listener.rs`, `backend.rs`, `tables.rs`, `http.rs`
//! and `tls.rs` each compile their part with it. Must never stop at the first problem.

use crate::consult::{self, Consultant, ConsultantIndex, Consultants};
use crate::http::answers::Answer;
use crate::networks::Networks;
use crate::path;
use crate::problem::{Item, Problem};
use crate::spec::Spec;
use crate::table::BackendIndex;

/// One run of `compile`: methods report problems and return what can be built all the same.
pub(super) struct Compiler<'a> {
    pub(super) spec: &'a Spec,
    pub(super) consultants: Vec<Consultant>,
    pub(super) answers: Vec<Answer>,
    pub(super) errors: Vec<Problem>,
}

impl Compiler<'_> {
    pub(super) fn error(&mut self, path: Vec<Item>, reason: impl Into<String>) {
        self.report(path, reason.into(), None);
    }

    pub(super) fn report(&mut self, path: Vec<Item>, reason: String, hint: Option<String>) {
        self.errors.push(Problem { path, reason, hint });
    }

    pub(super) fn table_number(&mut self, listener: &str, table: &str) -> Option<u32> {
        self.table_at(path!["listeners", listener, "table"], table)
    }

    /// Returns the number of the table that is named at `path`.
    pub(super) fn table_at(&mut self, path: Vec<Item>, table: &str) -> Option<u32> {
        let number = self.spec.tables.keys().position(|name| name == table);
        if number.is_none() {
            self.error(path, format!("there is no table \"{table}\""));
        }
        number.map(|number| number as u32)
    }

    pub(super) fn backend_number(&mut self, path: Vec<Item>, name: Option<&str>) -> Option<BackendIndex> {
        let name = name?;
        let number = self.spec.backends.keys().position(|known| known == name);
        if number.is_none() {
            self.unknown_backend(path, name);
        }
        number.map(|number| number as BackendIndex)
    }

    pub(super) fn unknown_backend(&mut self, path: Vec<Item>, name: &str) {
        self.error(path, format!("there is no backend \"{name}\""));
    }

    /// Reports more analyzers than a configuration may have, and those that would have no time.
    pub(super) fn check_consultants(&mut self) {
        if self.consultants.len() > consult::MOST {
            let reason = format!("{} analyzers are more than {}", self.consultants.len(), consult::MOST);
            self.error(path!["analyzers"], reason);
        }
        let spec = self.spec;
        for (name, analyzer) in &spec.analyzers {
            for (key, number) in [("deadline", analyzer.deadline), ("waiting", u64::from(analyzer.waiting))] {
                if number == 0 {
                    self.error(path!["analyzers", name, key], "0 would let nothing be asked");
                }
            }
        }
    }

    /// Returns the analyzers of these names; `path` leads to the list.
    pub(super) fn consultants(&mut self, path: &[Item], names: &[String]) -> Consultants {
        let mut all = Vec::with_capacity(names.len());
        for (nth, name) in names.iter().enumerate() {
            match self.consultants.iter().position(|known| *known.name == **name) {
                Some(at) => all.push(at as ConsultantIndex),
                None => {
                    let path = [path, &path![nth]].concat();
                    self.error(path, format!("there is no analyzer \"{name}\""));
                }
            }
        }
        Consultants::new(all.into(), &self.consultants)
    }

    pub(super) fn networks(&mut self, listener: &str, key: &str, written: &[String]) -> Networks {
        Networks::parse(written).unwrap_or_else(|errors| {
            for (index, reason) in errors {
                self.error(path!["listeners", listener, key, index], reason);
            }
            Networks::default()
        })
    }
}
