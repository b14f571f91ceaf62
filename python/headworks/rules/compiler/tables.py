"""Tables: Python's sets, tuples, lists, dicts and networks as constants of a program.

Owns what they may hold: texts, numbers and None as keys; also truth values as what is looked up. Must never hold more
than 100,000 keys each.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from headworks.rules.compiler.body import Body
from headworks.rules.compiler.kinds import NONE, Kinds
from headworks.rules.compiler.program import MOST_KEYS
from headworks.rules.networks import Networks
from headworks.rules.problems import Refused

ADDRESSES = (IPv4Address, IPv6Address)
NETWORKS = (IPv4Network, IPv6Network)
COLLECTIONS = (set, frozenset, tuple, list)
_KINDS: dict[type, str] = {str: "text", int: "int", bool: "bool", type(None): "none"}
_MOST_TEXT = 16 << 20


@dataclass(frozen=True)
class Keys:
    """Keys of a set or map that became a constant."""

    constant: int
    kinds: Kinds
    """Kinds of them, None left out."""
    has_none: bool


def keys_of(body: Body, node: ast.AST, items: Iterable[Any]) -> Keys:
    """Make keys a constant; a dict that can be looked up in serves for both."""
    if isinstance(items, Mapping) and items and all(type(value) in _KINDS for value in items.values()):
        constant, keys, _ = map_of(body, node, items)
        return Keys(constant, keys, has_none=False)
    every = dict.fromkeys(items)
    _bounded(node, every)
    found = [item for item in every if item is not None]
    kinds = {_kind(body, node, item, keys=True) for item in found}
    ordered = sorted(found, key=lambda item: (type(item).__name__, item))
    constant = body.program.constant(("set", tuple(ordered)), {"set": ordered})
    return Keys(constant, frozenset(kinds), has_none=None in every)


def map_of(body: Body, node: ast.AST, table: Mapping[Any, Any]) -> tuple[int, Kinds, Kinds]:
    """Make a dict a constant. Return its index, and the kinds of its keys and values."""
    _bounded(node, table)
    _bounded_text(node, table.values(), "values")
    keys = frozenset(_kind(body, node, key, keys=True) for key in table)
    values = frozenset(_kind(body, node, value, keys=False) for value in table.values())
    if keys & NONE:
        raise Refused(node, "a table has no key None", "test for None before it is looked up")
    pairs = [[key, value] for key, value in table.items()]
    shape = ("map", tuple((key, type(value), value) for key, value in table.items()))
    return body.program.constant(shape, {"map": pairs}), keys, values


def networks_of(body: Body, networks: Iterable[IPv4Network | IPv6Network]) -> int:
    """Make networks a constant."""
    written = [str(one) for one in networks]
    return body.program.constant(("networks", *written), {"networks": written})


def as_networks(value: Any) -> list[IPv4Network | IPv6Network] | None:
    """Return networks, or addresses as networks of one each; None for what is neither."""
    if isinstance(value, Networks):
        return list(value.networks)
    if isinstance(value, NETWORKS):
        return [value]
    if isinstance(value, COLLECTIONS) and value and all(isinstance(one, ADDRESSES) for one in value):
        return [IPv4Network(one) if isinstance(one, IPv4Address) else IPv6Network(one) for one in value]
    return None


def _kind(body: Body, node: ast.AST, item: Any, *, keys: bool) -> str:
    kind = _KINDS.get(type(item))
    if kind is None or (keys and kind == "bool"):
        what = "keys are texts or numbers" if keys else "what is looked up is a text, a number, a truth value or None"
        raise Refused(node, f"{what}, and {item!r:.60} is {type(item).__name__}")
    if kind == "text":
        body.text_constant(node, item)
    if kind == "int" and not -(1 << 63) <= item < 1 << 63:
        raise Refused(node, "a number has more than 64 bits")
    return kind


def _bounded(node: ast.AST, items: Any) -> None:
    if len(items) > MOST_KEYS:
        raise Refused(node, f"a table has {len(items):,} keys, more than {MOST_KEYS:,}")
    _bounded_text(node, items, "keys")


def _bounded_text(node: ast.AST, items: Iterable[Any], what: str) -> None:
    if sum(len(one) for one in items if isinstance(one, str)) > _MOST_TEXT:
        raise Refused(node, f"a table has more than 16 MiB of {what}")
