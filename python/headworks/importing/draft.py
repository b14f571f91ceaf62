"""Draft: a configuration of ours while it is made, with the lines and comments of what it is made of.

Owns that each statement gets exactly one outcome, and that no comment is lost. Must never know a directive.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from headworks.importing.flaws import Flaws
from headworks.importing.report import Bin, Outcome, Remarks

Path = tuple[str, ...]


class Statement(Protocol):
    """One statement of another proxy's file, with the comments about it."""

    before: list[str]
    beside: str | None

    @property
    def line(self) -> int:
        """The line where it begins."""

    @property
    def column(self) -> int:
        """The column where it begins."""


@dataclass(slots=True)
class Draft:
    """A configuration in the making."""

    program: str
    """The other proxy's name."""
    shown: Callable[[Any], str]
    """How a statement is written in one line."""
    flaws: Flaws
    unsupported: Flaws
    """Statements that cannot be told in ours."""
    value: dict[str, Any] = field(default_factory=dict)
    positions: dict[tuple[str | int, ...], tuple[int, int]] = field(default_factory=dict)
    remarks: dict[Path, Remarks] = field(default_factory=dict)
    order: list[Path] = field(default_factory=list)
    """Listeners and tables as they come in the file."""
    _outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def outcomes(self) -> list[Outcome]:
        """Return what became of each statement, in the order of the lines."""
        return sorted(self._outcomes.values(), key=lambda one: one.line)

    def at(self, path: Path) -> Remarks:
        """Return the comments at a place."""
        return self.remarks.setdefault(path, Remarks())

    def put(self, path: Path, value: Any, statement: Statement) -> None:
        """Set a key that a statement says."""
        section = self.value
        for key in path[:-1]:
            section = section.setdefault(key, {})
        section[path[-1]] = value
        self.positions.setdefault(path, (statement.line, statement.column))

    def converted(self, statement: Statement, path: Path, difference: str | None = None) -> None:
        """Say that a statement became what is at ``path``, and move its comments there."""
        if self._settle(statement, Bin.DIFFERENT if difference else Bin.CONVERTED, difference):
            here = self.at(path)
            here.before += statement.before
            here.beside = _joined(here.beside, statement.beside)
            said = f"Differs from {self.program}: {difference}"
            if difference and said not in here.before:
                here.before.append(said)

    def left_out(self, statement: Statement, section: Path, reason: str, *, is_supported: bool = True) -> None:
        """Say that a statement became nothing, and move its comments to the end of a section.

        What is not supported is a problem for who runs it: clients or servers would see something else.
        """
        if self._settle(statement, Bin.NOTHING if is_supported else Bin.UNSUPPORTED, reason):
            here = self.at(section)
            here.after += statement.before
            outcome = self._outcomes[id(statement)]
            beside = f"  # {statement.beside}" if statement.beside else ""
            said = "Needs nothing" if is_supported else "Not supported"
            here.after.append(f"{said}: {outcome.text}{beside}")
            here.after.append(f"  {reason}")
            if not is_supported:
                self.unsupported.add(statement, f"not supported: {outcome.text}", reason)

    def close(self, statements: Iterable[Any], section: Path) -> None:
        """Keep the comments at the end of blocks, of statements that have one."""
        for statement in statements:
            if statement.block is not None:
                self.at(section).after += statement.block.after

    def has(self, statement: Statement) -> bool:
        """Whether a statement has its outcome already."""
        return id(statement) in self._outcomes

    def _settle(self, statement: Statement, bin_: Bin, note: str | None) -> bool:
        if self.has(statement):
            return False
        self._outcomes[id(statement)] = Outcome(statement.line, self.shown(statement), bin_, note)
        return True


def _joined(one: str | None, other: str | None) -> str | None:
    return one if other is None else other if one is None else f"{one}; {other}"
