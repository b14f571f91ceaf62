"""File: servers that are listed in a file, JSON or TOML, which is looked at while the proxy runs.

Owns seeing that it has changed: whatever is at its path now counts, so that files put in its place and links that are
turned elsewhere (as Kubernetes does it) are seen. Must never wait for anybody: what is no file is not read.
"""

import asyncio
import json
import os
import stat
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from headworks.providers.base import Provider, ProviderError
from headworks.providers.sets import read

MOST = 16 << 20
"""Bytes of a file at most."""

_Stamp = tuple[int, ...]


class File(Provider):
    """The servers in a file: a list of servers, or of groups with targets; TOML when its name ends in ``.toml``."""

    def __init__(self, path: str, *, interval: float = 1.0) -> None:
        self.path = Path(path)
        self.interval = self.longest_pause = interval

    async def servers(self) -> AsyncIterator[tuple[Any, ...]]:
        """Yield what it lists, and again whenever it is another file or has changed."""
        stamp: _Stamp | None = None
        while True:
            now = await asyncio.to_thread(self._stamp)
            if now != stamp:
                found = await asyncio.to_thread(self._read)
                # What was read may be newer than its stamp: then it is read once more.
                stamp = now
            yield found
            await asyncio.sleep(self.interval)

    def _stamp(self) -> _Stamp:
        try:
            found = self.path.stat()
        except OSError as error:
            raise ProviderError(f"{self.path}: {error.strerror}") from None
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def _read(self) -> tuple[Any, ...]:
        try:
            return read(_parsed(self._text(), self.path.suffix))
        except OSError as error:
            raise ProviderError(f"{self.path}: {error.strerror}") from None
        except (ValueError, RecursionError, ProviderError) as error:
            raise ProviderError(f"{self.path}: {error}") from None

    def _text(self) -> str:
        # A pipe would keep us waiting for whoever writes to it.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123  (a number)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ProviderError("it is no file")
            text = file.read(MOST + 1)
        if len(text) > MOST:
            raise ProviderError(f"it is longer than {MOST >> 20} MiB")
        return text.decode()


def _parsed(text: str, suffix: str) -> Any:
    return tomllib.loads(text) if suffix == ".toml" else json.loads(text)
