"""Operations: everything under ``/v1``, one entry each. Routes (routes.py) and description (openapi.py) are made of it.

What needs something that not every proxy has is left out where that is missing. Must never know HTTP but methods,
paths and statuses.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from headworks.admin import answers, asked
from headworks.admin.refusal import Refusal
from headworks.explanation import Asked, Explanation
from headworks.stats import Stats

if TYPE_CHECKING:
    from headworks.admin.admin import Admin

MOST_CONFIG = 16 << 20
"""Bytes of a configuration at most."""
MOST = 64 << 10
"""Bytes of any other body at most."""


@dataclass(frozen=True)
class Call:
    """One request for an operation, all of it checked."""

    admin: "Admin"
    by: str
    """The one that asks."""
    parts: Mapping[str, str]
    """Parts of the path."""
    query: Any
    """The query, as the operation has it."""
    body: Any
    """The body, as the operation has it."""
    match: str | None
    """If-Match, without quotes."""
    may_see_all: bool
    """Whether it came as somebody: who only reached a port does not see the configuration."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that can be asked or told."""

    name: str
    """The name in the description."""
    method: str
    path: str
    """Below ``/v1``; ``{server:path}`` may have slashes."""
    says: str
    """A sentence for people."""
    answer: Any
    """The type of its answer; None: it has no body."""
    run: Callable[[Call], Any]
    query: type[BaseModel] = asked.NoQuery
    body: type[BaseModel] | None = None
    status: int = 200
    """Status of an answer that says yes."""
    refusals: tuple[int, ...] = ()
    """Statuses of answers that say no, besides those that every operation may give."""
    most: int = MOST
    """Bytes of its body at most."""
    tag: str | None = None
    """The member of the answer that is its ETag."""
    only_reads: bool = False
    """Whether it changes nothing although its method could."""

    @property
    def changes(self) -> bool:
        """Whether it is for those who may change something. Trying a configuration is: it imports its modules."""
        return self.method != "GET" and not self.only_reads


def operations() -> tuple[Operation, ...]:
    """Return all that can be asked and told."""
    return (*_ASKED, *_SERVERS, *_PROCESS, *_FACTS)


def _refusals(call: Call) -> tuple[dict[str, Any], ...]:
    """Return the last refusals as JSON has them, the oldest first."""
    rows = (asdict(one) for one in call.admin.proxy.refusals())
    return tuple({**row, "first_bytes": b64encode(row["first_bytes"]).decode()} for row in rows)


def _explained(call: Call) -> Explanation:
    body: asked.Client = call.body
    client = Asked(
        sni=body.sni, host=body.host, path=body.path, method=body.method, headers=body.headers, client=body.client
    )
    return call.admin.explain(body.listener, client)


def _config(call: Call) -> answers.ConfigText:
    if not call.may_see_all:
        raise Refusal(401, "token", "the configuration is shown to those who have a token, or come by the socket")
    return call.admin.config()


def _tried(call: Call) -> answers.Trial:
    if call.query.dry_run is None:
        raise Refusal(400, "dry_run", "POST looks at a configuration (?dry_run=true), PUT runs it")
    return call.admin.trial(call.body.toml)


def _put(call: Call) -> answers.ConfigText:
    if call.match is None:
        raise Refusal(428, "if_match", "give If-Match: the ETag of GET config, or * for whatever it is")
    return call.admin.put_config(call.by, call.body.toml, call.match)


def _closed(call: Call) -> None:
    call.admin.close_connection(call.by, call.parts["number"])


def _removed(call: Call) -> None:
    call.admin.remove_server(call.by, call.parts["backend"], call.parts["server"])


