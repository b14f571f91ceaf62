"""Servers of nginx's http: listeners, and tables of what their locations do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from headworks.importing.nginx.backends import FORWARDED, Upstreams
from headworks.importing.nginx.locations import NOT_FOUND, Action, Location, Locations
from headworks.importing.nginx.names import Names, names_of, python
from headworks.importing.nginx.reader import Statement, every
from headworks.importing.nginx.scene import HOUR, Scene, holding
from headworks.importing.nginx.values import SettingError, bound, number, size
from headworks.importing.rulefile import Branch, quoted, raw

_MOST_BODY = 1048576 << 30
_PATH = re.compile(r"(/[!-\"$->@-~]+)*/?")
_TIMES = {
    "client_header_timeout": ("first_bytes", HOUR),
    "client_body_timeout": ("body", 24 * HOUR),
    "keepalive_timeout": ("keep_alive", 168 * HOUR),
    "lingering_time": ("linger", HOUR),
}
_EVERYBODY = ["0.0.0.0/0", "::/0"]
_RATE = re.compile(r"rate=(\d{1,9})r/([sm])")


@dataclass(slots=True)
class Listen:
    """One ``listen`` of a server."""

    statement: Statement
    address: str
    is_tls: bool
    is_default: bool
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Site:
    """One server."""

    statement: Statement
    names: Names
    listens: list[Listen]


@dataclass(slots=True)
class Group:
    """Addresses with the same servers: a listener."""

    addresses: list[str]
    sites: list[Site]
    default: Site
    is_tls: bool
    settings: dict[str, Any]


class Servers:
    """The servers of one ``http``."""

    def __init__(self, scene: Scene, upstreams: Upstreams, http: Sequence[Statement]) -> None:
        self._scene = scene
        self._upstreams = upstreams
        self._http = http

    def translate(self) -> None:
        """Make listeners and tables of all servers."""
        sites = [self._site(one) for one in self._http if one.name == "server"]
        for group in self._groups(sites):
            _Listening(self._scene, self._upstreams, self._http, group).translate()

    def _site(self, statement: Statement) -> Site:
        made = Site(statement, names_of(statement), [])
        for one in statement.all("listen"):
            self._scene.tried(one, (), partial(self._listen, one, made))
        if not statement.all("listen"):
            made.listens.append(Listen(statement, "0.0.0.0:80", is_tls=False, is_default=False))
        return made

    def _listen(self, one: Statement, site: Site) -> None:
        words = one.arguments[1:]
        if "quic" in words:
            raise SettingError("QUIC is not listened on")
        is_tls = "ssl" in words or any(ssl.first == "on" for ssl in site.statement.all("ssl"))
        made = Listen(one, bound(one.first), is_tls, bool({"default_server", "default"} & set(words)))
        if "proxy_protocol" in words:
            made.settings["accept_proxy_from"] = list(_EVERYBODY)
        for word in words:
            key, _, value = word.partition("=")
            if key == "backlog":
                made.settings["backlog"] = number(value, 1, 65535)
            elif word == "ipv6only=on" and made.address.startswith("["):
                made.settings["ipv6_only"] = True
        site.listens.append(made)

    def _groups(self, sites: list[Site]) -> list[Group]:
        by_address: dict[str, list[tuple[Site, Listen]]] = {}
        for site in sites:
            for listen in site.listens:
                by_address.setdefault(listen.address, []).append((site, listen))
        groups: list[Group] = []
        for address, found in by_address.items():
            default = next((site for site, listen in found if listen.is_default), found[0][0])
            settings: dict[str, Any] = {}
            for _, listen in found:
                settings.update(listen.settings)
            settings.pop("ipv6_only", None)
            is_tls = any(listen.is_tls for _, listen in found)
            made = Group([address], [site for site, _ in found], default, is_tls, settings)
            known = next((one for one in groups if _is_same(one, made)), None)
            if known is None:
                groups.append(made)
            else:
                known.addresses.append(address)
            if len({f"{one.rpartition(':')[2]}" for one in (known or made).addresses}) < len((known or made).addresses):
                # IPv6 and IPv4 at the same port: each has a socket of its own.
                (known or made).settings["ipv6_only"] = True
        return groups


def _is_same(one: Group, other: Group) -> bool:
    same = [site.statement for site in one.sites] == [site.statement for site in other.sites]
    plain = {key: value for key, value in one.settings.items() if key != "ipv6_only"}
    return same and one.default is other.default and one.is_tls == other.is_tls and plain == other.settings


class _Listening:
    """One listener."""

    def __init__(self, scene: Scene, upstreams: Upstreams, http: Sequence[Statement], group: Group) -> None:
        self._scene = scene
        self._ledger = scene.ledger
        self._upstreams = upstreams
        self._http = http
        self._group = group
        port = group.addresses[0].rpartition(":")[2]
        kind = "https" if group.is_tls else "http"
        name = f"{kind}_{port}" if port.isdigit() else f"{kind}_unix"
        taken = scene.draft.value["listeners"]
        count = 1
        free = name
        while free in taken:
            count += 1
            free = f"{name}_{count}"
        self._path = ("listeners", free)
        self._value: dict[str, Any] = {}
        self._table: dict[str, Any] = {}
        self._branches: list[Branch] = []
        self._lines: list[int] = []

    def translate(self) -> None:
        group, path = self._group, self._path
        first = group.sites[0].statement
        addresses = group.addresses
        self._value["bind"] = addresses[0] if len(addresses) == 1 else addresses
        self._value["protocol"] = "https" if group.is_tls else "http"
        self._scene.draft.put(path, self._value, first)
        self._scene.draft.order.append(path)
        self._value.update(group.settings)
        for site in group.sites:
            self._ledger.converted(site.statement, path)
            for listen in site.listens:
                self._ledger.converted(listen.statement, (*path, "bind"))
            self._settings(site)
        if group.is_tls:
            self._tls()
        self._forwarded()
        for site in sorted(group.sites, key=lambda one: one is group.default):
            self._site(site)
        self._finish()

    def _finish(self) -> None:
        if self._branches:
            lines = sorted(set(self._lines))
            says = f"Line {lines[0]}." if len(lines) == 1 else f"Lines {lines[0]} to {lines[-1]}."
            rule = self._scene.rules.add(self._path[1], "Request", self._branches, says)
            self._value["rules"] = [rule]
        target = self._table.get("*")
        if list(self._table) == ["*"]:
            self._value.update(target if isinstance(target, dict) else {"backend": target})
        elif self._table:
            self._value["table"] = self._path[1]
            self._scene.draft.put(("tables", self._path[1]), self._table, self._group.sites[0].statement)
            self._scene.draft.order.append(("tables", self._path[1]))
            if isinstance(target, str):
                self._value["fallback"] = target
        else:
            self._value.update(NOT_FOUND)

    # ---- what holds for all requests

    def _settings(self, site: Site) -> None:
        block = site.statement.block or []
        levels = [self._http, block]
        section = self._path
        for one in (*self._http, *every(block)):
            if one.name == "client_max_body_size":
                self._scene.tried(one, section, partial(self._body, one))
        for name, (key, most) in _TIMES.items():
            for one in holding(name, *levels):
                self._scene.time(one, self._value.setdefault("timeouts", {}), (*section, "timeouts", key), most)
        for one in holding("keepalive_requests", *levels):
            self._http_key(one, "requests_per_connection", number(one.first, 0, 1_000_000_000))
        for one in holding("large_client_header_buffers", *levels):
            self._scene.tried(one, section, partial(self._heads, one))
        for one in (*levels[0], *levels[1]):
            if one.name == "set_real_ip_from" and one.first != "unix:":
                trusted = self._value.setdefault("http", {}).setdefault("trusted", [])
                if one.first not in trusted:
                    trusted.append(one.first)
                self._ledger.converted(one, (*section, "http"))
        self._compression(levels)
        self._limits(levels)

    def _http_key(self, one: Statement, key: str, value: Any) -> None:
        self._value.setdefault("http", {})[key] = value
        self._ledger.converted(one, (*self._path, "http"))

    def _body(self, one: Statement) -> None:
        http = self._value.setdefault("http", {})
        limit = size(one.first, _MOST_BODY)
        known = http.get("body_limit", "")
        if limit is None:
            http["body_limit"] = None
        elif known is not None and (not known or _bytes(limit) > _bytes(known)):
            http["body_limit"] = limit
        several = len({s.first for s in every([s.statement for s in self._group.sites]) if s.name == one.name}) > 1
        difference = "it holds for the whole listener: the largest of several" if several else None
        self._ledger.converted(one, (*self._path, "http"), difference)

    def _heads(self, one: Statement) -> None:
        if len(one.arguments) < 2:  # noqa: PLR2004
            raise SettingError("it has a number and a size")
        limit = size(one.arguments[1], 60 << 10)
        if limit is not None:
            self._http_key(one, "line_limit", limit)
            self._value["http"]["head_limit"] = limit if _bytes(limit) > 16 << 10 else "16KiB"

    def _compression(self, levels: list[Sequence[Statement]]) -> None:
        gzip = holding("gzip", *levels)
        is_on = any(one.first == "on" for one in gzip)
        for one in gzip:
            if is_on:
                self._value.setdefault("compression", {})["algorithms"] = ["gzip"]
                self._ledger.converted(one, (*self._path, "compression"))
            else:
                self._ledger.nothing(one, "it is off", self._path)
        for one in holding("gzip_types", *levels):
            types = [
                kind for kind in dict.fromkeys(one.arguments) if re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+*-]+", kind)
            ]
            if is_on and types:
                self._value["compression"]["types"] = list(dict.fromkeys(["text/html", *types]))
                self._ledger.converted(one, (*self._path, "compression"))
            else:
                self._ledger.nothing(one, "nothing is compressed by it", self._path)
        for one in holding("gzip_min_length", *levels):
            if is_on:
                self._value["compression"]["min_size"] = size(one.first, 1 << 30) or "0B"
                self._ledger.converted(one, (*self._path, "compression"))
            else:
                self._ledger.nothing(one, "nothing is compressed", self._path)

    def _limits(self, levels: list[Sequence[Statement]]) -> None:
        zones = {
            word.partition("=")[2].partition(":")[0]: one
            for one in self._http
            if one.name in ("limit_req_zone", "limit_conn_zone")
            for word in one.arguments
            if word.startswith("zone=")
        }
        for site in self._group.sites:
            for one in (*levels[0], *every(site.statement.block or [])):
                if one.name in ("limit_req", "limit_conn"):
                    self._scene.tried(one, self._path, partial(self._limit, one, zones))

    def _limit(self, one: Statement, zones: dict[str, Statement]) -> None:
        name = one.first.partition("=")[2] if one.name == "limit_req" else one.first
        zone = zones.get(name)
        if zone is None or zone.first not in ("$binary_remote_addr", "$remote_addr"):
            raise SettingError("clients are limited by their address: see rate_limit, or limit in a rule")
        if one.name == "limit_conn":
            self._value["max_connections_per_client"] = number([*one.arguments, ""][1], 1, 10_000_000)
            self._ledger.converted(one, (*self._path, "max_connections_per_client"))
        else:
            found = next((rate for word in zone.arguments if (rate := _RATE.fullmatch(word))), None)
            if found is None:
                raise SettingError("its zone has no rate")
            limit: dict[str, Any] = {"requests": int(found[1]) or 1, "per": f"1{found[2]}"}
            burst = next((word[6:] for word in one.arguments if word.startswith("burst=")), "0")
            limit["burst"] = limit["requests"] + number(burst, 0, 1_000_000)
            self._value["rate_limit"] = limit
            difference = "for the whole listener, at once with 429, and nobody is kept waiting"
            self._ledger.converted(one, (*self._path, "rate_limit"), difference)
        self._ledger.converted(zone, self._path)

    def _forwarded(self) -> None:
        places = [*self._http, *every([site.statement for site in self._group.sites])]
        tells = any(one.name == "proxy_set_header" and one.first.lower() in FORWARDED for one in places)
        self._value.setdefault("http", {})["forwarded"] = ["x_forwarded"] if tells else []
        http = self._value["http"]
        if http.get("body_limit", "") is None:
            del http["body_limit"]

    def _tls(self) -> None:  # noqa: C901, PLR0912  (one directive a branch)
        tls: dict[str, Any] = {}
        path = (*self._path, "tls")
        certificates: list[Any] = []
        sites = sorted(self._group.sites, key=lambda one: one is not self._group.default)
        for site in sites:
            levels = [self._http, site.statement.block or []]
            keys = holding("ssl_certificate_key", *levels)
            for number_, one in enumerate(holding("ssl_certificate", *levels)):
                made: Any = {"certificate": one.first, "key": keys[number_].first} if number_ < len(keys) else one.first
                if "$" in one.first or one.first.startswith(("data:", "engine:")):
                    self._ledger.unsupported(one, "certificates are files", self._path)
                    continue
                if made not in certificates:
                    certificates.append(made)
                self._ledger.converted(one, path)
            for one in keys:
                self._ledger.converted(one, path)
            for one in holding("ssl_protocols", *levels):
                if one.arguments == ["TLSv1.3"]:
                    tls["min_version"] = "1.3"
                is_old = bool({"SSLv3", "TLSv1", "TLSv1.1"} & set(one.arguments))
                self._ledger.converted(one, path, "TLS 1.2 is the least that is spoken" if is_old else None)
            for one in holding("ssl_session_tickets", *levels):
                if one.first == "off":
                    tls["tickets"] = False
                self._ledger.converted(one, path)
            for one in holding("ssl_reject_handshake", *levels):
                if one.first == "on" and site is self._group.default:
                    tls["strict_sni"] = True
                self._ledger.converted(one, path)
            for one in holding("ssl_early_data", *levels):
                if one.first == "on":
                    tls["early_data"] = "16KiB"
                self._ledger.converted(one, path)
            self._clients(levels, tls, path)
        self._value["tls"] = {"certificates": certificates, **tls} if certificates else {"self_signed": True, **tls}

    def _clients(self, levels: list[Sequence[Statement]], tls: dict[str, Any], path: tuple[str, ...]) -> None:
        authorities = holding("ssl_client_certificate", *levels)
        verify = holding("ssl_verify_client", *levels)
        kind = verify[0].first if verify else "off"
        for one in authorities:
            if kind in ("on", "optional"):
                verified = "required" if kind == "on" else "optional"
                tls["client_certificates"] = {"verify": verified, "ca": [one.first]}
                crl = holding("ssl_crl", *levels)
                if crl:
                    tls["client_certificates"]["crl"] = [crl[0].first]
                    self._ledger.converted(crl[0], path)
            self._ledger.converted(one, path)
        for one in verify:
            self._ledger.converted(
                one, path, "it holds for every name of the listener" if len(self._group.sites) > 1 else None
            )

    # ---- one server

    def _site(self, site: Site) -> None:
        is_default = site is self._group.default
        for one in site.statement.all("server_name"):
            said = f"{', '.join(site.names.lost)}: no such name is looked up" if site.names.lost else None
            self._ledger.converted(one, self._path, said)
        # The only server takes every name.
        hosts = ["*"] if len(self._group.sites) == 1 else [*site.names.keys, *(["*"] if is_default else [])]
        if hosts:
            self._named(site, hosts)
            return
        for one in every([site.statement]):
            if site.names.lost:
                self._ledger.unsupported(one, f"no such name is looked up: {', '.join(site.names.lost)}", self._path)
            else:
                self._ledger.nothing(one, "it has no name, and another server is the default", self._path)

    def _named(self, site: Site, hosts: list[str]) -> None:
        block = site.statement.block or []
        names = {"server_name": next(iter(site.names.exact), "")} if site.names.exact else {}
        locations = Locations(self._scene, self._upstreams, [self._http, block], names)
        locations.section = self._path
        condition = self._condition(site)
        for one in block:
            if one.name == "if":
                self._scene.tried(one, self._path, partial(self._if, one, locations, condition))
        whole = self._whole(block, locations)
        for networks in (*locations.access(self._http), *locations.access(block)):
            self._branch(_both(condition, networks[0]), networks[1], networks[2])
        if whole is None:
            self._locations(block, locations, hosts, condition)
        else:
            action, statement = whole
            if action.target is not None:
                self._enter(hosts, "", action.target, statement, action.difference)
            for one in block:
                if one.name == "location":
                    locations.lost(one, "every request gets an answer before it")
        self._rest(block)

    def _rest(self, block: Sequence[Statement]) -> None:
        for one in every(block):
            if not self._ledger.knows(one):
                self._scene.settled(one, self._path)

    def _if(self, one: Statement, locations: Locations, condition: str) -> None:
        held, verdict, statement = locations.conditional(one)
        self._branch(_both(condition, held), verdict, statement)

    def _whole(self, block: Sequence[Statement], locations: Locations) -> tuple[Action, Statement] | None:
        """Return what every request of a server gets, where it is always the same."""
        found: list[tuple[Action, Statement]] = []

        def put(one: Statement) -> None:
            if one.name == "return" and one.first == "444":
                self._ledger.nothing(one, "a host that nobody knows gets 421", self._path)
                found.append((Action(None, ""), one))
                return
            action = locations.answer(one) if one.name == "return" else locations.rewritten(one)
            self._ledger.converted(one, self._path, action.difference)
            found.append((action, one))

        for one in block:
            if one.name in ("return", "rewrite"):
                self._scene.tried(one, self._path, partial(put, one))
        return found[0] if found else None

    def _locations(self, block: Sequence[Statement], locations: Locations, hosts: list[str], condition: str) -> None:
        found = [made for one in block if one.name == "location" and (made := locations.read(one)) is not None]
        prefixes = [one.path for one in found if one.modifier in ("", "^~")]
        kept = [one.path for one in found if one.modifier == "^~"]
        for one in sorted(found, key=_turn):
            held = _both(condition, _asks(one, kept, prefixes))
            for inner, verdict, statement in one.branches:
                self._branch(_both(held, inner), verdict, statement)
            if one.modifier == "=" or one.modifier.startswith("~"):
                self._branch(held, one.action.verdict, one.statement)
                self._ledger.converted(one.statement, (*self._path, "rules"))
            elif not _PATH.fullmatch(one.path) or "//" in one.path:
                locations.lost(one.statement, "its path has characters that entries have not")
            else:
                self._prefix(one, hosts)
        if not any(one.path == "/" and one.modifier in ("", "^~") for one in found) and len(self._group.sites) > 1:
            for host in hosts:
                self._table.setdefault(host, NOT_FOUND)

    def _prefix(self, location: Location, hosts: list[str]) -> None:
        bare = location.path.rstrip("/")
        difference = None
        if location.path.endswith("/") and bare:
            difference = f"{bare} itself is taken, too, and not redirected"
        elif bare:
            difference = f"{bare} is taken on segment bounds: {bare}x is not"
        self._enter(hosts, bare, location.action.target, location.statement, difference)

    def _enter(self, hosts: list[str], path: str, target: Any, statement: Statement, difference: str | None) -> None:
        key = ""
        for host in hosts:
            if host.startswith("~") and path:
                self._ledger.unsupported(statement, "an entry with an expression has no path: write a rule", self._path)
                return
            key = f"{host}{path}"
            self._table.setdefault(key, target)
        self._ledger.converted(statement, ("tables", self._path[1], f"{hosts[0] if hosts else ''}{path}"), difference)

    # ---- conditions

    def _branch(self, condition: str, verdict: str, statement: Statement) -> None:
        self._branches.append((condition or None, verdict))
        self._lines.append(statement.line)

    def _condition(self, site: Site) -> str:
        """Return what holds for requests of a server, in Python; empty where all are."""
        others = [one for one in self._group.sites if one is not site and one.names.keys]
        if len(self._group.sites) == 1:
            return ""
        own = site.names.condition()
        exact = sorted({name for one in others for name in one.names.exact})
        if site is self._group.default:
            elsewhere = " or ".join(one.names.condition() for one in others)
            return f"({own} or not ({elsewhere}))" if own and elsewhere else f"not ({elsewhere})" if elsewhere else ""
        if (site.names.below or site.names.patterns) and exact:
            return f"({own}) and request.host not in {{{', '.join(map(quoted, exact))}}}"
        return f"({own})" if " or " in own else own


def _turn(location: Location) -> tuple[int, int]:
    """Order locations as they are asked: exact ones, expressions as they come, the longest prefix first."""
    if location.modifier == "=":
        return 0, 0
    return (1, 0) if location.modifier.startswith("~") else (2, -len(location.path))


def _asks(location: Location, kept: list[str], prefixes: list[str]) -> str:
    """Return what holds for requests of a location, in Python."""
    if location.modifier == "=":
        return f"request.path == {quoted(location.path)}"
    if location.modifier.startswith("~"):
        pattern = f"(?i){location.path}" if location.modifier == "~*" else location.path
        search = f"re.search({raw(python(pattern))}, request.path)"
        if kept:
            return f"not request.path.startswith({_one_or_more(kept)}) and {search}"
        return search
    longer = [one for one in prefixes if one.startswith(location.path) and one != location.path]
    own = "" if location.path == "/" else f"request.path.startswith({quoted(location.path)})"
    return _both(own, f"not request.path.startswith({_one_or_more(longer)})" if longer else "")


def _one_or_more(texts: Sequence[str]) -> str:
    return quoted(texts[0]) if len(texts) == 1 else f"({', '.join(map(quoted, texts))})"


def _both(one: str, other: str) -> str:
    if not one or other == "True":
        return other if other != "True" else one
    if not other:
        return one
    return f"{one} and {f'({other})' if ' or ' in other else other}"


def _bytes(written: str) -> int:
    found = re.fullmatch(r"(\d+)([KMG]?i?B)", written)
    if found is None:
        return 0
    return int(found[1]) * {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[found[2]]
