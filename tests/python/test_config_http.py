"""What http listeners, their tables and backends are told: each key's good and bad values, and where each belongs."""

import json
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headworks import _engine
from headworks.config import (
    Backend,
    Config,
    ConfigError,
    Headers,
    Health,
    Listener,
    Redirect,
    Respond,
    Target,
    Timeouts,
)
from headworks.config.models.base import only
from headworks.config.protocols import HTTP

LISTENER = {
    "redirect": {"to": "https"},
    "respond": {"status": 200},
    "http": {"head_limit": "32KiB"},
    "request_headers": {"remove": ["X-A"]},
    "response_headers": {"set": {"X-A": "b"}},
    "rate_limit": {"requests": 5},
    "compression": {},
    "error_pages": {"503": "503.html"},
}
"""Every key that http listeners alone have."""

TIMEOUTS = {"keep_alive": "60s", "body": "30s", "tunnel": "1h"}

BACKEND = {
    "host": "app.internal",
    "strip_prefix": "/a",
    "add_prefix": "/b",
    "request_headers": {"remove": ["X-A"]},
    "response_headers": {"add": {"X-A": "b"}},
    "response_timeout": "3s",
    "interim_timeout": "30s",
    "interim_limit": 3,
    "queue_timeout": "3s",
    "queue_limit": 3,
    "maintenance": True,
    "pool": {"size": 0},
    "affinity": {"cookie": "SERVER"},
}
"""Every key that backends have for http listeners, but for those that need another key or a file."""

CHECK = {"method": "OPTIONS", "path": "/health", "host": "app", "expect": "200", "body": "ready"}

GOOD = [
    ("listeners.web.http.head_limit", "1KiB", 1024),
    ("listeners.web.http.head_limit", "60KiB", 60 << 10),
    ("listeners.web.http.rewrite_reserve", 0, 0),
    ("listeners.web.http.rewrite_reserve", "60KiB", 60 << 10),
    ("listeners.web.http.fields_limit", 1000, 1000),
    ("listeners.web.http.line_limit", "256B", 256),
    ("listeners.web.http.body_limit", 0, 0),
    ("listeners.web.http.body_limit", "2GiB", 2 << 30),
    ("listeners.web.http.body_limit", "1000000000001B", 1_000_000_000_001),
    ("listeners.web.http.min_body_rate", 0, 0),
    ("listeners.web.http.min_body_rate", "500B", 500),
    ("listeners.web.http.connect", True, True),
    ("listeners.web.http.forwarded", "forwarded", ["forwarded"]),
    ("listeners.web.http.forwarded", ["forwarded", "x_forwarded"], ["forwarded", "x_forwarded"]),
    ("listeners.web.http.forwarded", [], []),
    ("listeners.web.http.trusted", ["10.0.0.0/8", "::1"], ["10.0.0.0/8", "::1"]),
    ("listeners.web.http.via", "edge1.example:8080", "edge1.example:8080"),
    ("listeners.web.http.request_id", "X-Request-Id", "X-Request-Id"),
    ("listeners.web.http.requests_per_connection", 0, 0),
    ("listeners.web.http.max_requests_per_client", 1, 1),
    (
        "listeners.web.request_headers",
        {"set": {"X-B": "{client.address}", "A": ""}},
        {"set": {"X-B": "{client.address}", "A": ""}, "add": {}, "remove": []},
    ),
    (
        "listeners.web.response_headers",
        {"add": {"X-A": "é, ü"}, "remove": "Server"},
        {"set": {}, "add": {"X-A": "é, ü"}, "remove": ["Server"]},
    ),
    (
        "listeners.web.rate_limit",
        {"requests": 7, "per": "1m"},
        {"requests": 7, "per": 60_000, "burst": None, "header": None, "keys": 100_000},
    ),
    (
        "listeners.web.rate_limit",
        {"requests": 7, "burst": 9, "header": "X-Key", "keys": 1},
        {"requests": 7, "per": 1000, "burst": 9, "header": "X-Key", "keys": 1},
    ),
    (
        "listeners.web.compression",
        {"algorithms": ["gzip"], "types": ["text/*"], "min_size": 0},
        {"algorithms": ["gzip"], "types": ["text/*"], "min_size": 0},
    ),
    ("backends.app.host", "[::1]:8080", "[::1]:8080"),
    ("backends.app.strip_prefix", "/api/v1", "/api/v1"),
    ("backends.app.add_prefix", "/x/", "/x/"),
    ("backends.app.response_timeout", "5m", 300_000),
    ("backends.app.queue_timeout", "1ms", 1),
    ("backends.app.queue_limit", 0, 0),
    ("backends.app.maintenance", True, True),
    (
        "backends.app.affinity",
        {"cookie": "S", "secret": "0123456789abcdef", "max_age": "1h"},
        {"cookie": "S", "secret": "0123456789abcdef", "max_age": 3_600_000},
    ),
    ("backends.app.affinity", {"cookie": "S"}, {"cookie": "S", "secret": None, "max_age": None}),
]  # fmt: skip

