"""`headworks lint`: what is found in patterns, and that the names it shows do match."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.importing.lint import of_sniproxy
from headworks.importing.sniproxy.emit import expression
from headworks.importing.sniproxy.syntax import parse
from rig.invoked import headworks


def found(*entries: str) -> list[tuple[int | None, str]]:
    text = "listener 443\ntable {\n" + "".join(f"{entry}\n" for entry in entries) + "}\n"
    return [(one.line, one.kind) for one in of_sniproxy(text.encode())]


def example(pattern: str, kind: str) -> str | None:
    text = f"table {{\n{pattern} 192.0.2.1\n}}\n"
    return next(one.example for one in of_sniproxy(text.encode()) if one.kind == kind)


@pytest.mark.parametrize(
    ("pattern", "kind", "name"),
    [
        ("example.com", "unescaped", "examplexcom"),
        ("example.com", "unanchored", "example.com.evil.test"),
        (r"example\\.com", "unanchored", "example.com.evil.test"),
        (r"^example\\.com", "unanchored", "example.com.evil.test"),
        (r"example\\.com$", "unanchored", "evilexample.com"),
        (r".*example\\.com$", "unanchored", "evilexample.com"),
        (r"^.*example\\.com$", "unanchored", "evilexample.com"),
        ("^www.example.com$", "unescaped", "wwwxexamplexcom"),
        (r"^(www|api).example\\.com$", "unescaped", "wwwxexample.com"),
    ],
)
def test_a_name_that_matches_by_accident_is_shown(pattern: str, kind: str, name: str) -> None:
    assert example(pattern, kind) == name
    assert re.search(pattern.replace("\\\\", "\\"), name)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^example\\.com$",
        r"^(.*\\.)?example\\.com$",
        r"\\.example\\.com$",
        r"(^|\\.)example\\.com$",
        r"^[^.]+\\.example\\.com$",
        r"^www[0-9]+\\.example\\.com$",
        r"^.+-cdn[0-9]\\.example\\.com$",
        ".*",
        "^$",
        "^localhost$",
    ],
)
def test_what_means_what_it_says_is_left_alone(pattern: str) -> None:
    assert found(f"{pattern} 192.0.2.1") == []


def test_entries_that_nothing_gets_to() -> None:
    assert found(r"^a\\.b$ ::1", r"^a\\.b$ ::2", r"^(.*\\.)?c\\.d$ ::1", r"^x\\.c\\.d$ ::2", ".* ::1", "^z$ ::2") == [
        (4, "duplicate"),
        (6, "shadowed"),
        (8, "shadowed"),
    ]


def test_fallbacks_that_nothing_gets_to() -> None:
    text = "listener 443 {\n fallback ::9\n table t\n}\ntable t {\n .* {}\n}\n"
    (one,) = of_sniproxy(text.replace("{}", "::1").encode())
    assert (one.line, one.kind) == (2, "fallback")
    # Clients without a name get it.
    assert of_sniproxy(text.replace("{}", "*").encode()) == []


def test_capitals_and_patterns_that_cannot_be_told() -> None:
    assert found("^LocalHost$ ::1", "(?!a)b ::1") == [(3, "capitals"), (4, "pattern")]


def test_the_command_on_both_kinds_of_file(tmp_path: Path) -> None:
    file = tmp_path / "sniproxy.conf"
    file.write_text("listener 443\ntable {\n example.com 192.0.2.1\n ^ok$ 192.0.2.1\n}\n")
    code, said, _ = headworks("lint", file)
    assert code == 1
    assert said.splitlines()[1].startswith(f"{file}:3: table: example.com: unanchored: ")
    code, said, _ = headworks("lint", file, "--json")
    assert (code, [one["line"] for one in json.loads(said)]) == (1, [3, 3])
    ours = tmp_path / "headworks.toml"
    assert headworks("convert", file, "-o", ours)[0] == 0
    code, said, _ = headworks("lint", ours)
    assert (code, "~example.com: unescaped" in said) == (1, True)
    expressions = ["~^a\\.b$", "a.b", "~^c[12]\\.d$", "~\\.f$", "~^g\\d\\.f$"]
    ours.write_text("[tables.t]\n" + "".join(f"'{one}' = \"x\"\n" for one in expressions))
    code, said, _ = headworks("lint", ours)
    assert [line.split(": ")[0].rpartition(":")[2] for line in said.splitlines()] == ["2", "6"]


def test_nothing_is_found_in_what_is_right(tmp_path: Path) -> None:
    file = tmp_path / "headworks.toml"
    file.write_text('[tables.t]\n"example.com" = "x"\n"*" = "x"\n')
    assert headworks("lint", file) == (0, "", "")
    assert headworks("lint", file, "--json") == (0, "[]\n", "")


def test_wrong_files(tmp_path: Path) -> None:
    file = tmp_path / "x"
    assert headworks("lint", file)[0] == 2
    file.write_text("listner {\n}\ntable {\n a 1.1.1.1.1\n}\n")
    assert headworks("lint", file)[0] == 2
    file.write_text("[x\n")
    assert headworks("lint", file)[0] == 2


_PIECES = st.sampled_from([*"abc.*+?^$()[]|-1", "\\\\.", ".*", "example", "(a|b)", "[^.]", "A"])


@given(st.lists(st.lists(_PIECES, min_size=1, max_size=8).map("".join), max_size=4))
def test_names_that_are_shown_match(patterns: list[str]) -> None:
    text = "table {\n" + "".join(f'"{one}" 192.0.2.1\n' for one in patterns) + "}\n"
    for one in of_sniproxy(text.encode()):
        assert str(one)
        if one.example is not None:
            assert re.search(expression(parse(one.pattern).node), one.example)
