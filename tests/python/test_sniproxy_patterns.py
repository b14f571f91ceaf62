"""Patterns of sniproxy as entries of tables: what each is told as, and that the same backend is chosen."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.config.loaded import load
from headworks.importing.sniproxy.emit import expression
from headworks.importing.sniproxy.expressions import is_any, names
from headworks.importing.sniproxy.order import tell
from headworks.importing.sniproxy.overlap import meets
from headworks.importing.sniproxy.syntax import PatternError, parse


def told(*patterns: str) -> list[list[str]]:
    """Tell a table whose entries all lead elsewhere."""
    return [one.patterns for one in tell([(parse(pattern), number) for number, pattern in enumerate(patterns)])]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^example\.com$", ["example.com"]),
        (r"^(example\.com)$", ["example.com"]),
        (r"\Aexample\.com\z", ["example.com"]),
        (r"^Example\.COM$", ["example.com"]),
        (r"(?i)^Example\.COM$", ["example.com"]),
        (r"^example[.]com$", ["example.com"]),
        (r"^example\.com\.?$", ["example.com"]),
        (r"^(www\.)?example\.com$", ["example.com", "www.example.com"]),
        (r"^(www|api)\.example\.(com|org)$", [f"{a}.example.{b}" for a in ("www", "api") for b in ("com", "org")]),
        (r"^(.*\.)?example\.com$", ["example.com", "*.example.com"]),
        (r"^(.+\.)?example\.com$", ["example.com", "*.example.com"]),
        (r"^(?:.*\.|)example\.com$", ["example.com", "*.example.com"]),
        (r"(^|\.)example\.com$", ["example.com", "*.example.com"]),
        (r"^([^.]+\.)*example\.com$", ["example.com", "*.example.com"]),
        (r"^([^.]+\.)+example\.com$", ["*.example.com"]),
        (r"^.*\.example\.com$", ["*.example.com"]),
        (r"^.+\.example\.com$", ["*.example.com"]),
        (r".*\.example\.com$", ["*.example.com"]),
        (r"\.example\.com$", ["*.example.com"]),
        (r"\.(com|org)$", ["*.com", "*.org"]),
        (".*", ["*"]),
        ("^.*$", ["*"]),
        ("", ["*"]),
        ("^", ["*"]),
        ("(.*)", ["*"]),
        ("^$", ["~^$"]),
        (".+", ["~.+"]),
        ("example.com", ["~example.com"]),
        (r"example\.com", [r"~example\.com"]),
        (r"example\.com$", [r"~example\.com$"]),
        (r"^example\.com", [r"~^example\.com"]),
        (r"^.*example\.com$", [r"~^.*example\.com$"]),
        (r"^([^.]+\.)?example\.com$", [r"~^(?:[^.]+\.)?example\.com$"]),
        (r"^[^.]+\.example\.com$", [r"~^[^.]+\.example\.com$"]),
        (r"^[a-zA-Z0-9-]+\.example\.com$", [r"~^[a-z0-9-]+\.example\.com$"]),
        (r"^[^A-Z]+$", [r"~^.+$"]),
        (r"^192\.0\.2\.1$", [r"~^192\.0\.2\.1$"]),
        (r"^w{2,3}\d\.example\.com$", [r"~^w{2,3}\d\.example\.com$"]),
        (r"^(?<n>a|b)+?x$", [r"~^(?:a|b)+x$"]),
        (r"[]a]{2}", [r"~[a\]]{2}"]),
        (r"\Qa.b\E", [r"~a\.b"]),
        ("a{,3}", [r"~a\{,3\}"]),
    ],
)
def test_what_a_pattern_is_told_as(pattern: str, expected: list[str]) -> None:
    assert told(pattern) == [expected]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?!www)example",
        r"(?=a)b",
        r"(?<=a)b",
        r"(?<!a)b",
        r"(?>a)b",
        r"(a)\1",
        r"(?<n>a)\k<n>",
        "a++",
        "(?R)",
        "(*UTF8)a",
        "(",
        ")",
        "[a",
        "a\\",
        "*a",
        "a{3,2}",
        "[z-a]",
        r"\p{L}",
        "[[:foo:]]",
        "bücher",
        "(?x)a",
    ],
)
def test_patterns_that_cannot_be_told(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"\w+ \w+"):
        parse(pattern)


def test_whether_capitals_were_meant_is_kept() -> None:
    assert parse("Example").is_folded
    assert not parse("(?i)Example").is_folded
    assert not parse("[a-zA-Z]").is_folded
    assert not parse(r"\w\S\D").is_folded


# ---- order


def test_names_that_are_taken_already_are_left_out() -> None:
    assert told(r"\.example\.com$", r"^a\.example\.com$", r"^(.*\.)?b\.example\.com$", r"^example\.com$") == [
        ["*.example.com"],
        [],
        [],
        ["example.com"],
    ]
    assert told("^a$", ".*", "^b$") == [["a"], ["*"], []]


def test_names_after_an_expression_that_takes_some_are_one() -> None:
    assert told(r"^www\d\.", r"\.example\.com$") == [[r"~^www\d\."], [r"~\.example\.com$"]]
    assert told(r"^www\d\.", r"^(.*\.)?example\.com$") == [[r"~^www\d\."], ["example.com", r"~\.example\.com$"]]
    # What such an expression takes comes before shorter names, which come as expressions, too.
    assert told(r"^www\d\.", r"\.example\.com$", r"\.com$")[2] == [r"~\.com$"]


def test_names_after_an_expression_of_other_names_stay_names() -> None:
    assert told(r"^www\d\.example\.org$", r"\.example\.com$")[1] == ["*.example.com"]
    assert told(r"^www\d\.", r"^www1\.example\.com$", r"^api\.example\.com$")[1:] == [[], ["api.example.com"]]


def test_names_after_an_expression_that_leads_to_the_same_stay_names() -> None:
    entries = [(parse(r"^www\d\."), "a"), (parse(r"\.example\.com$"), "a")]
    assert [one.patterns for one in tell(entries)] == [[r"~^www\d\."], ["*.example.com"]]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (r"^www\.", "example.com", True),
        (r"^www$", "example.com", False),
        (r"^a\.example\.com$", "example.com", True),
        (r"^example\.com$", "example.com", False),
        (r"foo", "example.com", True),
        (r"^[^.]+$", "com", False),
        (r"^a{3}\.b", "b", True),
        (r"^.\.com$", "example.com", False),
        (r"x\.y$", "x.y", True),
        (r"^x\.y$", "x.y", False),
        (r"\bfoo\b", "foo", True),
        (r"^$", "a", False),
        (r"a$|b$", "c", False),
        (r"(a|bc)$", "bc", True),
    ],
)
def test_whether_a_pattern_meets_the_names_below_one(pattern: str, name: str, expected: bool) -> None:  # noqa: FBT001
    assert meets(parse(pattern).node, name) is expected


# ---- the same backend, whatever the table and the name

LABELS = ["a", "b", "www", "www1", "ab", "a-b", "a_b"]
NAMES = st.lists(st.sampled_from(LABELS), min_size=1, max_size=4).map(".".join)
ATOMS = [
    "a", "b", "w", "1", "www", r"\.", ".", r"\d", r"\w", "[ab]", "[^.]", "[a-z0-9-]", "[^a]", ".*", ".+", "(www|a)",
    "(a|b.*)?",
    r"(.*\.)?", r"([^.]+\.)*", r"(^|\.)", "^", "$", r"\b", "w{2,3}", "(?i:A)", "[]_]", "(?:b|)", "()", "a*?",
]  # fmt: skip
WHOLE = NAMES.map(re.escape).flatmap(
    lambda name: st.sampled_from(
        [
            f"^{name}$",
            rf"^(.*\.)?{name}$",
            rf"\.{name}$",
            rf"^.*\.{name}$",
            f"{name}$",
            f"^{name}",
            name,
            rf"(^|\.){name}$",
        ]
    )
)
PATTERNS = (
    WHOLE
    | st.lists(st.sampled_from(ATOMS), max_size=6)
    .map("".join)
    .filter(lambda text: not re.search(r"[*+?}][*+?]|\^[*+?]|\$[*+?]|\\b[*+?]", text.replace("*?", "*")))
    | st.sampled_from([".*", "^$", ""])
)


def first(patterns: list[str], name: str) -> int | None:
    """Decide as sniproxy does."""
    return next((n for n, pattern in enumerate(patterns) if re.search(pattern, name, re.ASCII)), None)


@given(PATTERNS, NAMES)
@settings(max_examples=1000, deadline=None)
def test_an_expression_matches_what_its_pattern_does(pattern: str, name: str) -> None:
    assert bool(re.search(pattern, name, re.ASCII)) == bool(re.search(expression(parse(pattern).node), name, re.ASCII))


@given(st.lists(PATTERNS, min_size=1, max_size=8), st.lists(NAMES, min_size=1, max_size=12), st.booleans())
@settings(max_examples=400, deadline=None)
def test_a_table_decides_as_its_patterns_do(patterns: list[str], asked: list[str], few: bool) -> None:  # noqa: FBT001
    targets = [number % 2 if few else number for number in range(len(patterns))]
    found = tell([(parse(pattern), target) for pattern, target in zip(patterns, targets, strict=True)])
    table = {one: f"b{target}" for told, target in zip(found, targets, strict=True) for one in told.patterns}
    assert len(table) == sum(len(told.patterns) for told in found), "an entry repeats another"
    decided = decide(table, asked)
    for name in asked:
        number = first(patterns, name)
        assert decided[name] == (None if number is None else f"b{targets[number]}"), (name, table)
    nameless = first(patterns, "")
    assert nameless == next((number for number, told in enumerate(found) if told.takes_nameless), None)


def decide(table: dict[str, str], asked: list[str]) -> dict[str, str | None]:
    """Decide with the core that decides while serving."""
    if not table:
        return dict.fromkeys(asked)
    compiled = load(
        {
            "listeners": {"x": {"bind": "127.0.0.1:0", "protocol": "tls", "table": "t"}},
            "tables": {"t": table},
            "backends": {name: {"servers": "127.0.0.1:1"} for name in set(table.values())},
        }
    ).compiled
    return {name: json.loads(compiled.explain("x", json.dumps({"sni": name}), None)).get("backend") for name in asked}


_PIECES = st.sampled_from([*"()[]{}^$.*+?|\\-,:=!<>a1PQEx#", "(?:", "(?i)", "[^", "[[:alpha:]]", "\\d", "\\b", "{2}"])


@given(st.lists(_PIECES, max_size=20).map("".join))
@settings(max_examples=1000, deadline=None)
def test_any_pattern_is_read_or_refused_in_words(text: str) -> None:
    try:
        pattern = parse(text)
    except PatternError as error:
        assert str(error)
    else:
        re.compile(expression(pattern.node))
        names(pattern)
        is_any(pattern)
        meets(pattern.node, "example.com")


def test_many_entries_are_told_quickly() -> None:
    patterns = [rf"^(.*\.)?name{number}\.example\.com$" for number in range(15_000)]
    began = time.process_time()
    found = told(*patterns)
    assert time.process_time() - began < 30
    assert found[7] == ["name7.example.com", "*.name7.example.com"]
