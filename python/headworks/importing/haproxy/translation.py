"""Translation: what an HAProxy configuration says as one of ours, each statement with what became of it.

Must never start anything, or leave a statement without an outcome.
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from headworks.importing.draft import Draft
from headworks.importing.flaws import Flaws
from headworks.importing.haproxy.backends import Backends
from headworks.importing.haproxy.frontends import Frontends
from headworks.importing.haproxy.scene import HOUR, NEEDLESS, Scene
from headworks.importing.haproxy.sections import PROXIES, File, Section, Statement, read
from headworks.importing.haproxy.values import SettingError, duration, milliseconds, number
from headworks.importing.ledger import Ledger
from headworks.importing.rulefile import RuleFile
from headworks.importing.translated import Translated

_UNKNOWN = "there is nothing like it here"
_SYSTEM = "it is for the process or the kernel, which need no such word"
_IDLE_GLOBALS = [
    "daemon",
    "pidfile",
    "master-worker",
    "mworker-max-reloads",
    "quiet",
    "nbproc",
    "cpu-map",
    "numa-cpu-mapping",
    "node",
    "description",
    "ulimit-n",
    "set-dumpable",
    "spread-checks",
    "max-spread-checks",
    "localpeer",
    "server-state-base",
    "server-state-file",
    "expose-fd",
    "ssl-default-bind-options",
    "ssl-default-bind-ciphers",
    "ssl-default-bind-ciphersuites",
    "ssl-default-bind-curves",
    "ssl-default-server-ciphers",
    "ssl-default-server-ciphersuites",
    "ssl-default-server-options",
    "ssl-dh-param-file",
    "ssl-server-verify",
    "busy-polling",
    "noepoll",
    "nopoll",
    "noreuseport",
    "nosplice",
    "noevports",
    "nokqueue",
    "unix-bind",
    "log-send-hostname",
    "log-tag",
    "insecure-fork-wanted",
    "insecure-setuid-wanted",
    "strict-limits",
    "fd-hard-limit",
    "harden.reject-privileged-ports.tcp",
    "ssl-load-extra-files",
    "ssl-load-extra-del-ext",
    "issuers-chain-path",
    "wurfl-data-file",
    "profiling.tasks",
    "log",
    "external-check",
    "expose-experimental-directives",
    "zero-warning",
    "thread-groups",
    "default-path",
    "h1-accept-payload-with-any-method",
    "limited-quic",
    "no-quic",
    "ssl-engine",
    "close-spread-time",
]
_LUA = "there are rules and analyzers in Python instead of Lua"
_VARIABLES = "set it before converting: variables are filled in then"
_LOST_GLOBALS = {
    "uid": "name the user in proxy.user",
    "gid": "name the group in proxy.group",
    "chroot": "let the service manager confine it: see docs/operations.md",
    "lua-load": _LUA,
    "lua-load-per-thread": _LUA,
    "lua-prepend-path": _LUA,
    "setenv": _VARIABLES,
    "presetenv": _VARIABLES,
    "resetenv": _VARIABLES,
    "unsetenv": _VARIABLES,
}
_GLOBAL_LIMITS = "it is the bound of each listener, not of all together"


def translate(source: bytes, name: str | None = None, environment: Mapping[str, str] | None = None) -> Translated:
    """Translate an HAProxy configuration; ``name`` is what problems are reported against."""
    lines = tuple(source.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    flaws, unsupported = Flaws(lines, name), Flaws(lines, name)
    file = read(source, os.environ if environment is None else environment, flaws)
    draft = Draft("HAProxy", _shown, flaws, unsupported)
    directory = FilePath(name).absolute().parent if name else FilePath.cwd()
    rules = RuleFile("haproxy_rules", "HAProxy")
    scene = Scene(file, flaws, draft, Ledger(draft), rules, directory)
    _Translating(scene).translate()
    return Translated.of(draft, lines, rules)


class _Translating:
    """One file."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._ledger = scene.ledger
        self._value = scene.draft.value
        self._most: tuple[Statement, int] | None = None

    def translate(self) -> None:
        file = self._scene.file
        # Keys come in this order, whatever the file's.
        self._value.update({"proxy": {}, "logs": {}, "resolver": {}, "listeners": {}, "tables": {}, "backends": {}})
        self._aside(file)
        for section in file.sections:
            if section.kind == "global":
                self._global(section)
            elif section.kind == "resolvers":
                self._resolver(section)
        for section in file.of("backend", "listen"):
            Backends(self._scene).translate(section)
        for section in file.of("frontend", "listen"):
            Frontends(self._scene).translate(section)
        self._bounds()
        self._rest(file)
        self._scene.draft.at(()).after += file.after
        statements = sorted(file.statements, key=lambda one: (one.line, one.column))
        self._ledger.settle(statements, _UNKNOWN)
        for kind in ("proxy", "logs", "resolver", "tables", "backends", "listeners"):
            if not self._value[kind]:
                del self._value[kind]

    def _aside(self, file: File) -> None:
        """Settle what is not in force, or cannot be read."""
        for one in file.statements:
            if one.idle is not None:
                self._ledger.nothing(one, one.idle)
            elif one.unknown is not None:
                self._ledger.unsupported(one, one.unknown)
        for section in file.sections:
            file.idle += [one for one in section.statements if one.unknown is not None]
            section.statements = [one for one in section.statements if one.unknown is None]
        twice: set[tuple[str, str]] = set()
        for section in list(file.sections):
            names = {"listen": ("frontend", "backend")}.get(section.kind, (section.kind,))
            if section.kind in ("frontend", "backend", "listen"):
                if any((kind, section.name) in twice for kind in names):
                    self._scene.flaws.add(section.head, f'there is another {section.kind} "{section.name}"')
                    file.sections.remove(section)
                    file.idle += [section.head, *section.statements]
                twice.update((kind, section.name) for kind in names)

    # ---- the process

    def _global(self, section: Section) -> None:
        self._ledger.converted(section.head, ())
        for one in section.statements:
            name = one.texts[0].replace("-", "_").replace(".", "_")
            does = getattr(self, f"_on_{name}", None)
            if does is not None:
                self._scene.tried(one, (), partial(does, one, one.texts[1:]))
            elif one.texts[0] in _LOST_GLOBALS:
                self._ledger.unsupported(one, _LOST_GLOBALS[one.texts[0]])
            elif one.texts[0] in _IDLE_GLOBALS or one.texts[0].startswith(("tune.", "profiling.")):
                self._ledger.nothing(one, NEEDLESS.get(one.texts[0], _SYSTEM))

    def _set(self, path: tuple[str, ...], value: Any, statement: Statement) -> None:
        self._scene.draft.put(path, value, statement)
        self._ledger.converted(statement, path)

    def _on_user(self, statement: Statement, words: list[str]) -> None:
        if words:
            self._set(("proxy", "user"), words[0], statement)

    def _on_group(self, statement: Statement, words: list[str]) -> None:
        if words:
            self._set(("proxy", "group"), words[0], statement)

    def _on_nbthread(self, statement: Statement, words: list[str]) -> None:
        self._set(("proxy", "workers"), number(words[0] if words else "", 1, 1024), statement)

    def _on_hard_stop_after(self, statement: Statement, words: list[str]) -> None:
        length = milliseconds(words[0] if words else "")
        self._set(("proxy", "drain"), duration(length or 24 * HOUR, 24 * HOUR), statement)

    def _on_maxconn(self, statement: Statement, words: list[str]) -> None:
        self._most = (statement, number(words[0] if words else "", 1, 10_000_000))

    def _on_crt_base(self, statement: Statement, words: list[str]) -> None:
        self._scene.certificates = words[0] if words else ""
        self._ledger.nothing(statement, "certificates are named with their folders")

    def _on_ca_base(self, statement: Statement, words: list[str]) -> None:
        self._scene.authorities = words[0] if words else ""
        self._ledger.nothing(statement, "authorities are named with their folders")

    def _on_stats(self, statement: Statement, words: list[str]) -> None:
        if words[:1] not in (["timeout"], ["maxconn"]):
            raise SettingError("a running headworks is asked by Proxy.stats() and Proxy.set_server()")
        self._ledger.nothing(statement, "there is no socket of this kind")

    def _bounds(self) -> None:
        """Give each listener the bound of the process where it has none of its own."""
        if self._most is None:
            return
        statement, most = self._most
        for name, listener in self._value["listeners"].items():
            if "max_connections" not in listener:
                self._scene.draft.put(("listeners", name, "max_connections"), most, statement)
        self._ledger.converted(statement, ("proxy",), _GLOBAL_LIMITS)

    def _resolver(self, section: Section) -> None:
        self._ledger.converted(section.head, ("resolver",))
        servers: list[str] = self._value["resolver"].setdefault("nameservers", [])
        for one in section.statements:
            words = one.texts
            if words[0] == "nameserver" and len(words) > 2 and "@" not in words[2]:  # noqa: PLR2004
                if words[2] not in servers:
                    servers.append(words[2])
                self._ledger.converted(one, ("resolver", "nameservers"))
            elif words[0] == "parse-resolv-conf":
                self._ledger.nothing(one, "the system's resolver is asked where none is named")
            elif words[0] in ("hold", "resolve_retries", "timeout", "accepted_payload_size"):
                self._ledger.nothing(one, "how long names are kept is what their records say")
        if not servers:
            del self._value["resolver"]["nameservers"]

    def _rest(self, file: File) -> None:
        """Settle what no section took."""
        for section in file.sections:
            if section.kind == "defaults":
                self._ledger.converted(section.head, ())
                for one in section.statements:
                    self._inherited(one)
            elif section.kind not in (*PROXIES, "global", "resolvers"):
                reason = _SECTIONS.get(section.kind, _UNKNOWN)
                for one in (section.head, *section.statements):
                    self._ledger.unsupported(one, reason)
        for one in file.statements:
            if not self._ledger.knows(one) and (why := _unheeded(one)) is not None:
                self._ledger.nothing(one, why)

    def _inherited(self, statement: Statement) -> None:
        if statement.keyword == "mode":
            self._ledger.converted(statement, ())
        elif statement.keyword in NEEDLESS:
            self._ledger.nothing(statement, NEEDLESS[statement.keyword])
        elif not self._ledger.knows(statement) and statement.keyword in _INHERITED:
            self._ledger.nothing(statement, "no section needs it")


