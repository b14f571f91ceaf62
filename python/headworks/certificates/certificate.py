"""Certificate: one that we present, with its key and everything that is to be told of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509

from headworks.certificates import keys, ocsp, pem
from headworks.certificates.chain import Chain, State
from headworks.certificates.names import NONSENSE, names, shown


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate, its chain and its key."""

    place: str
    """The file it was read from, or what made it."""
    names: tuple[str, ...]
    """DNS names and addresses that it is for, lower-case."""
    chain: tuple[bytes, ...] = field(repr=False)
    """Itself and its intermediates, encoded."""
    key: bytes = field(repr=False)
    """The private key, PKCS #8; empty where it was not asked for."""
    ocsp: bytes | None = field(default=None, repr=False)
    """The response that is stapled."""
    issuer: str
    """Short name of the authority that signed it."""
    kind: str
    """The kind of its key: ``ECDSA P-256``."""
    not_before: datetime
    not_after: datetime
    """The end of its validity."""
    state: State
    """Whether clients can follow its chain."""

    @classmethod
    def of(cls, chain: Chain, key: bytes, ocsp: bytes | None = None) -> "Certificate":
        """Make one of a chain."""
        leaf = chain.certificates[0]
        return cls(
            place=leaf.file,
            names=names(leaf.x509),
            chain=tuple(one.der for one in chain.certificates),
            key=key,
            ocsp=ocsp,
            issuer=shown(leaf.x509.issuer),
            kind=kind(leaf.x509),
            not_before=leaf.x509.not_valid_before_utc,
            not_after=leaf.x509.not_valid_after_utc,
            state=chain.state,
        )

    def pem(self) -> str:
        """Return its key, itself and its intermediates as PEM."""
        return pem.write("PRIVATE KEY", self.key) + "".join(pem.write("CERTIFICATE", der) for der in self.chain)

    @property
    def title(self) -> str:
        """Return what people call it: its first name, or else the subject."""
        return self.names[0] if self.names else "(no name)"

    @property
    def ocsp_until(self) -> datetime | None:
        """Return when a newer OCSP response is due than the one that is stapled."""
        return ocsp.end(self.ocsp) if self.ocsp is not None else None

    @property
    def days_left(self) -> int:
        """Whole days until it ends; negative when it has ended."""
        return (self.not_after - datetime.now(UTC)).days


def kind(certificate: x509.Certificate) -> str:
    """Name the kind of a certificate's key."""
    try:
        return keys.kind(certificate.public_key())
    except NONSENSE:
        return "unknown"
