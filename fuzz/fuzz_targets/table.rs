//! Arbitrary tables and names: no panic, and a lookup agrees with its explanation and with the precedence of kinds.
//!
//! The input is lines: patterns until an empty line, then names.

#![no_main]

use headworks_core::table::{Table, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (patterns, names) = input.split_once("\n\n").unwrap_or((input, input));
    let entries: Vec<_> =
        patterns.lines().take(64).map(str::to_owned).zip((0..).map(Target::Backend)).collect();
    let table = match Table::compile(&entries) {
        Ok(table) => table,
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| error.entry < entries.len() && !error.reason.is_empty()));
            return;
        }
    };
    for name in names.lines().take(64) {
        let found = table.lookup(name);
        table.explain(Some(name), None);
        table.explain(Some(name), Some(name.as_bytes()));
        table.lookup_path(Some(name), name.as_bytes());
        let Some(found) = found else {
            assert!(table.any().is_none(), "`*` takes whatever nothing else does");
            continue;
        };
        let pattern = &entries[found.entry as usize].0;
        assert_eq!(found.target, Target::Backend(found.entry));
        // An exact entry wins over every other kind; names arrive in lower case and without a trailing dot.
        let arrives = !name.ends_with('.') && !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let exact = entries.iter().find(|(pattern, _)| pattern == name && !pattern.starts_with(['*', '~']));
        if let Some((exact, _)) = exact.filter(|_| arrives) {
            assert_eq!(exact, pattern);
        }
    }
});
