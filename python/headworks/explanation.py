"""Explaining a decision without making it: which entry, backend and server, and why not the others.

Must never start anything: every server is taken to be up.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from headworks import _engine
from headworks.config import Config


@dataclass(frozen=True, kw_only=True)
class ServerChoice:
    """One server of the backend that was decided for."""

    address: str
    chosen: bool
    reason: str | None
    """Why it was not chosen."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a new connection would get. ``str()`` of it is for people."""

    listener: str
    protocol: str
    client: str | None
    name: str | None
    """The name as it is looked up: lower case, without a trailing dot."""
    table: str | None
    entry: str | None
    """The pattern that matched."""
    backend: str | None
    server: str | None
    refusal: str | None
    """Why the client is refused; None when it is served."""
    steps: tuple[str, ...]
    """How it was decided, one sentence each."""
    servers: tuple[ServerChoice, ...]
    """Every server of the backend, in file order."""

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read the engine's answer."""
        raw: dict[str, Any] = json.loads(text)
        servers = tuple(
            ServerChoice(address=one["address"], chosen=one["chosen"], reason=one.get("reason"))
            for one in raw.get("servers", ())
        )
        optional = {key: raw.get(key) for key in ("client", "name", "table", "entry", "backend", "server", "refusal")}
        return cls(
            listener=raw["listener"],
            protocol=raw["protocol"],
            steps=tuple(raw.get("steps", ())),
            servers=servers,
            **optional,
        )

    def __str__(self) -> str:
        """Return several lines: the decision first, then the reasons."""
        rows = [
            ("listener", f"{self.listener} ({self.protocol})"),
            ("client", self.client),
            ("name", self.name),
        ]
        rows += [
            ("table", self.table),
            ("entry", self.entry),
            ("backend", self.backend),
            ("server", self.server),
        ]
        rows += [("refused", self.refusal)]
        lines = [f"{key:9}{value}" for key, value in rows if value is not None]
        lines += [f"  - {step}" for step in self.steps]
        lines += [f"  - not {one.address}: {one.reason}" for one in self.servers if not one.chosen and one.reason]
        return "\n".join(lines)


def explain(
    config: Config | str | Path | Mapping[str, Any],
    *,
    listener: str,
    sni: str | None = None,
    client: str | None = None,
) -> Explanation:
    """Say which entry, backend and server a new connection to ``listener`` would get.

    ``sni`` is the name in the client's ClientHello, ``client`` its IP address. Raises ConfigError, KeyError when
    there is no such listener, ValueError when ``client`` is no address.
    """
    from headworks.proxy import load

    plan = _engine.Plan.compile(load(config).spec())
    return Explanation.decode(plan.explain(listener, json.dumps({"name": sni}), client))
