"""Sessions: what browsers have instead of a token in every request, and how often secrets may be guessed.

Owns cookies' secrets and the counts of failures, both bounded. Must never outlive a token: one that is gone from the
file ends its sessions.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from headworks.config.tokens import Token, Tokens

COOKIE = "headworks_session"
LASTS = 12 * 3600
"""Seconds that a session lasts."""
_MOST = 256
"""Sessions, and clients that are counted, at most: the oldest go."""
FAILURES = 10
"""Wrong secrets that one client may give in a minute."""
_MINUTE = 60.0

Clock = Callable[[], float]


class Sessions:
    """The sessions that are open."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[str, tuple[Token, float]] = OrderedDict()

    def begin(self, token: Token) -> str:
        """Begin one; returns what its cookie has."""
        secret = secrets.token_urlsafe(32)
        self._open[_digest(secret)] = (token, self._clock() + LASTS)
        while len(self._open) > _MOST:
            self._open.popitem(last=False)
        return secret

    def find(self, secret: str, tokens: Tokens) -> Token | None:
        """Return the token of a session; None where there is none, or its token is no more what it was."""
        token, until = self._open.get(_digest(secret), (None, 0.0))
        if token is None or until < self._clock() or token not in tuple(tokens):
            return None
        return token

    def end(self, secret: str) -> None:
        """End one."""
        self._open.pop(_digest(secret), None)


class Failures:
    """Counts of wrong secrets by client."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._counted: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Return how many seconds a client must wait before it may try again; 0 for now."""
        count, until = self._counted.get(_place(client), (0, 0.0))
        return max(0.0, until - self._clock()) if count >= FAILURES else 0.0

    def add(self, client: str) -> None:
        """Count one."""
        place = _place(client)
        count, until = self._counted.pop(place, (0, 0.0))
        now = self._clock()
        self._counted[place] = (count + 1, until) if until > now else (1, now + _MINUTE)
        while len(self._counted) > _MOST:
            self._counted.popitem(last=False)


def _place(client: str) -> str:
    """Return what a client is counted by: an IPv6 client has a whole /64 to come from."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return client


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
