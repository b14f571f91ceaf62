"""Private keys: which kinds can be used, and what tells that one belongs to a certificate.

Must never write a key anywhere.
"""

from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
LEAST_RSA = 2048
MOST_RSA = 8192

LABELS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
"""PKCS #8, PKCS #1 and SEC 1."""


@dataclass(frozen=True, slots=True)
class Key:
    """A private key: where it was read, its public half (SubjectPublicKeyInfo) and itself (PKCS #8)."""

    file: str
    public: bytes
    der: bytes = field(repr=False)
    kind: str
    flaw: str | None
    """Return why it cannot be used."""


def load(file: str, der: bytes) -> Key:
    """Read a key. Raises ValueError when it is none, with a reason."""
    try:
        # That the parts of an RSA key fit together takes longer than all the rest, and is found out by signing with it.
        private = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm:
        raise ValueError("is of a kind that is not known") from None
    except (ValueError, TypeError):
        raise ValueError("is damaged") from None
    public = private.public_key()
    usable = isinstance(private, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey)
    return Key(
        file=file,
        public=public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        der=private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) if usable else der,
        kind=kind(public),
        flaw=flaw(public),
    )


def kind(public: object) -> str:
    """Name the kind of a key: ``RSA 2048``, ``ECDSA P-256``, ``Ed25519``."""
    match public:
        case RSAPublicKey():
            return f"RSA {public.key_size}"
        case EllipticCurvePublicKey():
            return f"ECDSA {CURVES.get(public.curve.name, public.curve.name)}"
        case _:
            return type(public).__name__.removesuffix("PublicKey").lstrip("_")


def flaw(public: object) -> str | None:
    """Say why TLS cannot be spoken with a key."""
    match public:
        case RSAPublicKey() if public.key_size < LEAST_RSA:
            return f"is too weak: RSA of {public.key_size} bits; {LEAST_RSA} are the least"
        case RSAPublicKey() if public.key_size > MOST_RSA:
            return f"is too long: RSA of {public.key_size} bits; {MOST_RSA} are the most"
        case EllipticCurvePublicKey() if public.curve.name not in CURVES:
            return f"is on the curve {public.curve.name}, which TLS does not use; known: {', '.join(CURVES.values())}"
        case RSAPublicKey() | EllipticCurvePublicKey() | Ed25519PublicKey():
            return None
        case _:
            return f"is of a kind that TLS here does not use ({kind(public)}); known: RSA, ECDSA, Ed25519"
