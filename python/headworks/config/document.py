"""A configuration as it was written: plain values, and where each of them stands.

Owns reading TOML and the way from a path of keys to a line. Must never know which keys mean something. A file that is
no TOML but a sniproxy.conf is translated (importing/): its lines are the positions.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from headworks import _engine
from headworks.config.problems import ConfigError, Path, Problem
from headworks.config.syntax import mistakes


@dataclass(frozen=True)
class Document:
    """Plain values with positions. A configuration that was built in Python has none."""

    value: dict[str, Any]
    file: str | None = None
    positions: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    notes: tuple[Problem, ...] = ()
    """Findings of a translation: warnings, and statements that cannot be told in ours."""

    @property
    def directory(self) -> FilePath:
        """Return where relative paths in it begin: beside the file; without one, where the program runs."""
        return FilePath(self.file).absolute().parent if self.file else FilePath.cwd()

    @classmethod
    def read(cls, file: str | FilePath) -> "Document":
        """Read a TOML file, or a sniproxy.conf.

        Raises ConfigError when it is neither, OSError when it cannot be read.
        """
        source = FilePath(file).read_bytes()
        try:
            text = source.decode()
        except UnicodeDecodeError as error:
            if (translated := cls._translated(source, str(file))) is not None:
                return translated
            line = error.object[: error.start].count(b"\n") + 1
            problem = Problem(reason="not UTF-8 text, which TOML must be", file=str(file), line=line)
            raise ConfigError([problem]) from None
        return cls.parse(text, str(file))

    @classmethod
    def parse(cls, text: str, file: str | None = None) -> "Document":
        """Read TOML text, or a sniproxy.conf; ``file`` is what problems are reported against.

        Raises ConfigError with every error when it is neither.
        """
        lines = tuple(text.splitlines())
        text = text.removeprefix("\ufeff")
        try:
            parsed = json.loads(_engine.parse_toml(text))
        except _engine.TomlError:
            if (translated := cls._translated(text.encode(errors="surrogateescape"), file)) is not None:
                return translated
            raise ConfigError(
                Problem(
                    reason=one.reason,
                    file=file,
                    line=one.line,
                    column=one.column,
                    suggestion=one.suggestion,
                    source=lines[one.line - 1] if one.line <= len(lines) else None,
                )
                for one in mistakes(text)
            ) from None
        positions = {tuple(path): (line, column) for path, line, column in parsed["positions"]}
        return cls(parsed["value"], file, positions, lines)

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> "Document":
        """Take a mapping of the same shape as the file."""
        value = plain(mapping)
        if not isinstance(value, dict):
            raise TypeError(f"a configuration is a mapping, not {type(mapping).__name__}")
        return cls(value)

    @classmethod
    def _translated(cls, source: bytes, file: str | None) -> "Document | None":
        """Translate a sniproxy.conf; None when it is none."""
        from headworks.importing.sniproxy.source import document, is_sniproxy

        if not is_sniproxy(source):
            return None
        found = document(source, file)
        return cls(found.value, file, found.positions, found.lines, (*found.problems, *found.unsupported))

    def problem(self, path: Path, reason: str, suggestion: str | None = None) -> Problem:
        """Make a problem at ``path``; what is not written itself (a missing key) is placed at the nearest key above."""
        shown = self._as_written(path)
        at = next((shown[:n] for n in range(len(shown), 0, -1) if shown[:n] in self.positions), None)
        line, column = self.positions[at] if at else (1, 1) if self.lines or self.file else (None, None)
        return Problem(
            reason=reason,
            path=shown,
            file=self.file,
            line=line,
            column=column,
            suggestion=suggestion,
            source=self.lines[line - 1] if line is not None and line <= len(self.lines) else None,
        )

    def place(self, problem: Problem) -> Problem:
        """Give a problem that was found after reading its line."""
        placed = self.problem(problem.path, problem.reason, problem.suggestion)
        return replace(placed, is_warning=problem.is_warning)

    def _as_written(self, path: Path) -> Path:
        """Leave out what short forms leave out: ``bind[0]`` where ``bind`` is one string, ``servers[0].address`` ..."""
        value: Any = self.value
        shown: Path = ()
        for key in path:
            if isinstance(value, dict):
                shown += (key,)
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int):
                shown += (key,)
                value = value[key] if key < len(value) else None
            elif value is None:
                shown += (key,)
            else:
                break
        return shown


def place(error: ConfigError, file: str | FilePath) -> ConfigError:
    """Give problems that were found after reading (a user that does not exist) the lines of ``file``."""
    document = Document.read(file)
    return ConfigError(map(document.place, error.problems))


def plain(value: Any) -> Any:
    """Copy a value into dicts and lists, so that it can be repaired freely; models become dicts of what was set."""
    match value:
        case BaseModel():
            return {name: plain(getattr(value, name)) for name in value.model_fields_set}
        case Mapping():
            return {_key(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def _key(key: Any) -> Any:
    """A status is a number in Python, but a key of TOML is text."""
    return str(key) if isinstance(key, int) and not isinstance(key, bool) else key
