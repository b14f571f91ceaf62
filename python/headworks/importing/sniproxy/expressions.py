"""Expressions: which names a pattern is for. Most are a name, everything below a name, or anything.

Owns recognising those by their trees, whatever they are spelled like. Must never recognise what only nearly is one.
"""

import re
import string
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from headworks.importing.sniproxy.syntax import Chars, Choice, End, Node, Pattern, Repeat, Row, Start

HOST = frozenset(string.ascii_lowercase + string.digits + "-_.")
"""Characters that host names have."""

_MOST = 8
"""Names that one pattern is written out as, at most."""
_LONGEST_NAME = 253
_LONGEST_LABEL = 63
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Names:
    """Exact names, and suffixes of all names below them."""

    exact: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


def is_any(pattern: Pattern) -> bool:
    """Whether every name matches, and no name at all."""
    if isinstance(pattern.node, Row) and any(isinstance(item, Chars) for item in pattern.node.items):
        return False
    items = _items(pattern.node)
    while items and isinstance(items[0], Start) and not isinstance(items[-1], End):
        items = items[1:]
    if items and isinstance(items[-1], End) and not isinstance(items[0], Start):
        items = items[:-1]
    if len(items) > 2 and isinstance(items[0], Start) and isinstance(items[-1], End):  # noqa: PLR2004
        items = items[1:-1]
    return all(isinstance(item, Repeat) and _is_any_number(item) and _is_any(item.item) for item in items)


def names(pattern: Pattern) -> Names | None:
    """Return the names that a pattern is for; None when they are others than such."""
    items = _items(pattern.node)
    if not items or not isinstance(items[-1], End):
        return None
    items = items[:-1]
    # .* at the start says nothing where anything may come before.
    is_open = not (items and isinstance(items[0], Start))
    items = items if is_open else items[1:]
    least = 0
    while items and isinstance(items[0], Repeat) and _is_any(items[0].item) and items[0].most is None:
        least += items[0].least
        is_open, items = True, items[1:]
    if least > 1:
        return None
    return _open(items, least) if is_open else _from_start(items)


def _open(items: tuple[Node, ...], least: int) -> Names | None:
    """Anything, then ``items``: names below one; with the name itself where they begin by (start or dot)."""
    if not items:
        return None
    if least == 0 and _is_start_or_dot(items[0]):
        found = _finite(items[1:])
        return _made(found, found)
    found = _finite(items)
    if found is None or not all(one.startswith(".") for one in found):
        return None
    return _made([], [one[1:] for one in found])


def _from_start(items: tuple[Node, ...]) -> Names | None:
    """From the start of the name ``items``: names, or labels before one."""
    if items and (least := _labels(items[0])) is not None:
        found = _finite(items[1:])
        return _made(found if least == 0 else [], found)
    return _made(_finite(items), [])


def _made(exact: list[str] | None, below: list[str] | None) -> Names | None:
    if exact is None or below is None:
        return None
    found = Names(_unique(exact), _unique(below))
    return found if all(map(is_name, (*found.exact, *found.below))) else None


def _unique(found: list[str]) -> tuple[str, ...]:
    # A dot at the end is taken off names before they are looked up.
    return tuple(dict.fromkeys(one.removesuffix(".") for one in found))


