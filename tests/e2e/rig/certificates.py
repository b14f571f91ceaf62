"""Certificates for tests, made when they are needed: authorities, intermediates, leaves of any age, keys, lists."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

DAY = timedelta(days=1)


class Issued:
    """A certificate and its key, which may sign others."""

    def __init__(self, certificate: x509.Certificate, key: Any, chain: tuple["Issued", ...] = ()) -> None:
        self.certificate = certificate
        self.key = key
        self.chain = chain

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def chain_pem(self) -> str:
        """The certificate and its intermediates."""
        return self.pem + "".join(one.pem for one in self.chain)

    @property
    def key_pem(self) -> str:
        """The key, PKCS #8."""
        return key_pem(self.key)

    def leaf(self, *names: str, key: Any = None, days: tuple[float, float] = (-1, 90), **more: Any) -> "Issued":
        """Sign for names. ``days`` says from when to when it is valid, counted from now."""
        general = [_general(name) for name in names]
        builder = _builder(names[0], self.certificate.subject, key := key or new_key(), days)
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        return self._sign(builder, key, **more)

    def intermediate(
        self, name: str, days: tuple[float, float] = (-1, 1000), *, key: Any = None, **more: Any
    ) -> "Issued":
        """Sign for another authority."""
        builder = _builder(name, self.certificate.subject, key := key or new_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return self._sign(builder, key, **more)

    def crl(self, *revoked: "Issued", days: tuple[float, float] = (-1, 30), number: int | None = 1) -> str:
        """Sign a revocation list."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now + days[0] * DAY).next_update(now + days[1] * DAY)
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(now - DAY).build())
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM).decode()

    def ocsp(self, about: "Issued", days: tuple[float, float] = (-1, 7), *, revoked: bool = False) -> bytes:
        """Sign an OCSP response."""
        now = datetime.now(UTC)
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=about.certificate,
            issuer=self.certificate,
            algorithm=SHA256(),
            cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            this_update=now + days[0] * DAY,
            next_update=now + days[1] * DAY,
            revocation_time=now - DAY if revoked else None,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.DER)

    def _sign(
        self, builder: x509.CertificateBuilder, key: Any, *, hash_by: Any = None, fetch: str | None = None
    ) -> "Issued":
        if fetch is not None:
            place = x509.UniformResourceIdentifier(fetch)
            access = [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)]
            builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
        is_root = self.certificate.subject == self.certificate.issuer
        return Issued(builder.sign(self.key, hash_by or SHA256()), key, () if is_root else (self, *self.chain))


def root(name: str = "Test root", days: tuple[float, float] = (-1, 3650)) -> Issued:
    """Make an authority that signs for itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(name, subject, key := new_key(), days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Issued(builder.sign(key, SHA256()), key)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Make an RSA key."""
    return rsa.generate_private_key(65537, bits)


def key_pem(key: Any, *, traditional: bool = False, password: bytes | None = None) -> str:
    """Write a key: PKCS #8, or PKCS #1 and SEC 1."""
    form = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, form, hidden).decode())


def _builder(name: str, issuer: x509.Name, key: Any, days: tuple[float, float]) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now + days[0] * DAY).not_valid_after(now + days[1] * DAY)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
