"""Reader: files of nginx to statements, includes followed.

Owns comments and where a statement stands. Must never know what a directive does; the grammar is crossplane's.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headworks.config.problems import ConfigError, Problem
from headworks.importing.flaws import Flaws

LONGEST_FILE = 16 << 20
_DEEPEST = 64
_MOST = 200_000
"""Statements at most, with all that is included."""


@dataclass(slots=True)
class Statement:
    """A directive with its words, and its block if it has one."""

    name: str
    arguments: list[str]
    line: int
    file: str | None = None
    """The file that it was included from; None: the one that was named."""
    block: "list[Statement] | None" = None
    before: list[str] = field(default_factory=list)
    beside: str | None = None
    column: int = 1

    @property
    def first(self) -> str:
        """The first argument, empty where there is none."""
        return self.arguments[0] if self.arguments else ""

    def all(self, name: str) -> "list[Statement]":
        """Return the directives of its block with a name."""
        return [one for one in self.block or () if one.name == name]


def every(statements: Sequence[Statement]) -> Iterator[Statement]:
    """Yield statements with all that is in their blocks."""
    for one in statements:
        yield one
        yield from every(one.block or ())


def read(source: bytes, name: str | None, flaws: Flaws) -> tuple[list[Statement], list[str]]:
    """Read a file and what it includes; return statements, and the comments at the end."""
    if len(source) > LONGEST_FILE:
        flaws.place(1, 1, f"the file has more than {LONGEST_FILE >> 20} MiB")
        return [], []
    path = Path(name) if name is not None else None
    if path is not None and path.is_file() and path.read_bytes() == source:
        return _Reading(_payload(str(path)), flaws).read()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nginx.conf"
        file.write_bytes(source)
        return _Reading(_payload(str(file)), flaws).read()


def _payload(file: str) -> list[Mapping[str, Any]]:
    try:
        import crossplane  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        reason = "nginx's files are read by crossplane, which is not installed"
        raise ConfigError([Problem(reason=reason, suggestion="pip install 'headworks[import]'")]) from None
    try:
        found = crossplane.parse(file, comments=True, check_ctx=False, check_args=False)
    except (RecursionError, ValueError, OSError, RuntimeError, StopIteration, IndexError, KeyError) as error:
        raise ConfigError([Problem(reason=f"cannot be read: {error or type(error).__name__}", file=file)]) from None
    return list(found["config"])


class _Reading:
    """The files of one configuration."""

    def __init__(self, files: list[Mapping[str, Any]], flaws: Flaws) -> None:
        self._files = files
        self._flaws = flaws
        self._number = 0

    def read(self) -> tuple[list[Statement], list[str]]:
        for at, file in enumerate(self._files):
            for error in file["errors"]:
                self._wrong(at, file, error)
        try:
            return self._block(self._files[0]["parsed"], 0, None, ()) if self._files else ([], [])
        except RecursionError:
            self._flaws.place(1, 1, "blocks are nested too deep")
            return [], []

    def _wrong(self, at: int, file: Mapping[str, Any], error: Mapping[str, Any]) -> None:
        said = str(error["error"]).partition(" in /")[0]
        where = "" if at == 0 else f"{file['file']}: "
        line = error["line"] if at == 0 else 1
        is_absent = "No such file" in said
        self._flaws.place(line or 1, 1, f"{where}{said}", is_warning=is_absent)

    def _block(
        self, parsed: Sequence[Mapping[str, Any]], at: int, opened: Statement | None, files: tuple[int, ...]
    ) -> tuple[list[Statement], list[str]]:
        """Return the statements of a block, and the comments after the last."""
        made: list[Statement] = []
        comments: list[str] = []
        latest = opened
        for one in parsed:
            if one["directive"] == "#":
                text = str(one["comment"]).strip()
                if latest is not None and latest.line == one["line"] and latest.beside is None:
                    latest.beside = text
                else:
                    comments.append(text)
                continue
            statement = self._statement(one, at, comments)
            comments = []
            made.append(statement)
            latest = statement
            self._inside(statement, one, at, files)
            if "includes" in one:
                made += self._included(one, (*files, at))
        return made, comments

    def _statement(self, one: Mapping[str, Any], at: int, comments: list[str]) -> Statement:
        self._number += 1
        if self._number > _MOST:
            raise ConfigError([Problem(reason=f"it has more than {_MOST:,} statements with all that it includes")])
        file = None if at == 0 else str(self._files[at]["file"])
        arguments = list(map(str, one["args"]))
        return Statement(str(one["directive"]), arguments, int(one["line"]), file, before=comments)

    def _inside(self, statement: Statement, one: Mapping[str, Any], at: int, files: tuple[int, ...]) -> None:
        if "block" not in one:
            return
        if len(files) > _DEEPEST:
            raise RecursionError
        inside, after = self._block(one["block"], at, statement, (*files, at))
        statement.block = inside
        if after and inside:
            inside[-1].before += after
        elif after:
            statement.before += after

    def _included(self, one: Mapping[str, Any], files: tuple[int, ...]) -> list[Statement]:
        made: list[Statement] = []
        for number in one["includes"]:
            if number in files and len(files) > 1 and number != files[0]:
                continue
            inside, after = self._block(self._files[number]["parsed"], number, None, (*files, number))
            if inside:
                inside[-1].before += after
            made += inside
        return made
