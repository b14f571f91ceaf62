//! Which certificates are for a name: the index against a search through all of them, and what the standard
//! says of wildcards.

use headworks_core::tls::{Candidates, Certificate, Names};
use proptest::prelude::*;

fn certificate(names: &[String]) -> Certificate {
    let names = names.iter().map(|name| name.as_str().into()).collect();
    Certificate {
        path: Vec::new(),
        place: "made".into(),
        names,
        chain: Vec::new(),
        key: Box::default(),
        ocsp: None,
        not_after: 0,
    }
}

fn index(certificates: &[&[&str]]) -> Names {
    let owned = |names: &&[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    Names::new(&certificates.iter().map(|names| certificate(&owned(names))).collect::<Vec<_>>())
}

fn flat(candidates: Candidates<'_>) -> Vec<u32> {
    candidates.concat()
}

/// A wildcard stands for the leftmost label as a whole, label by label.
fn is_wildcard_for(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), name.split('.').collect());
    pattern[0] == "*" && !name[0].is_empty() && pattern.len() == name.len() && pattern[1..] == name[1..]
}

#[test]
fn no_key_is_printed() {
    let secret = Certificate { key: [213, 214].into(), ..certificate(&["a.example".to_owned()]) };
    let printed = format!("{secret:?}");
    assert!(printed.contains("a.example") && !printed.contains("213"), "{printed}");
}

#[test]
fn a_wildcard_is_for_exactly_one_label() {
    let names = index(&[&["*.example.com"]]);
    for (name, covered) in [
        ("a.example.com", true),
        ("a.example.com.", true),
        ("xn--bcher-kva.example.com", true),
        ("example.com", false),
        (".example.com", false),
        ("a.b.example.com", false),
        ("*.b.example.com", false),
        ("aexample.com", false),
        ("com", false),
        ("", false),
        (".", false),
    ] {
        assert_eq!(names.covers(0, name), covered, "{name}");
    }
}

#[test]
fn a_star_elsewhere_and_an_address_match_nothing() {
    let names = index(&[&["f*.example.com", "*", "*.", "a.*.example.com", "*.0.0.1", "*.*.example.net"]]);
    for name in
        ["foo.example.com", "com", "a.b.example.com", "127.0.0.1", "a.b.example.net", "f*.example.com"]
    {
        assert!(!names.covers(0, name), "{name}");
    }
    assert!(index(&[&["127.0.0.1", "::1"]]).covers(0, "127.0.0.1"));
    assert!(index(&[&["127.0.0.1", "::1"]]).covers(0, "::1"));
}

#[test]
fn the_default_is_the_first_certificate_and_those_for_the_same_names() {
    let names = index(&[&["a.example", "b.example"], &["a.example"], &["b.example", "a.example"], &["*"]]);
    assert_eq!(flat(names.otherwise()), [0, 2]);
    assert_eq!(flat(index(&[]).otherwise()), [0_u32; 0]);
}

#[test]
fn a_certificate_that_says_a_name_twice_is_one_candidate() {
    assert_eq!(flat(index(&[&["a.example", "a.example", "a.example."]]).candidates("a.example")), [0]);
}

prop_compose! {
    /// Few labels, so that names meet.
    fn name()(labels in prop::collection::vec(prop::sample::select(vec!["a", "b", "example"]), 1..4)) -> String {
        labels.join(".")
    }
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![name(), name().prop_map(|rest| format!("*.{rest}"))]
}

proptest! {
    #[test]
    fn the_index_finds_what_a_search_finds(
        written in prop::collection::vec(prop::collection::vec(pattern(), 0..4), 0..8),
        asked in name(),
    ) {
        let certificates: Vec<_> = written.iter().map(|names| certificate(names)).collect();
        let names = Names::new(&certificates);
        let by = |fits: &dyn Fn(&str) -> bool| -> Vec<u32> {
            let of = |names: &Vec<String>| names.iter().any(|pattern| fits(pattern));
            written.iter().enumerate().filter(|(_, names)| of(names)).map(|(index, _)| index as u32).collect()
        };
        let [exact, wildcard] = names.candidates(&asked);
        prop_assert_eq!(exact, by(&|pattern| pattern == asked));
        prop_assert_eq!(wildcard, by(&|pattern| is_wildcard_for(pattern, &asked)));
        for index in 0..written.len() as u32 {
            prop_assert_eq!(names.covers(index, &asked), exact.contains(&index) || wildcard.contains(&index));
        }
    }

    #[test]
    fn no_name_makes_a_lookup_fail(written in prop::collection::vec(any::<String>(), 0..4), asked in any::<String>()) {
        let names = Names::new(&[certificate(&written)]);
        let plain = !asked.is_empty() && !asked.contains('*') && !asked.ends_with('.');
        prop_assert!(!(plain && written.contains(&asked)) || names.covers(0, &asked));
    }
}
