"""Texts with variables: values that come from clients and could end what they are put into.

Knows where a text is a string, a parameter or markup, and which filter belongs there; the filters are core's, and so is
which one a media type gets by itself. Must never refuse anything: a filter is whoever writes the text's to choose.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from headworks import _engine
from headworks.config.models import Redirect, Respond
from headworks.config.models.whole import Whole
from headworks.config.problems import Path, Problem

OUTSIDE = frozenset({"host", "name", "path", "query", "uri", "tls.name"})
"""Variables that say what a client wrote, as ``header.NAME`` and the names in its certificate do."""

_LOOKS = {"json": r"\s*(\{\{|\[\s*(\"|\{\{|\[))", "html": r"\s*<[!?A-Za-z]"}
"""How bodies begin that are written in the language of a filter."""

_TYPES = {"json": "application/json", "html": "text/html"}

_HARMLESS = frozenset({"url"})
"""Filters that leave nothing which could end anything."""


class _Value(NamedTuple):
    """A variable that says what a client wrote."""

    before: str
    """The text before it."""
    name: str
    filter: str
    """The filter written with it; empty: none."""


def doubtful_values(config: Whole) -> Iterator[Problem]:
    """Yield a warning for every value of a client that stands where it could end what it is put into."""
    for path, answer in _answers(config):
        if isinstance(answer, Redirect):
            yield from _parameters((*path, "redirect", "to"), answer.to)
        else:
            yield from _body((*path, "respond", "body"), answer)
            for name, value in answer.headers.items():
                yield from _quoted((*path, "respond", "headers", name), value)


def _answers(config: Whole) -> Iterator[tuple[Path, Redirect | Respond]]:
    places: list[tuple[Path, Redirect | Respond | None]] = []
    for name, listener in config.listeners.items():
        places += [(("listeners", name), listener.redirect), (("listeners", name), listener.respond)]
    for table, entries in config.tables.items():
        for pattern, target in entries.items():
            places += [(("tables", table, pattern), target.redirect), (("tables", table, pattern), target.respond)]
    return ((path, answer) for path, answer in places if answer is not None)


def _values(text: str) -> Iterator[_Value]:
    """Yield what clients wrote, of a text that was checked."""
    for found in re.finditer(r"\{\{|\}\}|\{([^{}|]*)(?:\|([^{}]*))?\}", text):
        name, own = (found[1] or "").strip(), (found[2] or "").strip()
        if name in OUTSIDE or name.startswith(("header.", "tls.client.")):
            yield _Value(text[: found.start()], name, own)


def _body(path: Path, answer: Respond) -> Iterator[Problem]:
    kind = next((value for name, value in answer.headers.items() if name.lower() == "content-type"), "")
    fitting = _engine.fitting_filter(kind)
    looks = next((one for one, begin in _LOOKS.items() if re.match(begin, answer.body)), "raw")
    for value in _values(answer.body):
        if not value.filter and fitting == "raw" and looks != "raw":
            reason = f"{_called(value)} and is written as it is, into what looks like {looks.upper()}"
            hint = f'give headers a Content-Type of "{_TYPES[looks]}", or write {{{value.name}|{looks}}}'
            yield Problem(path=path, reason=reason, suggestion=hint, is_warning=True)
        elif value.filter not in ("", "raw", fitting, *_HARMLESS) and fitting != "raw":
            reason = f"{_called(value)} and is written for {value.filter.upper()}, into {kind}"
            yield _problem(path, reason, value, fitting)


def _quoted(path: Path, text: str) -> Iterator[Problem]:
    """Find values in a quoted string (RFC 9110, section 5.6.4), which ends and escapes as one of JSON does."""
    for value in _values(text):
        if value.before.count('"') % 2 and not value.filter:
            yield _problem(path, f"{_called(value)} and stands between quotes, which it could end", value, "json")


def _parameters(path: Path, text: str) -> Iterator[Problem]:
    """Find values that are one parameter of a location: an ``&`` in them would begin another."""
    for value in _values(text):
        if re.search(r"\?[^#]*=[^&#]*$", value.before) and not value.filter:
            yield _problem(path, f"{_called(value)} and is one parameter here: it could begin another", value, "url")


def _called(value: _Value) -> str:
    return f"{{{value.name}}} comes from the client"


def _problem(path: Path, reason: str, value: _Value, needed: str) -> Problem:
    return Problem(path=path, reason=reason, suggestion=f"write {{{value.name}|{needed}}}", is_warning=True)
