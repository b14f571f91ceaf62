"""Servers of nginx's stream: listeners of bytes, and of TLS that is passed on by its name."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from headworks.importing.nginx.backends import Upstreams
from headworks.importing.nginx.reader import Statement, every
from headworks.importing.nginx.scene import Scene, holding
from headworks.importing.nginx.values import SettingError, bound
from headworks.importing.patterns import is_ours

_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
_ASKED = re.compile(r"\$\{?ssl_preread_server_name\}?(?::(\d{1,5}|\$server_port))?")
_EVERYBODY = ["0.0.0.0/0", "::/0"]


class Streams:
    """The servers of one ``stream``."""

    def __init__(self, scene: Scene, upstreams: Upstreams, stream: Sequence[Statement]) -> None:
        self._scene = scene
        self._ledger = scene.ledger
        self._upstreams = upstreams
        self._stream = stream
        self._keys: dict[str, str] = {}

    def translate(self) -> None:
        """Make listeners of all servers."""
        for one in self._stream:
            if one.name == "server":
                self._scene.tried(one, (), partial(self._server, one))

    def _server(self, server: Statement) -> None:
        block = server.block or []
        levels = [self._stream, block]
        value: dict[str, Any] = {"bind": self._bind(server)}
        port = str(value["bind"][0]).rpartition(":")[2]
        listens = [word for one in server.all("listen") for word in one.arguments[1:]]
        if "udp" in listens:
            self._lose(server, "UDP is not passed on")
            return
        value["bind"] = value["bind"] if len(value["bind"]) > 1 else value["bind"][0]
        if "proxy_protocol" in listens:
            value["accept_proxy_from"] = list(_EVERYBODY)
        passes = server.all("proxy_pass")
        if not passes:
            self._lose(server, "it leads to no server")
            return
        reads_names = any(one.first == "on" for one in holding("ssl_preread", *levels))
        value["protocol"] = "tls" if reads_names else "tcp"
        path = ("listeners", self._named(f"{value['protocol']}_{port}"))
        if "ssl" in listens:
            value["tls"] = self._tls(levels, path)
        self._scene.draft.put(path, value, server)
        self._scene.draft.order.append(path)
        try:
            self._leads(passes[0], levels, value, path)
        except SettingError:
            del self._scene.draft.value["listeners"][path[1]]
            self._scene.draft.order.remove(path)
            self._lose(server, "where it leads cannot be told")
            raise
        self._ledger.converted(server, path)
        for one in (*server.all("listen"), *holding("ssl_preread", *levels)):
            self._ledger.converted(one, (*path, "bind"))
        for one in block:
            if not self._ledger.knows(one):
                self._access(one, value, path)

    def _access(self, one: Statement, value: dict[str, Any], path: tuple[str, ...]) -> None:
        if one.name in ("allow", "deny") and one.first != "all":
            value.setdefault(one.name, []).append(one.first)
            self._ledger.converted(one, (*path, one.name))
        elif one.name in ("allow", "deny"):
            self._ledger.nothing(one, "who is not in allow is not served" if one.name == "deny" else "all are", path)
        else:
            self._scene.settled(one, path)

    def _bind(self, server: Statement) -> list[str]:
        found = [bound(one.first) for one in server.all("listen") if one.first]
        if not found:
            raise SettingError("it listens nowhere")
        return list(dict.fromkeys(found))

    def _named(self, name: str) -> str:
        taken = self._scene.draft.value["listeners"]
        return next(one for one in (name, *(f"{name}_{n}" for n in range(2, len(taken) + 3))) if one not in taken)

    def _lose(self, server: Statement, reason: str) -> None:
        for one in every([server]):
            self._ledger.unsupported(one, reason)

    def _tls(self, levels: list[Sequence[Statement]], path: tuple[str, ...]) -> dict[str, Any]:
        keys = holding("ssl_certificate_key", *levels)
        certificates: list[Any] = []
        for number, one in enumerate(holding("ssl_certificate", *levels)):
            made = {"certificate": one.first, "key": keys[number].first} if number < len(keys) else one.first
            certificates.append(made)
            self._ledger.converted(one, (*path, "tls"))
        for one in (*keys, *holding("ssl_protocols", *levels)):
            self._ledger.converted(one, (*path, "tls"))
        return {"certificates": certificates} if certificates else {"self_signed": True}

    # ---- where it leads

    def _leads(
        self, one: Statement, levels: list[Sequence[Statement]], value: dict[str, Any], path: tuple[str, ...]
    ) -> None:
        place = one.first
        found = self._scene.maps.get(place.strip("${}"))
        if found is not None and value["protocol"] == "tls":
            self._mapped(found, one, levels, value, path)
        elif (asked := _ASKED.fullmatch(place)) is not None:
            value["table"] = self._table(path, {"*": self._asked(asked, one, levels, value)})
            self._ledger.converted(one, (*path, "table"), "this machine and private networks are refused")
        elif "$" in place:
            raise SettingError("where it leads is made of what is not known here")
        else:
            backend = self._upstreams.of_stream(place, one, levels, value)
            if value["protocol"] == "tls":
                value["table"] = self._table(path, {"*": backend})
                value["fallback"] = backend
            else:
                value["backend"] = backend

    def _table(self, path: tuple[str, ...], table: dict[str, Any]) -> str:
        tables = self._scene.draft.value["tables"]
        if (known := next((name for name, one in tables.items() if one == table), None)) is not None:
            return str(known)
        self._scene.draft.value["tables"][path[1]] = table
        self._scene.draft.order.append(("tables", path[1]))
        return path[1]

    def _asked(
        self, found: "re.Match[str]", one: Statement, levels: list[Sequence[Statement]], value: dict[str, Any]
    ) -> str:
        """Return the backend of the names that clients ask for."""
        del levels, value
        port = found[1]
        server = "*" if port in (None, "$server_port") else f"*:{port}"
        name = f"asked{'' if server == '*' else f'_{port}'}"
        backends = self._scene.draft.value["backends"]
        if name not in backends:
            self._scene.draft.put(("backends", name), {"servers": server, "allow_destinations": list(_EVERYBODY)}, one)
        return name

    def _mapped(
        self,
        found: Statement,
        one: Statement,
        levels: list[Sequence[Statement]],
        value: dict[str, Any],
        path: tuple[str, ...],
    ) -> None:
        if found.first.strip("${}") != "ssl_preread_server_name":
            raise SettingError("a map of something else than the name")
        has_hosts = any(entry.name == "hostnames" for entry in found.block or ())
        name = self._keys.get(found.arguments[1], path[1])
        table: dict[str, Any] = {}
        section = ("tables", name)
        patterns: dict[str, Any] = {}
        for entry in found.block or ():
            self._scene.tried(
                entry, section, partial(self._entry, entry, table, patterns, levels, value, section, has_hosts)
            )
        table.update(patterns)
        default = table.pop("*", None)
        if default is not None:
            value["fallback"] = default
        if not table:
            if default is None:
                raise SettingError("its map leads nowhere")
            table = {"*": default}
        value["table"] = self._table(path, table)
        self._ledger.converted(found, ("tables", value["table"]))
        self._ledger.converted(one, (*path, "table"))
        self._keys[found.arguments[1]] = value["table"]

    def _entry(  # noqa: PLR0913, PLR0917  (what an entry is put into)
        self,
        entry: Statement,
        table: dict[str, Any],
        patterns: dict[str, Any],
        levels: list[Sequence[Statement]],
        value: dict[str, Any],
        section: tuple[str, str],
        has_hosts: bool,  # noqa: FBT001
    ) -> None:
        if entry.name in ("hostnames", "volatile"):
            self._ledger.converted(entry, section)
            return
        keys = _keys(entry.name, has_hosts=has_hosts)
        place = entry.first
        asked = _ASKED.fullmatch(place)
        if asked is not None:
            backend = self._asked(asked, entry, levels, value)
            difference: str | None = "this machine and private networks are refused"
        elif not place or "$" in place:
            raise SettingError("names that lead nowhere: a table cannot refuse them before others take them")
        else:
            backend, difference = self._upstreams.of_stream(place, entry, levels, value), None
        for key in keys:
            (patterns if key.startswith("~") else table).setdefault(key, backend)
        path = (*section, keys[0]) if keys and keys[0] != "*" else section
        self._ledger.converted(entry, path, difference)


def _keys(text: str, *, has_hosts: bool) -> list[str]:
    """Return the patterns of ours for one of a map. Raises SettingError."""
    name = text.lower().removeprefix("\\")
    if text == "default":
        return ["*"]
    if text.startswith("~"):
        pattern = f"(?i){text[2:]}" if text.startswith("~*") else text[1:]
        if not is_ours(pattern):
            raise SettingError("its expression looks around, refers back, or is none that our engine takes")
        return [f"~{pattern}"]
    if has_hosts and name.startswith("*.") and _NAME.fullmatch(name[2:]):
        return [name]
    if has_hosts and name.startswith(".") and _NAME.fullmatch(name[1:]):
        return [name[1:], f"*{name}"]
    if has_hosts and name.endswith(".*") and _NAME.fullmatch(name[:-2]):
        return [f"~^{re.escape(name[:-1])}"]
    if _NAME.fullmatch(name):
        return [name]
    raise SettingError(f'"{text}" is no name')
