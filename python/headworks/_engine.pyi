"""The native module: Plans, the Engine, and TOML with positions. JSON text crosses the boundary, never live objects."""

from collections.abc import Sequence
from typing import Any, Self, final

__all__ = [
    "BindError",
    "Engine",
    "Plan",
    "PlanError",
    "Question",
    "Questions",
    "TomlError",
    "attributes",
    "balances",
    "counters",
    "fitting_filter",
    "judge",
    "metrics",
    "parse_toml",
    "protocols",
]

class PlanError(ValueError):
    """A Spec that cannot be compiled. ``args[0]`` is JSON.

    ``[{"path": ["listeners", "web", "bind", 0], "reason": ..., "hint": ... | null}, ...]``: each path is that of the file.
    """

class BindError(OSError):
    """Listeners that cannot be bound. ``args[0]`` is JSON: ``[{"listener": ..., "address": ..., "reason": ...}, ...]``. Nothing was changed."""

class TomlError(ValueError):
    """Text that is not TOML. ``args`` are ``(reason, line, column)``, both counted from 1."""

def parse_toml(text: str) -> str:
    """Parse TOML 1.0 with positions.

    Returns JSON ``{"value": {...}, "positions": [[["listeners", "secure", "bind", 0], 7, 8], ...]}``: one position
    (line and column, counted from 1) for every key (where the key is written) and every array item (where its value
    is written). Raises TomlError.
    """

def judge(program: str, subject: str) -> str:
    """Run a rule (``crates/core/src/spec/program.rs``) on a described subject (``program/trial.rs``), all JSON.

    Returns ``{"verdict": [...], "failure": "ValueError" | null, "steps": [...]}``; texts of the network have a character
    for each byte. Raises PlanError for a rule that cannot be compiled, ValueError for a head that cannot be read.
    """

def attributes(kind: str) -> list[str]:
    """Names of the attributes that rules of a kind (``request``, ``response``, ``hello``) may read."""

def balances() -> list[str]:
    """Names of every balancing algorithm."""

def fitting_filter(content_type: str) -> str:
    """Name of the filter that variables without one get in a body of this media type."""

def counters() -> dict[str, str]:
    """Names of every counter in ``Engine.stats``, each with what it counts."""

def metrics() -> str:
    """The table of metrics as JSON: ``[{"name": ..., "kind": ..., "scope": ..., "labels": [...], "help": ...}, ...]``.

    The kind is ``counter``, ``gauge``, ``histogram`` or ``summary``.
    """

def protocols() -> dict[str, dict[str, Any]]:
    """The facts of every protocol a listener can speak, by its name.

    ``{"names": ..., "requests": ..., "tls": "never" | "may" | "must", "passes_tls": ..., "kinds": ..., "versions":
    [...]}``: whether its clients give a name (only then may there be a table), whether they make requests, whether TLS
    ends at its listeners, whether what it passes on is its clients' own TLS, whether its listeners tell kinds of clients
    apart, and its versions by their names in ALPN (RFC 7301), the one that is offered by itself first.
    """

@final
class Plan:
    """A compiled, immutable configuration."""

    @staticmethod
    def compile(spec: str) -> Plan:
        """Compile a Spec given as JSON (``crates/core/src/spec/``), for explaining and for engines to adopt.

        Raises PlanError with every problem.
        """

    def explain(
        self,
        listener: str,
        asked: str,
        client: str | None,
        answers: Sequence[tuple[tuple[object, ...], ...] | None] | None = None,
    ) -> str:
        """What a client that asks for this would get, and why nothing else, both as JSON; every server is taken to be up.

        ``asked`` is ``{"name": ..., "path": ..., "method": ..., "headers": [[NAME, VALUE], ...], "alpn": [...], "kind":
        ...}``, every key optional; the name is that of a ClientHello or the Host of a request. The answer is ``{"listener": ...,
        "protocol": ..., "client": ..., "name": ..., "method": ..., "path": ..., "table": ..., "entry": ..., "target":
        "backend" | "redirect" | "respond" | null, "backend": ..., "server": ..., "status": ..., "location": ...,
        "refusal": ..., "head": ..., "steps": [...], "servers": [{"address": ..., "chosen": ..., "reason": ...}, ...]}``, where
        everything from ``client`` to ``head`` may be null. ``answers`` are those of analyzers so far, in the order in
        which they are asked, as ``Questions.answer`` takes them: ``"wanted": {"analyzer": ..., "hook": ...}`` says whose
        is wanted next. With None nobody is asked. Raises KeyError for an unknown listener, ValueError for a bad client
        address.
        """

    def look_up(self, backend: str, asked: str | None, timeout: float) -> str:
        """Ask nameservers where the names of a backend lead now, or ``asked`` where clients name its servers.

        Returns JSON ``[{"name": ..., "failure": ... | null, "addresses": [{"address": ..., "refusal": ... | null}]}]``.
        Raises KeyError for an unknown backend.
        """

