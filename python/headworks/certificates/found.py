"""Findings in files: certificates, keys and revocation lists as they are, and what is wrong with them.

A Reader reads every file once. Must never decide what belongs together: that is matching.py's and chain.py's.
"""

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from headworks.certificates import keys, pem
from headworks.certificates.keys import Key
from headworks.certificates.names import NONSENSE, extension

Part = Literal["certificate", "key", "ocsp"]


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """One thing that is wrong, or doubtful, with what was read."""

    file: str
    reason: str
    """One sentence that names the file."""
    part: Part = "certificate"
    """Which of the files of a place it is about."""
    is_warning: bool = False
    """Whether the place can be used all the same."""


@dataclass(frozen=True)
class Cert:
    """An X.509 certificate and where it was read. What is asked of it often is worked out once."""

    file: str
    x509: x509.Certificate

    @cached_property
    def der(self) -> bytes:
        """The whole, encoded."""
        return self.x509.public_bytes(Encoding.DER)

    @cached_property
    def public(self) -> bytes:
        """Return the public key (SubjectPublicKeyInfo); empty when that is of an unknown kind."""
        try:
            return self.x509.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except NONSENSE:
            return b""

    @cached_property
    def subject(self) -> bytes:
        """Return whose it is, encoded."""
        return self.x509.subject.public_bytes()

    @cached_property
    def issuer(self) -> bytes:
        """Return the name of the authority that signed it, encoded."""
        return self.x509.issuer.public_bytes()

    @cached_property
    def is_authority(self) -> bool:
        """Whether it may sign others."""
        constraints = extension(self.x509, x509.BasicConstraints)
        return constraints is not None and constraints.ca

    @property
    def is_self_issued(self) -> bool:
        """Whether it names itself as its issuer: a root, or one that stands for itself."""
        return self.subject == self.issuer


@dataclass
class Found:
    """Contents of one place."""

    certificates: list[Cert] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    lists: list[tuple[str, x509.CertificateRevocationList]] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        """Take in what another has."""
        self.certificates += other.certificates
        self.keys += other.keys
        self.lists += other.lists
        self.flaws += other.flaws


class Reader:
    """Reads files, each of them once, however many places name it, and what is the same in many of them once."""

    def __init__(self) -> None:
        self._files: dict[Path, Found] = {}
        self._parsed: dict[bytes, x509.Certificate] = {}
        self._keys: dict[bytes, Key] = {}

    def place(self, place: str) -> Found:
        """Return what is in a file or directory."""
        found = Found()
        try:
            files = pem.listed(Path(place))
        except pem.UnreadableError as error:
            found.flaws.append(Flaw(file=place, reason=str(error)))
            return found
        for file in files:
            found.add(self._file(file))
        return found

    def _file(self, file: Path) -> Found:
        found = self._files.get(file)
        if found is None:
            found = self._files[file] = self._read(file)
        return found

    def _read(self, file: Path) -> Found:
        found = Found()
        try:
            blocks = pem.blocks(file)
        except pem.UnreadableError as error:
            found.flaws.append(Flaw(file=str(file), reason=str(error)))
            return found
        for block in blocks:
            try:
                self._sort(str(file), block, found)
            except ValueError as error:
                found.flaws.append(Flaw(file=str(file), reason=f'"{file}": {error}'))
        return found

    def _sort(self, file: str, block: pem.Block, found: Found) -> None:
        """Put one block where it belongs; what is of no use here (parameters, public keys) is passed over."""
        match block.label:
            case _ if block.is_encrypted:
                raise ValueError(
                    f"the key is encrypted, and nobody is here to be asked for its password; decrypt it: "
                    f"openssl pkey -in {file} -out {Path(file).with_suffix('.decrypted.key')}"
                )
            case "CERTIFICATE" | "X509 CERTIFICATE":
                if block.der not in self._parsed:
                    self._parsed[block.der] = parse(block.der)
                found.certificates.append(Cert(file, self._parsed[block.der]))
            case label if label in keys.LABELS:
                found.keys.append(self._key(file, block.der))
            case "X509 CRL":
                found.lists.append((file, _list(block.der)))

    def _key(self, file: str, der: bytes) -> Key:
        if der not in self._keys:
            try:
                self._keys[der] = keys.load(file, der)
            except ValueError as error:
                raise ValueError(f"the key {error}") from None
        return replace(self._keys[der], file=file)


def _list(der: bytes) -> x509.CertificateRevocationList:
    try:
        one = x509.load_der_x509_crl(der)
        _ = (one.issuer, one.next_update_utc, one.extensions)
    except NONSENSE:
        raise ValueError("a revocation list is damaged") from None
    return one


def parse(der: bytes) -> x509.Certificate:
    """Read one certificate. Raises ValueError."""
    try:
        with warnings.catch_warnings():
            # Old authorities' serial numbers are not what they should be; nobody can do anything about it.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            certificate = x509.load_der_x509_certificate(der)
        _ = (certificate.subject, certificate.issuer, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    except NONSENSE:
        raise ValueError("a certificate is damaged") from None
    return certificate
