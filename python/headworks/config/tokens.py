"""Tokens: who may come by TCP, and what they may do, from a file of mode 0600.

Owns reading and judging that file, and comparing secrets. Must never keep or show a secret: the file has their SHA-256.
"""

import hashlib
import hmac
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Role = Literal["read", "operate"]

MOST = 1000
"""Tokens in a file at most: each request is compared with all of them."""
_LARGEST = 1 << 20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9A-Za-z._@-]{1,64}")
_KEYS = {"name", "role", "sha256"}


@dataclass(frozen=True, kw_only=True)
class Token:
    """One that may come."""

    name: str
    """Shown where something was changed by it."""
    role: Role
    sha256: str
    """The digest of the secret, hexadecimal."""


class TokensError(ValueError):
    """A file of tokens that cannot be used. ``args[0]`` is the reason, a sentence that names the file."""


class Tokens:
    """The tokens of one file."""

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._tokens = tuple(tokens)

    @classmethod
    def read(cls, file: str | Path) -> "Tokens":
        """Read a file. Raises TokensError."""
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise TokensError(f"{file}: cannot be read: {error.strerror}") from None
        kind = os.fstat(descriptor)
        if not stat.S_ISREG(kind.st_mode):
            os.close(descriptor)
            raise TokensError(f"{file}: is no file")
        with os.fdopen(descriptor, "rb") as opened:
            if kind.st_mode & _OTHERS:
                mode = f"{stat.S_IMODE(kind.st_mode):04o}"
                raise TokensError(f"{file}: others may read it (mode {mode}): chmod 600 it")
            try:
                written = tomllib.loads(opened.read(_LARGEST).decode())
            except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise TokensError(f"{file}: is no TOML: {error}") from None
        return cls(_checked(written, str(file)))

    def find(self, secret: str) -> Token | None:
        """Return the token with this secret. It takes as long whichever it is, or whether there is one."""
        digest = hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
        found = None
        for one in self._tokens:
            if hmac.compare_digest(one.sha256, digest):
                found = one
        return found

    def __iter__(self) -> Iterator[Token]:
        return iter(self._tokens)

    def __len__(self) -> int:
        return len(self._tokens)


def _checked(written: dict[str, Any], file: str) -> Iterator[Token]:
    listed = written.get("token")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise TokensError(f"{file}: has no [[token]]")
    if len(listed) > MOST:
        raise TokensError(f"{file}: has {len(listed)} tokens, and {MOST} is the most")
    if strange := written.keys() - {"token"}:
        raise TokensError(f"{file}: unknown key {min(strange)}")
    names: set[str] = set()
    for number, one in enumerate(listed, 1):
        if reason := next(_mistakes(one, names), None):
            raise TokensError(f"{file}: token {number}: {reason}")
        names.add(one["name"])
        yield Token(name=one["name"], role=one["role"], sha256=one["sha256"].lower())


def _mistakes(one: dict[str, Any], names: set[str]) -> Iterator[str]:
    """Yield what is wrong with an entry; never what is in it, which may be a secret."""
    if strange := one.keys() - _KEYS:
        yield f"unknown key {min(strange)}"
    if missing := _KEYS - one.keys():
        yield f"{min(missing)} is missing"
        return
    if not isinstance(one["name"], str) or not _NAME.fullmatch(one["name"]):
        yield "name has letters, digits and . _ @ - only, 64 at most"
    elif one["name"] in names:
        yield f"{one['name']} is there twice"
    if one["role"] not in ("read", "operate"):
        yield "role is read or operate"
    if not isinstance(one["sha256"], str) or not _DIGEST.fullmatch(one["sha256"].lower()):
        yield "sha256 has 64 hexadecimal digits"