def is_name(text: str) -> bool:
    """Whether a table of ours takes it for the name of a host."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None and not _ADDRESS.fullmatch(text)


def tail(node: Node) -> str:
    """Return the text that every matching name ends with, as far as that is plain."""
    items = _items(node)
    if not items or not isinstance(items[-1], End):
        return ""
    ending = ""
    for item in reversed(items[:-1]):
        if not isinstance(item, Chars) or len(item.chosen) != 1:
            break
        ending = next(iter(item.chosen)) + ending
    return ending


def below(name: str) -> Node:
    """Return the tree for all names below one."""
    return Row((*(Chars(frozenset(one)) for one in f".{name}"), End()))


def _items(node: Node) -> tuple[Node, ...]:
    """Return what stands in a row, groups that hold one thing opened."""
    match node:
        case Row(items):
            opened: list[Node] = []
            for item in items:
                opened += (item,) if isinstance(item, Chars) else _items(item)
            return tuple(opened)
        case Choice((one,)):
            return _items(one)
        case Repeat(item, 1, 1):
            return _items(item)
        case _:
            return (node,)


def _is_any_number(item: Repeat) -> bool:
    return item.least == 0 and item.most is None


def _is_any(node: Node) -> bool:
    items = _items(node)
    return len(items) == 1 and isinstance(items[0], Chars) and items[0].chosen >= HOST


def _is_label(node: Node) -> bool:
    """Whether it is the characters that labels have."""
    return isinstance(node, Chars) and node.chosen >= HOST - {"."}


def _is_dot(node: Node) -> bool:
    return isinstance(node, Chars) and node.chosen == {"."}


def _is_start_or_dot(node: Node) -> bool:
    """Whether it is the start of the name or a dot."""
    if not isinstance(node, Choice) or len(node.options) != 2:  # noqa: PLR2004
        return False
    kinds = [_items(option) for option in node.options]
    return any(_is_row(one, Start) and len(other) == 1 and _is_dot(other[0]) for one, other in (kinds, kinds[::-1]))


def _is_row(items: tuple[Node, ...], kind: type) -> bool:
    return len(items) == 1 and isinstance(items[0], kind)


def _labels(node: Node) -> int | None:
    """Return how many labels with their dots it takes at least, when it takes any number of them."""
    match node:
        case Repeat(item, 0, 1) if _is_labels(_items(item), is_many=True):
            return 0
        case Repeat(item, (0 | 1) as least, None) if _is_labels(_items(item)):
            return least
        case Choice(options) if len(options) == 2:  # noqa: PLR2004
            kinds = [_items(option) for option in options]
            is_either = any(not one and _is_labels(other, is_many=True) for one, other in (kinds, kinds[::-1]))
            return 0 if is_either else None
        case _:
            return None


def _is_labels(items: tuple[Node, ...], *, is_many: bool = False) -> bool:
    """Whether it is something and then a dot. ``is_many``: of one label only it would not be enough."""
    if len(items) != 2 or not _is_dot(items[1]):  # noqa: PLR2004
        return False
    match items[0]:
        case Repeat(item, 0 | 1, None):
            one = _items(item)
            return len(one) == 1 and (_is_any(one[0]) or (not is_many and _is_label(one[0])))
        case _:
            return False


def _finite(items: tuple[Node, ...]) -> list[str] | None:
    """Return every text that the items stand for; None when these are too many."""
    found = [""]
    for item in items:
        if isinstance(item, Chars) and len(item.chosen) == 1:
            (only,) = item.chosen
            found = [text + only for text in found]
            continue
        texts = _texts(item)
        if texts is None or len(found) * len(texts) > _MOST:
            return None
        found = ["".join(pair) for pair in product(found, texts)]
    return found


def _texts(node: Node) -> list[str] | None:
    match node:
        case Chars(chosen):
            return sorted(chosen) if 0 < len(chosen) <= _MOST else None
        case Row(items):
            return _finite(items)
        case Choice(options):
            found = [_texts(option) for option in options]
            known = [one for one in found if one is not None]
            return [text for one in known for text in one] if len(known) == len(found) else None
        case Repeat(item, least, most) if most is not None and most <= _LONGEST_LABEL:
            once = _texts(item)
            if once is None or (len(once) > 1 and most > 1):
                return None
            counts = range(least, most + 1)
            return [text * count for text in once for count in counts] if most > 1 or not least else once
        case _:
            return None


@lru_cache(maxsize=8192)
def compiled(text: str) -> re.Pattern[str]:
    """Compile an expression as the engine does, for names in lower case."""
    return re.compile(text, re.ASCII)
