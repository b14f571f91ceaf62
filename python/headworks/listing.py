"""Listing: every certificate of a configuration, or of a file or directory, for people and programs to look at.

Must never start anything; what is shown is what would be presented.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headworks.certificates import Certificate, Files, Reader, Store, look
from headworks.config.check import examine
from headworks.config.document import Document
from headworks.config.models.whole import Whole
from headworks.config.routes import names_of
from headworks.config.tls import places

if TYPE_CHECKING:
    from rich.table import Table

_SOON = 30
_VERY_SOON = 7
"""Days left from which on a certificate is shown in yellow, in red."""
_FEW = 8
"""Rows that the eye can follow without stripes."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One certificate."""

    user: str | None
    """The table that presents it: ``listeners.secure``, ``backends.app``; None when it was looked at by itself."""
    certificate: Certificate

    @property
    def is_bad(self) -> bool:
        """Whether clients would refuse it: it has expired, or its chain leads nowhere."""
        return self.certificate.days_left < 0 or self.certificate.state in ("incomplete", "broken")

    def facts(self) -> dict[str, Any]:
        """Return what is known of it, for JSON."""
        one = self.certificate
        return {
            "user": self.user,
            "file": one.place,
            "names": list(one.names),
            "issuer": one.issuer,
            "key": one.kind,
            "not_before": _iso(one.not_before),
            "not_after": _iso(one.not_after),
            "days_left": one.days_left,
            "chain": one.state,
            "chain_length": len(one.chain),
            "ocsp_until": _iso(one.ocsp_until),
        }


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Certificates, and what is to be said of them."""

    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...] = ()
    """Reasons that there may be more that could not be read."""

    @property
    def is_bad(self) -> bool:
        """Whether any of them is bad."""
        return any(row.is_bad for row in self.rows)


def of_config(file: Path) -> Listing:
    """List what a configuration presents. Raises ConfigError with every problem, OSError."""
    store = Store()
    examined = examine(Document.read(file), store)
    config, warnings = examined.config, examined.warnings
    return Listing(rows=tuple(rows(config, store)), warnings=tuple(map(str, warnings)))


def of_place(place: Path) -> Listing:
    """List what is in a PEM file or a directory."""
    certificates, flaws = look(Reader(), str(place))
    return Listing(
        rows=tuple(Row(user=None, certificate=one) for one in certificates),
        warnings=tuple(flaw.reason for flaw in flaws if flaw.is_warning),
        problems=tuple(flaw.reason for flaw in flaws if not flaw.is_warning),
    )


def is_place(path: Path) -> bool:
    """Whether a path is of certificates, and not of a configuration."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        return b"-----BEGIN " in file.read(1 << 20)


def table(listing: Listing) -> "Table":
    """Lay the certificates out."""
    from rich.table import Table
    from rich.text import Text

    styles = ["", "dim"] if len(listing.rows) > _FEW else []
    laid = Table(box=None, pad_edge=False, header_style="bold", row_styles=styles)
    has_users = any(row.user for row in listing.rows)
    for title in (*(("used by",) if has_users else ()), "names", "expires", "issuer", "key", "chain", "ocsp", "file"):
        laid.add_column(title, overflow="fold")
    for row in listing.rows:
        one = row.certificate
        users = (row.user or "",) if has_users else ()
        chain = Text(_chain(one), style="red" if one.state in ("incomplete", "broken") else "")
        laid.add_row(
            *users, "\n".join(one.names) or "-", _expiry(one), one.issuer, one.kind, chain, _ocsp(one), one.place
        )
    return laid


def rows(config: Whole, store: Store) -> Iterator[Row]:
    """Yield every certificate that a configuration presents, those for its servers included."""
    for name, listener in config.listeners.items():
        tls = listener.tls
        if tls is None:
            continue
        found: Iterable[Certificate] = (one for place in places(tls) for one in store.take(place).certificates)
        if tls.self_signed:
            wanted = tls.self_signed if isinstance(tls.self_signed, tuple) else names_of(config, listener.table)
            found = store.self_signed(wanted)
        yield from (Row(user=f"listeners.{name}", certificate=one) for one in found)
    for name, backend in config.backends.items():
        if backend.tls is not None and backend.tls.certificate is not None:
            place = Files(path=backend.tls.certificate, key=backend.tls.key)
            yield from (Row(user=f"backends.{name}", certificate=one) for one in store.take(place).certificates)


def _expiry(certificate: Certificate) -> Any:
    from rich.text import Text

    left = certificate.days_left
    said = f"expired {-left} d ago" if left < 0 else f"{left} d left"
    style = "red" if left < _VERY_SOON else "yellow" if left < _SOON else "green"
    return Text.assemble(f"{certificate.not_after:%Y-%m-%d} ", (said, style))


def _chain(certificate: Certificate) -> str:
    return f"{certificate.state} ({len(certificate.chain)})"


def _ocsp(certificate: Certificate) -> str:
    end = certificate.ocsp_until
    return f"until {end:%Y-%m-%d}" if end else "stapled" if certificate.ocsp else "-"


def _iso(time: datetime | None) -> str | None:
    return None if time is None else f"{time:%Y-%m-%dT%H:%M:%SZ}"
