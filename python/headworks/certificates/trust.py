"""Trust: authorities and revocation lists from files, and the authorities that the system trusts."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from headworks.certificates import pem
from headworks.certificates.found import Cert, Flaw, Reader
from headworks.certificates.names import shown

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Files in which systems keep the authorities that they trust."""


def authorities(reader: Reader, place: str) -> tuple[list[bytes], list[Flaw]]:
    """Return the certificates of a file or directory, encoded, and what is wrong with it."""
    found = reader.place(place)
    flaws = list(found.flaws)
    if not found.certificates and not flaws:
        flaws.append(Flaw(file=place, reason=f'"{place}" has no certificate of an authority'))
    now = datetime.now(UTC)
    flaws += [
        Flaw(
            file=one.file,
            reason=f'the authority "{shown(one.x509.subject)}" in "{one.file}" expired on '
            f"{one.x509.not_valid_after_utc:%Y-%m-%d}",
            is_warning=True,
        )
        for one in found.certificates
        if one.x509.not_valid_after_utc < now
    ]
    flaws += [_nameless(one) for one in found.certificates if one.x509.version is x509.Version.v1]
    return list(dict.fromkeys(one.der for one in found.certificates)), flaws


def _nameless(one: Cert) -> Flaw:
    """Say what a certificate of version 1 is good for: it may be an old authority, or a server's own."""
    reason = (
        f'"{shown(one.x509.subject)}" in "{one.file}" is of version 1, which has no names: those that it signed are '
        "believed, and nobody who presents it itself. For a server's own: "
        "openssl req -x509 -addext subjectAltName=DNS:NAME"
    )
    return Flaw(file=one.file, reason=reason, is_warning=True)


def revocations(reader: Reader, place: str) -> tuple[list[bytes], list[Flaw]]:
    """Return the revocation lists of a file or directory, encoded, and what is wrong with it."""
    found = reader.place(place)
    flaws = list(found.flaws)
    if not found.lists and not flaws:
        flaws.append(Flaw(file=place, reason=f'"{place}" has no revocation list (X509 CRL)'))
    now = datetime.now(UTC)
    for file, one in found.lists:
        title = f'the revocation list of "{shown(one.issuer)}" in "{file}"'
        if lack := _lacks(one):
            flaws.append(Flaw(file=file, reason=f"{title} {lack}"))
        elif one.next_update_utc is not None and one.next_update_utc < now:
            reason = f"{title} is outdated: a newer one was due on {one.next_update_utc:%Y-%m-%d}"
            flaws.append(Flaw(file=file, reason=reason, is_warning=True))
    return [one.public_bytes(Encoding.DER) for _, one in found.lists], flaws


def _lacks(one: x509.CertificateRevocationList) -> str | None:
    """Say what a list lacks that RFC 5280 demands, and those who verify by it, too."""
    if one.next_update_utc is None:
        return "does not say when a newer one is due"
    if not one.extensions:
        return (
            "has no number (RFC 5280, section 5.2.3); OpenSSL gives it one where its configuration names crl_extensions"
        )
    return None


@lru_cache(maxsize=1)
def system_roots() -> tuple[bytes, ...]:
    """Return the certificates of all authorities that the system trusts, encoded; none when it has no list of them.

    ``SSL_CERT_FILE`` is heeded, as OpenSSL does.
    """
    return tuple(dict.fromkeys(ssl.create_default_context().get_ca_certs(binary_form=True))) or tuple(_bundle())


def _bundle() -> Iterator[bytes]:
    for bundle in map(Path, BUNDLES):
        try:
            found = [block.der for block in pem.blocks(bundle) if block.label == "CERTIFICATE"]
        except pem.UnreadableError:
            continue
        if found:
            yield from dict.fromkeys(found)
            return
