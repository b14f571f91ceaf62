"""Matching: which certificates of a place are ours to present, with which key; what is wrong and what is doubtful.

Certificates and keys find each other by the public key, so that order and names of files do not matter.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA1

from headworks.certificates import keys as key_kinds
from headworks.certificates import ocsp
from headworks.certificates.certificate import Certificate
from headworks.certificates.chain import Chain, Pool
from headworks.certificates.files import Files
from headworks.certificates.found import Cert, Flaw, Found, Part, Reader
from headworks.certificates.names import NONSENSE, names, shown

SOON = timedelta(days=30)
"""Certificates that end within it are warned of."""


def match(reader: Reader, place: Files) -> tuple[list[Certificate], list[Flaw]]:
    """Return the certificates of a place with their keys, and what is wrong with it."""
    found = reader.place(place.path)
    certificates = list({one.der: one for one in found.certificates}.values())
    flaws = list(found.flaws)
    keys = {key.public: key for key in found.keys}
    if place.key is not None:
        apart = reader.place(place.key)
        keys |= {key.public: key for key in apart.keys}
        flaws += [replace(flaw, part="key") for flaw in apart.flaws]
        if not apart.keys and not apart.flaws:
            flaws.append(Flaw(file=place.key, reason=f'"{place.key}" has no private key', part="key"))
    flaws = flaws or list(_unmatched(place, certificates, Found(keys=list(keys.values()))))
    if any(not flaw.is_warning for flaw in flaws):
        return [], flaws
    leaves = [one for one in certificates if one.public in keys]
    pool = Pool(certificates)
    chains = [pool.chain(leaf) for leaf in leaves]
    for chain in chains:
        flaws += _chain_flaws(chain)
    flaws += _strangers(place, certificates, chains)
    response, about, said = _stapled(place, leaves)
    matched = [
        Certificate.of(chain, keys[leaf.public].der, response if leaf is about else None)
        for leaf, chain in zip(leaves, chains, strict=True)
    ]
    return matched, flaws + said


def look(reader: Reader, place: str) -> tuple[list[Certificate], list[Flaw]]:
    """Return the certificates of a file or directory for people to look at: keys are not needed."""
    found = reader.place(place)
    certificates = list({one.der: one for one in found.certificates}.values())
    pool = Pool(certificates)
    chains = [pool.chain(leaf) for leaf in _ends(certificates) or certificates]
    flaws = list(found.flaws)
    if not certificates and not flaws:
        flaws.append(Flaw(file=place, reason=f'"{place}" has no certificate'))
    for chain in chains:
        flaws += [replace(flaw, is_warning=True) for flaw in _chain_flaws(chain)]
    return [Certificate.of(chain, b"") for chain in chains], flaws


def title(certificate: Cert) -> str:
    """Return what people call a certificate: its first name, or its subject."""
    first = None if certificate.is_authority else next(iter(names(certificate.x509)), None)
    return first or shown(certificate.x509.subject)


def _ends(certificates: list[Cert]) -> list[Cert]:
    """Return those that signed for no other here and are no authorities."""
    issuers = {one.issuer for one in certificates if not one.is_self_issued}
    return [one for one in certificates if not one.is_authority and one.subject not in issuers]


def _unmatched(place: Files, certificates: list[Cert], found: Found) -> Iterator[Flaw]:
    """Report what lacks its other half, and keys that cannot be used."""
    publics = {one.public for one in certificates}
    keys = {key.public for key in found.keys}
    if not certificates:
        only = ' but a key: write { certificate = ..., key = "' + place.path + '" }' if keys else ""
        yield Flaw(file=place.path, reason=f'"{place.path}" has no certificate{only}')
        return
    ours = [one for one in certificates if one.public in keys]
    if not ours:
        first = (_ends(certificates) or certificates)[0]
        yield _no_key(place, first, found)
        return
    for one in _ends(certificates):
        if one.public not in keys:
            yield Flaw(file=one.file, reason=f'there is no key for "{title(one)}" in "{one.file}"')
    for key in found.keys:
        if key.public not in publics:
            yield Flaw(file=key.file, reason=f'the key in "{key.file}" belongs to no certificate here', is_warning=True)
        elif key.flaw is not None:
            part: Part = "key" if key.file == place.key else "certificate"
            yield Flaw(file=key.file, reason=f'the key in "{key.file}" {key.flaw}', part=part)


def _no_key(place: Files, certificate: Cert, found: Found) -> Flaw:
    named = f'"{title(certificate)}" in "{certificate.file}"'
    if weak := key_kinds.flaw(_public(certificate)):
        return Flaw(file=certificate.file, reason=f"the key of {named} {weak}")
    if found.keys:
        file = found.keys[0].file
        part: Part = "key" if place.key is not None else "certificate"
        return Flaw(
            file=file, reason=f'the key in "{file}" belongs to another certificate than that of {named}', part=part
        )
    near = _key_beside(Path(place.path))
    hint = f'; is it in "{near}"? Write {{ certificate = "{place.path}", key = "{near}" }}' if near else ""
    return Flaw(file=place.path, reason=f"there is no key for {named}{hint}")


def _public(certificate: Cert) -> object:
    try:
        return certificate.x509.public_key()
    except NONSENSE:
        return None


def _key_beside(file: Path) -> Path | None:
    """Return where people usually keep the key of a file with a certificate."""
    names_of_keys = (
        f"{file.stem}.key",
        f"{file.stem}.key.pem",
        f"{file.name}.key",
        f"{file.stem}-key.pem",
        "privkey.pem",
    )
    return next(
        (beside for name in names_of_keys if (beside := file.with_name(name)).is_file() and beside != file), None
    )


def _chain_flaws(chain: Chain) -> Iterator[Flaw]:
    """Report what is wrong with a chain or with the times and signatures in it."""
    leaf = chain.certificates[0]
    if chain.said is not None:
        reason = f'"{title(leaf)}" in "{leaf.file}": {chain.said}'
        yield Flaw(file=leaf.file, reason=reason, is_warning=chain.state != "broken")
    for one in chain.certificates:
        for said in _doubts(one):
            what = f'"{title(one)}" in "{one.file}"' + ("" if one is leaf else f', an intermediate of "{title(leaf)}",')
            yield Flaw(file=one.file, reason=f"{what} {said}", is_warning=True)


def _doubts(certificate: Cert) -> Iterator[str]:
    now = datetime.now(UTC)
    begins, ends = certificate.x509.not_valid_before_utc, certificate.x509.not_valid_after_utc
    if ends < now:
        yield f"expired on {ends:%Y-%m-%d}; it is served all the same"
    elif ends - now < SOON:
        yield f"expires on {ends:%Y-%m-%d}, in {_days((ends - now).days)}"
    if begins > now:
        yield f"is not valid before {begins:%Y-%m-%d %H:%M} UTC; it is served all the same"
    if not certificate.is_self_issued and _is_by_sha1(certificate):
        yield "is signed with SHA-1, which clients do not believe any more"


def _is_by_sha1(certificate: Cert) -> bool:
    try:
        return isinstance(certificate.x509.signature_hash_algorithm, SHA1)
    except NONSENSE:
        return False


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _strangers(place: Files, certificates: list[Cert], chains: list[Chain]) -> Iterator[Flaw]:
    """An intermediate that belongs to nobody, in the file of one whose own is missing, is the wrong one."""
    open_chains = [chain for chain in chains if chain.state == "private" and len(chain.certificates) == 1]
    if Path(place.path).is_dir() or not open_chains:
        return
    used = {one.der for chain in chains for one in chain.certificates}
    for one in certificates:
        if one.is_authority and one.der not in used:
            leaf = open_chains[0].certificates[0]
            issuer = shown(open_chains[0].certificates[-1].x509.issuer)
            reason = f'"{title(leaf)}" in "{leaf.file}": its issuer is "{issuer}", but the file has "{title(one)}"'
            yield Flaw(file=leaf.file, reason=reason, is_warning=True)


def _stapled(place: Files, leaves: list[Cert]) -> tuple[bytes | None, Cert | None, list[Flaw]]:
    """The response to staple, the certificate it is about, and what is to be said of it."""
    if place.ocsp is None:
        return None, None, []
    try:
        response = ocsp.read(place.ocsp)
    except ValueError as error:
        return None, None, [Flaw(file=place.ocsp, reason=str(error), part="ocsp")]
    about = next((leaf for leaf in leaves if ocsp.speaks_of(response, leaf.x509)), None)
    said = f"is about another certificate than {title(leaves[0])}" if about is None else ocsp.flaw(response, about.x509)
    if said is not None:
        reason = f'the OCSP response in "{place.ocsp}" {said}; it is not stapled'
        return None, None, [Flaw(file=place.ocsp, reason=reason, part="ocsp", is_warning=True)]
    if about is not None and ocsp.is_revoked(response, about.x509):
        reason = f'"{title(about)}" in "{about.file}" was revoked, says the OCSP response in "{place.ocsp}"'
        return response, about, [Flaw(file=place.ocsp, reason=reason, part="ocsp", is_warning=True)]
    return response, about, []