@final
class Question:
    """One question to an analyzer: values that outlive the connection, read only as far as somebody asks."""

    @property
    def hook(self) -> str: ...
    @property
    def ticket(self) -> int:
        """Its number among the questions of the analyzer."""

    @property
    def connection(self) -> int:
        """Number that no other connection of the process has."""

    @property
    def exchange(self) -> int:
        """Number that no other exchange of the process has; 0 where there is none."""

    @property
    def chunk(self) -> bytes:
        """First bytes or the hello that are held, a part of a body, or a whole body."""

    @property
    def last(self) -> bool:
        """Whether nothing of the body follows."""

    def attribute(self, name: str) -> str | int | bool | None:
        """Return an attribute by the name that rules have for it. Raises ValueError when there is none."""

    def header(self, name: str) -> str | None:
        """Return a field of the request; several are joined with ``, ``."""

    def headers(self) -> list[tuple[str, str]]:
        """Return every field of the request."""

    def response_header(self, name: str) -> str | None:
        """Return a field of the response."""

    def response_headers(self) -> list[tuple[str, str]]:
        """Return every field of the response."""

@final
class Questions:
    """The questions put to one running analyzer. Every method may be called from any thread."""

    def pull(self, most: int, timeout: float) -> tuple[list[Question], list[int], list[int]] | None:
        """Take at most ``most`` questions, the tickets of those that need no answer any more, and the numbers of
        connections and exchanges that are over. Waits for a question at most ``timeout`` seconds, while other threads
        run. None: there will be no more.
        """  # noqa: D205

    def fileno(self) -> int:
        """Return a descriptor that is readable while there is something to take."""

    def answer(self, answers: Sequence[tuple[Question, tuple[tuple[object, ...], ...] | None]], busy: float) -> None:
        """Give answers: tuples of parts, each of which begins with its word; None goes on.

        ``busy`` is how many seconds of the interpreter's time they took. Raises ValueError, TypeError.
        """

@final
class Engine:
    """Worker threads that serve a Plan. Every method is safe from any thread and lets other Python threads run.

    In a forked copy of its process every method raises RuntimeError but ``stop``, which does nothing there.
    """

    def __new__(cls, plan: Plan, options: str, binder: int | None = None) -> Self:
        """Bind every listener and start. ``options`` is JSON::

            {"workers": 2, "access_log": "-" | "off" | PATH, "log_format": "text" | "json"}

        ``binder`` is a connected unix socket to a binder process asked when binding here is not permitted.
        Raises BindError; nothing runs then. OSError when the access log cannot be opened.
        """

    def apply(self, plan: Plan) -> None:
        """Swap to ``plan`` without dropping a connection. Raises BindError and changes nothing when a new address cannot be bound."""

    def addresses(self) -> dict[str, list[str]]:
        """The bound addresses of every listener, in the order of its ``bind``."""

    def stats(self) -> str:
        """A snapshot as JSON: ``{"workers": ..., "connections": ..., "listeners": {...}, "backends": {NAME: {..., "servers": {...}}}}``."""

    def connections(self, limit: int, wanted: str = "{}", cursor: str | None = None) -> str:
        """A page of at most ``limit`` live connections as JSON: ``{"connections": [...], "cursor": ... | null}``.

        ``wanted`` is a JSON object with the keys of ``Proxy.connections``, times in milliseconds; ``cursor`` is that of
        the page before. Raises ValueError for others.
        """

    def metrics(self, request: str) -> str:
        """All counters as text for scrapers. ``request`` is JSON::

            {"format": "prometheus" | "openmetrics", "scopes": ["process", "listener", ...], "version": ...,
             "reloads_applied": 0, "reloads_refused": 0, "last_reload_successful": true, "applied_at": SECONDS}

        No scope is all of them. Raises ValueError.
        """

    def refusals(self) -> str:
        """The last refusals (256 of each worker) as a JSON array, oldest first.

        Each is an access record with ``detail``, the reason in a sentence, and ``first_bytes`` (base64) where what came in
        could not be understood.
        """

    def close(self, ids: Sequence[int]) -> int:
        """Close the connections that have these numbers; how many there were."""

    def next_notice(self, timeout: float) -> str | None:
        """The next rare event (server up or down, a worker's panic, descriptors exhausted ...) as JSON, or None after ``timeout`` seconds."""

    def tap_records(self, wanted: bool) -> None:
        """Begin or end to hand out access records, whether or not there is an access log. What nobody has taken is forgotten."""

    def next_records(self, timeout: float) -> tuple[str, int] | None:
        """The access records since the last call as lines of JSON, and how many later ones found no place; or None after ``timeout`` seconds.

        At once None when they are not handed out, or when the engine is stopped and none are left.
        """

    def add_server(self, backend: str, server: str) -> None:
        """Add a server, given as JSON of the file's shape; see ``Proxy.add_server``. Raises KeyError, ValueError."""

    def remove_server(self, backend: str, server: str) -> None:
        """Remove a server by its address. Raises KeyError."""

    def set_servers(self, backend: str, source: str, servers: str) -> None:
        """Make these the servers that ``source`` gives, a JSON list. Raises KeyError, ValueError."""

    def set_server(self, backend: str, server: str, admin: str | None, weight: int | None) -> None:
        """Set ``admin`` (``ready``, ``drain``, ``maintenance``) and the weight (None: as configured). Raises KeyError."""

    def analyzer(self, name: str) -> Questions:
        """Return the questions put to an analyzer of the configuration that runs. Raises KeyError."""

    def reopen_logs(self) -> None:
        """Reopen the access log by its path. Raises OSError and keeps the old one when that fails."""

    def drain(self) -> None:
        """Stop accepting; connections go on."""

    def wait_idle(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until no connection is left; whether that is so."""

    def stop(self) -> None:
        """Close every connection now, write what is left of the access log and end the threads. May be called twice."""
