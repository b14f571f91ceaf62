"""Reading: a recording from its file, line by line.

Must never trust it: it may be cut off, damaged, of a later version, or no recording at all.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from headworks.recording.tape import VERSION

LONGEST = 1 << 20
"""Characters of a line at most."""
_TEXTS = ("ts", "listener")
_OPTIONAL = ("client", "sni", "host", "method", "path")


class RecordingError(ValueError):
    """A file that is no recording, or one that is damaged: its name, the line and the reason."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The first line of a recording."""

    made: str
    fields: tuple[str, ...]
    """Fields of requests that were taken down."""
    hashed: bool
    listeners: tuple[str, ...]


class Reader:
    """A recording: ``facts``, and the requests by iteration. ``is_whole`` is known when they have been read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.is_whole = False
        self.dropped = 0
        self._lines = self._numbered()
        _, first = next(self._lines, (1, ""))
        self.facts = self._facts(first)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every request. Raises RecordingError for a line that is none."""
        for number, line in self._lines:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                raise self._wrong(number, "it is damaged: the line is no JSON") from None
            if isinstance(entry, dict) and "end" in entry:
                self.is_whole = True
                self.dropped = int(entry["end"].get("dropped", 0)) if isinstance(entry["end"], dict) else 0
                return
            if not _is_entry(entry):
                raise self._wrong(number, "it is damaged: the line is no request")
            yield entry

    def _facts(self, line: str) -> Facts:
        try:
            head = json.loads(line)
            version = head["headworks_recording"]
        except (ValueError, RecursionError, KeyError, TypeError):
            raise self._wrong(1, "it is no recording of Headworks") from None
        if version != VERSION:
            raise self._wrong(1, f"it is of version {version!r}, and this Headworks reads version {VERSION}")
        try:
            fields, listeners = tuple(map(str, head["fields"])), tuple(map(str, head["listeners"]))
            return Facts(made=str(head["made"]), fields=fields, hashed=bool(head["hashed"]), listeners=listeners)
        except (KeyError, TypeError):
            raise self._wrong(1, "its first line is damaged") from None

    def _numbered(self) -> Iterator[tuple[int, str]]:
        number = 0
        try:
            with _opened(self.path) as lines:
                while line := lines.readline(LONGEST + 1):
                    number += 1
                    if len(line) > LONGEST:
                        raise self._wrong(number, "the line is longer than any of a recording")
                    if not line.endswith("\n"):
                        # Cut off while it was written: what is whole counts.
                        return
                    yield number, line
        except UnicodeDecodeError:
            raise self._wrong(number + 1, "it is damaged: not UTF-8") from None
        except EOFError:
            return
        except (gzip.BadGzipFile, zlib.error):
            raise self._wrong(number + 1, "it is damaged: not what gzip has written") from None

    def _wrong(self, line: int, reason: str) -> RecordingError:
        return RecordingError(f"{self.path}:{line}: {reason}")


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="surrogatepass", newline="\n")
    return path.open(encoding="utf-8", errors="surrogatepass", newline="\n")


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("decided"), dict):
        return False
    texts = all(isinstance(entry.get(key), str) for key in _TEXTS)
    optional = all(isinstance(entry.get(key, ""), str) for key in _OPTIONAL)
    headers = entry.get("headers", [])
    pairs = isinstance(headers, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)  # noqa: PLR2004
        for pair in headers
    )
    return texts and optional and pairs
