"""Certificates: read from PEM files and directories, matched with their keys, checked, watched.

| file | owns |
|---|---|
| files.py, pem.py | what is read, whether it has changed, and the blocks of a file |
| found.py, keys.py, names.py | what the blocks are |
| matching.py, chain.py, ocsp.py | what belongs together, and what is wrong or doubtful |
| certificate.py, soundness.py | one that we present; whether its key signs |
| trust.py | authorities, revocation lists, and whom the system trusts |
| authority.py, signer.py | throwaway certificates |
| store.py, watch.py | what all places of a configuration hold, and what has changed |

Must never know the configuration: it is told places and says what they hold. Names are imported when they are first
used: a configuration without TLS does without cryptography.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.certificates.authority import Authority
    from headworks.certificates.certificate import Certificate
    from headworks.certificates.files import Files
    from headworks.certificates.found import Flaw, Reader
    from headworks.certificates.matching import look
    from headworks.certificates.store import Content, Store
    from headworks.certificates.trust import system_roots
    from headworks.certificates.watch import Change, Watch

_HOMES = {
    "Authority": "authority",
    "Certificate": "certificate",
    "Change": "watch",
    "Content": "store",
    "Files": "files",
    "Flaw": "found",
    "Reader": "found",
    "Store": "store",
    "Watch": "watch",
    "look": "matching",
    "system_roots": "trust",
}

__all__ = [
    "Authority",
    "Certificate",
    "Change",
    "Content",
    "Files",
    "Flaw",
    "Reader",
    "Store",
    "Watch",
    "look",
    "system_roots",
]


def __getattr__(name: str) -> object:
    """Import a name from where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
