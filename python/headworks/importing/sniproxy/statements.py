"""Statements of a sniproxy.conf: words, then the end of the line or a block; comments beside what they are about.

Owns what braces do. Must never know a keyword.

A `}` does not end the statement before it: sniproxy forgets what it was about to do for it. So it is kept that a
statement was cut off. A `}` too many ends the file for sniproxy, which ignores what follows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from headworks.importing.sniproxy.words import Kind, Token, WordsError, tokens


@dataclass(frozen=True, slots=True)
class Word:
    """One word and where it begins."""

    text: str
    line: int
    column: int


@dataclass(slots=True)
class Statement:
    """A keyword with its words, and its block if it has one."""

    words: list[Word]
    block: "Block | None" = None
    is_ended: bool = True
    """Whether sniproxy gets to its end; if not, a `}` or the end of the file cut it off."""
    before: list[str] = field(default_factory=list)
    """Comments in lines of their own above it, without the `#`; an empty line between two is None's place: ``""``."""
    beside: str | None = None
    """The comment in its line."""

    @property
    def line(self) -> int:
        """The line where it begins."""
        return self.words[0].line

    @property
    def column(self) -> int:
        """The column where it begins."""
        return self.words[0].column


@dataclass(slots=True)
class Block:
    """Statements, and the comments that stand after the last of them."""

    statements: list[Statement] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Flaw:
    """Something wrong with how statements are put together."""

    reason: str
    line: int
    column: int
    suggestion: str | None = None
    is_warning: bool = False


@dataclass(slots=True)
class Parsed:
    """A file as statements."""

    block: Block
    unread: list[Statement] = field(default_factory=list)
    """Statements after a `}` too many: sniproxy never reads them."""
    flaws: list[Flaw] = field(default_factory=list)


def parse(source: bytes) -> Parsed:
    """Return the statements of a file, and everything wrong with how they are put together."""
    errors: list[WordsError] = []
    parser = _Parser()
    for token in tokens(source, errors):
        parser.take(token)
    parser.finish()
    found = [Flaw(error.reason, error.line, error.column, error.suggestion) for error in errors]
    return Parsed(parser.blocks[0], parser.unread, [*found, *parser.flaws])


def every(block: Block) -> Iterator[Statement]:
    """Yield every statement of a block and of the blocks in it."""
    waiting = [iter(block.statements)]
    while waiting:
        for statement in waiting[-1]:
            yield statement
            if statement.block is not None:
                waiting.append(iter(statement.block.statements))
                break
        else:
            waiting.pop()


class _Parser:
    """One file, token by token. Blocks are a list: files may nest as deep as they like."""

    def __init__(self) -> None:
        self.blocks = [Block()]
        self.flaws: list[Flaw] = []
        self.unread: list[Statement] = []
        self._current: Statement | None = None
        self._latest: Statement | None = None
        self._latest_line = 0
        self._comments: list[str] = []
        self._comment_line = 0
        self._is_over = False

    def take(self, token: Token) -> None:
        match token.kind:
            case Kind.WORD:
                self._word(token)
            case Kind.OPEN:
                self._open(token)
            case Kind.CLOSE:
                self._close(token)
            case Kind.COMMENT:
                self._comment(token)
                self._end(is_ended=True)
            case Kind.END:
                self._end(is_ended=True)

    def finish(self) -> None:
        """End the file: blocks that are open are closed by it."""
        self._end(is_ended=False)
        self.blocks[-1].after += self._comments

    def _word(self, token: Token) -> None:
        word = Word(token.text, token.line, token.column)
        if self._current is None:
            self._current = Statement([word], before=self._comments)
            self._comments = []
        else:
            self._current.words.append(word)
        self._mark(self._current, token)

    def _open(self, token: Token) -> None:
        statement = self._current
        if statement is None:
            reason = "a block that belongs to no statement: its { must be in the line of the keyword"
            self.flaws.append(Flaw(reason, token.line, token.column, "write it at the end of the line before"))
            inside = self.blocks[-1].statements
            # The block is read as that of the statement before it, which it was probably meant for.
            statement = inside.pop() if inside and inside[-1].block is None else Statement([_word_of(token)])
        statement.block = Block()
        self._add(statement)
        self.blocks.append(statement.block)
        self._current = None
        self._mark(statement, token)

    def _close(self, token: Token) -> None:
        self._end(is_ended=False)
        self.blocks[-1].after += self._comments
        self._comments = []
        if len(self.blocks) > 1:
            self.blocks.pop()
            if self.blocks[-1].statements:
                self._mark(self.blocks[-1].statements[-1], token)
        elif not self._is_over:
            self._is_over = True
            reason = "a } that closes nothing: sniproxy ends reading here and ignores the rest of the file"
            self.flaws.append(Flaw(reason, token.line, token.column, "take it out", is_warning=True))

    def _comment(self, token: Token) -> None:
        text = token.text.strip()
        if self._latest is not None and self._latest_line == token.line and self._latest.beside is None:
            self._latest.beside = text
            return
        if self._comments and token.line > self._comment_line + 1:
            self._comments.append("")
        self._comments.append(text)
        self._comment_line = token.line

    def _end(self, *, is_ended: bool) -> None:
        if self._current is not None:
            self._current.is_ended = is_ended
            self._add(self._current)
            self._current = None

    def _add(self, statement: Statement) -> None:
        is_unread = self._is_over and len(self.blocks) == 1
        (self.unread if is_unread else self.blocks[-1].statements).append(statement)

    def _mark(self, statement: Statement, token: Token) -> None:
        self._latest, self._latest_line = statement, token.line


def _word_of(token: Token) -> Word:
    return Word(token.text, token.line, token.column)
