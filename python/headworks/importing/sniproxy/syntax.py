r"""Syntax: a pattern as sniproxy's library of regular expressions (PCRE) reads it, as a tree.

Owns that language as far as an automaton can decide it. Must never take what it does not know for something else: a
look-around, a back-reference or an unknown escape is an error.

Names are looked up in lower case here, and without it a pattern's capital letters would never match: they stand for
small ones, but for `[^A-Z]`, which excludes nothing then. A tree says whether it was so (`Pattern.is_folded`).
"""

import re
import string
from dataclasses import dataclass

UPPER = frozenset(string.ascii_uppercase)
ANY = frozenset(chr(code) for code in range(0x20, 0x7F)) - UPPER
"""Characters that a name may have when it is looked up."""
DIGITS = frozenset(string.digits)
WORD = frozenset(string.ascii_lowercase) | DIGITS | {"_"}
_SPACE = frozenset(" ")

_POSIX = {
    "alpha": frozenset(string.ascii_letters),
    "digit": DIGITS,
    "alnum": frozenset(string.ascii_letters) | DIGITS,
    "upper": UPPER,
    "lower": frozenset(string.ascii_lowercase),
    "space": _SPACE,
    "blank": _SPACE,
    "punct": frozenset(string.punctuation),
    "xdigit": frozenset(string.hexdigits),
    "word": WORD | UPPER,
    "graph": (ANY | UPPER) - _SPACE,
    "print": ANY | UPPER,
    "cntrl": frozenset(),
    "ascii": ANY | UPPER,
}
_CLASSES = {"d": DIGITS, "w": WORD | UPPER, "s": _SPACE, "h": _SPACE, "v": frozenset()}
_CONTROLS = {"a": "\a", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_QUANTIFIER = re.compile(r"\*|\+|\?|\{(\d+)(,(\d*))?\}", re.ASCII)
_PLAIN = re.compile(r"(?:[a-z0-9_-]|\\\.)+(?![a-z0-9_*+?{-]|\\\.)", re.ASCII)
"""Letters and dots that nothing repeats, up to what is none."""
_GROUP = re.compile(r"\?(?:(?P<flags>[imsUJ]*(?:-[imsU]*)?)(?P<end>[:)])|P?<(?=[A-Za-z_])\w+>|'\w+'|(?P<comment>#))")
_MOST_TIMES = 65535


class PatternError(ValueError):
    """A pattern that cannot be told in ours. The message is a reason."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of several."""

    chosen: frozenset[str]


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same several times; ``most`` None: any number."""

    item: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Start:
    """The start of the name."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of the name."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A place where a word begins or ends, or one where none does."""

    is_one: bool


_LITERALS = {character: Chars(frozenset(character)) for character in ANY}
"""Made once: tables have many."""

Node = Chars | Row | Choice | Repeat | Start | End | Boundary


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that was read."""

    text: str
    node: Node
    is_folded: bool
    """Whether capital letters in it stand for small ones."""


def parse(text: str) -> Pattern:
    """Read a pattern. Raises PatternError."""
    if not text.isascii():
        raise PatternError("names arrive in ASCII, so this never matches: write its punycode form")
    reading = _Reading(text)
    node = reading.choice(insensitive=False)
    if reading.at < len(text):
        raise PatternError("there is a ) too many")
    return Pattern(text, node, reading.is_folded)


class _Reading:
    """One pattern, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.is_folded = False
        self._insensitive = False

    def choice(self, *, insensitive: bool) -> Node:
        """Read options up to the end of the group."""
        before, self._insensitive = self._insensitive, insensitive
        options = [self._row()]
        while self._take("|"):
            options.append(self._row())
        self._insensitive = before
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _row(self) -> Node:
        items: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            if (plain := _PLAIN.match(self.text, self.at)) is not None:
                self.at = plain.end()
                items += [_LITERALS[one] for one in plain[0].replace("\\", "")]
                continue
            read = self._piece()
            if read is not None:
                items += read.items if isinstance(read, Row) else (read,)
        return items[0] if len(items) == 1 else Row(tuple(items))

    def _piece(self) -> Node | None:
        item = self._item()
        while (found := _QUANTIFIER.match(self.text, self.at)) is not None:
            if item is None:
                raise PatternError(f"there is nothing that {found[0]} could repeat")
            self.at = found.end()
            if self._take("+"):
                raise PatternError(f"{found[0]}+ never gives back what it took, which cannot be told in ours")
            self._take("?")  # as few as possible: whether it matches is the same
            item = Repeat(item, *_times(found))
        return item

    def _item(self) -> Node | None:  # noqa: PLR0911  (one return a kind)
        character = self.text[self.at]
        self.at += 1
        match character:
            case "^":
                return Start()
            case "$":
                return End()
            case ".":
                return Chars(ANY)
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise PatternError(f"there is nothing that {character} could repeat")
            case _:
                return self._literal(character)

    def _literal(self, character: str) -> Chars:
        return _LITERALS.get(character) or self._folded(frozenset(character))

    def _folded(self, chosen: frozenset[str]) -> Chars:
        """Return characters in lower case; whether that adds any is kept."""
        lowered = frozenset(one.lower() for one in chosen)
        if not self._insensitive and not lowered <= chosen:
            self.is_folded = True
        return Chars(lowered)

    def _group(self) -> Node | None:
        insensitive = self._insensitive
        if self.text.startswith("?", self.at):
            found = _GROUP.match(self.text, self.at)
            if found is None:
                shown = re.compile(r"\(\?<?.?").match(self.text, self.at - 1)
                raise PatternError(
                    f'"{shown[0] if shown else "(?"}" looks around, goes back or asks, which no automaton can'
                )
            if found["comment"]:
                self._skip_comment()
                return None
            self.at = found.end()
            if found["flags"] is not None:
                insensitive = _with_flags(insensitive, found["flags"])
            if found["end"] == ")":
                self._insensitive = insensitive
                return None
        elif self.text.startswith("*", self.at):
            raise PatternError("verbs such as (*UTF8) cannot be told in ours")
        inside = self.choice(insensitive=insensitive)
        if not self._take(")"):
            raise PatternError("a ( is never closed")
        return inside if not isinstance(inside, Row) or not inside.items else Choice((inside,))

    def _skip_comment(self) -> None:
        end = self.text.find(")", self.at)
        if end < 0:
            raise PatternError("a comment is never closed")
        self.at = end + 1

    def _escape(self) -> Node | None:  # noqa: PLR0911  (one return a kind)
        if self.at == len(self.text):
            raise PatternError("it ends by a backslash, which escapes nothing")
        character = self.text[self.at]
        self.at += 1
        if character.lower() in _CLASSES and character in "dwshvDWSHV":
            chosen = _CLASSES[character.lower()]
            return Chars((chosen if character.islower() else ANY - chosen) - UPPER)
        match character:
            case "A" | "G":
                return Start()
            case "z" | "Z":
                return End()
            case "b" | "B":
                return Boundary(character == "b")
            case "N":
                return Chars(ANY)
            case "K" | "E":
                return None
            case "Q":
                end = self.text.find("\\E", self.at)
                quoted = self.text[self.at : end if end >= 0 else len(self.text)]
                self.at += len(quoted)
                return Row(tuple(self._literal(one) for one in quoted))
            case _:
                return self._literal(self._character(character))

    def _character(self, character: str) -> str:
        """Return the character that an escape stands for, of those that mean the same in a class."""
        if not character.isalnum():
            return character
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "x" and (found := re.compile(r"\{([0-9a-fA-F]+)\}|[0-9a-fA-F]{0,2}").match(self.text, self.at)):
            self.at = found.end()
            return _of_code(int(found[1] or found[0] or "0", 16))
        if character == "0" and (found := re.compile(r"[0-7]{0,2}").match(self.text, self.at)):
            self.at = found.end()
            return _of_code(int(found[0] or "0", 8))
        if character.isdigit() or character in "gk":
            raise PatternError(f'"\\{character}" goes back to what was matched, which no automaton can')
        raise PatternError(f'"\\{character}" is no escape that can be told in ours')

    def _class(self) -> Chars:
        is_negated = self._take("^")
        # A ] that comes first stands for itself.
        chosen: set[str] = set(self._range()) if self.text.startswith("]", self.at) else set()
        while not self._take("]"):
            chosen |= self._range()
        if self._insensitive:
            chosen |= {one.swapcase() for one in chosen}
        if is_negated:
            return Chars(ANY - chosen)
        return self._folded(frozenset(chosen))

    def _range(self) -> set[str]:
        low = self._member()
        is_range = self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at)
        if not is_range or isinstance(low, frozenset):
            return set(low)
        self.at += 1
        high = self._member()
        if isinstance(high, frozenset):
            return {low, "-", *high}
        if high < low:
            raise PatternError(f'"{low}-{high}" is no range: it ends before it begins')
        return {chr(code) for code in range(ord(low), ord(high) + 1)}

    def _member(self) -> str | frozenset[str]:
        if self.at >= len(self.text):
            raise PatternError("a [ is never closed")
        if (found := re.compile(r"\[:(\^?)(\w+):\]").match(self.text, self.at)) is not None:
            if found[2] not in _POSIX:
                raise PatternError(f'"[:{found[2]}:]" is no class of characters')
            self.at = found.end()
            chosen = _POSIX[found[2]]
            return (ANY | UPPER) - chosen if found[1] else chosen
        character = self.text[self.at]
        self.at += 1
        if character != "\\":
            return character
        if self.at == len(self.text):
            raise PatternError("a [ is never closed")
        escaped = self.text[self.at]
        self.at += 1
        if escaped in "dwshvDWSHV":
            chosen = _CLASSES[escaped.lower()]
            return chosen if escaped.islower() else (ANY | UPPER) - chosen
        return "\b" if escaped == "b" else self._character(escaped)

    def _take(self, character: str) -> bool:
        if self.text.startswith(character, self.at):
            self.at += 1
            return True
        return False


def _times(found: re.Match[str]) -> tuple[int, int | None]:
    simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
    if found[0] in simple:
        return simple[found[0]]
    least = int(found[1])
    most = least if found[2] is None else int(found[3]) if found[3] else None
    if max(least, most or 0) > _MOST_TIMES:
        raise PatternError(f"{found[0]} is more than {_MOST_TIMES} times")
    if most is not None and most < least:
        raise PatternError(f"{found[0]} is no number of times: it ends before it begins")
    return least, most


def _with_flags(insensitive: bool, flags: str) -> bool:  # noqa: FBT001  (the flag as it is before)
    on, _, off = flags.partition("-")
    return (insensitive or "i" in on) and "i" not in off


def _of_code(code: int) -> str:
    if code > 0x7F:  # noqa: PLR2004  (the last character of ASCII)
        raise PatternError("names arrive in ASCII, so this never matches")
    return chr(code)
