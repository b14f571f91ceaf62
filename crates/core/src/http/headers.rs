//! Headers: what a listener or a backend does with the fields of a head: set, add, remove.
//!
//! Compiled once, with every problem at once. Must never touch what delimits messages and connections: those
//! fields are the codec's alone, and so are Host (the backend's `host`) and Expect.

use std::collections::BTreeSet;

use crate::path;
use crate::problem::{Item, Problem};
use crate::spec::HeadersSpec;

use super::facts::ExchangeFacts;
use super::names::{FieldNames, is_token};
use super::template::{Purpose, Template};
use super::text::push_name;
use crate::message::Message;
use crate::problem::Flaw;

/// Rules for the fields of a head: which are removed, set and added.
#[derive(Debug, Default)]
pub struct Headers {
    /// Fields that are not passed on: those removed and those set.
    dropped: FieldNames,
    /// Fields written, in order: those set, then those added.
    written: Vec<(Box<str>, Template)>,
}

/// Fields that say where messages end and what becomes of the connection.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

impl Headers {
    /// Compiles the rules; the paths of the errors are those below the table of the rules.
    pub fn compile(spec: &HeadersSpec, of: Purpose) -> Result<Self, Vec<Problem>> {
        let mut draft = HeadersDraft { of, headers: Self::default(), errors: Vec::new() };
        draft.compile(spec);
        if draft.errors.is_empty() { Ok(draft.headers) } else { Err(draft.errors) }
    }

    /// Whether a field of this name is not passed on.
    #[inline]
    pub fn drops(&self, name: &[u8]) -> bool {
        self.dropped.contains(name)
    }