BAD: list[tuple[str, Any, str]] = [
    ("listeners.web.http.head_limit", "1023B", "1023B is not between 1KiB and 60KiB"),
    ("listeners.web.http.head_limit", "64KiB", "64KiB is not between 1KiB and 60KiB"),
    ("listeners.web.http.head_limit", "16k", '"16k" is not a size such as "64KiB" or "1MiB"; did you mean "16KiB"?'),
    ("listeners.web.http.rewrite_reserve", "61KiB", "61KiB is not between 0B and 60KiB"),
    ("listeners.web.http.fields_limit", 0, "must be at least 1, not 0"),
    ("listeners.web.http.line_limit", "1B", "1B is not between 256B and 60KiB"),
    ("listeners.web.http.body_limit", "much", '"much" is not a size such as "64KiB" or "1MiB"'),
    ("listeners.web.http.min_body_rate", -1, "-1B is not between 0B and 1GiB"),
    ("listeners.web.http.connect", "yes", '"yes" is neither true nor false'),
    ("listeners.web.http.via", "two words", '"two words" is not a pseudonym: one word such as edge1'),
    ("listeners.web.http.request_id", "X Id", '"X Id" is not a name such as X-Request-Id'),
    ("listeners.web.http.requests_per_connection", -1, "must be at least 0, not -1"),
    ("listeners.web.http.max_requests_per_client", 0, "must be at least 1, not 0"),
    ("listeners.web.http.timeout", "1s", "unknown key"),
    ("listeners.web.timeouts.keep_alive", 60, '60 lacks a unit (ms, s, m or h); did you mean "60s"?'),
    ("listeners.web.timeouts.body", "0s", "0s is not between 1ms and 24h"),
    ("listeners.web.timeouts.linger", "0s", "0s is not between 1ms and 1h"),
    ("listeners.web.timeouts.linger", 2, '2 lacks a unit (ms, s, m or h); did you mean "2s"?'),
    ("listeners.web.timeouts.tunnel", "8d", '"8d" is not a duration'),
    ("listeners.web.request_headers.remove", ["A", "A"], '"A" is listed twice'),
    ("listeners.web.rate_limit.per", "0s", "0s is not between 1ms and 24h"),
    ("listeners.web.rate_limit.burst", 0, "must be at least 1, not 0"),
    ("listeners.web.rate_limit.header", "", '"" is not a name such as X-Request-Id'),
    ("listeners.web.rate_limit.keys", 0, "must be at least 1, not 0"),
    ("listeners.web.compression.algorithms", [], "cannot be empty"),
    ("listeners.web.compression.algorithms", ["gzip", "gzip"], '"gzip" is listed twice'),
    ("listeners.web.compression.min_size", "1KB", '"1KB" is not a size such as "64KiB" or "1MiB"; did you'),
    ("listeners.web.first_bytes_limit", "64KiB", "is for tcp, tls, https, http_host and first_bytes listeners"),
    ("listeners.web.timeouts.half_close", "1m", "is for tcp, tls, https, http_host and first_bytes listeners"),
    ("backends.app.host", "a b", '"a b" is not a host such as app.example.com'),
    ("backends.app.strip_prefix", "api", '"api" is not a path prefix such as /api'),
    ("backends.app.strip_prefix", "/", '"/" is not a path prefix such as /api'),
    ("backends.app.add_prefix", "/a?b", '"/a?b" is not a path prefix such as /api'),
    ("backends.app.response_timeout", "0s", "0s is not between 1ms and 24h"),
    ("backends.app.queue_timeout", "2h", "2h is not between 1ms and 1h"),
    ("backends.app.queue_limit", -1, "must be at least 0, not -1"),
    ("backends.app.hash_header", "X-User", 'is for balance = "header_hash", and this is "round_robin"'),
    ("backends.app.maintenance", 1, "1 is neither true nor false"),
    ("backends.app.pool.size", -1, "must be at least 0, not -1"),
    ("backends.app.pool.timeout", "0s", "0s is not between 1ms and 24h"),
    ("backends.app.affinity.cookie", "a=b", '"a=b" is not a name such as X-Request-Id'),
    ("backends.app.affinity.secret", "short", "must have at least 16 characters"),
    ("backends.app.affinity.max_age", "1500ms", "1500ms is not a multiple of 1s"),
    ("backends.app.health.method", "GE T", '"GE T" is no method, such as GET'),
    ("backends.app.health.path", "health", '"health" is not a path that begins with /'),
    ("backends.app.health.host", "", '"" is not a host such as'),
    ("backends.app.health.expect", "2xx", '"2xx" is not a list of statuses such as "200-399,401"'),
    ("backends.app.health.expect", "200-399,500-404", '500-404 is no range; did you mean "200-399,404-500"?'),
    ("backends.app.health.expect", "600", '"600" is not a list of statuses'),
    ("backends.app.health.body", "", "cannot be empty"),
    ("backends.app.ejection.responses", -1, "must be at least 0, not -1"),
]  # fmt: skip

