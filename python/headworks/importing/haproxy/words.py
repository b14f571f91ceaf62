r"""Words of an HAProxy configuration: one line to words and a comment.

Owns quoting, escaping and variables, as HAProxy has them. Must never know what a word means.

Blanks part words. `"` quotes, and variables are filled in there; `'` quotes everything. Outside of `'`, `\` takes a
blank, `#`, `\` or a quote as it is, and `\n`, `\r`, `\t`, `\xHH` stand for characters. `#` begins a comment, also amid
a word.
"""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>[A-Za-z_.][\w.]*)(?:-(?P<default>[^}]*))?(?P<list>\[\*\])?\}|(?P<bare>[A-Za-z_]\w*))"
)
_BRACED = re.compile(r"\$\{[A-Za-z_.][\w.]*(?:-[^}]*)?\}")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_PLAIN = re.compile(r"[^\s\\\"'#$]+")


@dataclass(frozen=True, slots=True)
class Word:
    """One word and where it begins. Line and column count from 1."""

    text: str
    line: int
    column: int


@dataclass(slots=True)
class Line:
    """The words of one line."""

    words: list[Word]
    comment: str | None = None
    error: str | None = None
    """The reason why HAProxy would refuse the line."""
    filled: tuple[str, ...] = ()
    """Variables that were filled in."""
    unset: tuple[str, ...] = ()
    """Variables that have no value here."""


def split(text: str, number: int, environment: Mapping[str, str]) -> Line:
    """Split a line into words."""
    return _Splitting(text, number, environment).split()


class _Splitting:
    """One line."""

    def __init__(self, text: str, number: int, environment: Mapping[str, str]) -> None:
        self._text = text
        self._number = number
        self._environment = environment
        self._at = 0
        self._word: list[str] | None = None
        self._begun = 0
        self._quote = ""
        self._quoted_at = 0
        self._filled: list[str] = []
        self._unset: list[str] = []
        self._line = Line([])

    def split(self) -> Line:
        while self._at < len(self._text) and self._line.comment is None:
            self._step()
        self._end()
        if self._quote:
            self._line.error = f"a quote at column {self._quoted_at + 1} is never closed"
        self._line.filled, self._line.unset = tuple(self._filled), tuple(self._unset)
        return self._line

    def _step(self) -> None:
        one = self._text[self._at]
        if self._quote == "'":
            self._at += 1
            self._toggle(one) if one == "'" else self._add(one)
        elif one == "\\":
            self._escape()
        elif one == '"' or (one == "'" and not self._quote):
            self._at += 1
            self._toggle(one)
        elif one == "$" and (found := self._variable()) is not None:
            self._fill(found)
        elif not self._quote and one == "#":
            self._line.comment = self._text[self._at + 1 :].strip()
        elif not self._quote and one.isspace():
            self._at += 1
            self._end()
        elif (plain := _PLAIN.match(self._text, self._at)) is not None:
            self._add(plain[0])
            self._at = plain.end()
        else:
            self._add(one)
            self._at += 1

    def _toggle(self, quote: str) -> None:
        if not self._quote:
            self._quoted_at = self._at - 1
        self._quote = "" if self._quote else quote
        # "" is a word.
        self._add("", at=self._at - 1)

    def _add(self, text: str, at: int | None = None) -> None:
        if self._word is None:
            self._word, self._begun = [], self._at if at is None else at
        self._word.append(text)

    def _end(self) -> None:
        if self._word is not None:
            self._line.words.append(Word("".join(self._word), self._number, self._begun + 1))
            self._word = None

    def _escape(self) -> None:
        begun, following = self._at, self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if following in _ESCAPES:
            self._add(_ESCAPES[following], begun)
        elif following == "x":
            digits = self._text[self._at : self._at + 2]
            if len(digits) == 2 and set(digits) <= set(string.hexdigits):  # noqa: PLR2004
                self._add(chr(int(digits, 16)), begun)
                self._at += 2
            else:
                self._line.error = f"\\x at column {begun + 1} is not followed by two hexadecimal digits"
        elif following and (following in "\\#\"'" or following.isspace() or (self._quote and following == "$")):
            self._add(following, begun)
        else:
            self._add("\\" + following, begun)

    def _variable(self) -> re.Match[str] | None:
        # Outside of quotes only addresses have variables, always with braces.
        if not self._quote and _BRACED.match(self._text, self._at) is None:
            return None
        return _VARIABLE.match(self._text, self._at)

    def _fill(self, found: re.Match[str]) -> None:
        name = found["braced"] or found["bare"]
        value = self._environment.get(name, found["default"])
        (self._filled if value is not None else self._unset).append(name)
        self._add(value or "")
        if found["list"] and value:
            first, *rest = value.split() or [""]
            self._word = [*(self._word or [])[:-1], first]
            for one in rest:
                self._end()
                self._add(one)
        self._at = found.end()