def _unheeded(statement: Statement) -> str | None:
    """Say why a statement that no section took needs nothing, where that is so."""
    if statement.is_negated:
        return "it is off"
    if statement.keyword == "mode":
        return "listeners say what is spoken"
    is_rest = statement.keyword in ("timeout server", "timeout tunnel", "timeout client")
    return "listeners say how long bytes may rest" if is_rest else None


_INHERITED = frozenset(
    [
        *(f"timeout {name}" for name in ("connect", "client", "server", "check", "queue", "tunnel", "http-request")),
        *(f"timeout {name}" for name in ("http-keep-alive", "client-fin", "server-fin", "tarpit")),
        *("mode", "maxconn", "retries", "balance", "default_backend", "backlog", "fullconn", "default-server"),
        *(f"option {name}" for name in ("forwardfor", "httpchk", "http-server-close", "httpclose", "abortonclose")),
        *(f"option {name}" for name in ("tcp-check", "allbackups", "forwarded")),
        *("http-check expect", "http-check send", "compression algo", "compression type", "cookie", "source"),
    ]
)
"""Statements of `defaults` that not every section needs."""
_SECTIONS = {
    "peers": "processes share no tables",
    "mailers": "watch the log, or Proxy's notices",
    "userlist": "there is no basic authentication: write an analyzer",
    "cache": "nothing is cached",
    "program": "let the service manager start it",
    "ring": "the program's lines go where [logs] says",
    "log-forward": "no logs are taken from others",
    "fcgi-app": "FastCGI is not spoken",
    "http-errors": "name pages in error_pages",
    "crt-store": "name certificates in tls.certificates",
}


def _shown(statement: Statement) -> str:
    """Return a statement in one line."""
    return " ".join(_quoted(word.text) for word in statement.words)


def _quoted(text: str) -> str:
    text = "".join(one if one.isprintable() else "?" for one in text)
    return f'"{text}"' if not text or " " in text or "#" in text else text
