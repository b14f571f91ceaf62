"""References: ``docker:app`` and the like, written where a server is, for servers that a provider finds.

Owns telling them from addresses and names. Must never know whether what they name is there.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

KINDS = ("file", "http", "docker", "consul")
"""Kinds of providers that come with the package."""
NAMED = "provider"
"""A reference to a table of providers, ``provider:NAME``."""

_FORM = re.compile(rf"({'|'.join((*KINDS, NAMED))}):(.+)", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}")
_UNKNOWN = re.compile(r"([a-z][a-z0-9_]*):[^0-9:/\s].*")


@dataclass(frozen=True)
class Reference:
    """A reference: the kind of its provider, and what that is to follow."""

    kind: str
    target: str


def reference(address: object) -> Reference | None:
    """Return the reference that an address is; None when it is none.

    ``docker:80`` is a host of that name, and ``http://10.0.0.1:80`` is no list: lists have a path.
    """
    if not isinstance(address, str):
        return None
    if address.lower().startswith(("http://", "https://")):
        return Reference("http", address) if _has_path(address) else None
    found = _FORM.fullmatch(address)
    return Reference(found[1], found[2]) if found and found[1] != "http" and not _PORT.fullmatch(found[2]) else None


def unknown_kind(address: str) -> str | None:
    """Return the kind in what would be a reference if there were such a kind."""
    found = _UNKNOWN.fullmatch(address)
    return found[1] if found and found[1] not in ("unix", "fd", "srv", *KINDS, NAMED) else None


def _has_path(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.path not in ("", "/") or bool(parts.query)
