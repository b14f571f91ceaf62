"""OCSP responses (RFC 6960) that are stapled: read, and checked against the certificate they speak of."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509 import ocsp

from headworks.certificates import pem
from headworks.certificates.names import NONSENSE


def read(file: str) -> bytes:
    """Return the response in a file, DER. Raises ValueError with a reason that names the file."""
    content = pem.read(Path(file))
    try:
        response = ocsp.load_der_ocsp_response(content)
    except NONSENSE:
        raise ValueError(f'"{file}" is no OCSP response in DER') from None
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f'"{file}" is an OCSP response that says only {response.response_status.name.lower()}')
    return content


def speaks_of(response: bytes, certificate: x509.Certificate) -> bool:
    """Whether a response is about a certificate."""
    return any(one.serial_number == certificate.serial_number for one in _answers(response))


def flaw(response: bytes, certificate: x509.Certificate) -> str | None:
    """Say why a response about ``certificate`` is not to be sent; None when it is."""
    now = datetime.now(UTC)
    for one in _answers(response):
        if one.serial_number != certificate.serial_number:
            continue
        if one.next_update_utc is not None and one.next_update_utc < now:
            return f"is outdated: a newer one was due on {one.next_update_utc:%Y-%m-%d}"
        if one.this_update_utc > now:
            return f"is of the future: {one.this_update_utc:%Y-%m-%d}"
    return None


def is_revoked(response: bytes, certificate: x509.Certificate) -> bool:
    """Whether a response says that a certificate was revoked."""
    answers = (one for one in _answers(response) if one.serial_number == certificate.serial_number)
    return any(one.certificate_status is ocsp.OCSPCertStatus.REVOKED for one in answers)


def end(response: bytes) -> datetime | None:
    """Return when a newer response is due."""
    ends = [one.next_update_utc for one in _answers(response) if one.next_update_utc is not None]
    return min(ends, default=None)


def _answers(response: bytes) -> list[ocsp.OCSPSingleResponse]:
    try:
        return list(ocsp.load_der_ocsp_response(response).responses)
    except NONSENSE:
        return []
