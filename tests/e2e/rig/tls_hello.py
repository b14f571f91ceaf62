"""Hellos that offer exactly what a test wants, and what a server makes of them (RFC 5246 and RFC 8446, section 4.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rig.clients import Target, connect
from rig.hello import records, server_name

ALERT, HANDSHAKE = 21, 22

SCHEMES = (0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201, 0x0203)
"""Signatures: ECDSA, RSA-PSS, PKCS #1, and those of SHA-1."""
GROUPS = (0x001D, 0x0017, 0x0018, 0x0019, 0x0100)
"""Key exchange: X25519, P-256, P-384, P-521, ffdhe2048."""
X25519, X25519MLKEM768 = 0x001D, 0x11EC

_POINT = (9).to_bytes(32, "little")
"""A key of X25519 that everybody may have."""
_SHARES = {X25519: _POINT, X25519MLKEM768: bytes(1184) + _POINT}
"""All zeros is a key of ML-KEM-768, too: every coefficient is below the modulus."""


def _vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width) + content


def _extension(number: int, content: bytes) -> bytes:
    return number.to_bytes(2) + _vector(2, content)


def _numbers(values: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(2) for value in values)


@dataclass(kw_only=True)
class Offer:
    """What a client offers. ``versions`` are those of the extension; without it ``version`` is all that is said."""

    suites: Sequence[int]
    version: int = 0x0303
    versions: Sequence[int] = ()
    groups: Sequence[int] = GROUPS
    shares: Sequence[int] = ()
    schemes: Sequence[int] = SCHEMES
    compression: bytes = b"\0"
    name: str | None = "a.test"
    renegotiation: bool = True
    """Whether it says that it knows of renegotiation (RFC 5746)."""

    def message(self) -> bytes:
        """The ClientHello in its record."""
        extensions = server_name(self.name.encode()) if self.name else b""
        extensions += _extension(10, _vector(2, _numbers(self.groups))) + _extension(11, b"\x01\x00")
        if self.version >= 0x0303:
            extensions += _extension(13, _vector(2, _numbers(self.schemes)))
        extensions += _extension(23, b"") + _extension(35, b"")
        if self.versions:
            extensions += _extension(43, _vector(1, _numbers(self.versions)))
        if self.shares:
            keys = b"".join(share.to_bytes(2) + _vector(2, _SHARES[share]) for share in self.shares)
            extensions += _extension(51, _vector(2, keys)) + _extension(45, b"\x01\x01")
        if self.renegotiation:
            extensions += _extension(0xFF01, b"\0")
        body = self.version.to_bytes(2) + bytes(range(32)) + _vector(1, bytes(32)) + _vector(2, _numbers(self.suites))
        body += _vector(1, self.compression) + _vector(2, extensions)
        return records(b"\x01" + _vector(3, body))


@dataclass(kw_only=True)
class Reply:
    """The first that a server says: an alert, or a ServerHello."""

    alert: int | None = None
    version: int = 0
    suite: int = 0
    compression: int = 0
    extensions: dict[int, bytes] = field(default_factory=dict)

    @property
    def group(self) -> int | None:
        """The group of the server's share (TLS 1.3)."""
        share = self.extensions.get(51)
        return int.from_bytes(share[:2]) if share else None


def offer(target: Target, offered: Offer) -> Reply:
    """Say hello and read what comes first; closing without a word is an error."""
    with connect(target) as client:
        client.sendall(offered.message())
        received = b""
        while len(received) < 5 or len(received) < 5 + int.from_bytes(received[3:5]):
            more = client.recv(1 << 16)
            assert more, f"it ended after {received!r}"
            received += more
    return _read(received)


def _read(received: bytes) -> Reply:
    kind, body = received[0], received[5:]
    if kind == ALERT:
        assert body[0] == 2, "fatal"
        return Reply(alert=body[1])
    assert (kind, body[0]) == (HANDSHAKE, 2), received[:16]
    hello = body[4 : 4 + int.from_bytes(body[1:4])]
    at = 35 + hello[34]
    reply = Reply(
        version=int.from_bytes(hello[:2]), suite=int.from_bytes(hello[at : at + 2]), compression=hello[at + 2]
    )
    rest = hello[at + 5 :]
    while rest:
        size = int.from_bytes(rest[2:4])
        reply.extensions[int.from_bytes(rest[:2])] = rest[4 : 4 + size]
        rest = rest[4 + size :]
    if 43 in reply.extensions:
        reply.version = int.from_bytes(reply.extensions[43])
    return reply
