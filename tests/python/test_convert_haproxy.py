"""`headworks convert` of HAProxy's configurations: what people have, and bytes that nobody would write."""

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.config import ConfigError
from headworks.importing.convert import convert
from headworks.importing.flaws import Flaws
from headworks.importing.guess import guess
from headworks.importing.haproxy.sections import evaluate, read
from headworks.importing.haproxy.translation import translate
from headworks.importing.haproxy.words import split
from headworks.importing.report import Bin
from rig.invoked import headworks

CORPUS = sorted((Path(__file__).parents[1] / "corpus" / "haproxy").glob("*.cfg"))
SMALL = """\
defaults
 mode http
frontend web
 bind 127.0.0.1:8080
{}
 default_backend a
backend a
 server a 127.0.0.1:1
"""


def small(*lines: str) -> tuple[dict[str, Any], str]:
    """Convert a frontend with these lines; return its listener, and the rules."""
    made = convert(SMALL.format("\n".join(f" {line}" for line in lines)).encode(), "haproxy.cfg")
    return tomllib.loads(made.text), made.rules.text() if made.rules else ""


def test_there_are_as_many_as_people_publish() -> None:
    assert len(CORPUS) >= 12


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_what_people_have_is_converted_as_expected(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "headworks.toml"
    code, said, listed = headworks("convert", file, "-o", out)
    assert (code, said) == (0, ""), listed
    assert out.read_text() == file.with_suffix(".toml").read_text()
    rules, expected = tmp_path / "haproxy_rules.py", file.with_suffix(".rules")
    assert (rules.read_text() if rules.exists() else "") == (expected.read_text() if expected.exists() else "")
    # Certificates are where the configuration is to run.
    code, said, _ = headworks("check", out)
    assert all("cannot be read" in line or "warning" in line for line in said.splitlines() if ":" in line and code)


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_every_statement_has_one_outcome_and_every_comment_is_kept(file: Path) -> None:
    found = translate(file.read_bytes(), str(file))
    bare = [line.strip() for line in file.read_text().splitlines()]
    statements = [number for number, line in enumerate(bare, 1) if line and not line.startswith("#")]
    assert [one.line for one in found.outcomes] == statements
    text = convert(file.read_bytes(), str(file)).text
    for line in bare:
        if line.startswith("#"):
            assert f"# {line[1:].strip()}" in text
    for one in found.outcomes:
        if one.bin is Bin.UNSUPPORTED:
            assert f"# Not supported: {one.text}" in text
            assert one.note


def test_strict_writes_nothing_where_anything_is_lost(tmp_path: Path) -> None:
    file, out = tmp_path / "haproxy.cfg", tmp_path / "out.toml"
    file.write_text(SMALL.format(" filter trace"))
    assert headworks("convert", file, "-o", out, "--strict")[0] == 1
    assert not out.exists()
    file.write_text(SMALL.format(""))
    assert headworks("convert", file, "-o", out, "--strict")[0] == 0
    assert out.exists()


def test_without_a_file_the_rules_are_shown_behind_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(SMALL.format(" http-request deny if { path /x }"))
    code, said, listed = headworks("convert", file)
    assert code == 0
    assert "# haproxy_rules.py, which has to stand beside it:" in said
    assert '#     if request.path == "/x":' in said
    assert "-o writes both files" in listed
    tomllib.loads(said)


# ---- words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc # d", ["a", "b", "c"]),
        ("a#b", ["a"]),
        (r"a\ b \# \\ \" x\.y", ["a b", "#", "\\", '"', r"x\.y"]),
        (r'"a b" a"b c"d ""', ["a b", "ab cd", ""]),
        (r"""'$HOME \n' "it's" """, [r"$HOME \n", "it's"]),
        (r"\x41\n", ["A\n"]),
        ('"$A-${A}-${B-other}" ${A}', ["1-1-other", "1"]),
        ('"${L[*]}" x', ["one", "two", "x"]),
        ("$A a$", ["$A", "a$"]),
    ],
)
def test_words_are_haproxys(text: str, words: list[str]) -> None:
    line = split(text, 1, {"A": "1", "L": "one two"})
    assert [word.text for word in line.words] == words
    assert line.error is None


@pytest.mark.parametrize("text", ['"a', "'a", r"\x4", r'a"b'])
def test_lines_that_haproxy_refuses_are_wrong(text: str) -> None:
    assert split(text, 1, {}).error is not None
    with pytest.raises(ConfigError, match=r"haproxy\.cfg:5"):
        convert(SMALL.format(text).encode(), "haproxy.cfg")


