//! Compiling `[listeners.NAME.first_bytes]`: the kinds that a listener tells apart, and where each leads.
//!
//! Must never let two kinds be told by the same bytes.

use super::Compiler;
use crate::analyze::{Kind, Kinds};
use crate::listener::{KindWays, Route, Silent, Way};
use crate::path;
use crate::problem::Item;
use crate::protocol;
use crate::spec::{FirstBytesSpec, KindSpec, ListenerSpec};
use crate::wire::kind::Mark;

/// Bytes of a prefix at most.
const LONGEST: usize = 64;
/// Kinds of one listener at most.
const MOST: usize = 100;

/// In front of a prefix that is written in hexadecimal digits.
const HEX: &str = "hex:";

impl Compiler<'_> {
    /// Compiles the kinds of a listener, if it tells any apart.
    pub(super) fn kinds(&mut self, name: &str, spec: &ListenerSpec) -> Option<(Kinds, KindWays)> {
        let kinds = spec.first_bytes.as_ref()?;
        let root = path!["listeners", name, "first_bytes"];
        let at = |keys: &[Item]| [&root[..], keys].concat();
        let (mut all, mut ways) = (Vec::new(), Vec::new());
        for (key, mark, kind) in written(kinds) {
            if let Some(kind) = kind {
                ways.extend(self.way(name, at(&path![key]), kind, &mark));
                all.push(Kind { name: key.into(), is_named: kind.table.is_some(), mark });
            }
        }
        for (text, backend) in &kinds.prefixes {
            let path = at(&path!["prefixes", text]);
            let backend = self.backend_number(path.clone(), Some(backend));
            match read_prefix(text).and_then(|prefix| check(text, prefix, &all)) {
                Err(reason) => self.error(path, reason),
                Ok(mark) => {
                    ways.extend(
                        backend.map(|backend| Way { route: Route::Backend(backend), fallback: None }),
                    );
                    all.push(Kind { name: text.as_str().into(), is_named: false, mark });
                }
            }
        }
        if all.is_empty() && kinds.silent.is_none() {
            self.error(root.clone(), "at least one kind is needed");
        }
        if all.len() > MOST {
            self.error(root.clone(), format!("{} kinds are more than {MOST}", all.len()));
        }
        let silent = self.backend_number(at(&path!["silent"]), kinds.silent.as_deref());
        let silent = silent.map(|backend| Silent { backend, after: kinds.silent_after });
        Some((Kinds(all.into()), KindWays { ways: ways.into(), silent }))
    }

    /// Returns where a kind leads; None when that is wrong, which has been reported then.
    fn way(&mut self, name: &str, path: Vec<Item>, kind: &KindSpec, mark: &Mark) -> Option<Way> {
        let below = |key: &'static str| [&path[..], &path![key]].concat();
        let fallback = self.backend_number(below("fallback"), kind.fallback.as_deref());
        let route = match (&kind.backend, &kind.table) {
            (Some(backend), None) => self.backend_number(path.clone(), Some(backend)).map(Route::Backend),
            (None, Some(table)) => {
                let number = self.table_at(below("table"), table);
                if let Some(number) = number {
                    let reads: &dyn protocol::Protocol =
                        if *mark == Mark::Tls { protocol::TLS } else { protocol::HTTP_HOST };
                    self.check_table_at(below("table"), reads, number);
                }
                number.map(Route::Table)
            }
            _ => {
                self.error(
                    path.clone(),
                    format!("give either table or backend to a kind of listeners.{name}"),
                );
                None
            }
        };
        Some(Way { route: route?, fallback })
    }
}

/// Returns the kinds that have keys of their own.
fn written(kinds: &FirstBytesSpec) -> [(&'static str, Mark, Option<&KindSpec>); 4] {
    [
        ("tls", Mark::Tls, kinds.tls.as_ref()),
        ("http", Mark::Http, kinds.http.as_ref()),
        ("ssh", Mark::Ssh, kinds.ssh.as_ref()),
        ("postgres", Mark::Postgres, kinds.postgres.as_ref()),
    ]
}

/// Reads a prefix: text as it is, or `hex:` and digits.
fn read_prefix(text: &str) -> Result<Box<[u8]>, String> {
    let bytes = match text.strip_prefix(HEX) {
        None => text.as_bytes().to_vec(),
        Some(digits) => {
            let pairs = digits.as_bytes().chunks(2);
            let byte = |pair: &[u8]| {
                let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
                let is_digits = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
                u8::from_str_radix(pair, 16).ok().filter(|_| is_digits)
            };
            pairs.map(byte).collect::<Option<_>>().ok_or("hex: is followed by pairs of hexadecimal digits")?
        }
    };
    match bytes.len() {
        0 => Err("a prefix has at least one byte".to_owned()),
        1..=LONGEST => Ok(bytes.into()),
        _ => Err(format!("a prefix has {LONGEST} bytes at most")),
    }
}

/// Refuses a prefix that could not be told from another kind by the shorter of the two.
fn check(text: &str, prefix: Box<[u8]>, others: &[Kind]) -> Result<Mark, String> {
    for other in others {
        let name = &other.name;
        match (other.mark.tells(&prefix), &other.mark) {
            (Some(true), Mark::Prefix(same)) if **same == *prefix => {
                return Err(format!("it is the same as \"{name}\""));
            }
            (Some(true), _) => {
                return Err(format!("it would never be told from \"{name}\", which it begins with"));
            }
            (None, _) => {
                return Err(format!("\"{name}\" would never be told from it: it begins with \"{text}\""));
            }
            (Some(false), _) => {}
        }
    }
    Ok(Mark::Prefix(prefix))
}
