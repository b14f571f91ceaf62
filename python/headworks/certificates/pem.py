"""PEM (RFC 7468): the blocks of a file, in any order, with whatever is written between them.

Owns reading a file and splitting it, and writing a block. Must never know what a certificate is.
"""

import binascii
import re
import textwrap
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

MOST = 64 << 20
"""Bytes of a file at most: bundles of thousands of certificates are smaller."""

SUFFIXES = (".pem", ".crt", ".cer", ".key")
"""Files of a directory that are looked at."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s(.*?)-----END \1-----", re.DOTALL)
_BEGIN = b"-----BEGIN "
_WIDTH = 64
"""Characters of a line that is written."""
_DER_SEQUENCE = b"\x30"


class UnreadableError(ValueError):
    """A file that is no PEM, or no file. The text says why, beginning with the file's name."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block: what it says it is, and its bytes (none when they are encrypted)."""

    label: str
    der: bytes
    is_encrypted: bool = False


def listed(place: Path) -> list[Path]:
    """Return the files of a place, a file or a directory (not those below it). Raises UnreadableError."""
    try:
        if not place.is_dir():
            return [place]
        # Names that begin with a dot are where Kubernetes keeps the versions that its links lead to.
        found = [file for file in place.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    except OSError as error:
        raise UnreadableError(f'"{place}" cannot be read: {error.strerror}') from None
    return sorted(file for file in found if file.is_file())


def read(file: Path) -> bytes:
    """Read a file whole. Raises UnreadableError."""
    try:
        # A pipe or a device could keep us waiting for ever.
        if file.exists() and not file.is_file():
            raise UnreadableError(f'"{file}" is not a file')
        with file.open("rb") as opened:
            content = opened.read(MOST + 1)
    except OSError as error:
        raise UnreadableError(f'"{file}" cannot be read: {error.strerror}') from None
    if len(content) > MOST:
        raise UnreadableError(f'"{file}" is longer than {MOST >> 20}MiB')
    return content


def blocks(file: Path) -> list[Block]:
    """Return the blocks of a file. Raises UnreadableError when there is none or one is damaged."""
    content = read(file)
    found = [_block(file, match[1].decode(), match[2]) for match in _BLOCK.finditer(content)]
    if len(found) != content.count(_BEGIN):
        raise UnreadableError(f'"{file}" is damaged: a block of it has no end')
    if not found and content.startswith(_DER_SEQUENCE):
        raise UnreadableError(
            f'"{file}" is DER, not PEM: openssl x509 -inform der -in {file} -out {file.with_suffix(".pem")}'
        )
    if not found:
        raise UnreadableError(f'"{file}" {"has no PEM in it" if content.strip() else "is empty"}')
    return found


def write(label: str, der: bytes) -> str:
    """Return one block as text."""
    lines = textwrap.wrap(b64encode(der).decode(), _WIDTH)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _block(file: Path, label: str, body: bytes) -> Block:
    if label == "ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in body:
        return Block(label, b"", is_encrypted=True)
    try:
        return Block(label, binascii.a2b_base64(b"".join(body.split()), strict_mode=True))
    except binascii.Error:
        raise UnreadableError(f'"{file}" is damaged: what is in {label} is not Base64') from None
