//! What a table answers, and what it says of patterns that are wrong.

use super::*;

fn entries(patterns: &[&str]) -> Vec<(String, BackendIndex)> {
    patterns.iter().zip(100..).map(|(pattern, backend)| ((*pattern).to_owned(), backend)).collect()
}

fn table(patterns: &[&str]) -> Table {
    Table::compile(&entries(patterns)).unwrap()
}

fn errors(patterns: &[&str]) -> Vec<PatternError> {
    Table::compile(&entries(patterns)).err().unwrap_or_default()
}

/// The index of the entry that takes `name`.
fn entry(table: &Table, name: &str) -> Option<u32> {
    let found = table.lookup(name);
    assert!(found.is_none_or(|found| found.backend == found.entry + 100));
    found.map(|found| found.entry)
}

#[test]
fn precedence_is_exact_then_longest_wildcard_then_first_pattern_then_any() {
    let table = table(&["*", "~^b", "~^bb", "*.org", "*.example.org", "a.example.org", "B.Example.Net."]);
    for (name, winner) in [
        ("a.example.org", 5),
        ("b.example.org", 4),
        ("c.d.e.example.org", 4),
        ("example.org", 3),
        ("b.example.net", 6),
        ("bb.example.net", 1),
        ("example.net", 0),
        ("org", 0),
        ("", 0),
    ] {
        assert_eq!(entry(&table, name), Some(winner), "{name}");
    }
    assert_eq!(table.any().map(|any| any.entry), Some(0));
}

#[test]
fn a_wildcard_takes_any_depth_but_not_its_apex_nor_an_empty_label() {
    let table = table(&["*.example.org"]);
    for (name, found) in [
        ("a.example.org", true),
        ("a.b.c.d.example.org", true),
        ("example.org", false),
        (".example.org", false),
        ("badexample.org", false),
        ("a.example.org.evil.net", false),
        ("org", false),
        ("", false),
        ("...", false),
    ] {
        assert_eq!(entry(&table, name).is_some(), found, "{name}");
    }
}

#[test]
fn expressions_search_anywhere_without_regard_to_case_and_the_first_in_file_order_wins() {
    let table = table(&["~^(www|api)\\.example\\.net$", "~EXAMPLE", "~^www"]);
    assert_eq!(entry(&table, "www.example.net"), Some(0));
    assert_eq!(entry(&table, "www.example.net.x"), Some(1));
    assert_eq!(entry(&table, "my.example.com"), Some(1));
    assert_eq!(entry(&table, "www.other"), Some(2));
    assert_eq!(entry(&table, "other"), None);
}

#[test]
fn the_deepest_and_the_longest_names_are_within_bounds() {
    let deepest = ["a"; 127].join(".");
    let wildcard = format!("*.{}", ["a"; 126].join("."));
    let longest_label = "a".repeat(63);
    let taken = table(&[&wildcard, "*", &longest_label]);
    assert_eq!(entry(&taken, &deepest), Some(0));
    assert_eq!(entry(&taken, &longest_label), Some(2));
    assert_eq!(entry(&taken, &".".repeat(253)), Some(1));
    assert_eq!(entry(&taken, &".".repeat(100_000)), Some(1));
    assert_eq!(entry(&table(&["~a"]), &"a".repeat(254)), None, "no name at all");
    assert!(table(&[]).lookup("a").is_none());
}

#[test]
fn every_problem_is_said_with_what_to_write_instead() {
    let (label, name) = ("a".repeat(64), ["abc"; 64].join("."));
    for (pattern, reason, hint) in [
        ("", "is empty", "\"*\""),
        ("  ", "is empty", "\"*\""),
        ("~", "is empty", "\"*\""),
        ("*.", "whole labels", "\"*\""),
        ("a.*.com", "whole labels", "\"~^a\\.[^.]+\\.com$\""),
        ("*foo.com", "whole labels", "\"~^[^.]*foo\\.com$\""),
        ("**", "whole labels", "~^[^.]*[^.]*$"),
        ("*.*.com", "whole labels", "~^[^.]+\\.[^.]+\\.com$"),
        ("example.com/api", "paths need an http listener", "\"example.com\""),
        ("*/x", "paths need an http listener", "\"*\""),
        ("/x", "paths need an http listener", ""),
        ("example.com:443", "port belongs to the listener", "\"example.com\""),
        ("*:443", "port belongs to the listener", "\"*\""),
        ("https://example.com:443/x", "\"https://\" does not belong", "\"example.com\""),
        ("192.0.2.1", "RFC 6066", "\"*\""),
        ("192.0.2.1:443", "RFC 6066", "\"*\""),
        ("10.0.0.0/8", "RFC 6066", "\"*\""),
        ("::1", "RFC 6066", "\"*\""),
        ("[2001:db8::1]", "RFC 6066", "\"*\""),
        ("[2001:db8::1]:443", "RFC 6066", "\"*\""),
        ("bücher.example", "ASCII", "punycode"),
        ("~^bücher", "ASCII", "punycode"),
        ("~(a", "unclosed group", ""),
        ("~*^www", "cannot begin with *", "\"~^www\""),
        ("~\\pL", "is wrong: Unicode", ""),
        ("~(((a{100}){100}){100})", "over 64 KiB", "repetition"),
        ("a..b", "between two dots", ""),
        ("*..b", "between two dots", ""),
        (".", "between two dots", ""),
        (".example.com", "begin with a dot", "\"example.com\" and \"*.example.com\""),
        ("exa mple.com", "' ' cannot be", "space"),
        ("^www\\.example\\.com$", "'^' cannot be", "begins with ~"),
        ("a\0b", "'\\0' cannot be", ""),
        ("user@example.com", "'@' cannot be", ""),
        (&label, "64 bytes", ""),
        (&name, "255 bytes", ""),
    ] {
        let found = errors(&[pattern]);
        let [error] = found.as_slice() else { panic!("{pattern}: {found:?}") };
        assert!(error.reason.contains(reason), "{pattern}: {}", error.reason);
        assert!(error.hint.as_deref().unwrap_or("").contains(hint), "{pattern}: {:?}", error.hint);
        assert_eq!(error.hint.is_none(), hint.is_empty(), "{pattern}: {:?}", error.hint);
        assert!(!error.reason.contains('\n'), "{pattern}: {}", error.reason);
    }
}

