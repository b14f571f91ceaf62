"""Repairing a configuration, so that one wrong value hides no other: taken out, or replaced by one that is right.

What is put in collides with nothing that users write. Must never report anything: that is check.py's.
"""

from typing import Any

from headworks.config.models.base import Model, applies, is_for_requests
from headworks.config.models.listener import Listener
from headworks.config.models.table import TARGETS
from headworks.config.models.timeouts import Timeouts
from headworks.config.models.tls import ClientCertificates, ListenerTls
from headworks.config.problems import Path, closest
from headworks.config.protocols import ENDS_TLS, HTTP, HTTPS, PROTOCOLS, ROUTES, those

_REQUIRED: dict[Path, Any] = {
    ("affinity", "cookie"): "stand-in",
    ("rate_limit", "requests"): 1,
    ("client_certificates", "ca"): ["/stand-in"],
    ("redirect", "to"): "/",
}
"""Keys below listeners, tables and backends that their tables cannot be without."""

_NAMED = those(lambda one: one.names and not one.requests and one.tls == "never")[0]
"""A protocol whose listeners may have any table or backend."""
_REQUESTED = those(lambda one: one.requests and one.tls == "never")[0]
"""A protocol whose listeners may have any key for requests."""


def at(value: Any, path: Path) -> Any:
    """Return what is at ``path``; None where there is nothing."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def repair(root: dict[str, Any], path: Path) -> None:
    """Take a wrong value out, or put one in its place that is surely right and collides with nothing."""
    stand_in = _stand_in(root, path)
    section = at(root, path[:-1])
    if stand_in is not None and isinstance(section, (dict, list)):
        section[path[-1]] = stand_in  # type: ignore[index]
    elif isinstance(section, dict):
        section.pop(path[-1], None)
    elif len(path) > 1:
        repair(root, path[:-1])
    if path[0] == "listeners" and len(path) > 1 and path[2:] in ((), ("protocol",), *((route,) for route in ROUTES)):
        _reroute(root, path)
    if path[0] == "listeners" and path[2:3] == ("tls",):
        _certify(root, path)
    if path[0] == "tables" and len(path) > 2:  # noqa: PLR2004 (a table, an entry)
        _retarget(root, path)


def _stand_in(root: dict[str, Any], path: Path) -> Any:
    """A value for a key that is required or an item of a list; None where the key is better left out."""
    unique = "unix:/stand-in/" + "/".join(map(str, path))[-80:]
    section, below = path[0], path[2:]
    if path == ("listeners",):
        return {"stand-in": {"bind": unique, "protocol": _NAMED, "backend": _any_backend(root)}}
    if section == "listeners" and not below:
        written = at(root, path)
        return written if isinstance(written, dict) else {"bind": unique, "protocol": _NAMED}
    if section == "tables" and len(path) > 1 and len(below) < 2:  # noqa: PLR2004 (a table, an entry)
        return _any_backend(root) if below else {}
    if section == "listeners" and (found := _listener_stand_in(at(root, path[:2]), below, unique)) is not None:
        return found
    if section == "backends" and len(path) > 1 and (found := _backend_stand_in(below, unique)) is not None:
        return found
    return _REQUIRED.get(path[-2:]) if below else None


def _listener_stand_in(listener: Any, below: Path, unique: str) -> Any:
    match below:
        case ("bind",):
            return [unique]
        case ("protocol",):
            return _protocol(listener)
        case ("bind", int()):
            return unique
        case ("allow" | "deny" | "accept_proxy_from", int()) | ("http", "trusted", int()):
            return "192.0.2.1"
    return None


def _protocol(listener: Any) -> str:
    """Guess what a listener without a known protocol is meant to speak, by the word or by its other keys."""
    written = listener.get("protocol") if isinstance(listener, dict) else None
    near = closest(written, list(PROTOCOLS)) if isinstance(written, str) else None
    given = listener if isinstance(listener, dict) else {}
    if isinstance(given.get("tls"), dict):
        return near if near in ENDS_TLS else HTTPS[0]
    for_requests = any(name in given and is_for_requests(field) for name, field in Listener.model_fields.items())
    return _REQUESTED if near in HTTP or (near is None and for_requests) else _NAMED


def _backend_stand_in(below: Path, unique: str) -> Any:
    match below:
        case ():
            return {"servers": [unique]}
        case ("servers",):
            return [unique]
        case ("servers", int()) | ("servers", int(), "address"):
            return unique
    return None


def _any_backend(root: dict[str, Any]) -> str:
    """The name of a backend that exists; one is made where there is none."""
    if not isinstance(root.get("backends"), dict):
        root["backends"] = {}
    if not root["backends"]:
        root["backends"]["stand-in"] = {"servers": ["unix:/stand-in"]}
    return str(next(iter(root["backends"])))


def _reroute(root: dict[str, Any], path: Path) -> None:
    """Give a listener whose route is in doubt one that is surely right."""
    listener = at(root, path[:2])
    if not isinstance(listener, dict):
        return
    if path[2:] == ("protocol",):
        # What does not fit the protocol that was put in is no mistake of the user's.
        routes = [route for route in ROUTES if route in listener]
        _fit(listener, str(listener["protocol"]))
        if not routes or any(route in listener for route in routes):
            return
    for route in ROUTES:
        listener.pop(route, None)
    listener["backend"] = _any_backend(root)


def _fit(listener: dict[str, Any], protocol: str) -> None:
    tls = listener.get("tls")
    sections: list[tuple[Any, type[Model]]] = [
        (tls.get("client_certificates") if isinstance(tls, dict) else None, ClientCertificates),
        (tls, ListenerTls),
        (listener.get("timeouts"), Timeouts),
        (listener, Listener),
    ]
    for section, model in sections:
        for name, field in model.model_fields.items():
            if isinstance(section, dict) and not applies(field, protocol):
                section.pop(name, None)


def _certify(root: dict[str, Any], path: Path) -> None:
    """Give a listener whose certificates are in doubt, or that lacks TLS, what is surely right."""
    listener = at(root, path[:2])
    if not isinstance(listener, dict):
        return
    if path[3:] == () and applies(Listener.model_fields["tls"], str(listener.get("protocol"))):
        listener["tls"] = {"self_signed": True}
    elif path[3:4] in (("certificates",), ("self_signed",)) and isinstance(listener.get("tls"), dict):
        listener["tls"].pop("certificates", None)
        listener["tls"]["self_signed"] = True


def _retarget(root: dict[str, Any], path: Path) -> None:
    """Give an entry that has lost its only target another one."""
    entry = at(root, path[:3])
    if isinstance(entry, dict) and not any(name in entry for name in TARGETS):
        root["tables"][path[1]][path[2]] = _any_backend(root)
