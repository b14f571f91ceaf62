"""TLS ClientHellos to the byte (RFC 8446 section 4.1.2), and other things that clients begin with."""

import itertools
import struct
from collections.abc import Sequence

HANDSHAKE_FAILURE = bytes([21, 3, 1, 0, 2, 2, 40])
INTERNAL_ERROR = bytes([21, 3, 1, 0, 2, 2, 80])
UNRECOGNIZED_NAME = bytes([21, 3, 1, 0, 2, 2, 112])

SSLV2 = bytes.fromhex("802e0103010015000000100100800300800700c006004002008004008000") + bytes(range(1, 19))
"""An SSLv2 hello that offers TLS 1.0: no extensions, so no name."""


def _vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width) + content


def _extension(number: int, content: bytes) -> bytes:
    return number.to_bytes(2) + _vector(2, content)


def server_name(name: bytes) -> bytes:
    """The server_name extension (RFC 6066 section 3) with one host name."""
    return _extension(0, _vector(2, b"\0" + _vector(2, name)))


def handshake(name: str | bytes | None, *, key_share: int = 32, extra: bytes = b"") -> bytes:
    """A ClientHello message without records. ``key_share`` is the length of the key: 1216 is X25519MLKEM768."""
    extensions = b"" if name is None else server_name(name.encode() if isinstance(name, str) else name)
    extensions += _extension(43, _vector(1, bytes.fromhex("03040303")))
    extensions += _extension(10, _vector(2, bytes.fromhex("11ec001d")))
    extensions += _extension(51, _vector(2, bytes.fromhex("11ec") + _vector(2, bytes(key_share))))
    extensions += _extension(16, _vector(2, _vector(1, b"h2") + _vector(1, b"http/1.1")))
    extensions += extra
    body = b"\x03\x03" + bytes(range(32)) + _vector(1, bytes(32)) + _vector(2, bytes.fromhex("130113021303c02f"))
    body += b"\x01\x00" + _vector(2, extensions)
    return b"\x01" + _vector(3, body)


def records(message: bytes, sizes: Sequence[int] = ()) -> bytes:
    """Put a message into records: of ``sizes`` bytes each, the last size again and again; by default in one."""
    framed = b""
    following = itertools.chain(sizes, itertools.repeat(sizes[-1] if sizes else len(message)))
    while message:
        size = next(following)
        framed += b"\x16\x03\x01" + _vector(2, message[:size])
        message = message[size:]
    return framed


def client_hello(name: str | bytes | None, *, key_share: int = 32, extra: bytes = b"") -> bytes:
    """A ClientHello in one record."""
    return records(handshake(name, key_share=key_share, extra=extra))


def proxy_v1(source: str, target: str, source_port: int = 1111, target_port: int = 443) -> bytes:
    """A PROXY protocol header, version 1."""
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {target} {source_port} {target_port}\r\n".encode()


def proxy_v2(source: bytes, target: bytes, source_port: int = 1111, target_port: int = 443) -> bytes:
    """A PROXY protocol header, version 2; the addresses are packed, both of one family."""
    family = 0x11 if len(source) == 4 else 0x21
    block = source + target + struct.pack("!HH", source_port, target_port)
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, family]) + _vector(2, block)
