"""Report: which statement of another proxy's configuration became what. Each is in exactly one bin."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Bin(Enum):
    """Kinds of outcome, as they are shown."""

    CONVERTED = "converted"
    DIFFERENT = "converted with a difference"
    NOTHING = "needs nothing"
    UNSUPPORTED = "not supported"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One statement and what became of it."""

    line: int
    text: str
    """The statement in one line."""
    bin: Bin
    note: str | None = None
    """The difference, the reason, or what to do."""

    def __str__(self) -> str:
        """Return one line, as it stands in a converted file."""
        return f"{self.bin.value}: {self.text}" + (f": {self.note}" if self.note else "")


@dataclass(slots=True)
class Remarks:
    """Comments at one place of a configuration, each without its `#`."""

    before: list[str] = field(default_factory=list)
    beside: str | None = None
    after: list[str] = field(default_factory=list)


def counted(outcomes: Iterable[Outcome]) -> dict[Bin, int]:
    """Return how many statements are in each bin."""
    found = Counter(one.bin for one in outcomes)
    return {one: found[one] for one in Bin}
