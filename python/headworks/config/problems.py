"""Problems of a configuration, all of them, each with the line it is on.

Owns how a problem is worded as one line (``FILE:LINE: key.path: reason``) and how close names are suggested. Must never
decide what is wrong: that is the models' and the Plan's.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Key = str | int
Path = tuple[Key, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with a configuration.

    ``line`` and ``column`` count from 1; both are None when the configuration was not read from text. ``suggestion``
    says what to write instead: ``did you mean "balance"?``.
    """

    reason: str
    """The mistake itself, without a place."""
    path: Path = ()
    """Keys that lead there, from the top; numbers are places in lists."""
    file: str | None = None
    """The file that it was read from."""
    line: int | None = None
    """The line, from 1."""
    column: int | None = None
    """The column, from 1."""
    suggestion: str | None = None
    """A remedy, as it is shown behind the reason."""
    is_warning: bool = False
    """The configuration can be used all the same."""
    source: str | None = field(default=None, repr=False, compare=False)
    """The text of that line."""
    width: int | None = field(default=None, repr=False, compare=False)
    """Characters that it is about; None: the word that begins there."""

    @property
    def key(self) -> str:
        """The path as users write it: ``tables.sites."example.com"``, ``backends.app.servers[1].weight``."""
        return show_path(self.path)

    def __str__(self) -> str:
        """Return ``FILE:LINE: key.path: reason``; parts that are unknown are left out."""
        where = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        said = self.reason if self.suggestion is None else f"{self.reason}; {self.suggestion}"
        said = f"warning: {said}" if self.is_warning else said
        return one_line(": ".join(part for part in (where, self.key, said) if part))

    def excerpt(self) -> str | None:
        """Return the source line with a caret under the place, for people at a terminal."""
        if self.source is None or self.line is None or self.column is None:
            return None
        margin = f"{self.line:5} | "
        rest = self.source[self.column - 1 :]
        match = re.match(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|[^\s=\],.]+', rest)
        carets = "^" * max(1, self.width or (len(match[0]) if match else 1))
        # Tabs are kept so that the caret stands under its place whatever their width.
        indent = "".join("\t" if character == "\t" else " " for character in self.source[: self.column - 1])
        return f"{margin}{self.source}\n{' ' * (len(margin) - 2)}| {indent}{carets}"


class ConfigError(ValueError):
    """A configuration that cannot be used. ``problems`` holds everything that is wrong, in the order of the lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Sort the problems by line; those without one come last, as found."""
        self.problems: list[Problem] = sorted(
            problems, key=lambda problem: (problem.line is None, problem.line or 0, problem.column or 0)
        )
        super().__init__("\n".join(map(str, self.problems)))


def show_path(path: Path) -> str:
    """Join keys by dots, quoting those that TOML would; list items in brackets."""
    shown = ""
    for key in path:
        if isinstance(key, int):
            shown += f"[{key}]"
        else:
            text = key if _BARE_KEY.fullmatch(key) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
            shown += f".{text}" if shown else text
    return one_line(shown)


def did_you_mean(written: str | None) -> str | None:
    """Suggest what was probably meant, as it would be written; None where there is no guess."""
    return None if written is None else f"did you mean {written}?"


def one_line(text: str) -> str:
    """Escape what a terminal or a log would not show as part of one line."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def closest(word: str, known: Sequence[str]) -> str | None:
    """Return the known name that ``word`` probably stands for: a misspelling, or the beginning of just one."""
    import difflib

    lowered = {name.lower(): name for name in known}
    if found := difflib.get_close_matches(word.lower().replace("-", "_"), lowered, n=1, cutoff=0.6):
        return lowered[found[0]]
    begun = [name for name in known if len(word) > 2 and name.startswith(word.lower())]  # noqa: PLR2004
    return begun[0] if len(begun) == 1 else None
