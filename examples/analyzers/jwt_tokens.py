"""JSON Web Tokens (RFC 7519, HS256): keys are fetched once and again when they are old, never per request."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import headworks

LEEWAY = 30
"""Seconds that clocks may differ."""


class Tokens(headworks.Analyzer):
    """Lets in who shows a token that is signed by a key of ours, and tells the server who that is."""

    def __init__(self, keys: str, audience: str, fresh: int = 300) -> None:
        self.place = Path(__file__).with_name(keys.removeprefix("file:"))
        self.audience = audience
        self.fresh = fresh
        self._keys: dict[str, bytes] = {}
        self._until = 0.0
        self._fetching = asyncio.Lock()

    async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Check the token; a server that gets a request knows whose it is."""
        kind, _, token = exchange.request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return headworks.respond(401, "a token is needed\n", {"WWW-Authenticate": "Bearer"})
        claims = verified(token, await self.keys(), self.audience)
        if claims is None:
            return headworks.respond(401, "no such token\n", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        subject = str(claims.get("sub", ""))
        # A client may have sent the field itself: it is set, not added.
        return headworks.rewrite(set_headers={"X-User": subject}) & headworks.log(user=subject)

    async def keys(self) -> dict[str, bytes]:
        """Return the keys; only one request fetches them, the others wait for it."""
        async with self._fetching:
            if time.monotonic() >= self._until:
                # A file here; an address with an HTTP client of yours works the same way.
                text = await asyncio.to_thread(self.place.read_text)
                self._keys = {name: key.encode() for name, key in json.loads(text).items()}
                self._until = time.monotonic() + self.fresh
            return self._keys


def verified(token: str, keys: dict[str, bytes], audience: str) -> dict[str, Any] | None:
    """Return the claims of a token, or None for one that is not to be believed."""
    try:
        head, claims, signature = token.split(".")
        said = json.loads(decoded(head))
        # The algorithm is ours to choose, not the token's (RFC 8725, section 3.1).
        if said.get("alg") != "HS256" or said.get("kid") not in keys:
            return None
        expected = hmac.new(keys[said["kid"]], f"{head}.{claims}".encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(expected, decoded(signature)):
            return None
        found: dict[str, Any] = json.loads(decoded(claims))
        is_valid = found.get("aud") == audience and float(found.get("exp", 0)) + LEEWAY > time.time()
    except (ValueError, TypeError, AttributeError):
        return None
    return found if is_valid else None


def decoded(part: str) -> bytes:
    """Return what base64url without padding stands for (RFC 7515, section 2)."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
