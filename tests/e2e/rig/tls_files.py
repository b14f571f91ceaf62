"""What tests of TLS present and trust, as files: one authority a session, and leaves that are made once a name."""

import ssl
from pathlib import Path
from typing import Any

from rig.certificates import Issued, new_key, root, rsa_key


class Pki:
    """An authority with an intermediate, and files of what they sign."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = root("Test root")
        self.intermediate = self.root.intermediate("Test intermediate")
        self.ca = self.write("ca.pem", self.root.pem)
        """Who clients trust."""
        self._issued: dict[tuple[Any, ...], Issued] = {}

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of that name, at once whole."""
        return replace(self.directory / name, content)

    def issue(self, *names: str, rsa: bool = False, days: tuple[float, float] = (-1, 90)) -> Issued:
        """Issue for names, by the intermediate; the same ones for the same names."""
        key = (*names, rsa, days)
        if key not in self._issued:
            self._issued[key] = self.intermediate.leaf(*names, key=rsa_key() if rsa else new_key(), days=days)
        return self._issued[key]

    def pem(self, *names: str, rsa: bool = False, days: tuple[float, float] = (-1, 90)) -> str:
        """Issue for names; the path of a file with chain and key."""
        issued = self.issue(*names, rsa=rsa, days=days)
        file = f"{issued.certificate.serial_number:x}.pem"
        return str(self.write(file, issued.chain_pem + issued.key_pem))

    def server(self, *names: str, rsa: bool = False, days: tuple[float, float] = (-1, 90)) -> ssl.SSLContext:
        """What an origin presents."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.pem(*names, rsa=rsa, days=days))
        return tls

    def client(
        self, *, version: str | None = None, certificate: str | Path | None = None, alpn: tuple[str, ...] = ()
    ) -> ssl.SSLContext:
        """What a client trusts, offers (TLS "1.2" or "1.3", by default both) and presents."""
        tls = ssl.create_default_context(cafile=str(self.ca))
        if version:
            only = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
            tls.minimum_version = tls.maximum_version = only
        if certificate:
            tls.load_cert_chain(certificate)
        if alpn:
            tls.set_alpn_protocols(list(alpn))
        return tls


def replace(file: Path, content: str | bytes) -> Path:
    """Put a whole new file in the place of another, as those who renew certificates do."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_bytes(content.encode() if isinstance(content, str) else content)
    return fresh.replace(file)
