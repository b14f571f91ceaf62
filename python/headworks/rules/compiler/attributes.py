"""Attributes: what requests, responses and hellos offer, and what each attribute may be.

Owns the names that rules see beside those that core knows; a test compares them with the classes. Must never hold more
than core gives.
"""

import ast
from typing import Any

from headworks.rules.compiler.body import Body, Value, compiles
from headworks.rules.compiler.kinds import (
    BOOL,
    INT,
    MAYBE_ADDRESS,
    MAYBE_INT,
    MAYBE_TEXT,
    NONE,
    TEXT,
    UNKNOWN,
    Kinds,
    Matched,
    named,
)
from headworks.rules.compiler.names import resolved
from headworks.rules.now import Now
from headworks.rules.problems import Refused

_WHOSE: dict[str, Kinds] = {"client": MAYBE_ADDRESS, "client_port": MAYBE_INT, "listener": TEXT}
_ASKED: dict[str, Kinds] = {
    "method": TEXT,
    "path": TEXT,
    "query": TEXT,
    "target": TEXT,
    "host": MAYBE_TEXT,
    "scheme": TEXT,
}
OFFERED: dict[str, dict[str, Kinds]] = {
    "request": {
        **_ASKED,
        **_WHOSE,
        "authority": TEXT,
        "version": TEXT,
        "backend": MAYBE_TEXT,
        "id": MAYBE_TEXT,
        "early": BOOL,
        "content_length": MAYBE_INT,
        "chunked": BOOL,
        "upgrade": BOOL,
    },
    "response": {"status": INT, "backend": MAYBE_TEXT, "server": MAYBE_TEXT},
    "answered": {**_ASKED, **_WHOSE},
    "hello": {**_WHOSE, "name": MAYBE_TEXT, "version": TEXT, "alpn": TEXT, "ja4": MAYBE_TEXT},
    "tls": {
        "verified": BOOL,
        **dict.fromkeys(
            ("version", "cipher", "name", "alpn", "subject", "issuer", "serial", "fingerprint"), MAYBE_TEXT
        ),
    },
    "now": {"date": TEXT, "time": TEXT, "hour": INT, "minute": INT, "weekday": INT, "timestamp": INT},
}
"""Attributes that are values, by what has them. ``answered`` is the request of a response."""

PARTS: dict[str, dict[str, str]] = {
    "request": {"headers": "headers", "cookies": "cookies", "query_params": "query_params", "tls": "tls"},
    "response": {"headers": "headers", "request": "answered"},
    "answered": {},
    "hello": {},
}
"""Attributes that have attributes or items themselves, and what they are."""


@compiles(ast.Attribute)
def attribute(body: Body, node: ast.Attribute) -> Value:
    """Compile ``request.path``, ``request.tls.version``, ``headworks.now.hour``, or a name in a module."""
    whole = body.value(node.value)
    if whole.kinds == UNKNOWN:
        return whole
    if isinstance(whole.static, Now):
        return _offered(body, node, "now", "now.")
    if whole.is_static:
        return resolved(node, whole.static, node.attr)
    kind = next(iter(whole.kinds - NONE), "none")
    if kind == "tls":
        if whole.kinds >= NONE:
            shown = body.source.text(node.value)
            raise Refused(node.value, f"{shown} is None without TLS", f"test it before: if {shown} is not None")
        return _offered(body, node, "tls", "tls.")
    if kind not in PARTS or not isinstance(kind, str):
        raise Refused(node, *_no_attribute(body, node, whole))
    if part := PARTS[kind].get(node.attr):
        return _part(body, node, part)
    return _offered(body, node, kind, "")


def _offered(body: Body, node: ast.Attribute, kind: str, prefix: str) -> Value:
    declared = OFFERED[kind].get(node.attr)
    if declared is None:
        known = [*OFFERED[kind], *PARTS.get(kind, ())]
        shown = body.source.text(node.value)
        raise Refused(node, f"{shown} has no {node.attr}", _near(node.attr, known))
    name = prefix + node.attr
    key = ("get", name)
    return Value(node, body.known(key, declared), {"get": name}, key=key)


def _part(body: Body, node: ast.AST, part: str) -> Value:
    if part != "tls":
        return Value(node, frozenset({part}))
    key = ("get", "tls")
    return Value(node, body.known(key, frozenset({"tls"}) | NONE), {"get": "tls"}, key=key)


def _no_attribute(body: Body, node: ast.Attribute, whole: Value) -> tuple[str, str | None]:
    shown = body.source.text(node.value)
    if any(isinstance(atom, Matched) for atom in whole.kinds):
        return f".{node.attr} of a match is not compiled", "write .group(number)"
    return f"{shown} is {named(whole.kinds)}, which has no {node.attr} here", None


def _near(name: str, known: list[str]) -> str:
    import difflib

    found: Any = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {found[0]}?" if found else f"there are {', '.join(sorted(known))}"
