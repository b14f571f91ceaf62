"""Problems of a rule, what cannot be compiled in a rule: every place, with the reason and what to write instead.

Owns how it is shown: file, line, column, the text underlined. Must never stop at the first.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RuleProblem:
    """One thing that is wrong with a rule. ``line`` and ``column`` count from 1."""

    reason: str
    instead: str | None = None
    """A remedy: what to write instead."""
    file: str
    line: int
    column: int = 1
    width: int = 1
    """Characters that it is about."""
    source: str = ""
    """The line."""

    def __str__(self) -> str:
        """Return ``FILE:LINE:COLUMN: reason; instead``, and the line with the place underlined."""
        said = f"{self.file}:{self.line}:{self.column}: {self.said}"
        return f"{said}\n{self.underlined}" if self.source else said

    @property
    def said(self) -> str:
        """The reason, and what to write instead."""
        return self.reason if self.instead is None else f"{self.reason}; {self.instead}"

    @property
    def underlined(self) -> str:
        """The line with the place underlined."""
        before = self.source[: self.column - 1]
        # Tabs are kept so that the mark stands under its place whatever their width.
        indent = "".join("\t" if character == "\t" else " " for character in before)
        return f"    {self.source}\n    {indent}{'^' * self.width}"


class RuleError(ValueError):
    """A rule that cannot be compiled. ``problems`` holds everything that is wrong, in the order of the lines."""

    def __init__(self, problems: Iterable[RuleProblem]) -> None:
        self.problems = sorted(set(problems), key=lambda one: (one.file, one.line, one.column, one.reason))
        super().__init__("\n".join(map(str, self.problems)))


class Refused(Exception):  # noqa: N818  (it never leaves the compiler)
    """Something that is not compiled, with the place; whoever compiles the statement around it goes on behind."""

    def __init__(self, node: ast.AST, reason: str, instead: str | None = None) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason
        self.instead = instead
