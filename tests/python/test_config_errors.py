"""Every problem at once, each with its line, and nothing that only follows from another."""

from pathlib import Path

import pytest

from headworks import _engine
from headworks.config import Config, ConfigError

MANY = """\
[proxy]
workers = "2"
drain = 30
[logs]
levle = "info"
[listeners.secure]
bind = ["0.0.0.0:443", 5]
protocol = "tsl"
table = "sitse"
fallbak = "legacy"
allow = ["10.0.0.0/99", "::1"]
[listeners.secure.timeouts]
idle = "10 minutes"
[listeners.web]
bind = "localhost:80"
protocol = "https"
table = "sites"
[listeners.raw]
bind = ":0"
protocol = "tcp"
table = "sites"
[tables.sites]
"example.com" = "ap"
"~(" = "app"
"x.example" = 3
[backends.app]
servers = [
  "127.0.0.1:8001",
  { address = "127.0.0.1", weight = 300 },
]
balence = "round_robin"
unix_mode = 3
[backends.other]
balance = "least_conections"
[backend.legacy]
servers = ["127.0.0.1:99999"]
"""

MANY_PROBLEMS = """\
2: proxy.workers: "2" is not a whole number
3: proxy.drain: 30 lacks a unit (ms, s, m or h); did you mean "30s"?
5: logs.levle: unknown key; did you mean "level"?
7: listeners.secure.bind[1]: 5 is not a string; did you mean ":5"?
8: listeners.secure.protocol: "tsl" is not a known protocol; known: PROTOCOLS; did you mean "tls"?
9: listeners.secure.table: there is no table "sitse"; did you mean "sites"?
10: listeners.secure.fallbak: unknown key; did you mean "fallback"?
11: listeners.secure.allow[0]: the prefix of an IPv4 network is 0 to 32, not "99"
13: listeners.secure.timeouts.idle: "10 minutes" is not a duration such as "500ms", "2s", "10m" or "1h"; \
did you mean "10m"?
14: listeners.web.tls: an https listener must have certificates
15: listeners.web.bind: "localhost" is not an IP address (host names are not resolved; write the address); \
did you mean "127.0.0.1:80"?
21: listeners.raw.table: a tcp listener has no table (its clients give no name); give backend
23: tables.sites."example.com": there is no backend "ap"; did you mean "app"?
24: tables.sites."~(": the regular expression is wrong: unclosed group
25: tables.sites."x.example": 3 is neither a backend's name nor a table with backend, redirect, respond or alpn
29: backends.app.servers[1].weight: must be at most 256, not 300
31: backends.app.balence: unknown key; did you mean "balance"?
32: backends.app.unix_mode: unknown key; it belongs in [listeners.NAME]
33: backends.other.servers: required key is missing
34: backends.other.balance: "least_conections" is not a known balance; known: BALANCES; \
did you mean "least_connections"?
35: backend: unknown key; did you mean "backends"?
36: backend.legacy.servers[0]: "127.0.0.1:99999" has no port between 0 and 65535
"""

