"""Convert: another proxy's file as one of ours, with its comments, and what became of each statement.

Must never write a configuration that cannot be run.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headworks.certificates import Store
from headworks.config.check import examine
from headworks.config.document import Document
from headworks.config.models.rules import RuleName
from headworks.config.problems import ConfigError, Problem
from headworks.importing.guess import FORMATS, guess
from headworks.importing.report import Bin, Outcome, counted
from headworks.importing.rulefile import RuleFile
from headworks.importing.translated import Translated
from headworks.importing.written import write

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["FORMATS", "Converted", "convert"]

_ABSENT = "cannot be read"
"""Words about files that are not here: they may well be where the configuration is to run."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A configuration of ours, as TOML."""

    text: str
    outcomes: tuple[Outcome, ...]
    warnings: tuple[Problem, ...]
    rules: RuleFile | None = None
    """Rules that stand in a file beside it."""

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

    ``form`` is one of FORMATS; without it what is in the file tells, and its name. Raises ConfigError with every
    problem.
    """
    form = form or guess(source, name)
    if form is None:
        reason = "not a file of a proxy that is known here"
        raise ConfigError([Problem(reason=reason, file=name, line=1, suggestion=f"known: {', '.join(FORMATS)}")])
    found = _translated(source, name, form)
    if any(not one.is_warning for one in found.problems):
        raise ConfigError([*found.problems, *found.unsupported])
    if not found.value.get("listeners") and found.unsupported:
        raise ConfigError(found.unsupported)
    warnings = _examined(found, name)
    return Converted(write(found.value, found.remarks, found.order), found.outcomes, warnings, found.rules)


def _translated(source: bytes, name: str, form: str) -> Translated:
    if form == "haproxy":
        from headworks.importing.haproxy.translation import translate as of_haproxy

        return of_haproxy(source, name)
    if form == "nginx":
        from headworks.importing.nginx.translation import translate as of_nginx

        return of_nginx(source, name)
    from headworks.importing.sniproxy.translation import translate as of_sniproxy

    return of_sniproxy(source, name)


def _examined(found: Translated, name: str) -> tuple[Problem, ...]:
    """Check what was made. Problems have the lines of the file that they come from."""
    with tempfile.TemporaryDirectory() as folder:
        value = _beside(found, Path(folder)) if found.rules is not None else found.value
        try:
            examine(Document(value, name, found.positions, found.lines), Store())
        except ConfigError as error:
            if any(_ABSENT not in one.reason for one in error.problems):
                raise
            absent = [replace(one, is_warning=True) for one in error.problems]
            return (*found.problems, *absent)
    return found.problems


def _beside(found: Translated, folder: Path) -> dict[str, Any]:
    """Return the configuration with its rules looked for in ``folder``, where they are written."""
    if found.rules is None:
        return found.value
    (folder / f"{found.rules.module}.py").write_text(found.rules.text())
    return {key: _anchored(value, folder) for key, value in found.value.items()}


def _anchored(value: Any, folder: Path) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        key: [RuleName(name, folder) for name in one] if key == "rules" else _anchored(one, folder)
        for key, one in value.items()
    }
