"""Files: files or directories that are read together, and the stamp that tells whether they have changed."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headworks.certificates.pem import SUFFIXES

Stamp = tuple[object, ...]
"""Marks of a file that change when it is written, replaced, or reached by a link that leads elsewhere now."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """The place that a key of the configuration names."""

    kind: Literal["certificates", "authorities", "revocations"] = "certificates"
    path: str
    """A file, or a directory of files."""
    key: str | None = None
    ocsp: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything that is read."""
        return tuple(path for path in (self.path, self.key, self.ocsp) if path is not None)

    def stamp(self) -> Stamp:
        """Return the stamp of everything that is read. What is not there has one, too."""
        return tuple(_stamp(path) for path in self.paths)


def _stamp(path: str) -> Stamp:
    try:
        # Links are followed: certbot and Kubernetes renew by leading them elsewhere.
        own = Path(path).stat()
        if not stat.S_ISDIR(own.st_mode):
            return _of(own)
        with os.scandir(path) as entries:
            files = sorted((entry.name, _file(entry)) for entry in entries if entry.name.lower().endswith(SUFFIXES))
    except OSError as error:
        return ("absent", error.errno)
    return (_of(own), *files)


def _file(entry: os.DirEntry[str]) -> Stamp:
    try:
        return _of(entry.stat())
    except OSError as error:
        return ("absent", error.errno)


def _of(found: os.stat_result) -> Stamp:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
