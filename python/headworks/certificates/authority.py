"""A throwaway authority, for development: made in memory when it is first asked, gone with the process.

Its certificates are like those of a private authority: clients that are told to trust it believe them. Must import
nothing that takes time until then: every configuration has one.
"""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.certificates.certificate import Certificate
    from headworks.certificates.signer import Signer

LOCAL = ("localhost", "127.0.0.1", "::1")
"""Every throwaway certificate's names to begin with."""

_PLACE = "self_signed"
_MOST_NAMES = 100
"""Names of one certificate at most: it is sent in every handshake."""


class Authority:
    """Signs throwaway certificates; asked for the same names again it gives the same ones. Safe from any thread."""

    def __init__(self, name: str = "Headworks throwaway authority") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._made: dict[tuple[str, ...], tuple[Certificate, ...]] = {}
        self._signer: Signer | None = None

    def certificates(self, names: Iterable[str]) -> "tuple[Certificate, ...]":
        """Return certificates for this machine's own names and ``names``."""
        wanted = tuple(dict.fromkeys([*LOCAL, *(name.lower() for name in names)]))
        with self._lock:
            if wanted not in self._made:
                parts = (wanted[at : at + _MOST_NAMES] for at in range(0, len(wanted), _MOST_NAMES))
                self._made[wanted] = tuple(self._own().issue(part, f"Headworks {part[0]}", _PLACE) for part in parts)
            return self._made[wanted]

    def issue(self, *names: str) -> "Certificate":
        """Return a new certificate, with a key of its own, for ``names`` and no others."""
        with self._lock:
            return self._own().issue(names, names[0], _PLACE)

    def pem(self) -> str:
        """Return the authority's own certificate, for clients to trust."""
        with self._lock:
            return self._own().pem()

    def _own(self) -> "Signer":
        from headworks.certificates.signer import Signer

        if self._signer is None:
            self._signer = Signer(self._name)
        return self._signer