_ASKED = (
    Operation(
        name="status",
        method="GET",
        path="/status",
        says="The proxy at a glance.",
        answer=answers.Status,
        run=lambda call: call.admin.status(),
    ),
    Operation(
        name="stats",
        method="GET",
        path="/stats",
        says="Every counter, at one moment.",
        answer=Stats,
        run=lambda call: call.admin.stats(),
    ),
    Operation(
        name="listeners",
        method="GET",
        path="/listeners",
        says="Every listener.",
        answer=tuple[answers.ListenerRow, ...],
        run=lambda call: call.admin.listeners(),
    ),
    Operation(
        name="tables",
        method="GET",
        path="/tables",
        says="Every table, with its first entries.",
        answer=tuple[answers.TableRow, ...],
        query=asked.OfTables,
        run=lambda call: call.admin.tables(contains=call.query.contains, limit=call.query.limit),
    ),
    Operation(
        name="table",
        method="GET",
        path="/tables/{table}",
        says="One table.",
        answer=answers.TableRow,
        query=asked.OfTables,
        run=lambda call: call.admin.tables(call.parts["table"], contains=call.query.contains, limit=call.query.limit)[
            0
        ],
        refusals=(404,),
    ),
    Operation(
        name="backends",
        method="GET",
        path="/backends",
        says="Every backend with its servers.",
        answer=tuple[answers.BackendRow, ...],
        run=lambda call: call.admin.backends(),
    ),
    Operation(
        name="servers",
        method="GET",
        path="/servers",
        says="Every server: configured, changed by whom, observed.",
        answer=tuple[answers.ServerRow, ...],
        query=asked.OfBackend,
        run=lambda call: call.admin.servers(call.query.backend),
        refusals=(404,),
    ),
    Operation(
        name="connections",
        method="GET",
        path="/connections",
        says="Live connections, in no order.",
        answer=answers.ConnectionPage,
        query=asked.OfConnections,
        run=lambda call: call.admin.connections(**call.query.model_dump(exclude_none=True)),
    ),
    Operation(
        name="certificates",
        method="GET",
        path="/certificates",
        says="Every certificate that is presented.",
        answer=tuple[answers.CertificateRow, ...],
        run=lambda call: call.admin.certificates(),
    ),
    Operation(
        name="analyzers",
        method="GET",
        path="/analyzers",
        says="Every analyzer.",
        answer=tuple[answers.AnalyzerRow, ...],
        run=lambda call: call.admin.analyzers(),
    ),
    Operation(
        name="rules",
        method="GET",
        path="/rules",
        says="Rules of listeners and backends.",
        answer=tuple[answers.RuleRow, ...],
        run=lambda call: call.admin.rules(),
    ),
    Operation(
        name="notices",
        method="GET",
        path="/notices",
        says="The last rare events, the oldest first.",
        answer=tuple[answers.NoticeRow, ...],
        query=asked.After,
        run=lambda call: call.admin.notices(call.query.after),
    ),
    Operation(
        name="limits",
        method="GET",
        path="/limits",
        says="Limits that are set, and how much of each is used.",
        answer=tuple[answers.LimitRow, ...],
        run=lambda call: call.admin.limits(),
    ),
    Operation(
        name="config",
        method="GET",
        path="/config",
        says="The configuration that runs, and what is in its file. Its ETag is for PUT.",
        answer=answers.ConfigText,
        run=_config,
        tag="digest",
    ),
    Operation(
        name="explain",
        method="POST",
        path="/explain",
        says="Where a client would get to; every server is taken to be up.",
        answer=Explanation,
        body=asked.Client,
        run=_explained,
        refusals=(404,),
        only_reads=True,
    ),
)