    /// Whether fields of some name are not passed on.
    #[inline]
    pub fn drops_any(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Whether they take our end of the client's connection.
    pub fn asks_local(&self) -> bool {
        self.written.iter().any(|(_, template)| template.asks_local())
    }

    /// Whether they take the id of the request.
    pub fn asks_id(&self) -> bool {
        self.written.iter().any(|(_, template)| template.asks_id())
    }

    /// Appends the fields that are set, but those that `dropped` names and those whose value comes out empty.
    pub(super) fn write_known(
        &self,
        out: &mut Vec<u8>,
        facts: &ExchangeFacts<'_>,
        message: Message<'_>,
        dropped: &dyn Fn(&[u8]) -> bool,
    ) {
        for (name, template) in self.written.iter().filter(|(name, _)| !dropped(name.as_bytes())) {
            let start = out.len();
            push_name(out, name);
            let value = out.len();
            template.write(out, facts, Some(message));
            if out[value..].trim_ascii().is_empty() {
                out.truncate(start);
            } else {
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Appends the fields that are set and added, but those that are written or left out `later`.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        facts: &ExchangeFacts<'_>,
        message: Message<'_>,
        later: impl Fn(&[u8]) -> bool,
    ) {
        for (name, template) in &self.written {
            if later(name.as_bytes()) {
                continue;
            }
            push_name(out, name);
            template.write(out, facts, Some(message));
            out.extend_from_slice(b"\r\n");
        }
    }
}

struct HeadersDraft {
    of: Purpose,
    headers: Headers,
    errors: Vec<Problem>,
}

impl HeadersDraft {
    fn compile(&mut self, spec: &HeadersSpec) {
        let mut seen = BTreeSet::new();
        for (name, value) in &spec.set {
            if !seen.insert(folded(name)) {
                self.error(path!["set", name], Flaw::new(format!("\"{name}\" is set twice")));
            }
            self.headers.dropped.insert(name);
            self.write("set", name, value);
        }
        for (name, value) in &spec.add {
            self.write("add", name, value);
        }
        for (index, name) in spec.remove.iter().enumerate() {
            match self.removable(name) {
                Ok(()) if seen.contains(&folded(name)) => {
                    let wrong =
                        Flaw::new(format!("\"{name}\" is set too: what is set replaces what was sent"));
                    self.error(path!["remove", index], wrong.hint("leave it out here"));
                }
                Ok(()) => self.headers.dropped.insert(name),
                Err(wrong) => self.error(path!["remove", index], wrong),
            }
        }
    }

    fn write(&mut self, key: &str, name: &str, value: &str) {
        match allowed(name, self.of).and_then(|()| Template::compile_line(value, self.of)) {
            Ok(template) => self.headers.written.push((name.into(), template)),
            Err(wrong) => self.error(path![key, name], wrong),
        }
    }

    fn removable(&self, name: &str) -> Result<(), Flaw> {
        match name.strip_suffix('*') {
            Some("") => {
                Err(Flaw::new("\"*\" would remove every field").hint("begin it, such as \"x-internal-*\""))
            }
            // A prefix leaves alone the fields that it may not remove.
            Some(prefix) if is_token(prefix.as_bytes()) && !prefix.contains('*') => Ok(()),
            Some(prefix) => Err(no_name(prefix)),
            None => allowed(name, self.of),
        }
    }

    fn error(&mut self, path: Vec<Item>, wrong: Flaw) {
        self.errors.push(wrong.below(path));
    }
}

/// Whether rules may name this field.
pub(crate) fn allowed(name: &str, of: Purpose) -> Result<(), Flaw> {
    if !is_token(name.as_bytes()) {
        return Err(no_name(name));
    }
    match folded(name).as_str() {
        folded if FRAMING.contains(&folded) => {
            Err(Flaw::new(format!("\"{name}\" belongs to the connection: it is written by the proxy alone")))
        }
        "host" if of == Purpose::Request => Err(Flaw::new("the Host field cannot be changed here")
            .hint("use the key host of the backend: host = \"app.internal\"")),
        "expect" if of == Purpose::Request => {
            Err(Flaw::new("\"Expect\" decides when the body is sent: it is passed on as it is"))
        }
        "early-data" if of == Purpose::Request => Err(Flaw::new(
            "\"Early-Data\" says that a request could be a repetition (RFC 8470): it is passed on as it is",
        )),
        _ => Ok(()),
    }
}

fn no_name(name: &str) -> Flaw {
    Flaw::new(format!("\"{}\" is not the name of a field", name.escape_debug()))
        .hint("letters, digits and hyphens, such as \"X-Request-Start\"")
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(set: &[&str], add: &[&str], remove: &[&str]) -> HeadersSpec {
        let pairs = |names: &[&str]| {
            names
                .iter()
                .map(|text| text.split_once('=').unwrap_or((text, "v")))
                .map(|(a, b)| (a.into(), b.into()))
                .collect()
        };
        HeadersSpec {
            set: pairs(set),
            add: pairs(add),
            remove: remove.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_path() {
        let spec = spec(
            &["Content-Length", "host", "X-A={nothing}", "X B", "x-c", "X_C", "X-Ok"],
            &["Transfer_Encoding", "expect", "X-D=a\r\nb", "early_data"],
            &["Connection", "*", "x-*-*", "fine-*", "X-Ok", "a:b"],
        );
        let errors = Headers::compile(&spec, Purpose::Request).unwrap_err();
        let said: Vec<_> = errors.iter().map(|error| (error.place(), error.reason.as_str())).collect();
        for (index, (path, part)) in [
            ("set.Content-Length", "by the proxy alone"),
            ("set.host", "cannot be changed here"),
            ("set.X-A", "no variable {nothing}"),
            ("set.X B", "not the name of a field"),
            ("set.X_C", "set twice"),
            ("add.Transfer_Encoding", "by the proxy alone"),
            ("add.expect", "passed on as it is"),
            ("add.X-D", "control character"),
            ("add.early_data", "a repetition"),
            ("remove.0", "by the proxy alone"),
            ("remove.1", "every field"),
            ("remove.2", "not the name of a field"),
            ("remove.4", "is set too"),
            ("remove.5", "not the name of a field"),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(said[index].0, path, "{said:?}");
            assert!(said[index].1.contains(part), "{said:?}");
        }
        assert_eq!(said.len(), 14);
        assert!(errors[1].hint.as_ref().unwrap().contains("host = "));
    }

    #[test]
    fn every_framing_field_is_refused_in_every_spelling() {
        for name in FRAMING {
            for spelt in [name.to_owned(), name.to_uppercase(), name.replace('-', "_")] {
                for of in [Purpose::Request, Purpose::Response] {
                    assert!(Headers::compile(&spec(&[&spelt], &[], &[]), of).is_err(), "{spelt}");
                    assert!(Headers::compile(&spec(&[], &[&spelt], &[]), of).is_err(), "{spelt}");
                    assert!(Headers::compile(&spec(&[], &[], &[&spelt]), of).is_err(), "{spelt}");
                }
            }
        }
    }

    #[test]
    fn what_is_set_and_removed_is_dropped_and_what_is_added_is_not() {
        let headers =
            Headers::compile(&spec(&["X-A"], &["X-B"], &["X-C", "x-d-*"]), Purpose::Response).unwrap();
        for (name, dropped) in [("x-a", true), ("X-B", false), ("x_c", true), ("X-D-1", true), ("X-D", false)]
        {
            assert_eq!(headers.drops(name.as_bytes()), dropped, "{name}");
        }
    }
}