def test_a_variable_that_is_not_set_leaves_its_statement_out() -> None:
    made = convert(SMALL.format(' bind "127.0.0.1:${NO_SUCH_VARIABLE_HERE}"').encode(), "haproxy.cfg")
    (lost,) = [one for one in made.outcomes if one.bin is Bin.UNSUPPORTED]
    assert lost.line == 5
    assert "NO_SUCH_VARIABLE_HERE" in (lost.note or "")


@pytest.mark.parametrize(
    ("written", "holds"),
    [
        ("", False),
        ("1", True),
        ("!0 && defined(A)", True),
        ("streq(a,b) || strneq(a,b)", True),
        ("!defined(A)", False),
        ("feature(OPENSSL)", None),
        ("feature(OPENSSL) && 0", False),
        ("strstr(abc,b)", True),
    ],
)
def test_conditions_of_the_file_are_told_where_that_can_be(written: str, *, holds: bool | None) -> None:
    assert evaluate(written, {"A": ""}) is holds


def test_lines_are_chosen_by_conditions() -> None:
    text = b"global\n.if 0\n user a\n.elif 1\n user b\n.else\n user c\n.endif\n"
    file = read(text, {}, Flaws(()))
    assert [one.texts for one in file.sections[0].statements] == [["user", "b"]]
    wrong = Flaws(())
    read(b".endif\n.if 1\n", {}, wrong)
    assert [one.reason for one in wrong.problems] == [".endif without .if", ".if without .endif"]


def test_defaults_are_inherited_by_name() -> None:
    file = read(b"defaults a\n mode http\ndefaults b from a\n retries 1\nbackend x from b\nbackend y\n", {}, Flaws(()))
    x, y = file.of("backend")
    assert [one.keyword for one in x.every()] == ["mode", "retries"]
    assert [one.keyword for one in y.every()] == ["mode", "retries"]


# ---- what is decided


def test_earlier_ways_are_kept_before_later_ones() -> None:
    value, rules = small("use_backend a if { path_beg /x }", "use_backend a if { hdr(host) h.example }")
    assert value["tables"] == {"web": {"*/x": "a", "h.example": "a"}}
    assert not rules


@pytest.mark.parametrize(
    ("condition", "python"),
    [
        ("{ path -i /A }", 'request.path.lower() == "/a"'),
        ("{ path_end .a .b }", 'request.path.endswith((".a", ".b"))'),
        (
            "{ hdr(X-A) -m found } !{ method POST }",
            'request.headers.get("x-a") is not None and not (request.method == "POST")',
        ),
        ("{ src 10.0.0.0/8 ::1 } METH_GET", 'request.client in NETWORKS_1 and request.method in {"GET", "HEAD"}'),
        ("!{ src 10.0.0.1 } { path /a }", 'request.client not in NETWORKS_1 and request.path == "/a"'),
        ("{ cook(a) b } or { urlp(c) -m beg d }", 'request.cookies.get("a", "") == "b" or'),
        ("{ hdr_cnt(authorization) eq 0 }", 'request.headers.get("authorization") is None'),
        ("{ path_dir /a/ }", r're.search(r"(^|[/?])a([/?]|\Z)", request.path)'),
        (r"{ path_reg ^/[a-z$]+\$x$ }", r're.search(r"^/[a-z$]+\$x\Z", request.path)'),
        ("{ hdr(host) h.example:8080 }", 'request.authority.lower() == "h.example:8080"'),
    ],
)
def test_conditions_become_python(condition: str, python: str) -> None:
    _, rules = small(f"http-request deny if {condition}")
    assert f"    if {python}" in rules


@pytest.mark.parametrize(
    "line",
    [
        "http-request deny if { path_reg (?=x) }",
        "http-request deny if { nosuch(x) y }",
        "http-request deny if nosuchacl",
        "http-request lua.x",
        "use_backend nosuch if TRUE",
        "use_backend %[hdr(host)]",
        "http-request deny if { path -f /no/such/file }",
        "http-request redirect location relative if { path / }",
        "http-request set-header X %[rand]",
        "http-request deny if { path é }",
        "filter spoe",
    ],
)
def test_what_cannot_be_told_is_said_with_its_line(line: str) -> None:
    made = convert(SMALL.format(f" {line}").encode(), "haproxy.cfg")
    assert [one.line for one in made.outcomes if one.bin is Bin.UNSUPPORTED] == [5]


def test_what_refused_somebody_and_is_lost_says_so() -> None:
    made = convert(SMALL.format(" http-request deny if { nosuch(x) y }").encode(), "haproxy.cfg")
    (lost,) = [one for one in made.outcomes if one.bin is Bin.UNSUPPORTED]
    assert "what it refuses is let through" in (lost.note or "")


