"""Verdicts: what a rule answers, typed and immutable, put together with ``&``.

Owns the parts and what each may hold. Must never act: core does, with the same parts compiled. A verdict decides at
most one way (route, respond, redirect or reject); rewrite, limit, log and consult go along with it, or let the request
go on.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any, ClassVar

STATUSES = range(200, 600)
CODES = (301, 302, 303, 307, 308)
_MOST_REQUESTS = 1_000_000_000
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_LONGEST = 24 * 3_600_000
_RATE = re.compile(r"([0-9]{1,10})/([0-9]{0,8})(ms|s|m|h)")
_PATH = re.compile(r"/[!-\"$->@-~]*")
_QUERY = re.compile(r"[!-\"$-~]*")
_NAME = re.compile(r"([0-9A-Za-z_~-]+\.)*[0-9A-Za-z_~-]+\.?")
_PORT = re.compile("[0-9]{1,5}")
_LONGEST_NAME = 254
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Route:
    """To a backend, or to one server of it (its address as configured)."""

    word: ClassVar[str] = "route"
    backend: str
    server: str | None = None


@dataclass(frozen=True)
class Respond:
    """An answer of our own."""

    word: ClassVar[str] = "respond"
    status: int
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Redirect:
    """Elsewhere, with Location."""

    word: ClassVar[str] = "redirect"
    to: str
    code: int = 302


@dataclass(frozen=True)
class Reject:
    """Refused; the reason is for the log."""

    word: ClassVar[str] = "reject"
    reason: str = ""


@dataclass(frozen=True)
class Rewrite:
    """The head on its way: fields set (None: removed), added and removed, another path, host or query."""

    word: ClassVar[str] = "rewrite"
    set: tuple[tuple[str, str | None], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()
    path: str | None = None
    host: str | None = None
    query: str | None = None


@dataclass(frozen=True)
class Limit:
    """At most so many ``requests`` with this key in ``per`` milliseconds, ``burst`` of them at once."""

    word: ClassVar[str] = "limit"
    key: object
    requests: int
    per: int
    burst: int


@dataclass(frozen=True)
class Log:
    """Fields of the access record."""

    word: ClassVar[str] = "log"
    fields: tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class Consult:
    """An analyzer is asked."""

    word: ClassVar[str] = "consult"
    analyzer: str


@dataclass(frozen=True)
class AnalyzerPart:
    """A part that only analyzers may say: headworks/analyzers/verdicts.py has them."""

    word: ClassVar[str] = ""


Part = Route | Respond | Redirect | Reject | Rewrite | Limit | Log | Consult | AnalyzerPart
WAYS = (Route, Respond, Redirect, Reject)
"""Parts that decide where a request goes: a verdict has one of them at most."""


@dataclass(frozen=True)
class Verdict:
    """An answer of a rule. Made by ``route``, ``respond``, ``redirect``, ``reject``, ``rewrite``, ``limit``, ``log``
    and ``consult``; ``a & b`` is both.
    """  # noqa: D205  (one sentence)

    parts: tuple[Part, ...]
    """Parts that it is made of, in order."""

    def __and__(self, other: "Verdict") -> "Verdict":
        """Do both. Raises ValueError when both say where the request goes."""
        if not isinstance(other, Verdict):
            return NotImplemented
        ways = [part.word for part in (*self.parts, *other.parts) if isinstance(part, WAYS)]
        if len(ways) > 1:
            raise ValueError(two_ways(ways[0], ways[1]))
        return Verdict((*self.parts, *other.parts))

    def __repr__(self) -> str:
        """Show what it is made of."""
        return " & ".join(map(repr, self.parts))


def two_ways(first: str, second: str) -> str:
    """Say that a verdict decides twice."""
    return f"a verdict has one of route, respond, redirect and reject, and here are {first} and {second}"


def route(backend: str, server: str | None = None) -> Verdict:
    """Send it to ``backend``; ``server`` is the address of one of its servers, as it is configured."""
    return Verdict((Route(backend, server),))


def respond(status: int, body: str = "", headers: Mapping[str, str] | None = None) -> Verdict:
    """Answer with ``status`` (200 to 599) and further fields ``headers``; ``body`` is sent as UTF-8.

    Raises ValueError for what is no status, or no name of a field.
    """
    return Verdict((Respond(checked_status(status), body, _fields(headers)),))


def redirect(to: str, code: int = 302) -> Verdict:
    """Answer with Location ``to``; ``code`` is 301, 302, 303, 307 or 308 (RFC 9110, section 15.4).

    Raises ValueError for another code.
    """
    return Verdict((Redirect(to, checked_code(code)),))


def reject(reason: str = "") -> Verdict:
    """Refuse it as the protocol does: 403, a TLS alert, or closed. ``reason`` goes to the access record."""
    return Verdict((Reject(reason),))


def rewrite(  # noqa: PLR0913  (one for each part of a head)
    *,
    set_headers: Mapping[str, str | None] | None = None,
    add_headers: Mapping[str, str] | None = None,
    remove_headers: tuple[str, ...] | list[str] | str = (),
    path: str | None = None,
    host: str | None = None,
    query: str | None = None,
) -> Verdict:
    """Change the head and go on. A value None of ``set_headers`` removes the field; ``query`` is without ``?``.

    Raises ValueError when nothing is changed, and for a name, path, host or query that cannot be sent.
    """
    remove = (remove_headers,) if isinstance(remove_headers, str) else tuple(remove_headers)
    names = (*(set_headers or ()), *(add_headers or ()), *remove)
    for name in names:
        checked_name(name)
    for what, text in (("path", path), ("host", host), ("query", query)):
        if text is not None:
            checked_part(what, text)
    part = Rewrite(tuple((set_headers or {}).items()), _fields(add_headers), remove, path, host, query)
    if part == Rewrite():
        raise ValueError("rewrite() changes nothing")
    return Verdict((part,))


def limit(key: Any, rate: str) -> Verdict:
    """Let at most ``rate`` go on with this ``key`` (text, address or number): ``"100/s"``, ``"600/m"``, ``"5/10s"``.

    More get 429. A key None (an absent field) is counted as one key. Raises ValueError for what is no rate: 1 to
    1,000,000,000 requests in 1ms to 24h.
    """
    requests, per = parse_rate(rate)
    return Verdict((Limit(key, requests, per, requests),))


def log(**fields: Any) -> Verdict:
    """Put fields into the access record: texts, numbers, truth values. Raises ValueError for none."""
    if not fields:
        raise ValueError("log() has no field")
    return Verdict((Log(tuple(fields.items())),))


def consult(analyzer: str) -> Verdict:
    """Ask the analyzer of that name; only then Python runs."""
    return Verdict((Consult(analyzer),))


def parse_rate(rate: str) -> tuple[int, int]:
    """Return the requests and the milliseconds of ``"100/s"``. Raises ValueError."""
    found = _RATE.fullmatch(rate)
    if found is None:
        raise ValueError(f'"{rate}" is not a rate such as "100/s", "600/m" or "5/10s"')
    requests, per = int(found[1]), int(found[2] or 1) * _MILLISECONDS[found[3]]
    if not 1 <= requests <= _MOST_REQUESTS or not 1 <= per <= _LONGEST:
        raise ValueError(f'"{rate}" is not between 1 and {_MOST_REQUESTS:,} requests in 1ms to 24h')
    return requests, per


def checked_status(status: int) -> int:
    """Return a status that an answer may have. Raises ValueError."""
    if status not in STATUSES:
        raise ValueError(f"{status} is not a status between 200 and 599")
    return status


def checked_code(code: int) -> int:
    """Return a status that redirects. Raises ValueError."""
    if code not in CODES:
        raise ValueError(f"{code} is none of {', '.join(map(str, CODES))}")
    return code


def checked_part(what: str, text: str) -> str:
    """Return a path, host or query that can be sent. Raises ValueError."""
    is_one: dict[str, Callable[[str], object]] = {
        "path": _PATH.fullmatch,
        "host": _is_host,
        "query": _QUERY.fullmatch,
    }
    if not is_one[what](text):
        raise ValueError(f"{text!r} is not a {what} that can be sent")
    return text


def checked_name(name: str) -> str:
    """Return the name of a field. Raises ValueError."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f'"{name}" is not a name of a field such as X-Request-Id (RFC 9110, section 5.6.2)')
    return name


def _is_host(text: str) -> bool:
    """Whether it is a host that clients may send, perhaps with a port: what core takes."""
    if text.startswith("["):
        address, closed, port = text[1:].partition("]")
        is_named = bool(closed) and "%" not in address and _is_ipv6(address)
        port, colon = (port[1:], port[:1])
    else:
        name, colon, port = text.partition(":")
        is_named = len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None
    return is_named and (
        colon == port == "" or (colon == ":" and _PORT.fullmatch(port) is not None and int(port) < 1 << 16)
    )


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _fields(fields: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((checked_name(name), value) for name, value in (fields or {}).items())
