"""Binds of HAProxy: addresses and what is done on them, grouped to the listeners that they need."""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from headworks.importing.haproxy.scene import Scene, located
from headworks.importing.haproxy.sections import Section, Statement
from headworks.importing.haproxy.values import SettingError, bound, number

_ALONE = frozenset(
    [
        "ssl",
        "accept-proxy",
        "v4v6",
        "v6only",
        "transparent",
        "strict-sni",
        "tfo",
        "defer-accept",
        "no-tls-tickets",
        "allow-0rtt",
        "no-sslv3",
        "no-tlsv10",
        "no-tlsv11",
        "no-tlsv12",
        "no-tlsv13",
        "force-tlsv10",
        "force-tlsv11",
        "force-tlsv12",
        "force-tlsv13",
        "force-sslv3",
        "prefer-client-ciphers",
        "generate-certificates",
        "no-ca-names",
        "accept-netscaler-cip",
        "expose-fd",
        "no-alpn",
        "quic-force-retry",
        "no-strict-sni",
        "tls-tickets",
    ]
)
_IDLE = frozenset(
    [
        "alpn",
        "npn",
        "ciphers",
        "ciphersuites",
        "curves",
        "ecdhe",
        "ssl-max-ver",
        "name",
        "id",
        "process",
        "thread",
        "shards",
        "nice",
        "maxaccept",
        "level",
        "severity-output",
        "mss",
        "tcp-ut",
        "proto",
        "ca-ignore-err",
        "crt-ignore-err",
        "tls-ticket-keys",
        "user",
        "group",
        "uid",
        "gid",
        "client-sigalgs",
        "sigalgs",
        "guid-prefix",
        "label",
    ]
)
_LOST = {
    "interface": "bind to an address of the interface",
    "namespace": "there are no namespaces",
    "ca-sign-file": "certificates are not made",
    "ca-verify-file": "name it in client_certificates.ca",
}
_EVERYBODY = ["0.0.0.0/0", "::/0"]


@dataclass(slots=True)
class Bind:
    """The addresses of one listener."""

    statements: list[Statement]
    addresses: list[str]
    ports: set[int]
    tls: dict[str, Any] | None
    settings: dict[str, Any] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def binds_of(section: Section, scene: Scene) -> list[Bind]:
    """Return the groups of addresses that a section listens on."""
    groups: list[Bind] = []
    found = [one for one in section.statements if one.keyword == "bind"]
    for statement in found:
        scene.tried(statement, (), partial(_take, groups, statement, scene))
    rest = [word.text for word in section.head.words[2:3]]
    if section.kind in ("listen", "frontend") and rest and rest != ["from"]:
        # In old files the address stands in the head.
        scene.tried(section.head, (), lambda: _merge(groups, _of(section.head, rest[0], [], scene)))
    return groups


def _take(groups: list[Bind], statement: Statement, scene: Scene) -> None:
    _merge(groups, _read(statement, scene))


def _merge(groups: list[Bind], one: Bind) -> None:
    for group in groups:
        if group.tls == one.tls and group.settings == one.settings:
            group.statements += one.statements
            group.addresses += [address for address in one.addresses if address not in group.addresses]
            group.ports |= one.ports
            group.differences += [text for text in one.differences if text not in group.differences]
            return
    groups.append(one)


def _read(statement: Statement, scene: Scene) -> Bind:
    arguments = statement.arguments
    if not arguments:
        raise SettingError("it has no address")
    return _of(statement, arguments[0], arguments[1:], scene)


