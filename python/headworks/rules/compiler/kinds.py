"""Kinds: what an expression may be, as a set of atoms: a text, a number, None, a match of a pattern.

Owns their names in sentences, and how what is known of names and attributes grows and is joined. An attribute that may
be None keeps both atoms until a test has taken one away.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Matched:
    """A match of one pattern, whose groups are in a register."""

    register: int
    groups: tuple[bool, ...]
    """For each group, whether it took part whenever the pattern matched; group 0 comes first."""
    names: tuple[tuple[str, int], ...]


Atom = str | Matched
Kinds = frozenset[Atom]
Key = tuple[str, str]
"""Something that can be known better: ``("local", "name")``, ``("get", "host")``, ``("header", "x-id")``."""
Facts = Mapping[Key, Kinds]

TEXT: Kinds = frozenset({"text"})
INT: Kinds = frozenset({"int"})
BOOL: Kinds = frozenset({"bool"})
NONE: Kinds = frozenset({"none"})
ADDRESS: Kinds = frozenset({"address"})
MAYBE_TEXT = TEXT | NONE
MAYBE_INT = INT | NONE
MAYBE_ADDRESS = ADDRESS | NONE
UNKNOWN: Kinds = frozenset({"unknown"})
"""Of what could not be compiled, and has been reported."""

VALUES = TEXT | INT | BOOL | NONE | ADDRESS
"""Atoms that a program can hold, matches aside."""
EVER_FALSE = TEXT | INT | BOOL | NONE
"""Atoms of which some are false: an address or a match never is."""

_NAMES = {
    "text": "a text",
    "int": "a number",
    "bool": "a truth value",
    "none": "None",
    "address": "an address",
    "request": "the request",
    "response": "the response",
    "hello": "the hello",
    "headers": "the headers",
    "cookies": "the cookies",
    "query_params": "the query parameters",
    "tls": "what is known of TLS",
}


def named(kinds: Kinds) -> str:
    """Say what it may be: ``a text or None``."""
    names = {"a match" if isinstance(atom, Matched) else _NAMES.get(atom, "something else") for atom in kinds}
    return " or ".join(sorted(names, key=lambda name: (name == "None", name)))


def both(one: Facts, other: Facts) -> dict[Key, Kinds]:
    """Return what is known when both hold; the second was found out under the first."""
    return {**one, **other}


def either(several: Iterable[Facts]) -> dict[Key, Kinds]:
    """Return what is known when one of several holds: of what all know something, all that they allow."""
    first, *rest = several
    known = dict(first)
    for facts in rest:
        known = {key: kinds | facts[key] for key, kinds in known.items() if key in facts}
    return known