MANY = """\
[listeners.web]
bind = "127.0.0.1:0"
protocol = "http"
table = "sites"
redirect = { to = "example.com", code = 303 }
respond = { status = 99, header = {} }
[listeners.web.timeouts]
keepalive = "60s"
[listeners.web.http]
forwarded = ["x_forwarded", "x-forwarded-for"]
heads_limit = "16KiB"
[listeners.web.request_headers]
set = { "X A" = "b", B = "c\\nd", C = 5 }
remove = ["X-B", "X:C"]
[listeners.web.rate_limit]
request = 100
[listeners.web.compression]
algorithms = ["gzip", "deflate"]
types = ["text"]
[listeners.web.error_pages]
503 = "absent.html"
404 = "page.php"
200 = "fine.html"
[listeners.plain]
bind = "127.0.0.1:0"
protocol = "http"
redirect = { to = "https", code = 309 }
fallback = "app"
[listeners.raw]
bind = "127.0.0.1:0"
protocol = "tcp"
backend = "app"
respond = {}
[listeners.raw.timeouts]
body = "3s"
tunnel = "3h"
[listeners.raw.http]
via = "us"
[listeners.name]
bind = "127.0.0.1:0"
protocol = "htttp"
redirect = { to = "https" }
[tables.sites]
"a.example" = { backend = "ap" }
"b.example" = { backend = "app", redirect = { to = "https" } }
"c.example" = {}
"d.example" = { redirect = {} }
"e.example" = { respond = 5 }
"f.example" = { respond = { status = 204 }, also = 1 }
"g.example" = ["app"]
[backends.app]
servers = ["127.0.0.1:8001"]
balance = "round_robin"
hash_header = "X-User"
[backends.app.affinity]
secret = "0123456789abcdef"
[backends.app.health]
path = "/"
expect = "200"
[backends.app.error_pages]
"4xx" = "a.html"
"""

