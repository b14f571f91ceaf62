//! Laws of the table: it agrees with a naive model, explains what it does, and stays bounded on hostile
//! input.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use headworks_core::table::{Outcome, Table, Target};
use proptest::prelude::*;
use regex::Regex;

/// What the contract says, entry by entry: the best of (kind, length of the wildcard, file order) wins.
fn model(patterns: &[String], name: &str) -> Option<u32> {
    let ranked = patterns
        .iter()
        .enumerate()
        .filter_map(|(entry, pattern)| Some((rank_host(pattern, name)?, entry as u32)));
    ranked.min().map(|(_, entry)| entry)
}

fn compile(patterns: &[String]) -> Table {
    let entries: Vec<_> = patterns.iter().map(|pattern| (pattern.clone(), Target::Backend(7))).collect();
    Table::compile(&entries).unwrap()
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]{1,2}", 1..5).prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => name(),
        4 => name().prop_map(|suffix| format!("*.{suffix}")),
        3 => "~\\^?[abAB.]{1,3}\\$?",
        1 => Just("*".to_owned()),
    ]
}

/// The lower the better; None when it does not take the name.
fn rank_host(pattern: &str, name: &str) -> Option<(u32, usize)> {
    if pattern == "*" {
        return Some((3, 0));
    }
    if let Some(text) = pattern.strip_prefix('~') {
        return Regex::new(&format!("(?i){text}")).unwrap().is_match(name).then_some((2, 0));
    }
    match pattern.strip_prefix("*.") {
        Some(suffix) => {
            let label = name.strip_suffix(suffix)?.strip_suffix('.')?;
            (!label.is_empty()).then_some((1, usize::MAX - suffix.len()))
        }
        None => (pattern == name).then_some((0, 0)),
    }
}

/// The same with paths: the best of (kind of host, length of the wildcard, length of the path, file order)
/// wins.
fn path_model(patterns: &[String], name: &str, path: &str) -> Option<u32> {
    let rank = |pattern: &String| {
        let (host, prefix) = match pattern.starts_with('~') {
            true => (pattern.as_str(), ""),
            false => pattern.split_at(pattern.find('/').unwrap_or(pattern.len())),
        };
        let fits = path == prefix || path.starts_with(&format!("{prefix}/"));
        let (kind, length) = fits.then(|| rank_host(host, name))??;
        Some((kind, length, usize::MAX - prefix.len()))
    };
    let ranked =
        patterns.iter().enumerate().filter_map(|(entry, pattern)| Some((rank(pattern)?, entry as u32)));
    ranked.min().map(|(_, entry)| entry)
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab-]{1,2}", 0..4)
        .prop_map(|segments| segments.iter().map(|one| format!("/{one}")).collect())
}

proptest! {
    #[test]
    fn a_request_agrees_with_the_model_and_with_its_explanation(
        written in prop::collection::hash_set((pattern(), path()), 0..16),
        asks in prop::collection::vec((name(), path()), 1..20),
    ) {
        let patterns: Vec<_> = written
            .into_iter()
            .map(|(host, path)| if host.starts_with('~') { host } else { host + &path })
            .collect::<std::collections::HashSet<_>>()
            .into_iter()
            .collect();
        let table = compile(&patterns);
        for (name, path) in asks {
            let found = table.lookup_path(Some(&name), format!("{path}?q").as_bytes()).map(|found| found.entry);
            prop_assert_eq!(found, path_model(&patterns, &name, &path), "{}{} in {:?}", name, path, patterns);
            let disguised = path.replace('a', "%61").replace('/', "//x/.%2e/");
            let again = table.lookup_path(Some(&name), disguised.as_bytes()).map(|found| found.entry);
            // Without a path, what is disguised is the empty path, which is "/".
            prop_assert_eq!(again, found, "{}{} in {:?}", name, disguised, patterns);
            let steps = table.explain(Some(&name), Some(path.as_bytes()));
            let won = steps.iter().find(|step| step.outcome == Outcome::Won);
            prop_assert_eq!(won.and_then(|step| step.entry), found);
        }
    }

    #[test]
    fn a_lookup_agrees_with_the_model_and_with_its_explanation(
        patterns in prop::collection::hash_set(pattern(), 0..12),
        names in prop::collection::vec(name(), 1..20),
    ) {
        let patterns: Vec<_> = patterns.into_iter().collect();
        let table = compile(&patterns);
        for name in names {
            let found = table.lookup(&name).map(|found| found.entry);
            prop_assert_eq!(found, model(&patterns, &name), "{} in {:?}", name, patterns);
            let steps = table.explain(Some(&format!("{}.", name.to_uppercase())), None);
            let won: Vec<_> = steps.iter().filter(|step| step.outcome == Outcome::Won).collect();
            prop_assert_eq!(won.first().and_then(|step| step.entry), found);
            prop_assert!(won.len() <= 1);
            let first = steps.iter().find(|step| step.outcome != Outcome::NoMatch);
            prop_assert_eq!(first.map(|step| step.outcome), found.map(|_| Outcome::Won));
        }
    }

    #[test]
    fn no_name_and_no_pattern_makes_it_panic(
        patterns in prop::collection::vec(any::<String>(), 0..6),
        stars in prop::collection::vec("[*~.a:/\\[\\]é1 ]{0,12}", 0..6),
        names in prop::collection::vec(any::<String>(), 0..6),
    ) {
        let entries: Vec<_> = patterns.into_iter().chain(stars).map(|pattern| (pattern, Target::Backend(0))).collect();
        if let Err(errors) = Table::compile(&entries) {
            prop_assert!(errors.iter().all(|error| error.entry < entries.len() && !error.reason.is_empty()));
        }
        let table = compile(&["*.a", "b", "~a.c"].map(str::to_owned));
        for name in &names {
            table.lookup(name);
            table.explain(Some(name), None);
            table.explain(Some(name), Some(name.as_bytes()));
            table.lookup_path(Some(name), name.as_bytes());
        }
    }
}

#[test]
fn the_smallest_index_wins_among_a_thousand_expressions() {
    let patterns: Vec<_> =
        (0..1000).map(|n| format!("~^(www|api){}\\.{}", n % 500, if n < 500 { "" } else { "e" })).collect();
    let table = compile(&patterns);
    for n in 0..500 {
        assert_eq!(table.lookup(&format!("www{n}.example.com")).map(|found| found.entry), Some(n));
    }
    assert_eq!(table.lookup("www1000.example.com"), None);
}

#[test]
fn a_hostile_table_and_the_longest_names_come_to_an_end() {
    // Each remembers where every "a" was: no cache of automaton states is large enough.
    let patterns: Vec<_> = (0..400).map(|n| format!("~a[ab]{{{}}}c{n}$", 20 + n % 60)).collect();
    let table = compile(&patterns);
    for period in [2, 3, 5] {
        let name: String =
            (0..253).map(|n: usize| if (n * n).is_multiple_of(period) { 'a' } else { 'b' }).collect();
        assert_eq!(table.lookup(&name), None);
    }
    assert_eq!(table.lookup(&format!("{}c7", "a".repeat(100))).map(|found| found.entry), Some(7));
}
