"""Upstreams of nginx, and what is said beside `proxy_pass`, as backends of ours."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from headworks.importing.nginx.reader import Statement
from headworks.importing.nginx.scene import HOUR, Scene, holding
from headworks.importing.nginx.values import SettingError, duration, milliseconds, number, server, template

_PASS = re.compile(r"(https?)://(unix:[^:]+:|[^/$]+)(/[^$]*)?")
_BALANCE = {"least_conn": "least_connections", "ip_hash": "source_hash", "random": "two_choices", "least_time": ""}
_KEYS = {"$request_uri": "path_hash", "$uri": "path_hash", "$host": "host_hash", "$http_host": "host_hash"}
_CLIENT = ("$remote_addr", "$binary_remote_addr", "$proxy_protocol_addr")
FORWARDED = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})
_OF_CONNECTION = frozenset({"upgrade", "connection", "te", "transfer-encoding", "content-length", "accept-encoding"})
_LONGEST_KEEP = 24 * HOUR

Levels = Sequence[Sequence[Statement]]
"""Directives of http, of the server and of the location."""


class Upstreams:
    """The backends of one file, made as they are needed."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._made: dict[str, dict[str, Any]] = scene.draft.value["backends"]

    def of_pass(self, statement: Statement, levels: Levels, prefix: str, stripped: str | None = None) -> str:
        """Return the backend that a ``proxy_pass`` of http leads to; ``stripped`` is a prefix that is taken off.

        Raises SettingError.
        """
        found = _PASS.fullmatch(statement.first)
        if found is None:
            raise SettingError("where it leads is made of the request: write the names into a table")
        scheme, place, path = found[1], found[2], found[3] or ""
        value = self._servers(place, 443 if scheme == "https" else 80)
        if path and stripped is None:
            _prefixes(value, prefix, path)
        elif stripped is not None:
            value["strip_prefix"] = stripped
        if scheme == "https":
            value["tls"] = self._tls(levels)
        self._told(value, levels, place)
        return self._named(place.strip(":"), value, statement)

    def of_stream(self, place: str, statement: Statement, levels: Levels, listener: dict[str, Any]) -> str:
        """Return the backend that a ``proxy_pass`` of stream leads to. Raises SettingError."""
        value = self._servers(place, 0)
        if any(one.first == "on" for one in holding("proxy_protocol", *levels)):
            value["proxy_protocol"] = "v1"
        for one in holding("proxy_protocol", *levels):
            self._scene.ledger.converted(one, ("backends", place, "proxy_protocol"))
        for one in holding("proxy_connect_timeout", *levels):
            self._scene.time(one, value, ("backends", place, "connect_timeout"))
        for one in holding("proxy_timeout", *levels):
            self._scene.time(one, listener.setdefault("timeouts", {}), ("listeners", "", "idle"), 168 * HOUR)
        if any(one.first == "on" for one in holding("proxy_ssl", *levels)):
            value["tls"] = self._tls(levels)
        for one in holding("proxy_ssl", *levels):
            self._scene.ledger.converted(one, ("backends", place))
        return self._named(place, value, statement)

    def _named(self, name: str, value: dict[str, Any], statement: Statement) -> str:
        """Return the name of a backend; the same ones are made once."""
        free = name
        count = 1
        while free in self._made and self._made[free] != value:
            count += 1
            free = f"{name}_{count}"
        if free not in self._made:
            self._scene.draft.put(("backends", free), value, statement)
        self._scene.ledger.converted(statement, ("backends", free))
        pool = self._scene.upstreams.get(name)
        if pool is not None:
            self._scene.ledger.converted(pool, ("backends", free))
        return free

    # ---- servers

    def _servers(self, place: str, port: int) -> dict[str, Any]:
        pool = self._scene.upstreams.get(place)
        if pool is not None:
            return self._pool(pool)
        if place.startswith("unix:"):
            return {"servers": [place.rstrip(":")]}
        if "$" in place:
            raise SettingError("where it leads is made of the request: write the names into a table")
        has_port = re.search(r":\d+$", place) is not None
        if not has_port and not port:
            raise SettingError(f"{place} has no port")
        return {"servers": [server(place if has_port else f"{place}:{port}")]}

    def _pool(self, pool: Statement) -> dict[str, Any]:
        value: dict[str, Any] = {"servers": []}
        path = ("backends", pool.first)
        for one in pool.block or ():
            self._scene.tried(one, path, partial(self._member, one, value, path))
        if not value["servers"]:
            raise SettingError(f'"{pool.first}" has no server that is known here')
        return value

    def _member(self, one: Statement, value: dict[str, Any], path: tuple[str, str]) -> None:
        ledger = self._scene.ledger
        if one.name == "server":
            made, differences = self._server(one, value)
            if made not in value["servers"]:
                value["servers"].append(made)
            ledger.converted(one, (*path, "servers"), "; ".join(differences) or None)
        elif one.name == "keepalive":
            value.setdefault("pool", {})["size"] = number(one.first, 0, 65535)
            ledger.converted(one, (*path, "pool"))
        elif one.name == "keepalive_timeout":
            value.setdefault("pool", {})["timeout"] = duration(milliseconds(one.first), _LONGEST_KEEP)
            ledger.converted(one, (*path, "pool"))
        elif one.name == "hash":
            _hashed(one, value)
            ledger.converted(one, (*path, "balance"))
        elif one.name == "sticky" and one.first == "cookie" and len(one.arguments) > 1:
            value["affinity"] = {"cookie": one.arguments[1]}
            ledger.converted(one, (*path, "affinity"), "the value is our own, and signed")
        elif _BALANCE.get(one.name):
            value["balance"] = _BALANCE[one.name]
            ledger.converted(one, (*path, "balance"))
        elif not self._scene.settled(one, path):
            raise SettingError("there is nothing like it here")

    def _server(  # noqa: C901  (one word a branch)
        self, one: Statement, value: dict[str, Any]
    ) -> tuple[Any, list[str]]:
        text = one.first
        if not text.startswith("unix:") and not re.search(r":\d+$", text):
            text = f"{text}:80"
        made: dict[str, Any] = {"address": server(text)}
        differences = []
        for word in one.arguments[1:]:
            key, _, given = word.partition("=")
            match key:
                case "weight":
                    made["weight"] = number(given, 0, 256)
                case "max_conns":
                    made["max_connections"] = number(given, 1, 10_000_000)
                case "backup":
                    made["backup"] = True
                case "down":
                    made["weight"] = 0
                case "max_fails":
                    value.setdefault("ejection", {})["failures"] = number(given, 0, 1000)
                case "fail_timeout":
                    value.setdefault("ejection", {})["duration"] = duration(milliseconds(given), _LONGEST_KEEP)
                case "slow_start":
                    value["slow_start"] = duration(milliseconds(given), _LONGEST_KEEP)
                case "resolve":
                    pass
                case _:
                    differences.append(f"{word} is left out")
        return (made["address"] if len(made) == 1 else made), differences

    # ---- what is said beside it

    def _tls(self, levels: Levels) -> dict[str, Any]:
        ledger = self._scene.ledger
        tls: dict[str, Any] = {"verify": False}
        for one in holding("proxy_ssl_verify", *levels):
            tls["verify"] = one.first == "on"
            ledger.converted(one, ("backends",))
        for one in holding("proxy_ssl_trusted_certificate", *levels):
            if tls["verify"]:
                tls["ca"] = [one.first]
            ledger.converted(one, ("backends",))
        for one in holding("proxy_ssl_name", *levels):
            if re.fullmatch(r"[0-9A-Za-z_.-]+", one.first):
                tls["server_name"] = one.first
                ledger.converted(one, ("backends",))
        for name, key in (("proxy_ssl_certificate", "certificate"), ("proxy_ssl_certificate_key", "key")):
            for one in holding(name, *levels):
                tls[key] = one.first
                ledger.converted(one, ("backends",))
        for one in holding("proxy_ssl_server_name", *levels):
            ledger.nothing(one, "servers are asked for the name that they are written with")
        return tls

    def _told(  # noqa: C901  (one directive a branch)
        self, value: dict[str, Any], levels: Levels, place: str
    ) -> None:
        scene = self._scene
        section = ("backends", place)
        fields = holding("proxy_set_header", *levels)
        if not any(one.first.lower() == "host" for one in fields) and not place.startswith("unix:"):
            value["host"] = place
        for one in fields:
            scene.tried(one, section, partial(self._field, one, value, section))
        for name, key, most in (
            ("proxy_connect_timeout", "connect_timeout", HOUR),
            ("proxy_read_timeout", "response_timeout", 24 * HOUR),
        ):
            for one in holding(name, *levels):
                scene.time(one, value, (*section, key), most)
        for one in holding("proxy_bind", *levels):
            if "$" in one.first:
                scene.ledger.unsupported(one, "servers see our own address", section)
            elif one.first != "off":
                value["source"] = one.first
                scene.ledger.converted(one, (*section, "source"))
        for one in holding("proxy_hide_header", *levels):
            removed = value.setdefault("response_headers", {}).setdefault("remove", [])
            if one.first not in removed:
                removed.append(one.first)
            scene.ledger.converted(one, (*section, "response_headers"))
        for one in holding("add_header", *levels):
            scene.tried(one, section, partial(self._added, one, value, section))

    def _field(self, one: Statement, value: dict[str, Any], section: tuple[str, str]) -> None:
        ledger = self._scene.ledger
        name, said = [*one.arguments, "", ""][:2]
        lowered = name.lower()
        if lowered == "host":
            if said not in ("$host", "$http_host", "$host:$server_port", "$http_host:$server_port"):
                value["host"] = _plain_host(said)
            ledger.converted(one, (*section, "host"))
        elif lowered in FORWARDED and said:
            ledger.nothing(one, "it is one of the fields of http.forwarded", section)
        elif lowered in _OF_CONNECTION and (lowered != "accept-encoding" or said):
            ledger.nothing(one, "fields of the connection are passed on as they have to be", section)
        else:
            headers = value.setdefault("request_headers", {})
            if said:
                headers.setdefault("set", {})[name] = template(said)
            elif name not in headers.setdefault("remove", []):
                headers["remove"].append(name)
            ledger.converted(one, (*section, "request_headers"))

    def _added(self, one: Statement, value: dict[str, Any], section: tuple[str, str]) -> None:
        name, said = [*one.arguments, "", ""][:2]
        difference = None if "always" in one.arguments[2:] else "errors get it, too"
        value.setdefault("response_headers", {}).setdefault("add", {})[name] = template(said)
        self._scene.ledger.converted(one, (*section, "response_headers"), difference)


