"""Explaining a decision without making it: which entry, answer, backend and server, and why not the others.

Must never start anything: every server is taken to be up.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from headworks.config import Config
from headworks.config.loaded import Loaded, load
from headworks.config.protocols import HTTPS, KINDS
from headworks.config.providers import references
from headworks.rules.now import now
from headworks.stand_ins import stand_in


@dataclass(frozen=True, kw_only=True)
class ServerChoice:
    """One server of the backend that was decided for."""

    address: str
    """The address as it is configured."""
    chosen: bool
    """Whether it is the one."""
    reason: str | None
    """The reason that it was not chosen."""


@dataclass(frozen=True, kw_only=True)
class FoundAddress:
    """An address that a name leads to."""

    address: str
    """IP address, and port."""
    refusal: str | None
    """The reason why nobody is connected to it."""


@dataclass(frozen=True, kw_only=True)
class LookedUp:
    """A name, and where it leads now."""

    name: str
    """The name as it is written, or as the client asks for it."""
    failure: str | None
    """The reason why it leads nowhere."""
    addresses: tuple[FoundAddress, ...]
    """Addresses of the name."""

    def __str__(self) -> str:
        """Return one line."""
        if self.failure or not self.addresses:
            return f"{self.name} leads nowhere: {self.failure or 'no address'}"
        found = (one.address + (f" ({one.refusal})" if one.refusal else "") for one in self.addresses)
        return f"{self.name} is {', '.join(found)}"


_PATIENCE = 5.0
"""Seconds for which a name may be looked for."""
_OPTIONAL = (
    "client",
    "name",
    "kind",
    "sni",
    "tls",
    "certificate",
    "method",
    "path",
    "table",
    "entry",
    "target",
    "backend",
    "server",
    "status",
    "location",
    "refusal",
    "head",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Explanation:
    """The decision on a new connection or request. ``str()`` of it is for people."""

    listener: str
    """Name of the listener."""
    protocol: str
    """Protocol of the listener."""
    client: str | None
    """Address of the client, as it was given."""
    name: str | None
    """The name as it is looked up: lower case, without a trailing dot (http: or a port)."""
    kind: str | None = None
    """The kind of its first bytes, on listeners that tell kinds apart; None for none of them."""
    sni: str | None = None
    """The name in the ClientHello, on listeners that end TLS."""
    tls: Literal["terminated", "passed_through"] | None = None
    """The fate of the client's TLS on such listeners: ``terminated`` or ``passed_through``."""
    certificate: str | None = None
    """The certificate presented: the file it was read from, or what made it."""
    method: str | None = None
    """Of the request (http)."""
    path: str | None = None
    """Of the request, with its query (http)."""
    table: str | None
    """Name of the table that was consulted."""
    entry: str | None
    """The pattern that matched."""
    target: Literal["backend", "redirect", "respond"] | None = None
    """The kind of target: ``backend``, ``redirect`` or ``respond``; None for a client that is refused."""
    backend: str | None
    """Name of the backend."""
    server: str | None
    """Address of the server that is chosen."""
    status: int | None = None
    """Status of an answer of our own, or of a refusal (http)."""
    location: str | None = None
    """The location that a redirect leads to."""
    refusal: str | None
    """The reason that the client is refused; None when it is served."""
    steps: tuple[str, ...]
    """Steps of the decision, one sentence each."""
    servers: tuple[ServerChoice, ...]
    """Every server of the backend, in file order."""
    names: tuple[LookedUp, ...] = ()
    """Names of the backend, and where they lead now, if that was asked for."""
    head: str | None = None
    """The head of the request as its server would get it (http), a character for each byte.

    What only a connection has is the same in every explanation: the client's port is 0, our own address is left out,
    an id of the request that we would make is of zeros.
    """

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read the engine's answer."""
        raw: dict[str, Any] = json.loads(text)
        servers = tuple(
            ServerChoice(address=one["address"], chosen=one["chosen"], reason=one.get("reason"))
            for one in raw.get("servers", ())
        )
        optional: dict[str, Any] = {key: raw.get(key) for key in _OPTIONAL}
        return cls(
            listener=raw["listener"],
            protocol=raw["protocol"],
            steps=tuple(raw.get("steps", ())),
            servers=servers,
            **optional,
        )

    def text(self) -> str:
        """Return what is decided, without the reasons, and the head that the server would get: for snapshots.

        The text is the same as long as the decision is: servers that were not chosen and sentences are left out.
        """
        lines = [f"{key}: {value}" for key, value in self._rows() if value is not None]
        head = self.head.replace("\r\n", "\n").rstrip("\n") if self.head is not None else None
        shown = [] if head is None else ["", *(line.encode("unicode_escape").decode() for line in head.split("\n"))]
        return "\n".join([*lines, *shown]) + "\n"

    def __str__(self) -> str:
        """Return several lines: the decision first, then the reasons."""
        lines = [f"{key:9}{value}" for key, value in self._rows() if value is not None]
        return "\n".join(lines + [f"  - {reason}" for reason in self._reasons()])

    def __repr__(self) -> str:
        """Return one line: where the client gets to."""
        found = self.refusal or self.server or self.location or self.status or self.backend
        asked = self.name or self.client or "a client"
        return f"<Explanation {self.listener}: {asked} -> {found}>"

    def _repr_html_(self) -> str:
        """Return a table of the decision and a list of the reasons, for notebooks."""
        from headworks.notebook import pairs

        return pairs("Explanation", [*self._rows(), *(("", reason) for reason in self._reasons())])

    def _rows(self) -> list[tuple[str, object]]:
        rows: list[tuple[str, object]] = [
            ("listener", f"{self.listener} ({self.protocol})"),
            ("client", self.client),
            ("kind", self.kind),
            ("name", self.name),
            ("sni", self.sni if self.sni != self.name else None),
            ("tls", self.tls and self.tls.replace("_", " ")),
            ("cert", self.certificate),
            ("request", self.path and f"{self.method} {self.path}"),
            ("table", self.table),
            ("entry", self.entry),
            ("backend", self.backend),
            ("server", self.server),
            ("answer", f"{self.status}, {self.target}" if self.status and not self.refusal else None),
            ("location", self.location),
            ("refused", f"{self.refusal} ({self.status})" if self.status else self.refusal),
        ]
        if not self.refusal:
            rows.pop()
        return rows

    def _reasons(self) -> list[str]:
        others = [f"not {one.address}: {one.reason}" for one in self.servers if not one.chosen and one.reason]
        return [*self.steps, *others, *map(str, self.names)]