#[test]
fn what_the_hints_say_compiles() {
    for pattern in ["a.*.com", "*foo.com", "**", "*.*.com", "*.", "x:1", "*/x", "https://a.b/c"] {
        let hint = errors(&[pattern])[0].hint.clone().unwrap();
        let written = hint.strip_prefix("write \"").and_then(|rest| rest.strip_suffix('"')).unwrap();
        assert_eq!(errors(&[written]), [], "{pattern} -> {written}");
    }
    assert_eq!(entry(&table(&["~^a\\.[^.]+\\.com$"]), "a.b.com"), Some(0));
}

#[test]
fn unusual_names_that_exist_are_taken() {
    let names =
        ["_dmarc.example.com", "-a.b-", "localhost", "xn--bcher-kva.example", "1.2.3", "a_b.c", "*.com"];
    assert_eq!(errors(&names), []);
}

#[test]
fn all_errors_come_at_once_each_with_its_entry() {
    let found =
        errors(&["Example.com", "a b", "example.COM.", "*.x.org", "*.X.org", "*", "*", "~a", "~a", "~("]);
    let at: Vec<_> = found.iter().map(|error| error.entry).collect();
    assert_eq!(at, [1, 2, 4, 6, 8, 9]);
    assert_eq!(found[1].reason, "repeats \"Example.com\", entry 1 of this table");
    assert_eq!(found[2].reason, "repeats \"*.x.org\", entry 4 of this table");
    assert_eq!(found[4].reason, "repeats \"~a\", entry 8 of this table");
}

#[test]
fn hostile_expressions_cannot_eat_memory() {
    let many: Vec<_> = (0..2000).map(|n| format!("~(x{n}[a-z]{{60}}){{9}}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let found = errors(&many);
    assert_eq!(found.len(), 1, "{:?}", found.first());
    assert_eq!(found[0].entry, 1999);
    assert!(found[0].reason.contains("together compile to over 2 MiB"), "{}", found[0].reason);
}

fn explained(table: &Table, name: Option<&str>) -> Vec<(Kind, String, Option<u32>, Outcome)> {
    table.explain(name).into_iter().map(|step| (step.kind, step.pattern, step.entry, step.outcome)).collect()
}

#[test]
fn an_explanation_lists_what_won_and_why_the_others_did_not() {
    use Outcome::{NoMatch, Outranked, Won};
    let table = table(&["~^z", "~^a", "*", "*.org", "*.example.org", "a.example.org"]);
    assert_eq!(
        explained(&table, Some("A.example.org.")),
        [
            (Kind::Exact, "a.example.org".into(), Some(5), Won),
            (Kind::Wildcard, "*.example.org".into(), Some(4), Outranked),
            (Kind::Wildcard, "*.org".into(), Some(3), Outranked),
            (Kind::Pattern, "~^z".into(), Some(0), NoMatch),
            (Kind::Pattern, "~^a".into(), Some(1), Outranked),
            (Kind::Any, "*".into(), Some(2), Outranked),
        ]
    );
    let apex = table.explain(Some("example.org"));
    assert_eq!(apex[1].why, "it takes subdomains, not the name itself");
    assert_eq!((apex[2].pattern.as_str(), apex[2].outcome), ("*.org", Won));
    assert_eq!(apex[5].why, "\"*.org\" goes first");
    let none = explained(&table, None);
    assert_eq!(none[1], (Kind::Any, "*".into(), Some(2), Won));
    let json = serde_json::to_string(&apex[5]).unwrap();
    assert!(
        json.contains(r#""kind":"any","pattern":"*","entry":2,"backend":102,"outcome":"outranked""#),
        "{json}"
    );
}

#[test]
fn an_explanation_is_bounded_but_never_loses_the_winner() {
    let mut patterns: Vec<_> = (0..1000).map(|n| format!("~^x{n}$")).collect();
    patterns.extend((0..1000).map(|n| format!("a{n}.b.c.d")));
    patterns.extend((1..60).map(|n| format!("*.{}", vec!["q"; n].join("."))));
    let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
    let table = table(&patterns);
    let steps = table.explain(Some("x900"));
    assert_eq!(steps.len(), 1 + 32 + 1 + 1 + 1);
    let won: Vec<_> = steps.iter().filter(|step| step.outcome == Outcome::Won).collect();
    assert_eq!((won.len(), won[0].entry), (1, Some(900)));
    assert!(table.explain(Some(&vec!["q"; 126].join("."))).len() < 200);
    assert!(table.explain(Some(&"q".repeat(300)))[0].why.contains("300 bytes"));
}
