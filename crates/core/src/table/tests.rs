//! Tests of what a table answers, and of what it says of patterns that are wrong.

use super::*;

fn entries(patterns: &[&str]) -> Vec<(String, Target)> {
    patterns.iter().zip(100..).map(|(pattern, to)| ((*pattern).to_owned(), Target::Backend(to))).collect()
}

fn table(patterns: &[&str]) -> Table {
    Table::compile(&entries(patterns)).unwrap()
}

fn errors(patterns: &[&str]) -> Vec<PatternError> {
    Table::compile(&entries(patterns)).err().unwrap_or_default()
}

/// Returns the index of the entry that takes `name`.
fn entry(table: &Table, name: &str) -> Option<u32> {
    let found = table.lookup(name);
    assert!(found.is_none_or(|found| found.target == Target::Backend(found.entry + 100)));
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
        ("/x", "follows a host", "\"*/x\""),
        ("example.com/x?y=1", "not a query", "\"example.com/x\""),
        ("example.com?y", "not a query", "\"example.com\""),
        ("example.com:80/x", "port belongs to the listener", "\"example.com/x\""),
        ("example.com//x/../y", "compared without", "\"example.com/y\""),
        ("example.com/./y", "compared without", "\"example.com/y\""),
        ("example.com/a b", "' ' cannot be in a path", "\"example.com/a%20b\""),
        ("example.com/a\tb", "'\\t' cannot be in a path", ""),
        ("bücher.example/x", "ASCII", "punycode"),
        ("192.0.2.1/x", "RFC 6066", "\"*\""),
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
    for pattern in ["a.*.com", "*foo.com", "**", "*.*.com", "*.", "x:1", "/x", "a/../b", "https://a.b/c"] {
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

fn explained(table: &Table, name: Option<&str>) -> Vec<(EntryKind, String, Option<u32>, Outcome)> {
    table
        .explain(name, None)
        .into_iter()
        .map(|step| (step.kind, step.pattern, step.entry, step.outcome))
        .collect()
}

#[test]
fn an_explanation_lists_what_won_and_why_the_others_did_not() {
    use Outcome::{NoMatch, Outranked, Won};
    let table = table(&["~^z", "~^a", "*", "*.org", "*.example.org", "a.example.org"]);
    assert_eq!(
        explained(&table, Some("A.example.org.")),
        [
            (EntryKind::Exact, "a.example.org".into(), Some(5), Won),
            (EntryKind::Wildcard, "*.example.org".into(), Some(4), Outranked),
            (EntryKind::Wildcard, "*.org".into(), Some(3), Outranked),
            (EntryKind::Pattern, "~^z".into(), Some(0), NoMatch),
            (EntryKind::Pattern, "~^a".into(), Some(1), Outranked),
            (EntryKind::Any, "*".into(), Some(2), Outranked),
        ]
    );
    let apex = table.explain(Some("example.org"), None);
    assert_eq!(apex[1].why, "it takes subdomains, not the name itself");
    assert_eq!((apex[2].pattern.as_str(), apex[2].outcome), ("*.org", Won));
    assert_eq!(apex[5].why, "\"*.org\" goes first");
    let none = explained(&table, None);
    assert_eq!(none[1], (EntryKind::Any, "*".into(), Some(2), Won));
    let json = serde_json::to_string(&apex[5]).unwrap();
    assert!(
        json.contains(
            r#""kind":"any","pattern":"*","entry":2,"target":{"backend":102},"outcome":"outranked""#
        ),
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
    let steps = table.explain(Some("x900"), None);
    assert_eq!(steps.len(), 1 + 32 + 1 + 1 + 1);
    let won: Vec<_> = steps.iter().filter(|step| step.outcome == Outcome::Won).collect();
    assert_eq!((won.len(), won[0].entry), (1, Some(900)));
    assert!(table.explain(Some(&vec!["q"; 126].join(".")), None).len() < 200);
    assert!(table.explain(Some(&"q".repeat(300)), None)[0].why.contains("300 bytes"));
}

/// Returns the index of the entry that takes a request.
fn request(table: &Table, name: &str, path: &str) -> Option<u32> {
    let found = table.lookup_path(Some(name), path.as_bytes()).map(|found| found.entry);
    let steps = table.explain(Some(name), Some(path.as_bytes()));
    let won: Vec<_> = steps.iter().filter(|step| step.outcome == Outcome::Won).collect();
    assert!(won.len() <= 1, "{steps:?}");
    assert_eq!(won.first().and_then(|step| step.entry), found, "{steps:?}");
    found
}

#[test]
fn a_path_takes_whole_segments_and_the_longest_wins() {
    let table = table(&["a.org", "a.org/api", "a.org/api/v2", "a.org/api-old", "a.org/Api", "a.org/x/"]);
    for (path, winner) in [
        ("/api", 1),
        ("/api/", 1),
        ("/api/x", 1),
        ("/api?x", 1),
        ("/apix", 0),
        ("/api-old", 3),
        ("/api-olds", 0),
        ("/api-old/v2", 3),
        ("/api/v2", 2),
        ("/api/v2/users?x=/../..", 2),
        ("/api/v23", 1),
        ("/Api/v2", 4),
        ("/API", 0),
        ("/x", 5),
        ("/x/y", 5),
        ("/", 0),
        ("", 0),
        ("*", 0),
    ] {
        assert_eq!(request(&table, "a.org", path), Some(winner), "{path}");
    }
    assert_eq!(request(&table, "b.org", "/api"), None);
    assert_eq!(table.lookup("a.org").map(|found| found.entry), Some(0), "a connection asks for no path");
}

#[test]
fn the_kind_of_host_comes_before_the_length_of_the_path() {
    let table = table(&[
        "*/health",
        "*",
        "~^r",
        "*.org/a/b/c",
        "*.x.org",
        "w.x.org/a",
        "*.x.org/a/b",
        "r.net/only",
        "*.deep.x.org/d",
    ]);
    for (name, path, winner) in [
        ("w.x.org", "/a/b/c", 5),
        ("w.x.org", "/b", 4),
        ("v.x.org", "/a/b/c", 6),
        ("v.x.org", "/health", 4),
        ("v.org", "/a/b/c", 3),
        ("v.org", "/health/x", 0),
        ("v.org", "/", 1),
        ("r.net", "/only/this", 7),
        ("r.net", "/health", 2),
        ("a.deep.x.org", "/d", 8),
        ("a.deep.x.org", "/e", 4),
    ] {
        assert_eq!(request(&table, name, path), Some(winner), "{name}{path}");
    }
    let nameless = |path: &[u8]| table.lookup_path(None, path).map(|found| found.entry);
    assert_eq!((nameless(b"/health"), nameless(b"/x")), (Some(0), Some(1)));
    assert_eq!(request(&table, &"r".repeat(300), "/health"), Some(0), "over 253 bytes it is no name");
}

#[test]
fn no_spelling_of_a_path_gets_round_an_entry() {
    let table = table(&["a.org", "a.org/admin", "a.org/b%C3%BCcher", "a.org/a%20b"]);
    for path in [
        "/admin",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/.%2E/admin/",
        "/%61dmin",
        "/x%2f..%2fadmin",
        "/admin/.",
        "/x/..//admin?y",
        "/admin%2fx",
        "/../admin",
    ] {
        assert_eq!(request(&table, "a.org", path), Some(1), "{path}");
    }
    for path in ["/admin/..", "/admin/../x", "/admin/%2e%2e/x", "/%2561dmin", "/administrator"] {
        assert_eq!(request(&table, "a.org", path), Some(0), "{path}");
    }
    assert_eq!(request(&table, "a.org", "/b\u{fc}cher/x"), Some(2));
    assert_eq!(request(&table, "a.org", "/%62%c3%bccher"), Some(2));
    assert_eq!(request(&table, "a.org", "/a%20b"), Some(3));
}

#[test]
fn entries_with_paths_repeat_one_another_by_what_they_compare() {
    let found = errors(&[
        "a.org/x",
        "A.org./x/",
        "a.org/%78",
        "a.org",
        "a.org/",
        "*",
        "*/",
        "*/x",
        "*/x",
        "*.a/x",
        "*.A/x",
    ]);
    let at: Vec<_> = found.iter().map(|error| error.entry).collect();
    assert_eq!(at, [1, 2, 4, 6, 8, 10]);
    assert_eq!(found[1].reason, "repeats \"a.org/x\", entry 1 of this table");
}

#[test]
fn an_explanation_lists_the_paths_that_fit_longest_first() {
    use Outcome::{NoMatch, Outranked, Won};
    let table = table(&["a.org", "a.org/x", "a.org/x/y", "a.org/z", "*/x"]);
    let steps = table.explain(Some("a.org"), Some(b"/x/y/z"));
    let told: Vec<_> = steps.iter().map(|step| (step.pattern.as_str(), step.entry, step.outcome)).collect();
    assert_eq!(
        told,
        [
            ("a.org/x/y", Some(2), Won),
            ("a.org/x", Some(1), Outranked),
            ("a.org/", None, NoMatch),
            ("a.org", Some(0), Outranked),
            ("*/x", Some(4), Outranked),
            ("*", None, NoMatch),
        ]
    );
    assert_eq!(steps[2].why, "1 of its paths do not fit or come too late");
    assert!(!table.explain(Some("a.org"), None).iter().any(|step| step.pattern.contains('/')));
}

#[test]
fn a_host_with_very_many_paths_answers_as_well_as_one_with_few() {
    let patterns: Vec<_> = (0..20_000).map(|n| format!("a.org/p{}/q{n}", n % 100)).collect();
    let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
    let table = table(&patterns);
    assert_eq!(request(&table, "a.org", "/p99/q19999/x"), Some(19_999));
    assert_eq!(request(&table, "a.org", "/p98/q19999/x"), None);
}

#[test]
fn a_host_is_known_though_none_of_its_paths_fits() {
    let table = table(&["a.org/x", "*.b.org/x", "~^c", "d.org"]);
    for (name, known) in [
        ("a.org", true),
        ("x.b.org", true),
        ("b.org", false),
        ("c.org", true),
        ("d.org", true),
        ("e.org", false),
    ] {
        assert_eq!(table.has_host(Some(name)), known, "{name}");
    }
    assert!(!table.has_host(None) && !table.has_host(Some(&"c".repeat(300))));
    let health = Table::compile(&entries(&["*/health"])).unwrap();
    assert!(health.has_host(None) && health.has_host(Some("a")));
}
