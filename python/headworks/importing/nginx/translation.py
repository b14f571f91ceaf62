"""Translation: what nginx's configuration says as one of ours, each statement with what became of it.

Must never start anything, or leave a statement without an outcome.
"""

from functools import partial
from typing import Any

from headworks.importing.draft import Draft
from headworks.importing.flaws import Flaws
from headworks.importing.ledger import Ledger
from headworks.importing.nginx.backends import Upstreams
from headworks.importing.nginx.reader import Statement, every, read
from headworks.importing.nginx.scene import LOST, Scene, shown
from headworks.importing.nginx.servers import Servers
from headworks.importing.nginx.streams import Streams
from headworks.importing.nginx.values import number
from headworks.importing.rulefile import RuleFile
from headworks.importing.translated import Translated

_UNKNOWN = "there is nothing like it here"
_IN_HTTP = frozenset({"server", "upstream", "location", "map", "geo", "log_format"})


def translate(source: bytes, name: str | None = None) -> Translated:
    """Translate a configuration of nginx; ``name`` is what problems are reported against."""
    lines = tuple(source.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    flaws, unsupported = Flaws(lines, name), Flaws(lines, name)
    statements, after = read(source, name, flaws)
    draft = Draft("nginx", shown, flaws, unsupported)
    scene = Scene(flaws, draft, Ledger(draft), RuleFile("nginx_rules", "nginx"))
    _Translating(scene, statements).translate()
    draft.at(()).after += after
    return Translated.of(draft, lines, scene.rules)


class _Translating:
    """One file."""

    def __init__(self, scene: Scene, statements: list[Statement]) -> None:
        self._scene = scene
        self._ledger = scene.ledger
        self._statements = statements
        self._value = scene.draft.value

    def translate(self) -> None:
        # Keys come in this order, whatever the file's.
        self._value.update({"proxy": {}, "logs": {}, "resolver": {}, "listeners": {}, "tables": {}, "backends": {}})
        # A file of sites-enabled has servers without http around them.
        is_part = any(one.name in _IN_HTTP for one in self._statements)
        for one in self._statements:
            if one.name in ("http", "stream", "events"):
                self._ledger.converted(one, ())
                self._inside(one.name, one.block or [])
            elif not is_part:
                self._scene.tried(one, (), partial(self._process, one))
        if is_part:
            self._inside("http", self._statements)
        self._rest()
        self._ledger.settle(every(self._statements), _UNKNOWN)
        for kind in ("proxy", "logs", "resolver", "tables", "backends", "listeners"):
            if not self._value[kind]:
                del self._value[kind]

    def _process(self, one: Statement) -> None:
        if one.name == "user" and one.first:
            self._set(("proxy", "user"), one.first, one)
            if len(one.arguments) > 1:
                self._value["proxy"]["group"] = one.arguments[1]
        elif one.name == "worker_processes" and one.first != "auto":
            self._set(("proxy", "workers"), number(one.first, 1, 1024), one)
        elif one.name == "worker_processes":
            self._ledger.nothing(one, "there is a worker a core")
        else:
            self._scene.settled(one)

    def _set(self, path: tuple[str, ...], value: Any, statement: Statement) -> None:
        self._scene.draft.put(path, value, statement)
        self._ledger.converted(statement, path)

    def _inside(self, kind: str, block: list[Statement]) -> None:
        scene = self._scene
        scene.upstreams = {one.first: one for one in block if one.name == "upstream" and one.first}
        scene.maps = {
            one.arguments[1].strip("${}"): one
            for one in block
            if one.name == "map" and len(one.arguments) == 2  # noqa: PLR2004
        }
        upstreams = Upstreams(scene)
        if kind == "http":
            Servers(scene, upstreams, block).translate()
        elif kind == "stream":
            Streams(scene, upstreams, block).translate()
        for one in block:
            scene.tried(one, (), partial(self._common, one))

    def _common(self, one: Statement) -> None:
        if self._ledger.knows(one) and one.name != "map":
            return
        if one.name == "access_log":
            self._log(one)
        elif one.name == "resolver":
            servers = [word for word in one.arguments if "=" not in word]
            self._set(("resolver", "nameservers"), servers, one)
        elif one.name == "map":
            self._map(one)
        elif one.name in ("upstream", "limit_req_zone", "limit_conn_zone") and not self._ledger.knows(one):
            self._ledger.nothing(one, "nothing leads there")
        else:
            self._scene.settled(one)

    def _log(self, one: Statement) -> None:
        if one.first == "off" or (one.first and not one.first.startswith("syslog:") and "$" not in one.first):
            if "access" not in self._value["logs"]:
                self._set(("logs", "access"), one.first, one)
                self._ledger.converted(
                    one, ("logs", "access"), None if one.first == "off" else "records have a form of ours"
                )
            else:
                self._ledger.nothing(one, "there is one access log for all")
        else:
            self._ledger.nothing(one, "there is one access log for all: see [logs]")

    def _map(self, one: Statement) -> None:
        is_upgrade = one.first == "$http_upgrade"
        for inner in (one, *(one.block or ())):
            if self._ledger.knows(inner):
                continue
            if is_upgrade:
                self._ledger.nothing(inner, "upgrades are passed on as they have to be")
            else:
                self._ledger.unsupported(inner, "tables map names; anything else is a table in a rule's module")

    def _rest(self) -> None:
        """Settle what nobody took."""
        for one in every(self._statements):
            if self._ledger.knows(one):
                continue
            if one.name == "access_log":
                self._ledger.nothing(one, "there is one access log for all: see [logs]")
            elif not self._scene.settled(one):
                reason = _INHERITED.get(one.name) or LOST.get(one.name)
                if reason is not None:
                    self._ledger.nothing(one, reason)
        for pool in [one for one in every(self._statements) if one.name == "upstream"]:
            for inner in pool.block or ():
                if not self._ledger.knows(inner):
                    self._ledger.nothing(inner, "nothing leads there")


_INHERITED = dict.fromkeys(
    [
        "proxy_set_header",
        "proxy_connect_timeout",
        "proxy_read_timeout",
        "proxy_hide_header",
        "add_header",
        "proxy_ssl_verify",
        "proxy_ssl_server_name",
        "proxy_ssl_trusted_certificate",
        "proxy_ssl_name",
        "gzip",
        "gzip_types",
        "gzip_min_length",
        "ssl_certificate",
        "ssl_certificate_key",
        "ssl_protocols",
        "ssl_session_tickets",
        "client_max_body_size",
        "keepalive_timeout",
        "proxy_timeout",
        "ssl_client_certificate",
        "ssl_verify_client",
        "limit_req_zone",
        "limit_conn_zone",
        "set_real_ip_from",
        "proxy_protocol",
    ],
    "nothing that is served here is said by it",
)
"""Directives that may hold for nobody."""
