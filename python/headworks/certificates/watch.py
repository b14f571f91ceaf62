"""Watch: finds places whose files have changed, reads them again, and keeps what is good.

A change is acted on when it has settled: when two looks in a row see the same. A place that cannot be used any more
keeps what it had, and is reported once. Must never apply anything.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headworks.certificates.files import Files, Stamp
from headworks.certificates.store import Content, Store, load

if TYPE_CHECKING:
    from headworks.certificates.found import Reader


@dataclass(frozen=True, kw_only=True)
class Change:
    """A place that has changed, and what it holds now; with errors, what it held before is kept."""

    place: Files
    content: Content


class Watch:
    """Looks at the places of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.forget_files()
        self._known: dict[Files, Stamp] = {place: store.take(place).stamp for place in store.places()}
        self._seen: dict[Files, Stamp] = {}

    def look(self) -> list[Change]:
        """Look once; return what has changed and settled. What is good is in the store then."""
        now = {place: place.stamp() for place in self._known}
        different = {place: stamp for place, stamp in now.items() if stamp != self._known[place]}
        settled = [place for place, stamp in different.items() if self._seen.get(place) == stamp]
        self._seen = different
        if not settled:
            return []
        from headworks.certificates.found import Reader

        reader = Reader()
        changes = (self._read(place, reader) for place in settled)
        return [change for change in changes if change is not None]

    def _read(self, place: Files, reader: "Reader") -> Change | None:
        before, content = self.store.take(place), load(place, reader)
        self._known[place] = content.stamp
        if not content.errors:
            self.store.put(place, content)
            if (before.certificates, before.ders) == (content.certificates, content.ders):
                return None
        return Change(place=place, content=content)
