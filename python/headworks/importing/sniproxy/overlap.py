"""Overlap: whether a pattern matches any name below another name.

Must never say no where there is such a name. Where it would be costly to tell, or depends on the edges of words, it
says yes.
"""

from collections.abc import Iterable

from headworks.importing.sniproxy.expressions import HOST, tail
from headworks.importing.sniproxy.syntax import Boundary, Chars, Choice, End, Node, Repeat, Row, Start

_MOST = 12
"""Repetitions that are told apart."""
_STATES = 20_000
"""States of a pattern and a name together that are looked at."""


def meets(node: Node, name: str) -> bool:
    """Whether some ``X.NAME`` matches."""
    ending, suffix = tail(node), f".{name}"
    if not suffix.endswith(ending) and not ending.endswith(suffix):
        return False
    machine = _Machine()
    end = machine.add(node, 0)
    return machine.accepts(end, suffix)


class _Machine:
    """States that a pattern goes through. Edges without characters are free, or for the start or end of a name only."""

    def __init__(self) -> None:
        self._free: list[list[tuple[int, type | None]]] = [[]]
        self._taking: list[list[tuple[int, frozenset[str]]]] = [[]]

    def add(self, node: Node, start: int) -> int:
        """Add a part that begins at a state. Returns the state where it ends."""
        match node:
            case Chars(chosen):
                end = self._state()
                self._taking[start].append((end, chosen))
                return end
            case Start() | End():
                return self._to(start, self._state(), type(node))
            case Boundary():
                return start
            case Row(items):
                for item in items:
                    start = self.add(item, start)
                return start
            case Choice(options):
                end = self._state()
                for option in options:
                    self._to(self.add(option, self._to(start, self._state())), end)
                return end
            case Repeat(item, least, most):
                return self._repeat(item, least, most, start)

    def accepts(self, end: int, suffix: str) -> bool:
        """Whether the end can be reached by a name that is something and then the suffix.

        A place is 0 before the first character, 1 after those of the something, 1 + n after n of the suffix.
        """
        last = 1 + len(suffix)
        waiting, seen = [(0, 0)], {(0, 0)}
        while waiting:
            state, place = waiting.pop()
            # What follows a match may be anything: the suffix, too, wherever in it the match ends.
            if state == end or len(seen) > _STATES:
                return True
            for following in self._next(state, place, suffix, last):
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        return False

    def _next(self, state: int, place: int, suffix: str, last: int) -> Iterable[tuple[int, int]]:
        for target, kind in self._free[state]:
            if kind is None or (kind is Start and place == 0) or (kind is End and place == last):
                yield target, place
        for target, chosen in self._taking[state]:
            yield from ((target, there) for there in _places(place, suffix, chosen))
        if state == 0:
            # A match may begin anywhere.
            yield from ((0, there) for there in _places(place, suffix, HOST))

    def _repeat(self, item: Node, least: int, most: int | None, start: int) -> int:
        if least > _MOST or (most or 0) > _MOST:
            least, most = 0, None
        for _ in range(least):
            start = self.add(item, start)
        if most is None:
            loop = self._to(start, self._state())
            self._to(self.add(item, loop), loop)
            return self._to(loop, self._state())
        end = self._to(start, self._state())
        for _ in range(most - least):
            start = self.add(item, start)
            self._to(start, end)
        return end

    def _state(self) -> int:
        self._free.append([])
        self._taking.append([])
        return len(self._free) - 1

    def _to(self, start: int, end: int, kind: type | None = None) -> int:
        self._free[start].append((end, kind))
        return end


def _places(place: int, suffix: str, chosen: frozenset[str]) -> Iterable[int]:
    """Return the places after one of the characters."""
    if place <= 1 and not HOST.isdisjoint(chosen):
        yield 1
    if 1 <= place <= len(suffix) and suffix[place - 1] in chosen:
        yield place + 1