MANY_PROBLEMS = """\
5: listeners.web.redirect: give only one of table, backend, redirect and respond
5: listeners.web.redirect.to: "example.com" is not "https" (same host and path), nor a location that begins with \
https://, http:// or /
6: listeners.web.respond: give only one of table, backend, redirect and respond
6: listeners.web.respond.status: must be at least 200, not 99
6: listeners.web.respond.header: unknown key; did you mean "headers"?
8: listeners.web.timeouts.keepalive: unknown key; did you mean "keep_alive"?
10: listeners.web.http.forwarded[1]: "x-forwarded-for" is not a known kind of forwarding fields; known: x_forwarded, \
forwarded; did you mean "x_forwarded"?
11: listeners.web.http.heads_limit: unknown key; did you mean "head_limit"?
13: listeners.web.request_headers.set."X A": "X A" is not a name such as X-Request-Id (RFC 9110, section 5.6.2)
13: listeners.web.request_headers.set.B: "c\\nd" is not the value of a field: it has a control character
13: listeners.web.request_headers.set.C: 5 is not a string
14: listeners.web.request_headers.remove[1]: "X:C" is not a name such as X-Request-Id (RFC 9110, section 5.6.2)
16: listeners.web.rate_limit.request: unknown key; did you mean "requests"?
18: listeners.web.compression.algorithms[1]: "deflate" is not a known algorithm; known: zstd, br, gzip
19: listeners.web.compression.types[0]: "text" is not a media type such as text/html or text/*
21: listeners.web.error_pages.503: "HERE/absent.html" cannot be read: No such file or directory
22: listeners.web.error_pages.404: "HERE/page.php" does not end in .html, .json, .txt, so nobody knows what it is
23: listeners.web.error_pages.200: "200" is not a status from 400 to 599
27: listeners.plain.redirect.code: 309 is not a redirect; known: 301, 302, 303, 307, 308
28: listeners.plain.fallback: every request gets the same redirect: none is left for a fallback
33: listeners.raw.respond: is for http and https listeners, and this one speaks tcp
35: listeners.raw.timeouts.body: is for http and https listeners, and this one speaks tcp
36: listeners.raw.timeouts.tunnel: is for http and https listeners, and this one speaks tcp
37: listeners.raw.http: is for http and https listeners, and this one speaks tcp
41: listeners.name.protocol: "htttp" is not a known protocol; known: PROTOCOLS; did you mean "http"?
44: tables.sites."a.example": there is no backend "ap"; did you mean "app"?
45: tables.sites."b.example".redirect: give only one of backend, redirect, respond and alpn
46: tables.sites."c.example": backend, redirect, respond or alpn is missing
47: tables.sites."d.example".redirect.to: required key is missing
48: tables.sites."e.example".respond: 5 is not a table
49: tables.sites."f.example".also: unknown key
50: tables.sites."g.example": a list is neither a backend's name nor a table with backend, redirect, respond or alpn
54: backends.app.hash_header: is for balance = "header_hash", and this is "round_robin"
55: backends.app.affinity.cookie: required key is missing
58: backends.app.health.path: is for http checks, and this is a tcp check
59: backends.app.health.expect: is for http checks, and this is a tcp check
61: backends.app.error_pages.4xx: "4xx" is not a status from 400 to 599
"""


@pytest.fixture
def http() -> dict[str, Any]:
    """Give an http listener whose requests go to one backend that is checked over HTTP."""
    return {
        "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app"}},
        "backends": {"app": {"servers": "127.0.0.1:8001", "health": {"kind": "http"}}},
    }


