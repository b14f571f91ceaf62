"""Order: entries of which the first that matches counts, as entries of a table of ours that decides the same.

There, exact names come before names below others, of these the longest, then expressions in their order, then `*`. An
entry is told as names where that changes nothing, else as an expression at its place:

- a name that an earlier entry takes is never reached, and left out;
- names below another are an expression when an earlier expression, which leads elsewhere, takes some of them;
- all else keeps its order by itself: what came earlier and is a name or an expression comes earlier here.

So of any two entries that take a name and lead elsewhere, the earlier one comes first here, too.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from headworks.importing.sniproxy.emit import expression
from headworks.importing.sniproxy.expressions import Names, below, compiled, is_any, names, tail
from headworks.importing.sniproxy.overlap import meets
from headworks.importing.sniproxy.syntax import Node, Pattern


@dataclass(slots=True)
class Told:
    """One entry, as patterns of ours."""

    patterns: list[str] = field(default_factory=list)
    """In order; none when it is never reached."""
    hidden_by: int | None = None
    """The entry that takes its names, or some of them, before it; None where none are taken."""
    takes_nameless: bool = False
    """Whether it is the first that matches where a client gives no name."""


def tell(entries: Sequence[tuple[Pattern, Hashable]]) -> list[Told]:
    """Return what each entry is in a table. Those that lead to the same are given with the same target."""
    table = _Table()
    return [table.add(number, pattern, target) for number, (pattern, target) in enumerate(entries)]


@dataclass(frozen=True, slots=True)
class _Earlier:
    """An expression that came before."""

    number: int
    node: Node
    text: str
    ending: str
    target: Hashable

    def takes(self, name: str) -> bool:
        return name.endswith(self.ending) and compiled(self.text).search(name) is not None


class _Table:
    """The entries so far."""

    def __init__(self) -> None:
        self._exact: dict[str, int] = {}
        self._below: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._expressions: dict[str, list[_Earlier]] = defaultdict(list)
        self._any: int | None = None
        self._has_nameless = False

    def add(self, number: int, pattern: Pattern, target: Hashable) -> Told:
        told = Told()
        if self._any is not None:
            told.hidden_by = self._any
        elif is_any(pattern):
            told.patterns.append("*")
            self._any = number
            told.takes_nameless = not self._has_nameless
        elif (found := names(pattern)) is not None:
            self._add_names(number, found, target, told)
        else:
            self._add_expression(number, pattern.node, target, told)
            told.takes_nameless = not self._has_nameless and compiled(expression(pattern.node)).search("") is not None
        self._has_nameless = self._has_nameless or told.takes_nameless
        return told

    def _add_names(self, number: int, found: Names, target: Hashable, told: Told) -> None:
        for name in found.exact:
            if (earlier := self._taker(name)) is not None:
                told.hidden_by = earlier
            else:
                self._exact[name] = number
                told.patterns.append(name)
        for name in found.below:
            if (earlier := self._taker_of_all(name)) is not None:
                told.hidden_by = earlier
            elif any(one.target != target and meets(one.node, name) for one in self._near(name, is_below=True)):
                self._add_expression(number, below(name), target, told)
                self._below[name] = number
            else:
                self._below[name] = number
                told.patterns.append(f"*.{name}")

    def _add_expression(self, number: int, node: Node, target: Hashable, told: Told) -> None:
        text = expression(node)
        earlier = self._texts.get(text)
        ending = tail(node)
        if earlier is None and ending.startswith("."):
            earlier = self._taker_of_all(ending[1:])
        if earlier is not None:
            told.hidden_by = earlier
            return
        self._texts[text] = number
        self._expressions[_place(ending)].append(_Earlier(number, node, text, ending, target))
        told.patterns.append(f"~{text}")

    def _taker(self, name: str) -> int | None:
        """Return the first entry that takes a name."""
        found = [self._exact.get(name), *(self._below.get(suffix) for suffix in _suffixes(name))]
        found += [one.number for one in self._near(name) if one.takes(name)]
        return min((one for one in found if one is not None), default=None)

    def _taker_of_all(self, name: str) -> int | None:
        """Return an entry that takes all names below one."""
        found = (self._below.get(suffix) for suffix in (name, *_suffixes(name)))
        return min((one for one in found if one is not None), default=None)

    def _near(self, name: str, *, is_below: bool = False) -> Iterable[_Earlier]:
        """Return the expressions that may take a name, or names below it."""
        places = self._expressions if is_below and "." not in name else _places(name)
        return (one for place in places for one in self._expressions.get(place, ()))


def _suffixes(name: str) -> Iterator[str]:
    """Yield the names that a name lies below, the nearest first."""
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _place(ending: str) -> str:
    """Return the last labels, two at most, that are whole in the ending of an expression's names."""
    return ".".join(ending.partition(".")[2].split(".")[-2:]) if "." in ending else ""


def _places(name: str) -> Iterator[str]:
    """Yield the places of expressions that may have to do with a name."""
    labels = name.split(".")
    yield ""
    yield labels[-1]
    if len(labels) > 1:
        yield ".".join(labels[-2:])
