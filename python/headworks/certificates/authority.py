"""A throwaway authority, for development: made in memory when it is first asked, gone with the process.

Its certificates are like those of a private authority: clients that are told to trust it believe them.
"""

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from headworks.certificates.certificate import Certificate
from headworks.certificates.chain import Chain
from headworks.certificates.found import Cert

LOCAL = ("localhost", "127.0.0.1", "::1")
"""Every throwaway certificate's names to begin with."""

_PLACE = "self_signed"
_DAYS = 365
_MOST_NAMES = 100
"""Names of one certificate at most: it is sent in every handshake."""
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class Authority:
    """Signs throwaway certificates; asked for the same names again it gives the same ones. Safe from any thread."""

    def __init__(self, name: str = "Headworks throwaway authority") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._made: dict[tuple[str, ...], tuple[Certificate, ...]] = {}
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._certificate: x509.Certificate | None = None

    def certificates(self, names: Iterable[str]) -> tuple[Certificate, ...]:
        """Return certificates for this machine's own names and ``names``."""
        wanted = tuple(dict.fromkeys([*LOCAL, *(name.lower() for name in names)]))
        with self._lock:
            if wanted not in self._made:
                parts = (wanted[at : at + _MOST_NAMES] for at in range(0, len(wanted), _MOST_NAMES))
                self._made[wanted] = tuple(self._issue(part, f"Headworks {part[0]}") for part in parts)
            return self._made[wanted]

    def issue(self, *names: str) -> Certificate:
        """Return a new certificate, with a key of its own, for ``names`` and no others."""
        with self._lock:
            return self._issue(names, names[0])

    def pem(self) -> str:
        """Return the authority's own certificate, for clients to trust."""
        with self._lock:
            return self._own()[1].public_bytes(Encoding.PEM).decode()

    def _own(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        if self._key is None or self._certificate is None:
            self._key = ec.generate_private_key(ec.SECP256R1())
            subject = _name(self._name)
            builder = _builder(subject, self._key.public_key()).issuer_name(subject)
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            builder = builder.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
            self._certificate = builder.sign(self._key, SHA256())
        return self._key, self._certificate

    def _issue(self, names: tuple[str, ...], subject: str) -> Certificate:
        signing, root = self._own()
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(subject), key.public_key()).issuer_name(root.subject)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage("digital_signature"), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
        chain = Chain((Cert(_PLACE, builder.sign(signing, SHA256())),), "private")
        return Certificate.of(chain, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def _builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    # Clocks of clients may be a little behind.
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=_DAYS))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in allowed for usage in _KEY_USAGES})


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
