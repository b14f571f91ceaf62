"""Backends of HAProxy: servers, balancing, checks and what is done to requests there."""

import re
from functools import partial
from itertools import pairwise
from typing import Any

from headworks.importing.haproxy.actions import answer_of, headers_of
from headworks.importing.haproxy.conditions import ConditionError
from headworks.importing.haproxy.scene import HOUR, NEEDLESS, Scene, located, mode_of
from headworks.importing.haproxy.sections import Section, Statement
from headworks.importing.haproxy.values import SettingError, duration, milliseconds, number, server

_BALANCE = {
    "roundrobin": "round_robin",
    "static-rr": "round_robin",
    "leastconn": "least_connections",
    "random": "two_choices",
    "source": "source_hash",
    "uri": "path_hash",
}
_CHECKS = {
    "option tcp-check": None,
    "option ssl-hello-chk": "a connection is checked, not the answer to a hello",
    "option mysql-check": "a connection is checked, not the answer of the database",
    "option pgsql-check": "a connection is checked, not the answer of the database",
    "option redis-check": "a connection is checked, not the answer to PING",
    "option smtpchk": "a connection is checked, not the greeting",
    "option ldap-check": "a connection is checked, not the answer to a bind",
    "option spop-check": "a connection is checked",
    "option external-check": "a connection is checked, no program is run",
}
_ALONE = frozenset(
    [
        "check",
        "backup",
        "disabled",
        "enabled",
        "send-proxy",
        "send-proxy-v2",
        "ssl",
        "check-ssl",
        "no-ssl",
        "no-check",
        "no-backup",
        "check-send-proxy",
        "non-stick",
        "allow-0rtt",
        "no-tls-tickets",
        "no-ssl-reuse",
        "tls-tickets",
        "ssl-reuse",
        "agent-check",
        "no-agent-check",
        "stick",
        "tfo",
        "no-send-proxy",
        "no-verifyhost",
        "force-tlsv12",
        "force-tlsv13",
        "force-tlsv10",
        "force-tlsv11",
        "force-sslv3",
        "no-sslv3",
        "no-tlsv10",
        "no-tlsv11",
        "no-tlsv12",
        "no-tlsv13",
        "send-proxy-v2-ssl",
        "send-proxy-v2-ssl-cn",
        "check-via-socks4",
        "no-check-ssl",
        "no-tfo",
    ]
)
"""Words of a server that have no value."""
_IDLE = frozenset(
    [
        "inter",
        "fastinter",
        "downinter",
        "rise",
        "fall",
        "id",
        "init-addr",
        "resolvers",
        "resolve-prefer",
        "resolve-opts",
        "name",
        "on-marked-up",
        "pool-low-conn",
        "pool-max-conn",
        "pool-purge-delay",
        "max-reuse",
        "minconn",
        "log-proto",
        "shard",
        "proto",
        "ws",
        "ciphers",
        "ciphersuites",
        "sigalgs",
        "client-sigalgs",
        "curves",
        "alpn",
        "check-alpn",
        "check-proto",
        "ssl-max-ver",
        "hash-key",
    ]
)
"""Words of a server that are read elsewhere, or that need nothing."""
_LOST = {
    "agent-port": "there is no agent",
    "agent-inter": "there is no agent",
    "agent-addr": "there is no agent",
    "agent-send": "there is no agent",
    "agent-check": "there is no agent: set weights by Proxy.set_server",
    "track": "each server is checked by itself",
    "port": "a server is checked at the port that is used",
    "addr": "a server is checked at the address that is used",
    "redir": "clients are not redirected to a server",
    "maxqueue": "the queue is the backend's: queue_limit",
    "namespace": "there are no namespaces",
    "socks4": "no proxy is asked on the way",
    "usesrc": "servers see our own address",
    "on-marked-down": "connections to a server that is down go on",
    "crl-file": "revocation lists of servers are not read",
    "verifyhost": "name it in tls.server_name",
    "check-sni": "checks ask for tls.server_name",
    "set-proxy-v2-tlv-fmt": "no such field is sent",
    "proxy-v2-options": "no such field is sent",
    "tcp-ut": "the kernel decides",
}
_LATEST_VERSION = "TLSv1.3"


