"""What is said of habits that people bring from elsewhere: the line, the reason, and what was probably meant."""

import pytest

from headworks.config import ConfigError
from headworks.config.check import check
from headworks.config.document import Document

RIGHT = """\
[listeners.secure]
bind = "127.0.0.1:0"
protocol = "https"
table = "sites"
tls.self_signed = true
[tables.sites]
"example.com" = "app"
[backends.app]
servers = ["127.0.0.1:8001"]
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(Document.parse(text, "f"))
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "meant", "word"),
    [
        ("-:8000 x", None, "no port"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "is a URL"),
        ("http://localhost:8000/", "127.0.0.1:8000", "is a URL"),
        ("https://127.0.0.1", "127.0.0.1:443", "[backends.NAME.tls]"),
        ("http://app.internal:80", None, "is a URL"),
        ("app..internal:80", None, "neither an IP address nor a name"),
        ("::1:8080", "[::1]:8080", "needs brackets"),
        ("2001:db8::7", "[2001:db8::7]:80", "needs brackets"),
        ("[::1]", "[::1]:80", "no port"),
        ("0.0.0.0:80", "127.0.0.1:80", "no address to connect to"),
        ("8000", "127.0.0.1:8000", "is not an address"),
        ("127.0.0.1:http", "127.0.0.1:80", "no port"),
        ("/run/x.sock", "unix:/run/x.sock", "is not an address"),
    ],
)
def test_servers(written, meant, word):
    (found,) = problems(RIGHT.replace("127.0.0.1:8001", written))
    assert found.startswith("9: backends.app.servers[0]: ")
    assert word in found
    assert found.endswith(f'did you mean "{meant}"?') if meant else "did you mean" not in found


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("8080", ":8080"),
        ('"8080"', ":8080"),
        ('"*:80"', ":80"),
        ('"*"', ":80"),
        ('"::1:8080"', "[::1]:8080"),
        ('"http://0.0.0.0:80"', "0.0.0.0:80"),
        ('"443 ssl"', ":443"),
        ('"localhost:80"', "127.0.0.1:80"),
        ('"0.0.0.0"', "0.0.0.0:80"),
    ],
)
def test_binds(written, meant):
    (found,) = problems(RIGHT.replace('"127.0.0.1:0"', written))
    assert found.startswith("2: listeners.secure.bind: ")
    assert found.endswith(f'did you mean "{meant}"?')


NO_DURATION = 'is not a duration such as "500ms", "2s", "10m" or "1h"; did you mean'
NO_LIST = "is a list, and this is a table"
NO_NAME = "is a key of one of them: it belongs in [listeners.NAME]"
OUTSIDE = """\
bind = ":80"
workers = 2
servers = []
idle = "1s"
odd = 1
[listeners.secure]"""
NO_TLS = "is not a known TLS version; known: 1.2, 1.3"
OLD_TLS = f'{NO_TLS} (older ones are no longer spoken, RFC 8996); did you mean "1.2"?'
TIMEOUT = '"127.0.0.1:8001"\nconnect_timeout = '


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            '["127.0.0.1:8001"]',
            '{ a = "127.0.0.1:1" }',
            [f'9: backends.app.servers: servers {NO_LIST}; did you mean ["127.0.0.1:1"]?'],
        ),
        ('"sites"\n', '"sites"\nallow = { a = 1 }\n', [f"5: listeners.secure.allow: allow {NO_LIST}"]),
        ('["127.0.0.1:8001"]', f'{TIMEOUT}"1d"', [f'10: backends.app.connect_timeout: "1d" {NO_DURATION} "24h"?']),
        (
            '["127.0.0.1:8001"]',
            f'{TIMEOUT}"1m30s"',
            [f'10: backends.app.connect_timeout: "1m30s" {NO_DURATION} "90s"?'],
        ),
        (
            "tls.self_signed = true",
            'tls = { self_signed = true, min_version = "1.1" }',
            [f'5: listeners.secure.tls.min_version: "1.1" {OLD_TLS}'],
        ),
        (
            "tls.self_signed = true",
            "tls = { self_signed = true, min_version = 1.2 }",
            [
                f'5: listeners.secure.tls.min_version: 1.2 {NO_TLS}; did you mean "1.2"?',
            ],
        ),
        (
            "[listeners.secure]",
            OUTSIDE,
            [
                "1: bind: unknown key; it belongs in [listeners.NAME]",
                "2: workers: unknown key; it belongs in [proxy]",
                "3: servers: unknown key; it belongs in [backends.NAME]",
                "4: idle: unknown key; it belongs in [listeners.NAME.timeouts]",
                "5: odd: unknown key",
            ],
        ),
        (
            "[backends.app]",
            "[[backends.app]]",
            ["8: backends.app: [[backends.app]] makes a list, and this is a table; did you mean [backends.app]?"],
        ),
        (
            "[listeners.secure]",
            "[listeners]",
            [
                f"2: listeners.bind: bind {NO_NAME}",
                f"3: listeners.protocol: protocol {NO_NAME}",
                f"4: listeners.table: table {NO_NAME}",
            ],
        ),
    ],
)
def test_shapes_and_places(old, new, expected):
    assert old in RIGHT
    assert problems(RIGHT.replace(old, new, 1))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]\nb = 1\nc = 2\nb = 3\n", ["4: duplicate key a.b: it is in line 2 already"]),
        ("[a]\nb = 1\n[c]\n[a]\nb = 2\n", ["4: duplicate key a: it is in line 1 already"]),
        ('x."y z" = 1\nx."y z" = 2\n', ['2: duplicate key x."y z": it is in line 1 already']),
        ("a = { b = 1, b = 2 }\n", ["1: duplicate key"]),
        ("[a]\nb = tls\nc : 3\nd = 5\n[e\nf = yes\n", [
            '2: text is written in quotes, and tls has none; did you mean "tls"?',
            "3: between a key and its value is =, not a colon; did you mean c = 3?",
            "5: unclosed table, expected `]`",
            "6: text is written in quotes, and yes has none; did you mean true?",
        ]),
        ('[a]\nb = ["x",\n  "y"\nc = 3\nd = e\n', [
            "2: the list that begins here is not closed, expected `]`",
            '5: text is written in quotes, and e has none; did you mean "e"?',
        ]),
        ("listeners:\n  web:\n    bind: :80\n    - x\n", ["1: this is YAML, and a configuration is TOML"]),
        ('{"listeners": {}}', ["1: this is JSON, and a configuration is TOML"]),
        ("user daemon\nlistener 0.0.0.0:80 {\n    proto http\n}\n", ["2: there is no table without a name"]),
        ("# x\nserver {\n  listen 80;\n}\n", ["1: this is nginx's format"]),
        ("global\n  daemon\nfrontend web\n  bind *:80\n", ["1: this is HAProxy's format"]),
    ],
)  # fmt: skip
def test_every_error_of_what_is_no_toml(text, expected):
    found = problems(text)
    assert len(found) == len(expected), found
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning), line


@pytest.mark.parametrize(
    "text", ["a = [\n" * 50, "[" * 300, "=\n" * 500, '"""' * 9, "a = {\n" * 30, "\x00", "[a\n" * 99]
)
def test_what_is_wrong_throughout_ends(text):
    assert 1 <= len(problems(text)) <= 20
