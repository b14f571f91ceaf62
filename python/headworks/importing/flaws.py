"""Flaws: everything that is wrong with one file, each with its line.

Must never know a directive.
"""

from collections.abc import Sequence
from typing import Protocol

from headworks.config.problems import Problem


class Placed(Protocol):
    """A word or a statement, with the place where it begins."""

    @property
    def line(self) -> int:
        """The line, from 1."""

    @property
    def column(self) -> int:
        """The column, from 1."""


class Flaws:
    """Findings about one file, each with its line."""

    def __init__(self, lines: Sequence[str], name: str | None = None) -> None:
        self.problems: list[Problem] = []
        self._lines = lines
        self._name = name

    def add(self, at: Placed, reason: str, suggestion: str | None = None, *, is_warning: bool = False) -> None:
        """Add what is wrong with a word, or with the statement that begins there."""
        self.place(at.line, at.column, reason, suggestion, is_warning=is_warning)

    def place(
        self, line: int, column: int, reason: str, suggestion: str | None = None, *, is_warning: bool = False
    ) -> None:
        """Add what is wrong at a place."""
        # Bytes that are no UTF-8 cannot be shown.
        reason = reason.encode(errors="surrogateescape").decode(errors="replace")
        suggestion = suggestion and suggestion.encode(errors="surrogateescape").decode(errors="replace")
        source = self._lines[line - 1] if line <= len(self._lines) else None
        self.problems.append(
            Problem(
                reason=reason,
                file=self._name,
                line=line,
                column=column,
                suggestion=suggestion,
                is_warning=is_warning,
                source=source,
            )
        )
