"""Soundness: whether the key of a certificate signs, and the certificate's public key verifies it.

A key can be read and still be damaged: its public half fits, its private half does not. Must never sign anything that
somebody else chose.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from headworks.certificates.certificate import Certificate
from headworks.certificates.names import NONSENSE

_SIGNED = b"headworks check"


def flaw(certificate: Certificate) -> str | None:
    """Say why TLS cannot be spoken with a certificate's key; None when it signs and fits, or there is no key."""
    if not certificate.key:
        return None
    named = f'the key of "{certificate.title}" in "{certificate.place}"'
    try:
        public = x509.load_der_x509_certificate(certificate.chain[0]).public_key()
        private = load_der_private_key(certificate.key, None, unsafe_skip_rsa_key_validation=True)
        _verify(public, private)
    except InvalidSignature:
        return f"{named} does not belong to it: what it signs is not verified by the certificate"
    except NONSENSE:
        return f"{named} cannot sign: it is damaged"
    return None


def _verify(public: object, private: object) -> None:
    """Sign and verify. Raises InvalidSignature; one of NONSENSE when the key is damaged."""
    match private, public:
        case RSAPrivateKey(), RSAPublicKey():
            padding = PSS(mgf=MGF1(SHA256()), salt_length=PSS.DIGEST_LENGTH)
            public.verify(private.sign(_SIGNED, padding, SHA256()), _SIGNED, padding, SHA256())
        case EllipticCurvePrivateKey(), EllipticCurvePublicKey():
            public.verify(private.sign(_SIGNED, ECDSA(SHA256())), _SIGNED, ECDSA(SHA256()))
        case Ed25519PrivateKey(), Ed25519PublicKey():
            public.verify(private.sign(_SIGNED), _SIGNED)
        case _:
            raise InvalidSignature
