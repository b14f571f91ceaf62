"""Sections of an HAProxy configuration: lines to statements, in sections that inherit from `defaults`.

Owns comments, `.if` and its kin, and what is inherited. Must never know what a keyword does.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headworks.importing.flaws import Flaws
from headworks.importing.haproxy.words import Word, split

KINDS = frozenset(
    [
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "peers",
        "resolvers",
        "mailers",
        "userlist",
        "cache",
        "program",
        "http-errors",
        "ring",
        "log-forward",
        "log-profile",
        "fcgi-app",
        "crt-store",
        "traces",
        "dynamic-update",
        "acme",
    ]
)
"""Keywords that begin sections."""
PROXIES = ("frontend", "backend", "listen")
LONGEST_FILE = 16 << 20
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(slots=True)
class Statement:
    """One line: its words, and the comments about it."""

    words: list[Word]
    before: list[str] = field(default_factory=list)
    beside: str | None = None
    idle: str | None = None
    """The reason why it is not in force."""
    unknown: str | None = None
    """The reason why it cannot be told whether it is in force, or what it says."""
    filled: tuple[str, ...] = ()
    """Variables that were filled in."""

    @property
    def line(self) -> int:
        """The line."""
        return self.words[0].line

    @property
    def column(self) -> int:
        """The column where it begins."""
        return self.words[0].column

    @property
    def is_negated(self) -> bool:
        """Whether it begins by ``no``."""
        return len(self.words) > 1 and self.words[0].text == "no"

    @property
    def texts(self) -> list[str]:
        """The words, without ``no`` and ``default`` before the keyword."""
        texts = [word.text for word in self.words]
        return texts[1:] if len(texts) > 1 and texts[0] in ("no", "default") else texts

    @property
    def keyword(self) -> str:
        """The first word; the first two of those that are a family."""
        texts = self.texts
        is_family = texts[0] in ("option", "timeout", "stats", "http-check", "tcp-check", "stick", "compression")
        return " ".join(texts[: 2 if is_family else 1])

    @property
    def arguments(self) -> list[str]:
        """The words after the keyword."""
        return self.texts[len(self.keyword.split()) if self.keyword else 1 :]


@dataclass(slots=True)
class Section:
    """A section: its head, and the statements below it."""

    head: Statement
    kind: str
    name: str
    statements: list[Statement] = field(default_factory=list)
    inherits: "Section | None" = None
    """The `defaults` that it takes values from."""

    def every(self) -> Iterator[Statement]:
        """Yield the statements that hold in it: those of its defaults first."""
        if self.inherits is not None:
            yield from self.inherits.every()
        yield from self.statements

    def own(self, keyword: str) -> list[Statement]:
        """Return its own statements with a keyword."""
        return [one for one in self.statements if one.keyword == keyword]

    def all(self, keyword: str) -> list[Statement]:
        """Return the statements with a keyword that hold in it."""
        return [one for one in self.every() if one.keyword == keyword]

    def last(self, keyword: str) -> Statement | None:
        """Return the statement with a keyword that counts; None where it is negated."""
        found = self.all(keyword)
        return found[-1] if found and not found[-1].is_negated else None


@dataclass(slots=True)
class File:
    """A whole file."""

    sections: list[Section] = field(default_factory=list)
    idle: list[Statement] = field(default_factory=list)
    """Statements that are not in force, and those that only choose others."""
    after: list[str] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Section]:
        """Return the sections of some kinds."""
        return [one for one in self.sections if one.kind in kinds]

    @property
    def statements(self) -> Iterator[Statement]:
        """Every statement of the file."""
        for section in self.sections:
            yield section.head
            yield from section.statements
        yield from self.idle


def read(source: bytes, environment: Mapping[str, str], flaws: Flaws) -> File:
    """Read a file; what is wrong with it goes to ``flaws``."""
    reading = _Reading(environment, flaws)
    if len(source) > LONGEST_FILE:
        flaws.place(1, 1, f"the file has more than {LONGEST_FILE >> 20} MiB")
        return reading.file
    for number, text in enumerate(_LINE_END.split(source.decode(errors="replace")), 1):
        reading.take(text, number)
    return reading.finish()


@dataclass(slots=True)
class _Choice:
    """One `.if` that is open."""

    statement: Statement
    is_taken: bool | None
    """Whether a branch was in force; None where that cannot be told."""
    holds: bool | None
    """Whether the present branch is in force."""


class _Reading:
    """One file, line by line."""

    def __init__(self, environment: Mapping[str, str], flaws: Flaws) -> None:
        self.file = File()
        self._environment = environment
        self._flaws = flaws
        self._choices: list[_Choice] = []
        self._comments: list[str] = []
        self._defaults: Section | None = None
        self._named: dict[str, Section] = {}

    def take(self, text: str, number: int) -> None:
        line = split(text, number, self._environment)
        if line.error is not None:
            self._flaws.place(number, 1, line.error)
        if not line.words:
            if line.comment is not None:
                self._comments.append(line.comment)
            elif self._comments and self._comments[-1]:
                self._comments.append("")
            return
        while self._comments and not self._comments[-1]:
            self._comments.pop()
        statement = Statement(line.words, self._comments, line.comment, filled=line.filled)
        self._comments = []
        if line.unset:
            statement.unknown = f"${line.unset[0]} has no value here: set it and convert again"
        if statement.words[0].text.startswith("."):
            self._choose(statement)
        else:
            self._place(statement)

    def finish(self) -> File:
        for choice in self._choices:
            self._flaws.add(choice.statement, ".if without .endif")
        while self._comments and not self._comments[-1]:
            self._comments.pop()
        self.file.after = self._comments
        return self.file

    def _place(self, statement: Statement) -> None:
        for choice in self._choices:
            if choice.holds is None:
                statement.unknown = f"whether the condition at line {choice.statement.line} holds cannot be told here"
            elif not choice.holds:
                statement.idle = f"not in force, by the condition at line {choice.statement.line}"
                break
        if statement.idle or (statement.unknown and self._choices):
            self.file.idle.append(statement)
        elif statement.words[0].text in KINDS:
            self._begin(statement)
        elif not self.file.sections:
            self._flaws.add(statement, f'"{statement.words[0].text}" is in no section', "is this an HAProxy file?")
            self.file.idle.append(statement)
        else:
            self.file.sections[-1].statements.append(statement)

    def _begin(self, statement: Statement) -> None:
        texts = [word.text for word in statement.words]
        kind = texts[0]
        name = texts[1] if len(texts) > 1 and texts[1] != "from" else ""
        section = Section(statement, kind, name)
        if "from" in texts[1:-1]:
            parent = texts[texts.index("from", 1) + 1]
            section.inherits = self._named.get(parent)
            if section.inherits is None:
                self._flaws.add(statement, f'there is no defaults section "{parent}"')
        elif kind in PROXIES:
            section.inherits = self._defaults
        if kind == "defaults":
            self._defaults = section
            if name:
                self._named[name] = section
        elif kind in PROXIES and not name:
            self._flaws.add(statement, f"{kind} has no name")
        self.file.sections.append(section)

    def _choose(self, statement: Statement) -> None:
        self.file.idle.append(statement)
        word = statement.words[0].text
        written = " ".join(one.text for one in statement.words[1:])
        if word == ".if":
            holds = self._holds(written)
            self._choices.append(_Choice(statement, holds, holds))
        elif word in (".elif", ".else", ".endif") and not self._choices:
            self._flaws.add(statement, f"{word} without .if")
        elif word == ".endif":
            self._choices.pop()
        elif word in (".elif", ".else"):
            choice = self._choices[-1]
            holds = self._holds(written) if word == ".elif" else True
            choice.holds = None if choice.is_taken is None else not choice.is_taken and holds
            choice.is_taken = choice.is_taken if choice.is_taken or choice.is_taken is None else holds
        elif word not in (".notice", ".warning", ".alert", ".diag"):
            self._flaws.add(statement, f'"{word}" is no directive of HAProxy')
        statement.idle = "it chooses lines, or says something, while the file is read"

    def _holds(self, written: str) -> bool | None:
        return evaluate(written, self._environment)


def evaluate(written: str, environment: Mapping[str, str]) -> bool | None:
    """Return whether a condition of ``.if`` holds; None where only a running HAProxy could tell."""
    options = [_every(option, environment) for option in written.split("||")]
    return True if True in options else None if None in options else False


def _every(written: str, environment: Mapping[str, str]) -> bool | None:
    parts = [_one(part.strip(), environment) for part in written.split("&&")]
    return False if False in parts else None if None in parts else True


def _one(written: str, environment: Mapping[str, str]) -> bool | None:
    negations = len(written) - len(written.lstrip("!"))
    bare = written.lstrip("! ")
    if negations:
        found = _one(bare, environment) if bare else None
        return None if found is None else found ^ bool(negations % 2)
    if not bare:
        return False
    if re.fullmatch(r"-?[0-9]{1,18}", bare, re.ASCII):
        return int(bare) != 0
    if called := re.fullmatch(r"(\w+)\(([^()]*)\)", bare):
        arguments = [one.strip() for one in called[2].split(",")]
        return _called(called[1], arguments, environment)
    return None


def _called(name: str, arguments: list[str], environment: Mapping[str, str]) -> bool | None:
    match name, arguments:
        case "defined", [variable]:
            return variable in environment
        case "streq", [one, other]:
            return one == other
        case "strneq", [one, other]:
            return one != other
        case "strstr", [one, other]:
            return other in one
        case _:
            return None