_SERVERS = (
    Operation(
        name="change_backend",
        method="PATCH",
        path="/backends/{backend}",
        says="Take every server of a backend out of service, or back.",
        answer=answers.BackendRow,
        body=asked.BackendChange,
        run=lambda call: call.admin.set_servers(call.by, call.parts["backend"], call.body.admin),
        refusals=(404,),
    ),
    Operation(
        name="add_server",
        method="POST",
        path="/backends/{backend}/servers",
        says="Add a server, or give the one with this address other settings.",
        answer=answers.ServerRow,
        body=asked.NewServer,
        run=lambda call: call.admin.add_server(call.by, call.parts["backend"], **call.body.model_dump()),
        status=201,
        refusals=(404,),
    ),
    Operation(
        name="server",
        method="GET",
        path="/backends/{backend}/servers/{server:path}",
        says="One server.",
        answer=answers.ServerRow,
        run=lambda call: call.admin.server(call.parts["backend"], call.parts["server"]),
        refusals=(404,),
    ),
    Operation(
        name="change_server",
        method="PATCH",
        path="/backends/{backend}/servers/{server:path}",
        says="Take a server out of service or back, and set its weight.",
        answer=answers.ServerRow,
        body=asked.ServerChange,
        run=lambda call: call.admin.set_server(
            call.by, call.parts["backend"], call.parts["server"], **call.body.model_dump(exclude_unset=True)
        ),
        refusals=(404,),
    ),
    Operation(
        name="remove_server",
        method="DELETE",
        path="/backends/{backend}/servers/{server:path}",
        says="Remove a server; its connections go on.",
        answer=None,
        run=_removed,
        status=204,
        refusals=(404,),
    ),
)

_PROCESS = (
    Operation(
        name="try_config",
        method="POST",
        path="/config",
        says="What would become of a configuration: problems, and what differs. Changes nothing.",
        answer=answers.Trial,
        query=asked.Tried,
        body=asked.TriedConfig,
        run=_tried,
        refusals=(409,),
        most=MOST_CONFIG,
    ),
    Operation(
        name="put_config",
        method="PUT",
        path="/config",
        says="Write a configuration to the file and run it; where it cannot be used, everything is as before.",
        answer=answers.ConfigText,
        body=asked.NewConfig,
        run=_put,
        refusals=(409, 412, 428),
        most=MOST_CONFIG,
        tag="digest",
    ),
    Operation(
        name="reload",
        method="POST",
        path="/reload",
        says="Read the file again, as HUP does.",
        answer=answers.Reloaded,
        body=asked.Nothing,
        run=lambda call: call.admin.reload(call.by),
        refusals=(409,),
    ),
    Operation(
        name="reopen_logs",
        method="POST",
        path="/reopen_logs",
        says="Open the logs again, as USR1 does.",
        answer=answers.Done,
        body=asked.Nothing,
        run=lambda call: call.admin.reopen_logs(call.by),
        refusals=(409,),
    ),
    Operation(
        name="drain",
        method="POST",
        path="/drain",
        says="Accept no more; what is open goes on. Only a restart ends that.",
        answer=answers.Done,
        body=asked.Nothing,
        run=lambda call: call.admin.drain(call.by),
        status=202,
    ),
    Operation(
        name="stop",
        method="POST",
        path="/stop",
        says="Let connections finish and end the process, as TERM does.",
        answer=answers.Done,
        body=asked.Nothing,
        run=lambda call: call.admin.stop(call.by),
        status=202,
        refusals=(409,),
    ),
    Operation(
        name="log_level",
        method="POST",
        path="/log_level",
        says="Set the level of the log, until the next reload.",
        answer=answers.Level,
        body=asked.NewLevel,
        run=lambda call: call.admin.set_level(call.by, call.body.level),
        refusals=(409,),
    ),
)

_FACTS = (
    Operation(
        name="refusals",
        method="GET",
        path="/refusals",
        says="The last clients and requests that were refused, the oldest first.",
        answer=tuple[dict[str, Any], ...],
        run=_refusals,
    ),
    Operation(
        name="close_connections",
        method="DELETE",
        path="/connections",
        says="Close those connections at once, if they are no more than were counted.",
        answer=answers.Closed,
        query=asked.Counted,
        run=lambda call: call.admin.close_connections(call.by, **call.query.model_dump(exclude_none=True)),
        refusals=(409,),
    ),
    Operation(
        name="close_connection",
        method="DELETE",
        path="/connections/{number}",
        says="Close one connection at once.",
        answer=None,
        run=_closed,
        status=204,
        refusals=(404,),
    ),
)