def _plain_host(said: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._:\[\]-]+", said):
        raise SettingError("the Host of servers is the client's, or one that is always the same")
    return said


def _hashed(one: Statement, value: dict[str, Any]) -> None:
    if one.first in _CLIENT:
        value["balance"] = "source_hash"
    elif one.first in _KEYS:
        value["balance"] = _KEYS[one.first]
    elif found := re.fullmatch(r"\$http_(\w+)", one.first):
        value["balance"], value["hash_header"] = "header_hash", found[1].replace("_", "-")
    else:
        raise SettingError(f"{one.first} is not balanced by here")


def _prefixes(value: dict[str, Any], prefix: str, path: str) -> None:
    """Tell a path that takes the place of the location's."""
    bare, added = prefix.rstrip("/"), path.rstrip("/")
    if bool(bare) and prefix.endswith("/") != path.endswith("/"):
        raise SettingError("the path of one ends in / and of the other it does not: segments would run together")
    if not re.fullmatch(r"(/[!-\"$->@-~]+)*", bare) or not re.fullmatch(r"(/[!-\"$->@-~]+)*", added):
        raise SettingError("its path has characters that prefixes have not")
    if bare == added:
        return
    if bare:
        value["strip_prefix"] = bare
    if added:
        value["add_prefix"] = added
