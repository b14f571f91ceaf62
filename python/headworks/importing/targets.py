"""Targets: ways that another proxy decides in turn, as entries of a table, which decides by how exact they are.

Owns finding out whether both decide the same. Must never write an entry that would take what an earlier way takes.
"""

from dataclasses import dataclass
from typing import Any

_EXACT, _BELOW, _PATTERN, _ANY = range(4)


@dataclass(frozen=True, slots=True)
class Key:
    """One pattern of a table: a host (exact, ``*.below``, ``~expression`` or ``*``), and a path or none."""

    host: str
    path: str = ""

    @property
    def text(self) -> str:
        """The pattern as it is written."""
        return self.host + self.path

    @property
    def rank(self) -> int:
        """How late its kind is asked."""
        if self.host == "*":
            return _ANY
        if self.host.startswith("~"):
            return _PATTERN
        return _BELOW if self.host.startswith("*.") else _EXACT


def meets(one: Key, other: Key) -> bool:
    """Whether a request may be taken by both."""
    return _hosts_meet(one, other) and (_within(one.path, other.path) or _within(other.path, one.path))


def covers(one: Key, other: Key) -> bool:
    """Whether the first takes all that the second takes."""
    return _host_covers(one, other) and _within(other.path, one.path)


def comes_first(one: Key, other: Key) -> bool:
    """Whether a table asks the first before the second, of two that meet; of two expressions the first is earlier."""
    if one.host == other.host:
        return len(one.path) > len(other.path)
    if one.rank != other.rank:
        return one.rank < other.rank
    return one.rank == _PATTERN or len(one.host) > len(other.host)


def conflicts(ways: list[tuple[list[Key], Any]]) -> int:
    """Return how many of the first ways a table would not decide in this order."""
    last = 0
    for late, (keys, target) in enumerate(ways):
        for early, (others, elsewhere) in enumerate(ways[:late]):
            if elsewhere == target or early < last:
                continue
            if any(_overtakes(key, other) for key in keys for other in others):
                last = early + 1
    return last


def _overtakes(late: Key, early: Key) -> bool:
    return meets(late, early) and not covers(early, late) and not comes_first(early, late)


def _hosts_meet(one: Key, other: Key) -> bool:
    if _EXACT == one.rank == other.rank:
        return one.host == other.host
    if _PATTERN in (one.rank, other.rank) or _ANY in (one.rank, other.rank):
        return True
    return _host_covers(one, other) or _host_covers(other, one)


def _host_covers(one: Key, other: Key) -> bool:
    if one.host == other.host or one.rank == _ANY:
        return True
    if one.rank != _BELOW or other.rank > _BELOW:
        return False
    return other.host.removeprefix("*").endswith(one.host[1:]) and other.host != one.host


def _within(path: str, prefix: str) -> bool:
    bare = prefix.rstrip("/")
    return not bare or path.rstrip("/") == bare or path.startswith(f"{bare}/")
