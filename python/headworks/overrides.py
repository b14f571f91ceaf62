"""Overrides: what people changed about servers while the proxy ran, who did, and since when.

Owns the column between what is configured and what is observed, and the file that keeps it over a restart. Must never
change a server: it writes down what was changed.
"""

import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

Admin = Literal["ready", "drain", "maintenance"]

_VERSION = 1
_LARGEST = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Override:
    """Changes of one server."""

    backend: str
    """Name of the backend."""
    server: str
    """Address of the server."""
    admin: Admin | None = None
    """``drain`` or ``maintenance``; None as configured, which is ready."""
    weight: int | None = None
    """The weight; None as configured."""
    added: Mapping[str, Any] | None = None
    """Settings of a server that was added; None of one that is configured."""
    removed: bool = False
    """Whether a configured server was removed."""
    by: str
    """The one that changed it last."""
    since: float
    """Time of that, seconds since 1970."""

    @property
    def is_none(self) -> bool:
        """Whether everything is as configured."""
        return self.admin is None and self.weight is None and self.added is None and not self.removed


class Overrides:
    """The overrides of one proxy. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Override] = {}
        self._file: Path | None = None

    def set(self, backend: str, server: str, *, admin: Admin | None, weight: int | None, by: str) -> None:
        """Write down a change of a server; ``admin`` None leaves that as it is, ``weight`` None is as configured."""
        given = {} if admin is None else {"admin": None if admin == "ready" else admin}
        self._note(backend, server, by, weight=weight, **given)

    def add(self, backend: str, server: str, settings: Mapping[str, Any], *, by: str) -> None:
        """Write down that a server was added, or got other settings."""
        self._note(backend, server, by, added=dict(settings), removed=False)

    def remove(self, backend: str, server: str, *, by: str) -> None:
        """Write down that a server was removed."""
        with self._lock:
            before = self._kept.pop((backend, server), None)
            if before is None or before.added is None:
                self._kept[backend, server] = Override(
                    backend=backend, server=server, removed=True, by=by, since=time.time()
                )
            self._save()

    def get(self, backend: str, server: str) -> Override | None:
        """Return the override of a server; None where there is none."""
        with self._lock:
            return self._kept.get((backend, server))

    def all(self) -> tuple[Override, ...]:
        """Return all of them."""
        with self._lock:
            return tuple(self._kept.values())

    def settle(self, servers: Mapping[str, Iterable[str]], at: float) -> None:
        """Forget what no longer held ``at`` a time (seconds since 1970), given the servers of each backend then.

        A reload with other servers for a backend ends what was changed about them.
        """
        there = {backend: set(listed) for backend, listed in servers.items()}
        with self._lock:
            gone = [
                key
                for key, one in self._kept.items()
                if one.since < at and (key[0] not in there or (key[1] in there[key[0]]) == one.removed)
            ]
            for key in gone:
                del self._kept[key]
            if gone:
                self._save()

    def keep_in(self, file: Path, apply: Callable[[Override], None]) -> tuple[str, ...]:
        """Take up what a file has, then keep the file up to date. Returns what could not be taken up, a line each.

        ``apply`` makes one hold again. Raises OSError, ValueError for a file that is none of ours.
        """
        wrong = []
        for one in _read(file):
            try:
                apply(one)
            except (KeyError, ValueError) as error:
                wrong.append(f"{one.backend} {one.server}: {error}")
            else:
                with self._lock:
                    self._kept[one.backend, one.server] = one
        with self._lock:
            self._file = file
            self._write(file)
        return tuple(wrong)

    def _note(self, backend: str, server: str, by: str, **changed: Any) -> None:
        with self._lock:
            none = Override(backend=backend, server=server, by=by, since=0.0)
            one = replace(self._kept.get((backend, server), none), by=by, since=time.time(), **changed)
            self._kept.pop((backend, server), None)
            if not one.is_none:
                self._kept[backend, server] = one
            self._save()

    def _save(self) -> None:
        """Write the file anew. What cannot be written holds all the same, until the restart."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._write(self._file)

    def _write(self, file: Path) -> None:
        """Write the file so that a crash leaves the old one or the new one."""
        text = json.dumps({"version": _VERSION, "servers": [asdict(one) for one in self._kept.values()]}, indent=1)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as written:
                written.write(text)
                written.flush()
                os.fsync(written.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _read(file: Path) -> list[Override]:
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST)
    except FileNotFoundError:
        return []
    try:
        read = json.loads(text)
        return [_override(one) for one in _servers(read)]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file} is no file of ours: {error}") from None


def _servers(read: Any) -> list[dict[str, Any]]:
    if read["version"] != _VERSION:
        raise ValueError(f"version {read['version']}")
    servers: list[dict[str, Any]] = read["servers"]
    return servers


def _override(one: dict[str, Any]) -> Override:
    made = Override(**one)
    if made.admin not in (None, "drain", "maintenance") or not isinstance(made.removed, bool):
        raise ValueError(f"{made.backend} {made.server} is neither")
    return made
