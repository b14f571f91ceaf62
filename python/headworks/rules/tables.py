"""Tables: sets and mappings that are kept in files beside the module, read whenever the configuration is.

Owns formats and bounds: 64 MiB and 100,000 keys a file. Must never give half a file: one that changes while it is read
is an error.
"""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

MOST_BYTES = 64 << 20
MOST_KEYS = 100_000
_COLUMNS = 2


class TableError(ValueError):
    """A file that is no table: missing, too large, changed while it was read, or not what its ending says."""


def load(name: str | os.PathLike[str]) -> Any:
    """Return the set or dict in a file beside the module that calls.

    ``.txt`` is a frozenset of lines (blank ones and those that begin with ``#`` left out), ``.csv`` a frozenset of its
    only column or a dict of two, ``.json`` a list of keys or an object, ``.toml`` a table. Raises TableError.
    """
    caller = sys._getframe(1).f_globals.get("__file__")  # noqa: SLF001  (whose module it is beside of)
    file = (Path(caller).absolute().parent if caller else Path.cwd()) / name
    readers = {".txt": _lines, ".json": _json, ".csv": _csv, ".toml": _toml}
    if file.suffix not in readers:
        raise TableError(f"{file}: a table is a .txt, .json, .csv or .toml file")
    try:
        table = readers[file.suffix](_text(file))
    except TableError:
        raise
    except (ValueError, RecursionError) as error:
        raise TableError(f"{file}: {error}") from None
    if len(table) > MOST_KEYS:
        raise TableError(f"{file}: {len(table):,} keys are more than {MOST_KEYS:,}")
    return table


def _text(file: Path) -> str:
    try:
        # A pipe nobody writes to would be waited for.
        with open(file, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as opened:
            before = os.fstat(opened.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise TableError(f"{file}: is not a file")
            if before.st_size > MOST_BYTES:
                raise TableError(f"{file}: {before.st_size:,} bytes are more than 64 MiB")
            content = opened.read(MOST_BYTES + 1)
            after = file.stat()
    except OSError as error:
        raise TableError(f"{file}: cannot be read: {error.strerror}") from None
    if (before.st_ino, before.st_mtime_ns, len(content)) != (after.st_ino, after.st_mtime_ns, after.st_size):
        raise TableError(f"{file}: it changed while it was read; write a new file and rename it")
    return content.decode()


def _lines(text: str) -> frozenset[str]:
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _json(text: str) -> Any:
    found = json.loads(text)
    if isinstance(found, list):
        return frozenset(map(_key, found))
    return _scalars(found)


def _csv(text: str) -> Any:
    import csv

    rows = [row for row in csv.reader(text.splitlines()) if row]
    if all(len(row) == 1 for row in rows):
        return frozenset(row[0] for row in rows)
    wrong = next((row for row in rows if len(row) != _COLUMNS), None)
    if wrong is not None:
        raise ValueError(f"a row has one or two columns, and {','.join(wrong)[:40]!r} has {len(wrong)}")
    return _scalars(dict(_distinct(rows)))


def _distinct(rows: list[list[str]]) -> list[tuple[str, str]]:
    seen: set[str] = set()
    for key, _ in rows:
        if key in seen:
            raise ValueError(f"{key!r} is there twice")
        seen.add(key)
    return [(key, value) for key, value in rows]


def _toml(text: str) -> Any:
    import tomllib

    return _scalars(tomllib.loads(text))


def _scalars(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError("it holds neither keys nor a table")  # noqa: TRY004  (of the file, not of a call)
    for key, value in found.items():
        if not isinstance(value, (str, int, bool)) and value is not None:
            raise ValueError(f"{key!r} is {type(value).__name__}, and texts, numbers and truth values can be looked up")
    return found


def _key(key: Any) -> Any:
    if not isinstance(key, (str, int)) or isinstance(key, bool):
        raise ValueError(f"keys are texts or numbers, and {str(key)[:40]!r} is {type(key).__name__}")  # noqa: TRY004
    return key
