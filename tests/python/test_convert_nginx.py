"""`headworks convert` of nginx's configurations: what people have, and bytes that nobody would write."""

import ast
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.config import ConfigError
from headworks.importing.convert import convert
from headworks.importing.flaws import Flaws
from headworks.importing.guess import guess
from headworks.importing.nginx.reader import every, read
from headworks.importing.nginx.translation import translate
from headworks.importing.report import Bin
from rig.invoked import headworks

pytest.importorskip("crossplane")

CORPUS = sorted((Path(__file__).parents[1] / "corpus" / "nginx").glob("*.conf"))
SMALL = "server {{ listen 127.0.0.1:8080; {} location / {{ proxy_pass http://127.0.0.1:1; }} }}"


def small(text: str) -> tuple[dict[str, object], str]:
    """Convert a server with these directives; return the configuration, and the rules."""
    made = convert(SMALL.format(text).encode(), "nginx.conf", "nginx")
    return tomllib.loads(made.text), made.rules.text() if made.rules else ""


def test_there_are_as_many_as_people_publish() -> None:
    assert len(CORPUS) >= 12


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_what_people_have_is_converted_as_expected(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "headworks.toml"
    code, said, listed = headworks("convert", file, "-o", out)
    assert (code, said) == (0, ""), listed
    assert out.read_text() == file.with_suffix(".toml").read_text()
    rules, expected = tmp_path / "nginx_rules.py", file.with_suffix(".rules")
    assert (rules.read_text() if rules.exists() else "") == (expected.read_text() if expected.exists() else "")
    # Certificates are where the configuration is to run.
    code, said, _ = headworks("check", out)
    assert all("cannot be read" in line or "warning" in line for line in said.splitlines() if ":" in line and code)


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_every_statement_has_one_outcome_and_every_comment_is_kept(file: Path) -> None:
    statements, _ = read(file.read_bytes(), str(file), Flaws(()))
    found = translate(file.read_bytes(), str(file))
    assert sorted(one.line for one in found.outcomes) == sorted(one.line for one in every(statements))
    text = convert(file.read_bytes(), str(file)).text
    for line in file.read_text().splitlines():
        if (bare := line.strip()).startswith("#"):
            assert f"# {bare[1:].strip()}".rstrip() in text
    for one in found.outcomes:
        if one.bin is Bin.UNSUPPORTED:
            assert f"# Not supported: {one.text}" in text
            assert one.note


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_the_format_is_guessed(file: Path) -> None:
    assert guess(file.read_bytes(), "file") == "nginx"
    assert guess(file.with_suffix(".toml").read_bytes(), "headworks.toml") is None


def test_strict_writes_nothing_where_anything_is_lost(tmp_path: Path) -> None:
    file, out = tmp_path / "nginx.conf", tmp_path / "out.toml"
    file.write_text(SMALL.format("auth_basic x;"))
    assert headworks("convert", file, "-o", out, "--strict")[0] == 1
    assert not out.exists()
    file.write_text(SMALL.format(""))
    assert headworks("convert", file, "-o", out, "--strict")[0] == 0


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ('if ($http_x = "a b") { return 403; }', 'request.headers.get("x", "") == "a b"'),
        ("if ($request_method !~ ^(GET|HEAD)$) { return 405; }", r'not re.search(r"^(GET|HEAD)\Z", request.method)'),
        ("if ($cookie_a) { return 403; }", 'request.cookies.get("a", "") not in ("", "0")'),
        ("location = /x { return 404; }", 'request.path == "/x"'),
        ("location /p/ { deny 10.0.0.1; }", 'request.path.startswith("/p/") and request.client in NETWORKS_1'),
        ("location /a { deny all; } location /a/b { return 200; }", '"/a") and not request.path.startswith("/a/b")'),
    ],
)
def test_conditions_become_python(text: str, python: str) -> None:
    _, rules = small(text)
    assert python in rules


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("location /api/ { proxy_pass http://127.0.0.1:2/; }", "strip_prefix", "/api"),
        ("location /api/ { proxy_pass http://127.0.0.1:2/v2/; }", "add_prefix", "/v2"),
        ("location /a { proxy_pass http://127.0.0.1:2; proxy_set_header Host b.test; }", "host", "b.test"),
        ("location /a { proxy_pass https://127.0.0.1:2; }", "tls", {"verify": False}),
        ("location /a { proxy_pass http://127.0.0.1:2; proxy_read_timeout 5m; }", "response_timeout", "5m"),
    ],
)
def test_what_is_said_beside_a_pass_is_the_backends(text: str, key: str, value: object) -> None:
    found, _ = small(text)
    backends = found["backends"]
    assert isinstance(backends, dict)
    assert backends["127.0.0.1:2"][key] == value


