"""Ledger: what became of each statement, collected while a file is translated, and settled once at the end.

A statement may be looked at for several sections of ours: the worst that is said of it counts. Must never leave one
out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headworks.importing.draft import Draft, Path
from headworks.importing.report import Bin

_WORSE = (Bin.NOTHING, Bin.CONVERTED, Bin.DIFFERENT, Bin.UNSUPPORTED)
_NAMED = ("listeners", "tables", "backends")


@dataclass(slots=True)
class _Said:
    bin: Bin
    path: Path
    notes: list[str]


class Ledger:
    """Words about the statements of one file."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._said: dict[int, _Said] = {}

    def converted(self, statement: Any, path: Path, difference: str | None = None) -> None:
        """Say that a statement became what is at ``path``."""
        self._say(statement, Bin.DIFFERENT if difference else Bin.CONVERTED, path, difference)

    def nothing(self, statement: Any, reason: str, section: Path = ()) -> None:
        """Say that a statement needs nothing."""
        self._say(statement, Bin.NOTHING, section, reason)

    def unsupported(self, statement: Any, reason: str, section: Path = ()) -> None:
        """Say that a statement cannot be told in ours, and what to do."""
        self._say(statement, Bin.UNSUPPORTED, section, reason)

    def knows(self, statement: Any) -> bool:
        """Whether anything was said of a statement."""
        return id(statement) in self._said

    def became(self, statement: Any) -> bool:
        """Whether a statement became something."""
        said = self._said.get(id(statement))
        return said is not None and said.bin in (Bin.CONVERTED, Bin.DIFFERENT)

    def settle(self, statements: Iterable[Any], unknown: str) -> None:
        """Write everything into the draft; ``unknown`` is what is said of statements that nobody looked at."""
        for statement in statements:
            said = self._said.get(id(statement)) or _Said(Bin.UNSUPPORTED, (), [unknown])
            note = "; ".join(said.notes) or None
            place = self._place(said.path)
            if not place and statement.beside is not None:
                statement.before, statement.beside = [*statement.before, statement.beside], None
            if said.bin in (Bin.CONVERTED, Bin.DIFFERENT):
                self._draft.converted(statement, place, note)
            else:
                is_supported = said.bin is Bin.NOTHING
                self._draft.left_out(statement, self._section(place), note or "", is_supported=is_supported)

    def _say(self, statement: Any, bin_: Bin, path: Path, note: str | None) -> None:
        said = self._said.setdefault(id(statement), _Said(bin_, path, []))
        if _WORSE.index(bin_) > _WORSE.index(said.bin):
            said.bin, said.path, said.notes = bin_, path, []
        if bin_ is said.bin and note is not None and note not in said.notes:
            said.notes.append(note)

    def _place(self, path: Path) -> Path:
        """Return the part of a path that comments are kept at."""
        known = path[: 3 if path[:1] and path[0] in _NAMED else 2]
        value: Any = self._draft.value
        for number, key in enumerate(known):
            if not isinstance(value, dict) or key not in value:
                return known[:number] if number > 1 else ()
            value = value[key]
        return known

    @staticmethod
    def _section(path: Path) -> Path:
        return path[:2] if path[:1] and path[0] in _NAMED else path[:1]
