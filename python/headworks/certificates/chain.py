"""Chains: from a certificate to those who signed for it, as far as they are there, whatever the order of the file.

A chain ends at a root, which is not sent, since clients have it or do not believe it. Must never read a file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import AuthorityInformationAccessOID

from headworks.certificates.found import Cert, parse
from headworks.certificates.names import NONSENSE, extension, shown

State = Literal["complete", "private", "incomplete", "broken"]
"""complete: it ends at a root that is here or that the system has. private: its last issuer is not here and it says
nowhere that it could be fetched, as with private authorities. incomplete: an intermediate is missing. broken: somebody
of the issuer's name is here and did not sign."""

_LONGEST = 10


@dataclass(frozen=True)
class Chain:
    """A certificate and its intermediates, itself first."""

    certificates: tuple[Cert, ...]
    state: State
    said: str | None = None
    """Say what is wrong with it when it is incomplete or broken."""


class Pool:
    """Certificates of one place, by the name of their subjects."""

    def __init__(self, certificates: Iterable[Cert]) -> None:
        self._by_subject: dict[bytes, list[Cert]] = {}
        for certificate in certificates:
            self._by_subject.setdefault(certificate.subject, []).append(certificate)

    def chain(self, leaf: Cert) -> Chain:
        """Follow the issuers of ``leaf``."""
        chain = [leaf]
        while not chain[-1].is_self_issued and len(chain) < _LONGEST:
            last = chain[-1]
            named = [one for one in self._by_subject.get(last.issuer, ()) if one not in chain]
            signer = next((one for one in named if _signed(one, last)), None)
            if signer is None:
                return _open(chain, named)
            chain.append(signer)
        sent = chain[:-1] if len(chain) > 1 and chain[-1].is_self_issued else chain
        return Chain(tuple(sent), "complete")


def _signed(issuer: Cert, certificate: Cert) -> bool:
    try:
        certificate.x509.verify_directly_issued_by(issuer.x509)
    except (InvalidSignature, *NONSENSE):
        return False
    return True


def _open(chain: list[Cert], named: list[Cert]) -> Chain:
    """A chain whose last issuer is not there."""
    last = chain[-1]
    issuer = shown(last.x509.issuer)
    if named:
        subject = shown(last.x509.subject)
        said = f'"{issuer}" in "{named[0].file}" did not sign "{subject}" in "{last.file}", which names it'
        return Chain(tuple(chain), "broken", said)
    if last.issuer in _known_roots():
        return Chain(tuple(chain), "complete")
    if (address := _fetched_at(last.x509)) is None:
        return Chain(tuple(chain), "private")
    said = f'the chain is incomplete: the intermediate "{issuer}" is missing; it can be fetched at {address}'
    return Chain(tuple(chain), "incomplete", said)


def _fetched_at(certificate: x509.Certificate) -> str | None:
    """Return where a certificate says that its issuer's can be fetched."""
    access = extension(certificate, x509.AuthorityInformationAccess)
    places = (
        one.access_location for one in access or () if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    )
    return next((place.value for place in places if isinstance(place, x509.UniformResourceIdentifier)), None)


@lru_cache(maxsize=1)
def _known_roots() -> frozenset[bytes]:
    """Names of the authorities that the system trusts: they never change while we run."""
    from headworks.certificates.trust import system_roots

    found = set()
    for der in system_roots():
        try:
            found.add(parse(der).subject.public_bytes())
        except ValueError:
            continue
    return frozenset(found)