def explain(  # noqa: PLR0913  (what a client may say)
    config: Config | str | Path | Mapping[str, Any],
    *,
    listener: str,
    sni: str | None = None,
    host: str | None = None,
    path: str | None = None,
    method: str | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    client: str | None = None,
    resolve: bool = False,
    alpn: Iterable[str] = (),
    kind: str | None = None,
) -> Explanation:
    """Say which entry, backend and server a new connection to ``listener`` (http: a request) would get.

    ``sni`` is the name in the client's ClientHello (https: by default the host); ``host``, ``path`` (default ``/``),
    ``method`` (default GET) and ``headers`` are of a request; ``client`` is its IP address; ``alpn`` are the protocols
    that its ClientHello offers; ``kind`` is the kind of its first bytes (first_bytes): a key of that table, one of the
    prefixes, or ``silent``; by default it speaks TLS with ``sni``, HTTP with ``host``. It comes now
    (``headworks.now``). With ``resolve`` nameservers are asked where the names of the backend lead. Raises ConfigError,
    KeyError when there is no such listener, ValueError when ``client`` is no address or when both ``sni`` and ``host``
    are given (but for https).
    """
    loaded = load(config)
    asked = Asked(sni=sni, host=host, path=path, method=method, headers=headers, client=client, alpn=alpn, kind=kind)
    explanation = Explanation.decode(asked.explained(loaded, listener))
    return _resolved(explanation, loaded) if resolve else explanation


def _resolved(explanation: Explanation, loaded: Loaded) -> Explanation:
    """Have nameservers asked where the names of the backend lead."""
    if explanation.backend is None:
        return explanation
    name = (explanation.name or "").partition(":")[0] or None
    raw = json.loads(loaded.compiled.look_up(explanation.backend, name, _PATIENCE))
    names = (
        LookedUp(**one | {"addresses": tuple(FoundAddress(**address) for address in one["addresses"])}) for one in raw
    )
    return replace(explanation, names=tuple(names))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A client and what it asks for, as ``explain`` has it."""

    sni: str | None
    host: str | None
    path: str | None
    method: str | None
    headers: Mapping[str, str] | Iterable[tuple[str, str]]
    client: str | None
    alpn: Iterable[str] = ()
    kind: str | None = None

    def explained(self, loaded: Loaded, listener: str, answers: Sequence[Any] | None = None) -> str:
        """Return the engine's explanation; ``answers`` are those of analyzers so far. Raises KeyError, ValueError."""
        listeners = loaded.config.listeners
        secure = listener in listeners and listeners[listener].protocol in (*HTTPS, *KINDS)
        if self.sni is not None and self.host is not None and not secure:
            raise ValueError("a client gives a name in its ClientHello or in its request: give sni or host, not both")
        fields = list(self.headers.items() if isinstance(self.headers, Mapping) else self.headers)
        asked = {
            "name": self.host,
            "sni": self.sni,
            "path": self.path,
            "method": self.method,
            "headers": fields,
            "alpn": list(self.alpn),
            "kind": self.kind,
            "time": now.timestamp,
        }
        text = loaded.explained.explain(listener, json.dumps(asked), self.client, answers)
        return _named(text, loaded)


def _named(text: str, loaded: Loaded) -> str:
    """Name servers that a provider is to find as they are written."""
    backend = json.loads(text).get("backend")
    written = {number: server.address for at, number, server, _ in references(loaded.config) if at == backend}
    if not written:
        return text
    for number, address in written.items():
        text = text.replace(stand_in(number), json.dumps(address)[1:-1])
    told = json.loads(text)
    for one in written.values():
        told["steps"].append(f"{one} stands for the servers that its provider finds while the proxy runs")
    return json.dumps(told)