def _of(statement: Statement, text: str, words: list[str], scene: Scene) -> Bind:
    addresses = bound(text)
    ports = {int(found[1]) for one in addresses if (found := re.search(r":(\d+)$", one)) and not one.startswith("fd:")}
    made = Bind([statement], addresses, ports, None)
    if statement.filled:
        made.differences.append(f"${statement.filled[0]} is what it is here and now")
    tls: dict[str, Any] = {}
    certificates: list[Any] = []
    at = 0
    while at < len(words):
        word = words[at]
        value = words[at + 1] if at + 1 < len(words) else ""
        at += 1 if word in _ALONE else 2
        if word in ("crt", "crt-list"):
            _certificates(word, value, scene, certificates, made)
        else:
            _word(word, value, made, tls, scene)
    if "v4v6" in words:
        # Both families by one socket.
        made.addresses = [one for one in made.addresses if not _is_covered(one, made.addresses)]
    if "ssl" in words:
        made.tls = _tls(certificates, tls, made)
    return made


def _word(word: str, value: str, made: Bind, tls: dict[str, Any], scene: Scene) -> None:  # noqa: C901, PLR0912
    match word:
        case "accept-proxy":
            made.settings["accept_proxy_from"] = list(_EVERYBODY)
        case "v6only":
            made.settings["ipv6_only"] = True
        case "maxconn":
            made.settings["max_connections"] = number(value, 1, 10_000_000)
        case "backlog":
            made.settings["backlog"] = number(value, 1, 65535)
        case "mode":
            if re.fullmatch(r"0?[0-7]{3}", value):
                made.settings["unix_mode"] = f"0{value.removeprefix('0')}"
        case "strict-sni":
            tls["strict_sni"] = True
        case "no-tls-tickets":
            tls["tickets"] = False
        case "force-tlsv13" | "no-tlsv12":
            tls["min_version"] = "1.3"
        case "ssl-min-ver":
            if value == "TLSv1.3":
                tls["min_version"] = "1.3"
        case "allow-0rtt":
            tls["early_data"] = "16KiB"
        case "ca-file":
            tls.setdefault("client_certificates", {})["ca"] = [located(scene.authorities, value)]
        case "crl-file":
            tls.setdefault("client_certificates", {})["crl"] = [located(scene.authorities, value)]
        case "verify" if value in ("optional", "required"):
            tls.setdefault("client_certificates", {})["verify"] = value
        case "transparent":
            made.differences.append("transparent: only connections to our own addresses are taken")
        case "generate-certificates":
            made.differences.append("certificates are not made: clients get those that are named")
        case "accept-netscaler-cip":
            raise SettingError("only PROXY headers are read")
        case _ if word in _LOST:
            made.differences.append(f"{word}: {_LOST[word]}")
        case _ if word not in _ALONE and word not in _IDLE and word != "verify":
            made.differences.append(f"{word} is left out")


def _certificates(word: str, value: str, scene: Scene, certificates: list[Any], made: Bind) -> None:
    if word == "crt":
        if value.startswith("@"):
            made.differences.append(f"{value}: name the file in tls.certificates")
        else:
            certificates.append(located(scene.certificates, value))
        return
    lines = scene.lines(value)
    if lines is None:
        made.differences.append(f"{value} cannot be read here: name its certificates in tls.certificates")
        return
    for line in lines:
        if (bare := line.strip()) and not bare.startswith("#"):
            certificates.append(located(scene.certificates, bare.split()[0]))
            if len(bare.split()) > 1:
                made.differences.append(f"{value}: names of certificates decide, options beside them are left out")


def _tls(certificates: list[Any], tls: dict[str, Any], made: Bind) -> dict[str, Any]:
    clients = tls.get("client_certificates")
    if clients is not None and "ca" not in clients:
        del tls["client_certificates"]
    elif clients is not None:
        clients.setdefault("verify", "required")
    if certificates:
        return {"certificates": list(dict.fromkeys(certificates)), **tls}
    made.differences.append("it names no certificate that is known here: throwaway ones stand for them")
    return {"self_signed": True, **tls}


def _is_covered(address: str, addresses: list[str]) -> bool:
    """Whether an IPv4 address for all is one with the IPv6 one."""
    return address.startswith("0.0.0.0:") and f"[::]:{address.rpartition(':')[2]}" in addresses