RIGHT = """\
[listeners.secure]
bind = "127.0.0.1:0"
protocol = "tls"
table = "sites"
[tables.sites]
"example.com" = "app"
[backends.app]
servers = ["127.0.0.1:8001"]
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    """Load ``text`` as a file and return its problems, ``LINE: key.path: reason``."""
    file = tmp_path / "headworks.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems)
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:") for line in lines]


def test_a_file_with_many_problems_gives_all_of_them(tmp_path):
    known = ", ".join(_engine.protocols())
    expected = MANY_PROBLEMS.replace("PROTOCOLS", known).replace("BALANCES", ", ".join(_engine.balances()))
    assert problems(tmp_path, MANY) == expected.splitlines()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('protocol = "tls"', 'protocol = "https"', ["1: listeners.secure.tls: an https listener must"]),
        ('protocol = "tls"', "", ["1: listeners.secure.protocol: required key is missing"]),
        ('protocol = "tls"', "protocol = 5", ["3: listeners.secure.protocol: 5 is not a known protocol"]),
        ('protocol = "tls"', 'protocl = "tls"', ['3: listeners.secure.protocl: unknown key; did you mean "protocol"?']),
        ('table = "sites"', "", ["1: listeners.secure: table or backend is missing"]),
        ('table = "sites"', "table = 5", ["4: listeners.secure.table: 5 is not a string"]),
        ('table = "sites"', 'tabel = "sites"', ['4: listeners.secure.tabel: unknown key; did you mean "table"?']),
        ('table = "sites"', 'table = "sites"\nbackend = "app"', ["5: listeners.secure.backend: give either table or"]),
        ('table = "sites"', 'backend = "apq"', ['4: listeners.secure.backend: there is no backend "apq"; did']),
        ('bind = "127.0.0.1:0"', "bind = []", ["2: listeners.secure.bind: cannot be empty"]),
        ('bind = "127.0.0.1:0"', 'bind = "::1:80"', ["2: listeners.secure.bind: an IPv6 address needs brackets"]),
        ('bind = "127.0.0.1:0"', 'bind = "fd:1"', ['2: listeners.secure.bind: "fd:1" does not name a descriptor']),
        ('["127.0.0.1:8001"]', "[]", ["8: backends.app.servers: cannot be empty"]),
        ('["127.0.0.1:8001"]', "5", ["8: backends.app.servers: 5 is not a list"]),
        ('["127.0.0.1:8001"]', "[5]", ["8: backends.app.servers[0]: 5 is neither an address nor a table"]),
        ('["127.0.0.1:8001"]', "[{ weight = 1 }]", ["8: backends.app.servers[0].address: required key is missing"]),
        ('["127.0.0.1:8001"]', '["127.0.0.1:1", "127.0.0.1:1"]', ["8: backends.app.servers[1]: 127.0.0.1:1 is"]),
        ('"example.com" =', '"example.com/api" =', ['4: listeners.secure.table: entry "example.com/api" has a path']),
        ('"example.com" = "app"', '"exa mple" = "app"', ['6: tables.sites."exa mple": ']),
        ('"example.com" = "app"', '"example.com" = 1979-05-27', ['6: tables.sites."example.com": there is no backend']),
        ("[tables.sites]\n", "[tables]\nsites = 3\n[table]\n", ["6: tables.sites: 3 is not a table", "7: table: "]),
        ("[tables.sites]\n", "[tables.sites]\n\"example.com.\" = 'app'\n", ['7: tables.sites."example.com": ']),
        ("[backends.app]\n", "[backends.app]\nretries = -1\n", ["8: backends.app.retries: must be at least 0, not -1"]),
        ("[backends.app]\n", "[backends.app]\nretries = true\n", ["8: backends.app.retries: true is not a whole"]),
        ("[backends.app]\n", "[backends.app]\nkeepalive = 1\n", ["8: backends.app.keepalive: 1 is neither true nor"]),
        ("[backends.app]\n", "[backends.app]\nhealth = 1\n", ["8: backends.app.health: 1 is not a table"]),
        ("[backends.app]\n", "[backends.app]\nhealth.kind = 'ping'\n", ['8: backends.app.health.kind: "ping" is']),
        ("[backends.app]\n", "[backends.app]\nhealth.rise = 0\n", ["8: backends.app.health.rise: must be at least 1"]),
        ("[backends.app]\n", "[backends.app]\nproxy_protocol = 'v3'\n", ['8: backends.app.proxy_protocol: "v3" is']),
        ("[backends.app]\n", "[backends.app]\nsource = 'eth0'\n", ['8: backends.app.source: "eth0" is not an IP']),
        ("[backends.app]\n", "[backends.app]\nslow_start = 0\n", ["8: backends.app.slow_start: 0 lacks a unit"]),
        ("[backends.app]\n", "[backends.app]\nconnect_timeout = '0s'\n", ["8: backends.app.connect_timeout: 0s is"]),
        ("[backends.app]\n", "[backends.'']\nservers = ':1'\n[backends.app]\n", ["7: backends."]),
        ("[backends.app]", "[bakends.app]", ['7: bakends: unknown key; did you mean "backends"?']),
        ("[listeners.secure]", "[logs]\nlevel = 'loud'\n[listeners.secure]", ['2: logs.level: "loud" is not a known']),
    ],
)  # fmt: skip
def test_one_mistake_gives_its_problem_and_no_other(tmp_path, old, new, expected):
    assert old in RIGHT
    found = problems(tmp_path, RIGHT.replace(old, new, 1))
    assert len(found) == len(expected), found
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning), line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: listeners: no listener is configured: add [listeners.NAME]"),
        ("listeners = 3", "1: listeners: 3 is not a table"),
        ("[listeners]\nweb = 3", "2: listeners.web: 3 is not a table"),
        ("[proxy]\nuser = \n", "2: "),
        ("[proxy]\nworkers = 1\nworkers = 2\n", "3: duplicate key"),
        ("[proxy]\nworkers = 99999999999999999999\n", "2: 99999999999999999999 does not fit in 64 bits"),
        ("[proxy]\n\n[proxy]\n", "3: duplicate key"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole(tmp_path, text, expected):
    (found,) = problems(tmp_path, text)
    assert found.startswith(expected)


def test_text_that_is_not_utf8_names_its_line(tmp_path):
    file = tmp_path / "headworks.toml"
    file.write_bytes(b"[proxy]\nuser = '\xff'\n")
    with pytest.raises(ConfigError, match=r"headworks.toml:2: not UTF-8"):
        Config.load(file)


def test_a_missing_file_is_no_configuration_problem(tmp_path):
    with pytest.raises(FileNotFoundError):
        Config.load(tmp_path / "absent.toml")


def test_a_mapping_has_no_lines(mapping):
    mapping["backends"]["app"]["balence"] = "random"
    with pytest.raises(ConfigError) as caught:
        Config.parse(mapping)
    assert str(caught.value) == 'backends.app.balence: unknown key; did you mean "balance"?'
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (None, None, None)
    assert problem.path == ("backends", "app", "balence")
    assert problem.suggestion == 'did you mean "balance"?'


def test_what_was_given_is_not_changed(mapping):
    mapping["backends"]["app"]["servers"] = [5]
    with pytest.raises(ConfigError):
        Config.parse(mapping)
    assert mapping["backends"]["app"]["servers"] == [5]


def test_columns_and_the_excerpt_point_at_the_key(tmp_path):
    file = tmp_path / "headworks.toml"
    file.write_text(RIGHT.replace("protocol", "\tprotocl"))
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (3, 2)
    assert problem.excerpt() == '    3 | \tprotocl = "tls"\n      | \t^^^^^^^'


def test_a_control_character_never_breaks_the_line(tmp_path):
    found = problems(tmp_path, RIGHT + '[backends."a\\nb"]\nservers = "x\\ny:1"\n')
    assert len(found) == 1
    assert found[0].startswith('10: backends."a\\nb".servers: ')
