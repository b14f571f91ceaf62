"""``[admin]`` on this machine: addresses that need a guard, files that others may read, what is not installed.

Must never open a socket, nor import what only the door needs.
"""

import grp
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from headworks.config.models.admin import AdminSettings, is_loopback
from headworks.config.models.whole import Whole
from headworks.config.problems import Path, closest, did_you_mean
from headworks.config.reasons import Finding
from headworks.config.tokens import Tokens, TokensError
from headworks.config.values import quote

NEEDED = ("starlette", "uvicorn")
REMEDY = "pip install 'headworks[admin]'"


def findings(config: Whole) -> list[Finding]:
    """Return everything that is wrong with ``[admin]``."""
    return [] if config.admin is None else list(_findings(config.admin))


def _findings(admin: AdminSettings) -> Iterator[Finding]:
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        yield ("admin",), f"needs {' and '.join(missing)}, which {_are(missing)} not installed: {REMEDY}", None
    lacking = [name for name in ("tokens", "tls") if getattr(admin, name) is None]
    for number, address in enumerate(admin.bind):
        if lacking and not is_loopback(address):
            reason = f"{quote(address)} is no loopback address: that needs {' and '.join(lacking)}"
            yield ("admin", "bind", number), reason, None
    if admin.tls is not None and all(address.startswith("unix:") for address in admin.bind):
        yield ("admin", "tls"), "is for addresses of TCP, and bind has none", None
    yield from _of_group(admin.group)
    if admin.tokens is not None:
        try:
            Tokens.read(admin.tokens)
        except TokensError as error:
            yield ("admin", "tokens"), str(error), None
    if admin.tls is not None:
        yield from _of_certificate(admin.tls.certificate, admin.tls.key)


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _of_group(name: str | None) -> Iterator[Finding]:
    known = [entry.gr_name for entry in grp.getgrall()]
    if name is not None and not name.isdigit() and name not in known:
        near = closest(name, known)
        yield ("admin", "group"), f"this system has no group {quote(name)}", did_you_mean(near and quote(near))


def _of_certificate(certificate: str, key: str | None) -> Iterator[Finding]:
    import ssl

    at: Path = ("admin", "tls", "certificate")
    tls: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        tls.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        yield at, f"{certificate} and its key cannot be used: {error.reason or error}", None
    except OSError as error:
        yield at, f"{error.filename or certificate}: cannot be read: {error.strerror}", None
