"""Replay: recorded requests decided once more, and what is different then.

Owns which difference is told of a request that differs in several ways: the weightiest. Must never start anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headworks.config.config import Config
from headworks.config.loaded import Loaded, Source, load
from headworks.recording.decided import decided
from headworks.recording.fields import looked_at
from headworks.recording.reading import Reader, RecordingError
from headworks.recording.secret import HIDDEN

MOST_GROUPS = 10_000
"""Groups that are told apart at most; what comes after is put together by its kind."""

_KINDS = {
    "listener": "listener",
    "refusal": "refused",
    "target": "kind of target",
    "tls": "TLS",
    "backend": "backend",
    "status": "status",
    "location": "location",
    "server": "server",
    "asks": "request line",
    "head": "fields",
    "entry": "entry",
}
"""Names of what is compared, the weightiest first, as differences of it are called."""
_OWN = frozenset({"location", "asks", "head"})
"""Kinds that differ from request to request: a group has the values of its example only."""


@dataclass(kw_only=True)
class Difference:
    """Requests that would be decided otherwise in the same way."""

    kind: str
    """The thing that differs, such as ``backend`` or ``status``."""
    before: str | None
    """The value before; None where each request has one of its own."""
    after: str | None
    """The value with the new configuration."""
    count: int
    """Requests that differ so."""
    example: dict[str, Any]
    """The first of them, as the recording has it, without what was decided."""

    def request(self) -> str:
        """Return the example in one line."""
        one = self.example
        name = one.get("host") or one.get("sni") or ""
        asked = f"{one['method']} {name}{one.get('path', '')}" if "method" in one else name
        return f"{asked or 'a connection'} from {one.get('client', 'unix')} to {one['listener']}"


@dataclass(kw_only=True)
class Replayed:
    """The outcome of a replay."""

    requests: int
    """Requests that were decided once more."""
    changed: int
    """Of these, those that would be decided otherwise."""
    differences: tuple[Difference, ...]
    """The most frequent first."""
    notes: tuple[str, ...] = field(default=())
    """Limits of how far it can be believed, a sentence each."""


def replay(path: str | Path, new: Source, against: Source | None = None) -> Replayed:
    """Decide every request of a recording with ``new``; compare with what was decided, or what ``against`` decides.

    Raises RecordingError, ConfigError with every problem, OSError.
    """
    after = load(new)
    before = load(against) if against is not None else None
    reader = Reader(path)
    groups: dict[tuple[str, str | None, str | None], Difference] = {}
    requests = changed = 0
    for entry in reader:
        requests += 1
        now = _decision(after, entry, path)
        was = _decision(before, entry, path) if before is not None else entry["decided"]
        found = _different(was, now, after.config)
        if found is None:
            continue
        changed += 1
        kind, old, fresh = found
        key = (kind, None, None) if kind in map(_KINDS.get, _OWN) or len(groups) >= MOST_GROUPS else found
        if key in groups:
            groups[key].count += 1
        else:
            example = {name: value for name, value in entry.items() if name not in ("decided", "was")}
            groups[key] = Difference(kind=kind, before=old, after=fresh, count=1, example=example)
    ordered = sorted(groups.values(), key=lambda one: -one.count)
    notes = tuple(_notes(reader, [one for one in (after, before) if one is not None]))
    return Replayed(requests=requests, changed=changed, differences=tuple(ordered), notes=notes)


def _decision(loaded: Loaded, entry: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    if entry["listener"] not in loaded.config.listeners:
        return {"listener": "not there"}
    try:
        return decided(loaded.explained, entry)
    except ValueError as error:
        raise RecordingError(f"{path}: it is damaged: {error}") from None


def _different(
    was: Mapping[str, Any], now: Mapping[str, Any], config: Config
) -> tuple[str, str | None, str | None] | None:
    """Return what differs first, and both values; None when all is the same."""
    for key, kind in _KINDS.items():
        old, fresh = was.get(key), now.get(key)
        if old != fresh and not (key == "server" and _is_chance(config, fresh and now.get("backend"))):
            return kind, None if old is None else str(old), None if fresh is None else str(fresh)
    return None


def _is_chance(config: Config, backend: str | None) -> bool:
    """Whether any server of a backend may get a request, so that which one is no difference."""
    one = config.backends.get(backend) if backend is not None else None
    return one is not None and "hash" not in one.balance


def _notes(reader: Reader, configs: list[Loaded]) -> list[str]:
    facts, looked = reader.facts, {name for one in configs for name in looked_at(one)}
    notes = []
    if not reader.is_whole:
        notes.append("the recording was cut off: its end is missing")
    if reader.dropped:
        notes.append(f"{reader.dropped:,} requests were lost while it was recorded")
    if absent := sorted(looked - {*facts.fields}):
        notes.append(f"fields that were not recorded are taken to be absent: {', '.join(absent)} (record with --field)")
    if hidden := sorted(looked & HIDDEN & {*facts.fields}) if facts.hashed else []:
        notes.append(f"hashed when recorded, and compared as hashes: {', '.join(hidden)} (record with --plain)")
    return notes
