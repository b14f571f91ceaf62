"""Patterns: Python's regular expressions in the syntax of core's, which has no way back and takes linear time.

Owns the translation of a parsed pattern: every class of characters is spelled out as the bytes that Python takes, found
out by asking Python. Must never pass on what would match differently: look-around, references and repeats of nothing
are refused.
"""

import re
from dataclasses import dataclass
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

MOST_TEXT = 4096
MOST_SIZE = 10_000
_UNICODE = 0x80
_SUBJECTS = [*map(chr, range(_UNICODE)), *(chr(0xDC00 + byte) for byte in range(_UNICODE, 0x100))]
"""Every byte as rules have it in texts."""
_FOLLOWED = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.ASCII | re.UNICODE
_REFUSED = {
    "ASSERT": ("look-ahead and look-behind are not compiled", "match more and take a group of it"),
    "ASSERT_NOT": ("look-ahead and look-behind are not compiled", "write a second test with not"),
    "GROUPREF": ("a reference to a group is not compiled", "compare groups with =="),
    "GROUPREF_EXISTS": ("a condition in a pattern is not compiled", "write two patterns"),
    "ATOMIC_GROUP": ("an atomic group is not compiled", "write (?:...): it never takes long here"),
    "POSSESSIVE_REPEAT": ("a possessive repeat is not compiled", "leave out its +: it never takes long here"),
}


class Untranslatable(Exception):  # noqa: N818  (it never leaves the compiler)
    """A pattern that would not match as in Python, with the reason and what to write instead."""


@dataclass(frozen=True)
class Pattern:
    """A pattern that core takes."""

    text: str
    ends: bool
    """Whether it ended with ``$``: the end, or one line feed before it."""
    groups: tuple[bool, ...]
    names: tuple[tuple[str, int], ...]


def translated(pattern: "re.Pattern[str]", *, whole: bool) -> Pattern:
    """Translate a pattern; ``whole``: it is for fullmatch. Raises Untranslatable."""
    if not isinstance(pattern.pattern, str):
        raise Untranslatable("a pattern of bytes is not compiled", "write the pattern as str")
    if len(pattern.pattern) > MOST_TEXT:
        raise Untranslatable(f"a pattern has more than {MOST_TEXT:,} characters", "use a set or several patterns")
    if not pattern.pattern.isascii():
        raise Untranslatable("a pattern has characters beyond ASCII", "texts of requests are bytes")
    try:
        tree = _parser.parse(pattern.pattern, pattern.flags)
        return _Translation(tree, pattern.flags).pattern(pattern, whole=whole)
    except (RecursionError, OverflowError):
        raise Untranslatable("a pattern is nested too deeply", "write it simpler") from None


