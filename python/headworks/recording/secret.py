"""Secret: what of a recorded request is hashed: values of cookies, and what authorizes.

Owns one key a recording, which is kept nowhere: the same value has the same hash within one file, and no other. Must
never give a value back.
"""

import hashlib
import hmac
import secrets

HIDDEN = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"})
_DIGITS = 16


class Hasher:
    """Hashes with a key of its own."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def field(self, name: str, value: str) -> str:
        """Return a field's value, hashed where it is to be hidden. Names of cookies and schemes stay."""
        if name not in HIDDEN:
            return value
        if name == "cookie":
            return "; ".join(map(self._cookie, value.split(";")))
        scheme, space, rest = value.partition(" ")
        return f"{scheme} {self._hash(rest)}" if space and name.endswith("authorization") else self._hash(value)

    def _cookie(self, pair: str) -> str:
        name, equals, value = pair.strip().partition("=")
        return f"{name}={self._hash(value)}" if equals else self._hash(name)

    def _hash(self, value: str) -> str:
        return hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:_DIGITS]
