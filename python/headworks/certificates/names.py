"""Names: whom a certificate is for, and how people read a distinguished name."""

import re

from cryptography import x509
from cryptography.x509.oid import NameOID

_HOST = re.compile(r"(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*|[0-9A-Fa-f:.]+")


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the names a certificate is for, lower-case: DNS names and addresses; lacking both, its common name.

    A common name that is none of a host counts for nothing.
    """
    found: list[str] = []
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found += alternatives.get_values_for_type(x509.DNSName)
        found += map(str, alternatives.get_values_for_type(x509.IPAddress))
    except (x509.ExtensionNotFound, ValueError):
        pass
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
