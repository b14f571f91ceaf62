"""Store: what every place of one configuration held when it was last read and good.

Each load of a configuration has a store of its own, so that one that is refused leaves nothing behind; only the
throwaway authority is handed on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headworks.certificates.authority import Authority
from headworks.certificates.files import Files, Stamp

if TYPE_CHECKING:
    from headworks.certificates.certificate import Certificate
    from headworks.certificates.found import Flaw, Reader


@dataclass(frozen=True, kw_only=True)
class Content:
    """Contents of a place when it was read."""

    certificates: "tuple[Certificate, ...]" = ()
    ders: tuple[bytes, ...] = ()
    """Authorities or revocation lists, encoded."""
    flaws: "tuple[Flaw, ...]" = ()
    stamp: Stamp
    """The state of its files when it was read."""

    @property
    def errors(self) -> "tuple[Flaw, ...]":
        """Return why it cannot be used."""
        return tuple(flaw for flaw in self.flaws if not flaw.is_warning)

    @property
    def warnings(self) -> "tuple[Flaw, ...]":
        """Return what is doubtful."""
        return tuple(flaw for flaw in self.flaws if flaw.is_warning)


class Store:
    """Contents of places, read when first asked for. For one thread at a time."""

    def __init__(self, authority: Authority | None = None) -> None:
        self.authority = authority or Authority()
        """Signs throwaway certificates."""
        self._contents: dict[Files, Content] = {}
        self._reader: Reader | None = None

    def take(self, place: Files) -> Content:
        """Return what a place holds."""
        content = self._contents.get(place)
        if content is None:
            from headworks.certificates.found import Reader

            self._reader = self._reader or Reader()
            content = self._contents[place] = load(place, self._reader)
        return content

    def put(self, place: Files, content: Content) -> None:
        """Keep what a place holds now."""
        self._contents[place] = content

    def self_signed(self, names: Iterable[str]) -> "tuple[Certificate, ...]":
        """Return throwaway certificates."""
        return self.authority.certificates(names)

    def forget_files(self) -> None:
        """Let go of files as they were read: everything has been asked for."""
        self._reader = None

    def places(self) -> tuple[Files, ...]:
        """Return every place that was asked for."""
        return tuple(self._contents)


def load(place: Files, reader: "Reader") -> Content:
    """Read a place. The stamp is taken first: what is written meanwhile is a change."""
    from headworks.certificates import matching, trust

    stamp = place.stamp()
    if place.kind == "certificates":
        certificates, flaws = matching.match(reader, place)
        return Content(certificates=tuple(certificates), flaws=tuple(flaws), stamp=stamp)
    read = trust.authorities if place.kind == "authorities" else trust.revocations
    ders, flaws = read(reader, place.path)
    return Content(ders=tuple(ders), flaws=tuple(flaws), stamp=stamp)