def give(mapping: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a path; tables on the way are made, those that need a key get it."""
    *sections, key = path.split(".")
    needed: dict[str, dict[str, Any]] = {"rate_limit": {"requests": 1}, "affinity": {"cookie": "S"}}
    for section in sections:
        mapping = mapping.setdefault(section, needed.get(section, {}))
    mapping[key] = value


def problems(mapping: dict[str, Any]) -> list[str]:
    """Return the problems of a mapping, ``key.path: reason``."""
    with pytest.raises(ConfigError) as caught:
        Config.parse(mapping)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("path", "value", "expected"), GOOD)
def test_good_values_and_what_the_engine_gets(http, path, value, expected):
    give(http, path, value)
    config = Config.parse(http)
    spec = json.loads(config.spec())
    for key in path.split("."):
        spec = spec[key]
    assert spec == expected
    assert Config.parse(tomllib.loads(config.to_toml())) == config


@pytest.mark.parametrize(("path", "value", "reason"), BAD)
def test_a_bad_value_gives_its_problem_and_no_other(http, path, value, reason):
    give(http, path, value)
    (found,) = problems(http)
    assert found.startswith(f"{path}: {reason}"), found


def test_every_mistake_of_a_file_is_named_with_its_line(tmp_path):
    file = tmp_path / "headworks.toml"
    file.write_text(MANY)
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    found = [line.removeprefix(f"{file}:") for line in str(caught.value).splitlines()]
    expected = MANY_PROBLEMS.replace("HERE", str(tmp_path)).replace("PROTOCOLS", ", ".join(_engine.protocols()))
    assert found == expected.splitlines()


def test_what_an_engine_gets_has_the_shape_of_the_file(http):
    spec = json.loads(Config.parse(http).spec())
    web, app = spec["listeners"]["web"], spec["backends"]["app"]
    assert list(web) == list(Listener.model_fields)
    assert list(app) == list(Backend.model_fields)
    assert list(app["health"]) == list(Health.model_fields)
    assert web["http"] == {
        "head_limit": 16 << 10,
        "rewrite_reserve": 4 << 10,
        "fields_limit": 100,
        "line_limit": 8 << 10,
        "body_limit": None,
        "min_body_rate": 0,
        "connect": False,
        "forwarded": ["x_forwarded"],
        "trusted": [],
        "via": None,
        "request_id": None,
        "requests_per_connection": 0,
        "abort_on_close": False,
        "max_requests_per_client": None,
    }
    assert web["timeouts"] == {
        "first_bytes": 10_000,
        "idle": 600_000,
        "half_close": 60_000,
        "keep_alive": 60_000,
        "body": 30_000,
        "tunnel": 3_600_000,
        "linger": 2_000,
    }
    assert web["request_headers"] == {"set": {}, "add": {}, "remove": []}
    assert app["pool"] == {"size": 64, "timeout": 60_000}
    assert (app["response_timeout"], app["queue_timeout"], app["queue_limit"]) == (60_000, 5_000, 1024)
    assert (app["interim_timeout"], app["interim_limit"]) == (600_000, 1000)
    assert app["ejection"]["responses"] == 0


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_keys_for_http_are_errors_elsewhere_all_at_once(tmp_path, protocol):
    (tmp_path / "503.html").write_text("busy")
    listener = {"bind": "127.0.0.1:0", "protocol": protocol, "backend": "app", **LISTENER, "timeouts": TIMEOUTS}
    listener["error_pages"] = {503: tmp_path / "503.html"}
    found = problems({"listeners": {"l": listener}, "backends": {"app": {"servers": "127.0.0.1:1"}}})
    keys = [*LISTENER, *(f"timeouts.{key}" for key in TIMEOUTS)]
    assert sorted(found) == sorted(
        f"listeners.l.{key}: is for http and https listeners, and this one speaks {protocol}" for key in keys
    )


def test_the_keys_for_http_are_all_of_them():
    assert {name for name, field in Listener.model_fields.items() if only(field) == HTTP} == set(LISTENER)
    assert {name for name, field in Timeouts.model_fields.items() if only(field) == HTTP} == set(TIMEOUTS)
    assert {name for name, field in Health.model_fields.items() if only(field)} == set(CHECK)
    others = {"hash_header", "error_pages", "rules"}
    assert {name for name, field in Backend.model_fields.items() if only(field)} == set(BACKEND) | others


def test_backends_have_keys_for_http_only_where_a_listener_speaks_it(mapping):
    mapping["backends"]["app"] |= BACKEND | {"ejection": {"responses": 3}}
    keys = [*BACKEND, "ejection.responses"]
    assert sorted(problems(mapping)) == sorted(
        f"backends.app.{key}: is for http and https listeners, and there is none" for key in keys
    )
    mapping["listeners"]["web"] = {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app"}
    Config.parse(mapping)


def test_what_only_an_http_check_asks_is_given_to_no_other(http):
    http["backends"]["app"]["health"] = {"kind": "tcp", **CHECK}
    assert sorted(problems(http)) == sorted(
        f"backends.app.health.{key}: is for http checks, and this is a tcp check" for key in CHECK
    )
    http["backends"]["app"]["health"]["kind"] = "http"
    spec = json.loads(Config.parse(http).spec())
    assert spec["backends"]["app"]["health"].items() >= CHECK.items()


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ({}, "listeners.web: table, backend, redirect or respond is missing"),
        ({"redirect": {"to": "https"}, "backend": "app"}, "listeners.web.redirect: give only one of table, backend,"),
        ({"respond": {}, "fallback": "app"}, "listeners.web.fallback: every request gets the same respond: none is"),
        ({"redirect": {"to": "ftp://x/"}}, 'listeners.web.redirect.to: "ftp://x/" is not "https" (same host and path)'),
        ({"redirect": {"to": "https", "code": 200}}, "listeners.web.redirect.code: 200 is not a redirect"),
        ({"redirect": "https"}, 'listeners.web.redirect: "https" is not a table'),
        ({"respond": {"status": 600}}, "listeners.web.respond.status: must be at most 599, not 600"),
        ({"respond": {"headers": {"A:": "b"}}}, 'listeners.web.respond.headers.A:: "A:" is not a name'),
    ],
)
def test_an_http_listener_has_one_route(http, route, reason):
    del http["listeners"]["web"]["backend"]
    http["listeners"]["web"] |= route
    (found,) = problems(http)
    assert found.replace('"A:".', "A:").replace('headers."A:"', "headers.A:").startswith(reason), found


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("app", Target(backend="app")),
        ({"backend": "app"}, Target(backend="app")),
        ({"redirect": {"to": "/new{path}", "code": 301}}, Target(redirect=Redirect(to="/new{path}", code=301))),
        ({"respond": {"body": "no"}}, Target(respond=Respond(body="no"))),
    ],
)
def test_entries_of_tables(http, written, kept):
    web = http["listeners"]["web"]
    web["table"] = "sites"
    del web["backend"]
    http["tables"] = {"sites": {"example.com": written}}
    config = Config.parse(http)
    assert config.tables["sites"]["example.com"] == kept
    assert Config.parse(tomllib.loads(config.to_toml())) == config


def test_error_pages_are_beside_the_file_and_read_with_it(tmp_path):
    file = tmp_path / "headworks.toml"
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "503.html").write_text("<h1>Später</h1>")
    (tmp_path / "pages" / "502.JSON").write_text("{}")
    (tmp_path / "404.txt").write_text("not here")
    file.write_text(
        '[listeners.web]\nbind = "127.0.0.1:0"\nprotocol = "http"\nbackend = "app"\n'
        '[listeners.web.error_pages]\n503 = "pages/503.html"\n502 = "pages/502.JSON"\n'
        '[backends.app]\nservers = "127.0.0.1:1"\n'
        f"[backends.app.error_pages]\n404 = '{tmp_path}/404.txt'\n"
    )
    config = Config.load(file)
    spec = json.loads(config.spec())
    assert spec["listeners"]["web"]["error_pages"] == {
        "503": {"content_type": "text/html; charset=utf-8", "body": "<h1>Später</h1>"},
        "502": {"content_type": "application/json", "body": "{}"},
    }
    assert spec["backends"]["app"]["error_pages"] == {
        "404": {"content_type": "text/plain; charset=utf-8", "body": "not here"}
    }
    # What `show` writes means the same wherever it is read.
    assert Config.parse(tomllib.loads(config.to_toml())) == config


def test_error_pages_in_python(http, tmp_path, monkeypatch):
    (tmp_path / "503.txt").write_text("busy")
    monkeypatch.chdir(tmp_path)
    web = http["listeners"]["web"]
    web["error_pages"] = {503: "503.txt", 502: Path("503.txt")}
    config = Config.parse(http)
    assert config.listeners["web"].error_pages == {"503": f"{tmp_path}/503.txt", "502": f"{tmp_path}/503.txt"}
    made = Listener(bind="127.0.0.1:0", protocol="http", backend="app", error_pages={503: "503.txt"})
    http["listeners"]["web"] = made
    assert json.loads(Config.parse(http).spec())["listeners"]["web"]["error_pages"]["503"]["body"] == "busy"
    (tmp_path / "503.txt").unlink()
    with pytest.raises(ConfigError, match=r'listeners.web.error_pages.503: ".*503.txt" cannot be read: No such file'):
        config.spec()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "is not UTF-8 text"),
        (b"x" * ((64 << 10) + 1), "is longer than 64KiB"),
        (None, "is not a file"),
    ],
)
def test_error_pages_that_cannot_be_used(http, tmp_path, content, reason):
    page = tmp_path / "503.html"
    if content is None:
        page.mkdir()
    else:
        page.write_bytes(content)
    http["backends"]["app"]["error_pages"] = {"503": str(page)}
    assert problems(http) == [f'backends.app.error_pages.503: "{page}" {reason}']


def test_a_misspelt_protocol_is_the_only_problem_of_its_listener(http):
    http["listeners"]["web"] |= {"protocol": "htp", "http": {"via": "us"}, "timeouts": {"body": "1s"}}
    (found,) = problems(http)
    assert found.startswith('listeners.web.protocol: "htp" is not a known protocol')
    http["listeners"]["web"] |= {"protocol": "gopher", "rate_limit": {"requests": 1}}
    (found,) = problems(http)
    assert found.startswith('listeners.web.protocol: "gopher" is not a known protocol')


def test_what_is_dumped_can_be_validated_again(http, mapping):
    for given in (http, mapping):
        given["backends"]["app"]["health"] = {"interval": "5s"}
        config = Config.parse(given)
        assert Config.model_validate(config.model_dump()) == config
        assert Config.parse(config.model_dump(mode="json")) == config


def test_models_made_in_python(http):
    web = Listener(
        bind="127.0.0.1:0",
        protocol="http",
        table="sites",
        timeouts=Timeouts(keep_alive=timedelta(seconds=75)),
        request_headers=Headers(set={"X-Listener": "{listener}"}),
    )
    config = Config.parse({**http, "listeners": {"web": web}, "tables": {"sites": {"*": Target(backend="app")}}})
    assert config.listeners["web"] == web
    with pytest.raises(ValueError, match="is for http and https listeners, and this one speaks tls"):
        Listener(bind="127.0.0.1:0", protocol="tls", backend="app", timeouts=Timeouts(tunnel=timedelta(seconds=1)))


def test_problems_of_the_plan_stand_at_the_keys_of_the_file(http):
    web, app = http["listeners"]["web"], http["backends"]["app"]
    web["http"] = {"trusted": ["10.0.0.0/8", "10.0.0.0/99"]}
    web["request_headers"] = {"set": {"Content-Length": "1", "X-A": "{nothing}"}, "remove": ["X-B", "Connection"]}
    app["response_headers"] = {"add": {"X-C": "{client.adress}"}}
    assert {line.partition(": ")[0] for line in problems(http)} == {
        "listeners.web.http.trusted[1]",
        "listeners.web.request_headers.set.Content-Length",
        "listeners.web.request_headers.set.X-A",
        "listeners.web.request_headers.remove[1]",
        "backends.app.response_headers.add.X-C",
    }


def test_what_header_hash_needs(http):
    app = http["backends"]["app"]
    app["balance"] = "header_hash"
    assert problems(http) == ['backends.app.balance: "header_hash" needs hash_header, the field to choose by']
    app["hash_header"] = "X-User"
    assert json.loads(Config.parse(http).spec())["backends"]["app"]["hash_header"] == "X-User"
