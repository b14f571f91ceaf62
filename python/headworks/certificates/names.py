"""Names: whom a certificate is for, how people read a distinguished name; and extensions, which may be damaged.

What a certificate is made of is decoded when it is asked for, and may turn out to be nonsense only then.
"""

import re
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

_HOST = re.compile(r"(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*|[0-9A-Fa-f:.]+")

NONSENSE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""Errors that decoding raises."""

E = TypeVar("E", bound=x509.ExtensionType)


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """Return an extension; None when it is not there or cannot be decoded."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, *NONSENSE):
        return None


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the names a certificate is for, lower-case: DNS names and addresses; lacking both, its common name.

    A common name that is none of a host counts for nothing.
    """
    found: list[str] = []
    if (alternatives := extension(certificate, x509.SubjectAlternativeName)) is not None:
        found += alternatives.get_values_for_type(x509.DNSName)
        found += map(str, alternatives.get_values_for_type(x509.IPAddress))
    if not found and (common := common_name(certificate.subject)) and _HOST.fullmatch(common):
        found.append(common)
    return tuple(dict.fromkeys(name.lower() for name in found))


def common_name(name: x509.Name) -> str | None:
    """Return the common name of a distinguished name."""
    attributes = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if attributes else None


def shown(name: x509.Name) -> str:
    """Show a distinguished name shortly: its common name, or the whole (RFC 4514)."""
    return common_name(name) or name.rfc4514_string() or "(no name)"