class Backends:
    """The backends of one file."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def translate(self, section: Section) -> None:
        """Make a backend of a section; one without servers is an answer."""
        _Backend(self._scene, section).translate()


class _Backend:
    """One backend."""

    def __init__(self, scene: Scene, section: Section) -> None:
        self._scene = scene
        self._ledger = scene.ledger
        self._section = section
        self._path = ("backends", section.name)
        self._value: dict[str, Any] = {}
        self._speaks_http = mode_of(section) == "http" and scene.has_requests
        self._checks = False
        self._is_tls = False
        self._checks_tls = False
        self._tls: dict[str, Any] = {}
        self._defaults: list[str] = []

    def translate(self) -> None:
        section = self._section
        if section.kind == "backend":
            self._ledger.converted(section.head, self._path)
            for one in section.all("mode"):
                self._ledger.converted(one, self._path)
        servers = [*section.own("server"), *section.own("server-template")]
        if not servers:
            self._answer()
            return
        self._value["servers"] = []
        self._scene.draft.put(self._path, self._value, section.head)
        for one in section.all("default-server"):
            self._defaults += one.arguments
            self._ledger.converted(one, (*self._path, "servers"))
        for one in servers:
            self._scene.tried(one, self._path, partial(self._server, one))
        if not self._value["servers"]:
            del self._scene.draft.value["backends"][section.name]
            self._scene.answers[section.name] = {"respond": {"status": 503}}
            return
        self._all_at_rest()
        self._health()
        self._settings()

    def _answer(self) -> None:
        """Find what a backend without servers says to requests."""
        self._scene.answers[self._section.name] = {"respond": {"status": 503}}
        for one in self._section.statements:
            if one.keyword in ("http-request", "redirect") and not {"if", "unless"} & set(one.arguments):
                found = None
                try:
                    found = answer_of(one)
                except (ConditionError, SettingError) as error:
                    self._ledger.unsupported(one, str(error))
                if found is not None:
                    self._scene.answers[self._section.name] = found
                    self._ledger.converted(one, ())
                    return

    # ---- servers

    def _server(self, statement: Statement) -> None:
        arguments = statement.arguments
        if statement.keyword == "server-template":
            if len(arguments) < 3:  # noqa: PLR2004
                raise SettingError("it has no address")
            arguments = [arguments[0], *arguments[2:]]
        if len(arguments) < 2:  # noqa: PLR2004
            raise SettingError("it has no address")
        one: dict[str, Any] = {"address": server(arguments[1])}
        differences = []
        if statement.keyword == "server-template":
            differences.append("a name is as many servers as it has addresses")
        if statement.filled:
            differences.append(f"${statement.filled[0]} is what it is here and now")
        words = [*self._defaults, *arguments[2:]]
        at = 0
        while at < len(words):
            at += self._word(words, at, one, differences)
        known = self._value["servers"]
        if one["address"] in (server["address"] for server in known):
            raise SettingError("another server has its address: give it a greater weight instead")
        known.append(one)
        self._ledger.converted(statement, (*self._path, "servers"), "; ".join(dict.fromkeys(differences)) or None)

    def _word(self, words: list[str], at: int, one: dict[str, Any], differences: list[str]) -> int:
        """Take one word of a server, with its value. Return how many words that were."""
        word = words[at]
        value = words[at + 1] if at + 1 < len(words) else ""
        if word in _ALONE:
            self._flag(word, one, differences)
            return 1
        if word == "source":
            self._value["source"] = value.removesuffix(":0")
            if words[at + 2 : at + 3] in (["usesrc"], ["interface"]):
                differences.append("servers see our own address")
                return 4
            return 2
        if word in ("weight", "maxconn", "cookie", "slowstart"):
            self._share(word, value, one, differences)
        elif word in ("verify", "ca-file", "crt", "sni", "ssl-min-ver"):
            self._tls_word(word, value, differences)
        elif word in ("observe", "error-limit", "on-error"):
            self._observed(word, value, differences)
        elif word in ("inter", "rise", "fall"):
            self._timing(word, value)
        elif word in _LOST:
            differences.append(f"{word}: {_LOST[word]}")
        elif word not in _IDLE:
            differences.append(f"{word} is left out")
            return 1
        return 2

    def _share(self, word: str, value: str, one: dict[str, Any], differences: list[str]) -> None:
        match word:
            case "weight":
                one["weight"] = number(value, 0, 256)
            case "maxconn":
                if count := number(value, 0, 10_000_000):
                    one["max_connections"] = count
            case "cookie":
                differences.append("values of the cookie are our own, and signed")
            case "slowstart":
                self._value["slow_start"] = duration(milliseconds(value), 24 * HOUR)

    def _flag(self, word: str, one: dict[str, Any], differences: list[str]) -> None:
        match word:
            case "check":
                self._checks = True
            case "backup":
                one["backup"] = True
            case "disabled":
                one["weight"] = 0
                differences.append("disabled: it has weight 0 and gets no connections until a reload gives it one")
            case "send-proxy":
                self._value["proxy_protocol"] = "v1"
            case "send-proxy-v2" | "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn":
                self._value["proxy_protocol"] = "v2"
            case "ssl":
                self._is_tls = True
            case "check-ssl":
                self._checks_tls = True
            case "agent-check":
                differences.append(f"agent-check: {_LOST['agent-check']}")

    def _tls_word(self, word: str, value: str, differences: list[str]) -> None:
        tls = self._tls
        match word:
            case "verify" if value == "none":
                tls["verify"] = False
                tls.pop("ca", None)
            case "ca-file" if value == "@system-ca":
                pass
            case "ca-file":
                if tls.get("verify", True):
                    tls["ca"] = [located(self._scene.authorities, value)]
            case "crt":
                tls["certificate"] = located(self._scene.certificates, value)
            case "sni":
                found = re.fullmatch(r"str\(([0-9A-Za-z_.-]+)\)", value)
                if found is not None:
                    tls["server_name"] = found[1]
                else:
                    differences.append(f"sni {value}: servers are asked for the name that they are written with")
            case "ssl-min-ver" if value == _LATEST_VERSION:
                tls["min_version"] = "1.3"

    def _observed(self, word: str, value: str, differences: list[str]) -> None:
        ejection = self._value.setdefault("ejection", {})
        if word == "error-limit":
            ejection["responses" if "responses" in ejection else "failures"] = number(value, 1, 1000)
        elif word == "observe" and value == "layer7" and self._speaks_http:
            ejection["responses"] = ejection.pop("failures", 10)
        elif word == "observe":
            ejection.setdefault("failures", 10)
        elif value != "mark-down":
            differences.append(f"on-error {value}: a server that fails is left out for a while")

    def _timing(self, word: str, value: str) -> None:
        health = self._value.setdefault("health", {})
        if word == "inter":
            length = milliseconds(value)
            health["interval"] = duration(max(10, length), 24 * HOUR)
            health["timeout"] = duration(length, HOUR)
        else:
            health[word] = number(value, 1, 1000)

    def _all_at_rest(self) -> None:
        servers = self._value["servers"]
        if all(one.get("weight") == 0 for one in servers) and self._speaks_http:
            self._value["maintenance"] = True
        self._value["servers"] = [one["address"] if set(one) == {"address"} else one for one in servers]
        if self._is_tls:
            # A table that has nothing has to be written, too.
            self._value["tls"] = self._tls or {"min_version": "1.2"}

    # ---- checks

    def _health(self) -> None:
        section = self._section
        health = self._value.pop("health", {})
        if not self._checks:
            self._unchecked()
            return
        health = {"kind": "tcp", **health}
        self._value["health"] = health
        path = (*self._path, "health")
        if "timeout" not in health:
            health["timeout"] = health.get("interval", "2s")
        requested = section.last("option httpchk")
        if requested is not None and self._checks_tls and not self._is_tls:
            difference = "the servers are not reached by TLS, so a connection is what is checked"
            self._ledger.converted(requested, path, difference)
            requested = None
        elif requested is not None:
            self._requests(requested, health, path)
        for keyword, lost in _CHECKS.items():
            for one in section.all(keyword):
                self._ledger.converted(one, path, lost if requested is None else None)
        self._scene.time(section.last("timeout check"), (*path, "timeout"), HOUR, into=health)
        self._expectations(health, path)

    def _expectations(self, health: dict[str, Any], path: tuple[str, ...]) -> None:
        for one in self._section.every():
            if one.keyword in (
                "http-check send",
                "http-check expect",
                "http-check disable-on-404",
                "http-check send-state",
            ):
                self._scene.tried(one, self._path, partial(self._check, one, health, path))
            elif one.keyword in ("tcp-check send", "tcp-check expect", "tcp-check send-binary", "http-check set-var"):
                self._ledger.unsupported(one, "checks open a connection, or make one request", self._path)

    def _unchecked(self) -> None:
        for keyword in (*_CHECKS, "option httpchk", "http-check send", "http-check expect", "timeout check"):
            for one in self._section.own(keyword):
                self._ledger.nothing(one, "no server is checked", self._path)

    def _requests(self, statement: Statement, health: dict[str, Any], path: tuple[str, ...]) -> None:
        arguments = statement.arguments
        health["kind"] = "http"
        method, uri = ("OPTIONS", "/")
        if len(arguments) == 1:
            uri = arguments[0]
        elif arguments:
            method, uri = arguments[:2]
        health["method"] = method
        self._uri(uri, health)
        version = " ".join(arguments[2:])
        if found := re.search(r"[Hh]ost:\s*([0-9A-Za-z._:\[\]-]+)", version):
            health["host"] = found[1]
        self._ledger.converted(statement, path)

    def _uri(self, uri: str, health: dict[str, Any]) -> None:
        if re.fullmatch(r"/[!-~]*|\*", uri):
            health["path"] = uri

    def _check(self, statement: Statement, health: dict[str, Any], path: tuple[str, ...]) -> None:
        if health["kind"] != "http":
            self._ledger.nothing(statement, "a connection is what is checked", self._path)
            return
        words = statement.arguments
        if statement.keyword == "http-check send":
            self._sent(words, health)
        elif statement.keyword != "http-check expect":
            raise SettingError("a server that is to rest is told so by Proxy.set_server")
        else:
            self._expected(words, health)
        self._ledger.converted(statement, path)

    def _sent(self, words: list[str], health: dict[str, Any]) -> None:
        for word, value in pairwise(words):
            if word == "meth":
                health["method"] = value
            elif word == "uri":
                self._uri(value, health)
            elif word == "hdr" and value.lower() == "host":
                health["host"] = words[words.index(value) + 1] if value != words[-1] else "localhost"
            elif word in ("hdr", "body"):
                raise SettingError("checks have no fields and no body of their own")

    def _expected(self, words: list[str], health: dict[str, Any]) -> None:
        while words[:1] and words[0] in (
            "min-recv",
            "comment",
            "ok-status",
            "error-status",
            "tout-status",
            "on-success",
        ):
            words = words[2:]
        match words:
            case ["status", *values] if values and re.fullmatch(r"[\d, -]+", " ".join(values)):
                health["expect"] = ",".join(re.split(r"[ ,]+", " ".join(values).strip()))
            case ["rstatus", pattern] if found := re.fullmatch(
                r"\^?([1-5])(?:\[0-9\]|\\d|\.){0,2}(?:\.\*)?\$?", pattern
            ):
                health["expect"] = f"{found[1]}00-{found[1]}99"
            case ["rstatus", pattern] if found := re.fullmatch(r"\^?[(\[]([1-5])[|,]?([1-5])[)\]].*", pattern):
                health["expect"] = f"{found[1]}00-{found[1]}99,{found[2]}00-{found[2]}99"
            case ["string", text] if text:
                health["body"] = text
            case _:
                raise SettingError("what is expected is a list of statuses, or a text in the body")

    # ---- the rest

    def _settings(self) -> None:
        scene, section, path = self._scene, self._section, self._path
        scene.time(section.last("timeout connect"), (*path, "connect_timeout"))
        if self._speaks_http:
            scene.time(section.last("timeout server"), (*path, "response_timeout"), 24 * HOUR)
            scene.time(section.last("timeout queue"), (*path, "queue_timeout"))
        for statement in section.every():
            if statement.keyword in NEEDLESS:
                place = path if statement in section.statements else ()
                scene.ledger.nothing(statement, NEEDLESS[statement.keyword], place)
                continue
            does = getattr(self, f"_on_{statement.keyword.replace(' ', '_').replace('-', '_')}", None)
            if does is None:
                continue
            if statement.is_negated:
                scene.ledger.nothing(statement, "it is off", path)
            else:
                scene.tried(statement, path, partial(does, statement))

    def _put(self, statement: Statement, key: str, value: Any, difference: str | None = None) -> None:
        self._value[key] = value
        self._ledger.converted(statement, (*self._path, key), difference)

    def _on_balance(self, statement: Statement) -> None:
        name = statement.arguments[0] if statement.arguments else "roundrobin"
        if name in _BALANCE:
            is_for_requests = _BALANCE[name] == "path_hash"
            if is_for_requests and not self._speaks_http:
                raise SettingError("there is no request to balance by")
            extra = statement.arguments[1:]
            difference = f"{' '.join(extra)}: the whole path counts" if extra and name == "uri" else None
            self._put(statement, "balance", _BALANCE[name], difference)
        elif name == "random(1)":
            self._put(statement, "balance", "random")
        elif name.startswith("random"):
            self._put(statement, "balance", "two_choices")
        elif (found := re.fullmatch(r"hdr\(([^()]+)\)", name)) and self._speaks_http:
            if found[1].lower() == "host":
                self._put(statement, "balance", "host_hash")
            else:
                self._put(statement, "balance", "header_hash")
                self._value["hash_header"] = found[1]
        elif name == "first":
            self._put(statement, "balance", "least_connections", "the first server is not filled up before the next")
        else:
            raise SettingError(f"{name} is not balanced by here: round_robin is what is left")

    def _on_retries(self, statement: Statement) -> None:
        value = number(statement.arguments[0] if statement.arguments else "3", 0, 100)
        self._put(statement, "retries", value, "other servers are tried, not the same one again")

    def _on_cookie(self, statement: Statement) -> None:
        words = statement.arguments
        if not self._speaks_http or "insert" not in words:
            raise SettingError("a cookie is one that we add (insert): see [backends.NAME.affinity]")
        self._put(statement, "affinity", {"cookie": words[0]}, "every server has a value of its own, which is signed")

    def _on_source(self, statement: Statement) -> None:
        if "usesrc" in statement.arguments:
            raise SettingError("servers see our own address: let them take the client's from a PROXY header")
        self._put(statement, "source", statement.arguments[0].removesuffix(":0"))

    def _on_stick_table(self, statement: Statement) -> None:
        if any(one.keyword in ("stick on", "stick match") for one in self._section.statements):
            self._ledger.converted(statement, (*self._path, "balance"))

    def _on_stick_on(self, statement: Statement) -> None:
        if statement.arguments[:1] != ["src"]:
            raise SettingError("clients are kept at a server by their address or by a cookie: see affinity")
        difference = "a client's server is found by a hash of its address, and no table is kept"
        self._put(statement, "balance", "source_hash", difference)

    def _on_option_forwardfor(self, statement: Statement) -> None:
        if statement in self._section.statements and self._speaks_http:
            self._scene.forwarding.add(self._section.name)
            self._ledger.converted(statement, self._path, "the listener says it, to all of its backends")

    def _on_option_http_server_close(self, statement: Statement) -> None:
        if self._speaks_http:
            self._put(statement, "pool", {"size": 0})

    _on_option_httpclose = _on_option_http_server_close
    _on_option_forceclose = _on_option_http_server_close

    def _on_option_allbackups(self, statement: Statement) -> None:
        self._ledger.nothing(statement, "all servers that are backups are used", self._path)

    def _on_http_request(self, statement: Statement) -> None:
        if not self._speaks_http:
            return
        path = headers_of(statement, self._value, "request_headers")
        if path is None:
            path = self._moved(statement)
        self._ledger.converted(statement, (*self._path, path))

    def _on_http_response(self, statement: Statement) -> None:
        if not self._speaks_http:
            return
        path = headers_of(statement, self._value, "response_headers")
        if path is None:
            raise SettingError("write a rule about a headworks.Response")
        self._ledger.converted(statement, (*self._path, path))

    def _moved(self, statement: Statement) -> str:
        """Tell a path that is changed by prefixes, where it is; else by a rule."""
        words = statement.arguments
        match words:
            case ["replace-path" | "replace-uri", pattern, replacement]:
                if (prefix := _stripped(pattern, replacement)) is not None:
                    self._value["strip_prefix"] = prefix
                    return "strip_prefix"
            case ["set-path", written] if found := re.fullmatch(r"(/[A-Za-z0-9/_.-]+?)/?%\[path\]", written):
                self._value["add_prefix"] = found[1]
                return "add_prefix"
            case ["set-path", written] if found := re.fullmatch(r"%\[path,regsub\(\^?(/[\w/.-]+?)/?,/?\)\]", written):
                self._value["strip_prefix"] = found[1]
                return "strip_prefix"
            case ["set-header" | "replace-header", name, _] if name.lower() == "host":
                raise SettingError("give the backend a host")
        raise SettingError("write a rule about a headworks.Request, and name it in rules of the backend")


def _stripped(pattern: str, replacement: str) -> str | None:
    r"""Return the prefix that an expression takes off: ``/api(/)?(.*)`` to ``/\2``, ``^/api/(.*)`` to ``/\1``."""
    found = re.fullmatch(r"\^?(/[\w/-]+?)(?:(/\(\.\*\))|(\(/\)\?\(\.\*\)))\$?", pattern)
    if found is None:
        return None
    return found[1] if replacement == (r"/\1" if found[2] else r"/\2") else None
