"""A configuration of ours that was made of another proxy's, and what each of its statements became."""

from dataclasses import dataclass
from typing import Any, Self

from headworks.config.problems import Problem
from headworks.importing.draft import Draft, Path
from headworks.importing.report import Outcome, Remarks
from headworks.importing.rulefile import RuleFile


@dataclass(frozen=True, slots=True)
class Translated:
    """A configuration of ours, and what it was."""

    value: dict[str, Any]
    positions: dict[tuple[str | int, ...], tuple[int, int]]
    remarks: dict[Path, Remarks]
    order: tuple[Path, ...]
    """Sections that come in an order of their own."""
    outcomes: tuple[Outcome, ...]
    problems: tuple[Problem, ...]
    """Everything wrong with it, warnings besides."""
    unsupported: tuple[Problem, ...]
    """Statements that cannot be told in ours, as problems."""
    lines: tuple[str, ...]
    rules: RuleFile | None = None
    """Rules that it needs."""

    @classmethod
    def of(cls, draft: Draft, lines: tuple[str, ...], rules: RuleFile | None = None) -> Self:
        """Take what a draft has become."""
        found = sorted(draft.flaws.problems, key=lambda one: (one.line or 0, one.column or 0))
        return cls(
            draft.value,
            draft.positions,
            draft.remarks,
            tuple(draft.order),
            tuple(draft.outcomes),
            tuple(found),
            tuple(draft.unsupported.problems),
            lines,
            rules if rules is not None and not rules.is_empty else None,
        )
