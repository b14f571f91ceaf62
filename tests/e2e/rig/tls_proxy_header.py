"""PROXY headers of version 2 as a server reads them (section 2.2 of the specification), by a parser of our own."""

import ipaddress
import struct
from dataclasses import dataclass, field

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, CHECKSUM, SSL = 0x01, 0x02, 0x03, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER = 0x21, 0x22, 0x23


@dataclass(kw_only=True)
class Header:
    """A header."""

    source: str = ""
    source_port: int = 0
    target_port: int = 0
    values: dict[int, bytes] = field(default_factory=dict)
    """Extensions by type; those within SSL beside the others."""
    flags: int = 0
    """The bits of SSL: over TLS 1, a certificate came on this connection 2, or in this session 4."""
    verified: bool = False
    """Whether the client showed a certificate that was verified."""
    rest: bytes = b""
    """What follows it."""


def read(received: bytes) -> Header:
    """Read a header and what follows."""
    assert received.startswith(SIGNATURE), received[:32]
    assert received[12] == 0x21, "version 2, PROXY"
    size = int.from_bytes(received[14:16])
    block, header = received[16 : 16 + size], Header(rest=received[16 + size :])
    assert len(block) == size
    width = {0x11: 4, 0x21: 16}[received[13]]
    header.source = str(ipaddress.ip_address(block[:width]))
    header.source_port, header.target_port = struct.unpack("!HH", block[2 * width : 2 * width + 4])
    header.values = _values(block[2 * width + 4 :])
    if ssl := header.values.get(SSL):
        header.flags, header.verified = ssl[0], int.from_bytes(ssl[1:5]) == 0
        header.values |= _values(ssl[5:])
    return header


def _values(block: bytes) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    while block:
        kind, size = block[0], int.from_bytes(block[1:3])
        assert kind not in values
        assert len(block) >= 3 + size
        values[kind], block = block[3 : 3 + size], block[3 + size :]
    return values
