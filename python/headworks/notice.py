"""Notice: a rare event of a running proxy. A plain frozen value that must never know where it goes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A rare event: ``server_up``, ``server_down``, ``worker_panicked``, ``accept_paused`` ...

    Of servers and their names: ``servers_changed``, ``name_unresolved``, ``name_resolved``; of providers of servers
    ``discovery_stale`` and ``discovery_fresh``. Of certificates whose files have changed: ``certificate_renewed``,
    ``certificate_refused`` and ``certificate_doubtful``. Of operators: ``admin_changed``, ``tokens_refused`` and
    ``override_forgotten``. ``notices_dropped`` is for one subscriber alone: it has not kept up.
    """

    kind: str
    """The event, a word such as ``server_down``."""
    facts: Mapping[str, object]
    """Facts of the event, such as ``backend`` and ``server``."""

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read one event."""
        raw = json.loads(text)
        return cls(kind=raw.pop("kind"), facts=raw)

    @property
    def level(self) -> Literal["error", "warning", "info"]:
        """The level of the log line that it deserves."""
        if self.kind in ("worker_panicked", "certificate_refused"):
            return "error"
        return "warning" if self.kind in _WARNINGS else "info"


_WARNINGS = frozenset(
    (
        "server_down",
        "name_unresolved",
        "discovery_stale",
        "accept_paused",
        "ipv6_missing",
        "records_dropped",
        "notices_dropped",
        "certificate_doubtful",
        "tokens_refused",
        "override_forgotten",
    )
)