class _Translation:
    """One pattern on its way."""

    def __init__(self, tree: Any, flags: int) -> None:
        self.tree = tree
        self.flags = flags
        self.classes: dict[tuple[str, int], str] = {}
        self.certain = {0}

    def pattern(self, pattern: "re.Pattern[str]", *, whole: bool) -> Pattern:
        items = list(self.tree)
        ends = bool(items) and _is_end(items[-1]) and not self.flags & re.MULTILINE
        text = self.sequence(items[:-1] if ends else items, self.flags, certain=True)
        if self.size(self.tree) > MOST_SIZE:
            raise Untranslatable("a pattern's repeats make it too large", "repeat less")
        certain = tuple(number in self.certain for number in range(pattern.groups + 1))
        return Pattern(text, ends and not whole, certain, tuple(pattern.groupindex.items()))

    def sequence(self, items: Any, flags: int, *, certain: bool) -> str:
        return "".join(self.one(operator, argument, flags, certain=certain) for operator, argument in items)

    def one(self, operator: Any, argument: Any, flags: int, *, certain: bool) -> str:
        name = str(operator)
        if name in _REFUSED:
            raise Untranslatable(*_REFUSED[name])
        match name:
            case "LITERAL" if not flags & re.IGNORECASE:
                return _byte(argument)
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN" | "CATEGORY" | "RANGE":
                return self.one_of(operator, argument, flags)
            case "AT":
                return _place(str(argument), flags)
            case "BRANCH":
                return f"(?:{'|'.join(self.sequence(one, flags, certain=False) for one in argument[1])})"
            case "SUBPATTERN":
                return self.group(argument, flags, certain=certain)
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self.repeat(argument, flags, certain=certain) + ("?" if name == "MIN_REPEAT" else "")
        raise Untranslatable(f"{name} in a pattern is not compiled", None)

    def group(self, argument: Any, flags: int, *, certain: bool) -> str:
        number, added, taken, below = argument
        if number is not None and certain:
            self.certain.add(number)
        inner = self.sequence(below, (flags | added) & ~taken, certain=certain)
        return f"({inner})" if number is not None else f"(?:{inner})"

    def repeat(self, argument: Any, flags: int, *, certain: bool) -> str:
        least, most, below = argument
        if most > 1 and below.getwidth()[0] == 0:
            raise Untranslatable("a repeat of what may be empty is not compiled", "let what is repeated never be empty")
        inner = self.sequence(below, flags, certain=certain and least > 0)
        bounds = f"{{{least},{'' if most == _constants.MAXREPEAT else most}}}"
        return f"(?:{inner})" + {"{0,}": "*", "{1,}": "+", "{0,1}": "?"}.get(bounds, bounds)

    def one_of(self, operator: Any, argument: Any, flags: int) -> str:
        """Spell out what one character may be, as Python has it."""
        key = (repr((operator, argument)), flags & _FOLLOWED)
        if key not in self.classes:
            state = _parser.State()
            state.flags, state.str = 0, ""
            item = _parser.SubPattern(state, [(operator, argument)])
            asked = _compiler.compile(item, flags & _FOLLOWED)
            self.classes[key] = _class([byte for byte, one in enumerate(_SUBJECTS) if asked.fullmatch(one)])
        return self.classes[key]

    def size(self, items: Any) -> int:
        """Return how many characters it is with every repeat written out."""
        total = 0
        for operator, argument in items:
            match str(operator):
                case "MAX_REPEAT" | "MIN_REPEAT":
                    least, most, below = argument
                    times = least + 1 if most == _constants.MAXREPEAT else most
                    total += max(1, times) * self.size(below)
                case "SUBPATTERN":
                    total += self.size(argument[3])
                case "BRANCH":
                    total += sum(map(self.size, argument[1]))
                case _:
                    total += 1
        return total


def _is_end(item: Any) -> bool:
    return str(item[0]) == "AT" and str(item[1]) == "AT_END"


def _place(name: str, flags: int) -> str:
    lines = bool(flags & re.MULTILINE)
    places = {
        "AT_BEGINNING": "(?m:^)" if lines else r"\A",
        "AT_BEGINNING_STRING": r"\A",
        "AT_END_STRING": r"\z",
        "AT_BOUNDARY": r"(?-u:\b)",
    }
    if name == "AT_END" and lines:
        return "(?m:$)"
    if name == "AT_END":
        raise Untranslatable("$ is compiled at the end of a pattern only", r"write \Z for the very end")
    if name == "AT_NON_BOUNDARY":
        raise Untranslatable(r"\B is not compiled", r"write the characters that stand there, such as \w")
    return places[name]


def _byte(code: int) -> str:
    character = chr(code)
    return character if character.isalnum() and character.isascii() else f"\\x{code:02x}"


def _class(members: list[int]) -> str:
    if not members:
        return r"[^\x00-\xff]"
    ranges: list[list[int]] = []
    for byte in members:
        if ranges and ranges[-1][1] == byte - 1:
            ranges[-1][1] = byte
        else:
            ranges.append([byte, byte])
    return f"[{''.join(f'{chr(92)}x{low:02x}-{chr(92)}x{high:02x}' for low, high in ranges)}]"
