"""The result of a step: whether all went as it should, and what there is to see."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table

from headworks.demo.stage import Stage


@dataclass(frozen=True, kw_only=True)
class Result:
    """Findings of a step."""

    shown: tuple[RenderableType, ...] = ()
    """For people, from top to bottom."""
    problems: tuple[str, ...] = ()
    """Problems; none is good."""

    @property
    def good(self) -> bool:
        """Whether all went as it should."""
        return not self.problems


@dataclass(frozen=True, kw_only=True)
class Step:
    """One part of the tour."""

    name: str
    says: str
    """The purpose, in a sentence or two."""
    run: Callable[[Stage], Result]
    """May raise OSError and the like: that fails the step."""


def table(*columns: str) -> Table:
    """Return an empty table; a column whose title begins with ``>`` is for numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in columns:
        made.add_column(title.removeprefix(">"), justify="right" if title.startswith(">") else "left", overflow="fold")
    return made


def unless(*facts: tuple[bool, str]) -> tuple[str, ...]:
    """Return the sentences of the facts that do not hold."""
    return tuple(sentence for holds, sentence in facts if not holds)


def in_words(counts: Iterable[tuple[str, int]]) -> str:
    """Return ``a 2, b 1``."""
    return ", ".join(f"{name} {count}" for name, count in counts) or "none"


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def milliseconds(seconds: float) -> str:
    """Return a time as people read it."""
    return f"{seconds * 1000:.1f} ms"
