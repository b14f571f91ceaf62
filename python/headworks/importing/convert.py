"""Convert: another proxy's file as one of ours, with its comments, and what became of each statement.

Must never write a configuration that cannot be run.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headworks.certificates import Store
from headworks.config.check import examine
from headworks.config.document import Document
from headworks.config.problems import ConfigError, Problem
from headworks.importing.report import Bin, Outcome, counted
from headworks.importing.sniproxy.source import is_sniproxy
from headworks.importing.sniproxy.translation import translate
from headworks.importing.written import write

if TYPE_CHECKING:
    from rich.table import Table

FORMATS = ("sniproxy",)
"""Names of the formats that can be read."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A configuration of ours, as TOML."""

    text: str
    outcomes: tuple[Outcome, ...]
    warnings: tuple[Problem, ...]

    @property
    def is_the_same(self) -> bool:
        """Whether nothing differs, is left out or is doubtful."""
        return not self.warnings and all(one.bin in (Bin.CONVERTED, Bin.NOTHING) for one in self.outcomes)

    @property
    def summary(self) -> str:
        """Return how many statements became what, in one line."""
        counts = counted(self.outcomes)
        said = ", ".join(f"{count:,} {one.value}" for one, count in counts.items() if count)
        return f"{len(self.outcomes):,} statements" + (f": {said}" if said else "")

    def table(self) -> "Table":
        """Lay out what differs and what is not supported."""
        from rich.table import Table
        from rich.text import Text

        laid = Table("line", "statement", "outcome", "what that means", box=None, pad_edge=False)
        laid.columns[0].justify = "right"
        styles = {Bin.UNSUPPORTED: "red", Bin.DIFFERENT: "yellow"}
        for one in self.outcomes:
            if one.bin in styles:
                outcome = Text(one.bin.value, style=styles[one.bin])
                laid.add_row(str(one.line), Text(one.text), outcome, Text(one.note or ""))
        return laid


def convert(source: bytes, name: str, form: str | None = None) -> Converted:
    """Convert a file; ``name`` is what problems are reported against.

    ``form`` is one of FORMATS; without it what is in the file tells. Raises ConfigError with every problem.
    """
    if form is None and not is_sniproxy(source):
        reason = "not a file of a proxy that is known here"
        raise ConfigError([Problem(reason=reason, file=name, line=1, suggestion=f"known: {', '.join(FORMATS)}")])
    found = translate(source, name)
    if any(not one.is_warning for one in found.problems):
        raise ConfigError([*found.problems, *found.unsupported])
    # What is wrong with values has the lines of the file that they come from.
    examine(Document(found.value, name, found.positions, found.lines), Store())
    return Converted(write(found.value, found.remarks, found.order), found.outcomes, found.problems)
