"""TLS on its way to the engine (crates/core/src/spec/tls.rs): places become certificates, and what is wrong with them.

Paths are made whole when a configuration is read, files are read here, by the store. Must never decide which
certificate a client gets: that is the Plan's.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headworks.certificates import Files, Store
from headworks.config.models import CertificateFiles, ClientCertificates, Listener, ListenerTls
from headworks.config.models.references import reference
from headworks.config.models.whole import Whole
from headworks.config.problems import Key, Problem
from headworks.config.protocols import PROTOCOLS
from headworks.config.routes import led_to_by_http, names_of

if TYPE_CHECKING:
    from headworks.certificates import Certificate


_HOST = re.compile(r"(?!(.*\.)?[0-9]+\.?$)[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?")
"""A name of a host, which is no address."""


class TlsSpecs:
    """Puts what is in files in the place of their names, and adds what is wrong or doubtful to ``problems``."""

    def __init__(self, config: Whole, store: Store, problems: list[Problem]) -> None:
        self._config = config
        self._store = store
        self._problems = problems
        self._requests = led_to_by_http(config)
        self._encoded: dict[bytes, str] = {}

    def listener(self, name: str, written: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return what the listener's TLS is; None without. ``written`` has its keys as plain values."""
        listener = self._config.listeners[name]
        tls = listener.tls
        if tls is None or written is None:
            return None
        path = ("listeners", name, "tls")
        made = self._made(listener, tls)
        keys = written | {
            "certificates": [
                list(map(self._certificate, self._certificates((*path, "certificates", number), place)))
                for number, place in enumerate(places(tls))
            ],
            "self_signed": list(map(self._certificate, made)),
            "client_certificates": self._clients(path, tls.client_certificates, written["client_certificates"]),
        }
        if tls.alpn is None:
            keys["alpn"] = list(PROTOCOLS[listener.protocol].versions[:1])
        del keys["self_signed_ca"]
        return keys

    def backend(self, name: str, written: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return what the TLS to a backend's servers is; None without. ``written`` has its keys as plain values."""
        tls = self._config.backends[name].tls
        if tls is None or written is None:
            return None
        path = ("backends", name, "tls")
        if not tls.verify:
            reason = "nothing is verified: whoever is on the way to the servers can read and change everything"
            self._problems.append(Problem(path=(*path, "verify"), reason=reason, is_warning=True))
        keys = written | {
            "ca": self._roots(path, tls.ca) if tls.verify else [],
            "certificate": self._own(path, tls.certificate, tls.key),
        }
        if tls.server_name is None:
            keys["server_name"] = self._common_name(name)
        if tls.alpn is None:
            keys["alpn"] = list(self._versions(name)[:1])
        del keys["key"]
        return keys

    def _common_name(self, backend: str) -> str | None:
        """Return the host that all servers of a backend are written as; None where that is an address, or several."""
        hosts = {_host(server.address) for server in self._config.backends[backend].servers}
        host = hosts.pop() if len(hosts) == 1 else ""
        return host.removesuffix(".") if _HOST.fullmatch(host) else None

    def _versions(self, backend: str) -> tuple[str, ...]:
        """The versions that its servers are asked in, by their names in ALPN; none where bytes are passed on."""
        listener = self._requests.get(backend)
        return () if listener is None else PROTOCOLS[self._config.listeners[listener].protocol].versions

    def _made(self, listener: Listener, tls: ListenerTls) -> "tuple[Certificate, ...]":
        """The throwaway certificates of a listener."""
        if not tls.self_signed:
            return ()
        names = tls.self_signed if isinstance(tls.self_signed, tuple) else names_of(self._config, listener.table)
        return self._store.self_signed(names)

    def _certificates(self, path: tuple[Key, ...], place: Files) -> "tuple[Certificate, ...]":
        content = self._store.take(place)
        for flaw in content.flaws:
            below = () if flaw.part == "certificate" else (flaw.part,)
            self._problems.append(Problem(path=(*path, *below), reason=flaw.reason, is_warning=flaw.is_warning))
        return content.certificates

    def _own(self, path: tuple[Key, ...], certificate: str | None, key: str | None) -> dict[str, Any] | None:
        """The certificate that servers are shown."""
        if certificate is None:
            return None
        found: list[Problem] = []
        content = self._store.take(Files(path=certificate, key=key))
        for flaw in content.flaws:
            at = "key" if flaw.part == "key" else "certificate"
            found.append(Problem(path=(*path, at), reason=flaw.reason, is_warning=flaw.is_warning))
        if len(content.certificates) > 1:
            reason = f'"{certificate}" has {len(content.certificates)} certificates with keys, and one is to be shown'
            found.append(Problem(path=(*path, "certificate"), reason=reason))
        self._problems += found
        return self._certificate(content.certificates[0]) if content.certificates else None

    def _clients(
        self, above: tuple[Key, ...], clients: ClientCertificates | None, written: dict[str, Any]
    ) -> dict[str, Any] | None:
        if clients is None:
            return None
        path = (*above, "client_certificates")
        lists = [Files(kind="revocations", path=file) for file in clients.crl]
        return written | {
            "ca": self._ders((*path, "ca"), [Files(kind="authorities", path=file) for file in clients.ca]),
            "crl": self._ders((*path, "crl"), lists),
        }

    def _roots(self, path: tuple[Key, ...], files: tuple[str, ...]) -> list[str]:
        if files:
            return self._ders((*path, "ca"), [Files(kind="authorities", path=file) for file in files])
        from headworks.certificates import system_roots

        roots = system_roots()
        if not roots:
            reason = (
                "this system has no list of authorities that it trusts (Debian's package: ca-certificates); give ca"
            )
            self._problems.append(Problem(path=path, reason=reason))
        return list(map(self._encode, roots))

    def _ders(self, path: tuple[Key, ...], listed: Iterable[Files]) -> list[str]:
        ders: list[bytes] = []
        for number, place in enumerate(listed):
            content = self._store.take(place)
            ders += content.ders
            self._problems += [
                Problem(path=(*path, number), reason=flaw.reason, is_warning=flaw.is_warning) for flaw in content.flaws
            ]
        return list(map(self._encode, dict.fromkeys(ders)))

    def _certificate(self, certificate: "Certificate") -> dict[str, Any]:
        return {
            "place": certificate.place,
            "names": certificate.names,
            "chain": list(map(self._encode, certificate.chain)),
            "key": b64encode(certificate.key).decode(),
            "ocsp": None if certificate.ocsp is None else b64encode(certificate.ocsp).decode(),
            "not_after": int(certificate.not_after.timestamp()),
        }

    def _encode(self, der: bytes) -> str:
        """Base64; intermediates and authorities come again and again."""
        if der not in self._encoded:
            self._encoded[der] = b64encode(der).decode()
        return self._encoded[der]


def places(tls: ListenerTls) -> list[Files]:
    """Return the places of a listener's certificates, in its order."""
    return [Files(path=files.certificate, key=files.key, ocsp=files.ocsp) for files in tls.certificates]


def presented(config: Whole, store: Store) -> "Iterator[tuple[tuple[Key, ...], Certificate]]":
    """Yield every certificate that is read from files, with the path of the key that names it."""
    for name, listener in config.listeners.items():
        for number, place in enumerate(places(listener.tls) if listener.tls is not None else ()):
            for one in store.take(place).certificates:
                yield ("listeners", name, "tls", "certificates", number), one
    for name, backend in config.backends.items():
        if backend.tls is not None and backend.tls.certificate is not None:
            for one in store.take(Files(path=backend.tls.certificate, key=backend.tls.key)).certificates:
                yield ("backends", name, "tls", "certificate"), one


def unsigned(config: Whole, store: Store) -> Iterator[Problem]:
    """Yield a problem for every certificate whose key does not sign for it. Takes milliseconds for each."""
    from headworks.certificates import soundness

    for path, certificate in presented(config, store):
        if reason := soundness.flaw(certificate):
            yield Problem(path=path, reason=reason)


def anchor(value: Any, directory: Path) -> None:
    """Make the paths of files whole: as they are written, they are relative to ``directory``."""
    if not isinstance(value, dict):
        return
    for section in ("listeners", "backends"):
        below = value.get(section)
        for one in below.values() if isinstance(below, dict) else ():
            tls = one.get("tls") if isinstance(one, dict) else None
            if isinstance(tls, dict):
                _anchor(tls, ("self_signed_ca", "ca", "certificate", "key"), directory)
                _anchor(tls.get("client_certificates"), ("ca", "crl"), directory)
                _anchor_certificates(tls, directory)


def _anchor(table: Any, keys: Iterable[str], directory: Path) -> None:
    for key in keys:
        if isinstance(table, dict) and key in table:
            table[key] = _whole(table[key], directory)


def _anchor_certificates(tls: dict[str, Any], directory: Path) -> None:
    written = tls.get("certificates")
    for one in written if isinstance(written, list) else [written]:
        _anchor(one, CertificateFiles.model_fields, directory)
    if "certificates" in tls:
        tls["certificates"] = _whole(written, directory)


def _whole(value: Any, directory: Path) -> Any:
    if isinstance(value, list):
        return [_whole(item, directory) for item in value]
    return str(directory / value) if isinstance(value, PathLike) or (isinstance(value, str) and value) else value


def _host(address: str) -> str:
    """Return the host of a server, as it is written; nothing of a service, a socket or a reference."""
    if address.startswith(("srv:", "unix:")) or reference(address) is not None:
        return ""
    host, _, port = address.rpartition(":")
    return host if port.isdigit() else address
