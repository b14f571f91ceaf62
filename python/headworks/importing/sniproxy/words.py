r"""Words of a sniproxy.conf: bytes to words, braces, ends of lines and comments.

Owns quoting, escaping and line numbers, byte for byte as sniproxy has them. Must never know what a word means.

A blank is a space or a tab; a line ends by LF, CR, `;` or a comment, which begins by `#` anywhere outside of quotes.
`\` takes the next byte as it is, inside quotes and outside; `"` is taken out and may stand amid a word.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

LONGEST = 255
"""Bytes of a word at most, without what quotes and escapes it."""

_TOKEN = re.compile(
    rb"""(?P<blank>[ \t]+)
    |(?P<end>\r\n|[\r\n;])
    |\#(?P<comment>[^\r\n]*)
    |(?P<brace>[{}])
    |(?P<word>(?:[^ \t\r\n;\#{}\\"]|\\.|"(?:[^"\\]|\\.)*")+)""",
    re.DOTALL | re.VERBOSE,
)
_QUOTING = re.compile(rb'\\(.)|"', re.DOTALL)
_LINE_END = re.compile(rb"\r\n|[\r\n]")


class Kind(Enum):
    """Kinds of tokens."""

    WORD = "word"
    OPEN = "{"
    CLOSE = "}"
    END = "end of line"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Token:
    """One word, brace, end of line or comment, and where it begins. Line and column count from 1."""

    kind: Kind
    text: str
    line: int
    column: int


class WordsError(ValueError):
    """Bytes that are no words: sniproxy would not read the file. What came before it can be used."""

    def __init__(self, reason: str, suggestion: str, line: int, column: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion
        self.line = line
        self.column = column


def lines_of(source: bytes) -> tuple[str, ...]:
    """Return the lines of a file as they are counted here, for people to look at."""
    return tuple(line.decode(errors="replace") for line in _LINE_END.split(source))


def tokens(source: bytes, errors: list[WordsError]) -> Iterator[Token]:
    """Yield every token. Where the rest of the file cannot be read, it ends; ``errors`` gets what is wrong."""
    at, line, start = 0, 1, 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            errors.append(_unfinished(source, line, at - start + 1))
            return
        begun = (line, at - start + 1)
        at = found.end()
        match found.lastgroup:
            case "word":
                if (error := _wrong_word(found["word"], *begun, is_last=at == len(source))) is not None:
                    errors.append(error)
                yield Token(Kind.WORD, _text(found["word"]), *begun)
            case "brace":
                yield Token(Kind(found["brace"].decode()), found["brace"].decode(), *begun)
            case "comment":
                yield Token(Kind.COMMENT, found["comment"].decode(errors="replace"), *begun)
            case "end":
                yield Token(Kind.END, "", *begun)
        for ended in _LINE_END.finditer(source, found.start(), at):
            line += 1
            start = ended.end()


def _text(written: bytes) -> str:
    """Return a word without what quotes it. Bytes that are no UTF-8 stay what they are (surrogateescape)."""
    return _QUOTING.sub(lambda found: found[1] or b"", written).decode(errors="surrogateescape")


def _wrong_word(written: bytes, line: int, column: int, *, is_last: bool) -> WordsError | None:
    size = len(_QUOTING.sub(lambda found: found[1] or b"", written))
    if size > LONGEST:
        reason = f"a word has {size} bytes, and sniproxy refuses files with one of more than {LONGEST}"
        return WordsError(reason, "shorten it, or write two", line, column)
    if b"\0" in written:
        return WordsError("a word has a zero byte, at which sniproxy ends it", "take it out", line, column)
    if is_last:
        reason = "the last word runs into the end of the file, and sniproxy refuses such files"
        return WordsError(reason, "end the last line", line, column)
    return None


def _unfinished(source: bytes, line: int, column: int) -> WordsError:
    if source.endswith(b"\\"):
        return WordsError("the file ends by a backslash, which escapes nothing", "take it out", line, column)
    reason = "a word that begins here has a quote that is never closed: all that follows is part of it"
    return WordsError(reason, 'close it by "', line, column)