def test_clients_are_kept_out_and_let_in() -> None:
    value, _ = small(
        "tcp-request connection reject if { src 10.0.0.0/8 }", "http-request redirect scheme https if !{ ssl_fc }"
    )
    assert value["listeners"]["web"]["deny"] == ["10.0.0.0/8"]
    assert value["listeners"]["web"]["redirect"] == {"to": "https", "code": 302}
    value, _ = small("tcp-request connection reject unless { src 10.0.0.0/8 }")
    assert value["listeners"]["web"]["allow"] == ["10.0.0.0/8"]


def test_lists_are_read_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "hosts.lst").write_text("# hosts\none.example\n\ntwo.example\n")
    text = SMALL.format(" use_backend a if { hdr(host) -i -f hosts.lst }")
    made = convert(text.encode(), str(tmp_path / "haproxy.cfg"))
    assert tomllib.loads(made.text)["tables"]["web"] == {"one.example": "a", "two.example": "a"}


@pytest.mark.parametrize(
    "line",
    [
        """http-request redirect location /%[req.hdr(x',print(1),')] if { path / }""",
        """http-request set-header X %[req.hdr(x\\"+y)] if { path / }""",
        """http-request deny if { path 'a"); print("b' }""",
        """http-request deny if { path_reg 'a"[)] or True or re.search(r"' }""",
        """http-request return status 200 string '"}); print(1)' if { path / }""",
        """http-request set-header X '{print(1)}"' if { path / }""",
    ],
)
def test_nothing_that_is_said_becomes_python(line: str) -> None:
    made = convert(SMALL.replace("{}", f" {line}").encode(), "haproxy.cfg")
    if made.rules is not None:
        calls = [one for one in ast.walk(ast.parse(made.rules.text())) if isinstance(one, ast.Call)]
        assert not [one for one in calls if isinstance(one.func, ast.Name)]


def test_a_backend_that_redirects_does_so_from_rules_too() -> None:
    text = SMALL.format(" use_backend away if { path_end .x }") + "backend away\n redirect prefix https://away.test\n"
    made = convert(text.encode(), "haproxy.cfg")
    assert made.rules is not None
    assert 'headworks.redirect(f"https://away.test{request.target}", 302)' in made.rules.text()


# ---- bytes that nobody would write


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(source: bytes) -> None:
    for text in (source, SMALL.encode().replace(b"{}", source), b"global\n" + source):
        try:
            convert(text, "haproxy.cfg", "haproxy")
        except ConfigError as error:
            assert error.problems


WORDS = st.sampled_from(
    [
        *("global", "defaults", "frontend web", "backend a", "listen l", "bind", "server", "acl", "use_backend", "if"),
        *(
            "unless",
            "{",
            "}",
            "!",
            "||",
            "http-request",
            "deny",
            "redirect",
            "scheme",
            "https",
            "set-header",
            "X",
            "%[",
        ),
        *(
            "src]",
            "hdr(host)",
            "path_beg",
            "-i",
            "-m",
            "reg",
            "(",
            "*:80",
            "127.0.0.1:1",
            ":1-9",
            "ssl",
            "crt",
            "check",
        ),
        *(
            "inter",
            "weight",
            "maxconn",
            "timeout",
            "client",
            "5s",
            "99999999999d",
            "option",
            "httpchk",
            "cookie",
            "source",
        ),
        *(
            "mode",
            "tcp",
            "http",
            "stick-table",
            "store",
            "http_req_rate(",
            "default_backend",
            "a",
            "no",
            "default",
            ".if",
        ),
        *(
            ".endif",
            ".else",
            "\n",
            "\n ",
            "\\",
            '"',
            "'",
            "#",
            "$",
            "é",
            "\x00",
            "0",
            "-1",
            "replace-path",
            "return",
            "status",
        ),
        *(
            "resolvers r",
            "nameserver",
            "errorfile",
            "compression",
            "algo",
            "tcp-request",
            "content",
            "reject",
            "balance",
        ),
    ]
)


@given(st.lists(WORDS, max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    text = "defaults\n mode http\n" + " ".join(words) + "\n"
    try:
        made = convert(text.encode(), "haproxy.cfg", "haproxy")
    except ConfigError:
        return
    tomllib.loads(made.text)


def test_long_files_take_no_longer_than_they_are_long() -> None:
    hosts = "".join(f" use_backend a if {{ hdr(host) -i h{n}.example.com }}\n" for n in range(2000))
    made = convert(SMALL.format(hosts).encode(), "haproxy.cfg")
    assert len(tomllib.loads(made.text)["tables"]["web"]) == 2000


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_the_format_is_guessed(file: Path) -> None:
    assert guess(file.read_bytes(), "file") == "haproxy"


def test_ours_is_none_of_theirs() -> None:
    for file in CORPUS:
        assert guess(file.with_suffix(".toml").read_bytes(), "headworks.toml") is None