@pytest.mark.parametrize(
    "text",
    [
        "location ~ (?=x) { return 404; }",
        "location /a { proxy_pass http://$nobody; }",
        "location /a { proxy_pass http://127.0.0.1:2/x; } location /b/ { proxy_pass http://127.0.0.1:2/x; }",
        "root /var/www;",
        "nosuchdirective;",
        "if ($nobody) { return 404; }",
        "satisfy any; allow 10.0.0.1; deny 10.0.0.2; allow all;",
    ],
)
def test_what_cannot_be_told_is_said(text: str) -> None:
    made = convert(SMALL.format(text).encode(), "nginx.conf", "nginx")
    assert [one for one in made.outcomes if one.bin is Bin.UNSUPPORTED]


def test_what_nginx_refuses_is_wrong_with_its_line() -> None:
    for text in ("server {\n listen 80;\n", "server { } }"):
        with pytest.raises(ConfigError, match=r"nginx\.conf:"):
            convert(text.encode(), "nginx.conf", "nginx")


@pytest.mark.parametrize(
    "text",
    [
        """location = /x { return 200 '"}); print(1); ({"'; }""",
        """location = /x { return 302 "https://a.test/{print(1)}$request_uri"; }""",
        """if ($http_x = '") or print("') { return 403; }""",
        """location ~ 'a"[)] or True or re.search(r"' { return 403; }""",
        """location = '/"): print(1)#' { return 403; }""",
    ],
)
def test_nothing_that_is_said_becomes_python(text: str) -> None:
    _, rules = small(text)
    calls = [one for one in ast.walk(ast.parse(rules)) if isinstance(one, ast.Call)]
    assert not [one for one in calls if isinstance(one.func, ast.Name)]


# ---- bytes that nobody would write


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_read_or_refused(source: bytes) -> None:
    for text in (source, b"server { listen 80; " + source + b" }"):
        try:
            convert(text, "nginx.conf", "nginx")
        except ConfigError as error:
            assert error.problems


WORDS = st.sampled_from(
    [
        *("{", "}", ";", ";", "; }", "http {", "stream {", "server {", "events", "location", "/", "=", "~", "~*", "^~"),
        *(
            "@x",
            "listen",
            "80",
            "443",
            "ssl",
            "[::]:80",
            "unix:/x",
            "default_server",
            "server_name",
            "a.test",
            "*.b.test",
        ),
        *(
            "~^x$",
            "_",
            '""',
            "proxy_pass",
            "http://a",
            "http://127.0.0.1:1/",
            "https://x/y",
            "$x",
            "return",
            "301",
            "200",
        ),
        *(
            "444",
            "https://$host$request_uri",
            "rewrite",
            "^",
            "permanent",
            "if",
            "($host = a)",
            "upstream",
            "a",
            "weight=3",
        ),
        *(
            "map",
            "$ssl_preread_server_name",
            "$http_upgrade",
            "$b",
            "default",
            "hostnames",
            "ssl_preread",
            "on",
            "allow",
        ),
        *(
            "deny",
            "all",
            "10.0.0.0/8",
            "limit_req",
            "zone=a",
            "proxy_set_header",
            "Host",
            "$host",
            "add_header",
            "X-A b;",
        ),
        *("client_max_body_size", "1m", "0", "gzip", "gzip_types", "text/html", "\\", "'", '"', "#", "\x00", "é", "5s"),
        *("proxy_read_timeout", "ssl_certificate", "a.pem", "include", "nosuch.conf", "off", "proxy_protocol", "\n"),
    ]
)


@given(st.lists(WORDS, max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    for text in (" ".join(words), "server { listen 80; " + " ".join(words) + " }", f"stream {{ {' '.join(words)} }}"):
        try:
            made = convert(text.encode(), "nginx.conf", "nginx")
        except ConfigError:
            continue
        tomllib.loads(made.text)


def test_blocks_that_are_nested_too_deep_are_refused() -> None:
    with pytest.raises(ConfigError):
        convert(b"server { listen 80; " + b"location / { " * 20_000, "nginx.conf", "nginx")
    with pytest.raises(ConfigError):
        convert(b"a { " * 5000 + b"}" * 5000, "nginx.conf", "nginx")


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(SMALL.format("") + "\ninclude *.conf;\n")
    try:
        assert convert(file.read_bytes(), str(file), "nginx").text
    except ConfigError as error:
        assert error.problems
