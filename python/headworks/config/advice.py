"""Advice: what was probably meant by a value that is wrong, and by a key that stands where it does not belong.

Owns the habits of other programs: URLs as servers, ports alone, ``*:80``, old versions of TLS. Must never decide what
is wrong: it is asked once that is known.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from headworks.config.models.references import KINDS, NAMED, reference, unknown_kind
from headworks.config.models.whole import Whole
from headworks.config.problems import Path, closest, did_you_mean
from headworks.config.values import quote

LISTS = ("accept_proxy_from", "allow", "alpn", "bind", "ca", "certificates", "crl", "deny", "servers", "trusted")
"""Keys whose value is a list."""
OF_ITEMS = {"servers": "address", "certificates": "certificate"}
"""Lists of which one item may stand alone as a table; a table is that only when it has this key."""

_TABLE = 2
"""Keys in the path of a table with a name: ``backends.app``."""
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_MOST_PORT = 65535
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_OLD_TLS = re.compile(r"(?:tls|ssl)?[ _-]?v?(1\.0|1\.1|1|2|3)", re.IGNORECASE)


def advise(path: Path, value: object, reason: str) -> tuple[str, str | None]:
    """Return the reason, put better where it can be, and a suggestion or None."""
    last = next((key for key in reversed(path) if isinstance(key, str)), "")
    if last == "min_version":
        return _version(value, reason)
    if len(path) == _TABLE and last in fields(str(path[0])):
        return f"{last} is a key of one of them: it belongs in [{path[0]}.NAME]", None
    if last in ("servers", "address") and reference(value) is not None:
        return reason, None
    if last in ("bind", "servers", "address") and not isinstance(value, (dict, list)):
        return _address(value, reason, is_bound=last == "bind")
    if len(path) <= _TABLE and isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        shown = ".".join(map(str, path))
        name = ".NAME" if path[0] in ("listeners", "backends", "tables") and len(path) < _TABLE else ""
        return f"[[{shown}]] makes a list, and this is a table", did_you_mean(f"[{shown}{name}]")
    return reason, None


def table_for_list(path: Path, value: dict[str, Any]) -> tuple[str, str | None]:
    """Say that a list is due where a table was given."""
    items = [item for item in value.values() if isinstance(item, str)]
    shown = f"[{', '.join(map(quote, items))}]" if items and len(items) == len(value) else None
    return f"{path[-1]} is a list, and this is a table", did_you_mean(shown)


def address(value: object, *, is_bound: bool) -> str | None:
    """Return the address that was probably meant; None when nobody knows.

    ``is_bound``: it is one to listen at, not one to connect to.
    """
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    port: int | None = None
    if url := _URL.fullmatch(text):
        text, port = url[2].rpartition("@")[2], _PORTS.get(url[1].lower())
    text = text.split()[0] if text.strip() else ""
    if not text.strip(":"):
        return None
    if text.startswith("/"):
        return f"unix:{text}"
    host, port = _parts(text, port)
    every = host in ("*", "", "0.0.0.0", "::")  # noqa: S104  (what was written, not what is bound)
    if host.lower() == "localhost" or (every and not is_bound):
        host = "::1" if host == "::" else "127.0.0.1"
    elif host in ("*", ""):
        return f":{port or 80}"
    try:
        found = ip_address(host)
    except ValueError:
        return None
    return f"[{found}]:{port or 80}" if found.version == 6 else f"{found}:{port or 80}"  # noqa: PLR2004


def homes(key: str) -> list[str]:
    """Return the tables that have a key, as they are written: ``listeners.NAME.timeouts``."""
    return list(dict.fromkeys(table for table, name in _keys() if name == key))


def belongs(key: str) -> str | None:
    """Say where a key belongs; None when no table has it."""
    # What is to be bound is a listener, nearly always.
    several = homes(key)
    tables = [f"[{table}]" for table in several if table != "admin" or len(several) == 1]
    return f"it belongs in {' or '.join(tables[:3])}" if tables else None


def fields(section: str) -> list[str]:
    """Return the keys of the tables of a section."""
    return [name for table, name in _keys() if table == f"{section}.NAME"]


def _parts(text: str, port: int | None) -> tuple[str, int | None]:
    """Split what may be a host, a port or both, an IPv6 address without brackets included."""
    if text.isdigit() and 0 < int(text) <= _MOST_PORT:
        return "", int(text)
    host, colon, last = text.rpartition(":")
    number = int(last) if last.isdigit() and int(last) <= _MOST_PORT else _PORTS.get(last.lower())
    if colon and number is not None and (":" not in host or host.startswith("[") or _is_ip(host)):
        return host.strip("[]"), number
    return text.rstrip(":").strip("[]") if not _is_ip(text) else text, port


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _address(value: object, reason: str, *, is_bound: bool) -> tuple[str, str | None]:
    found = address(value, is_bound=is_bound)
    suggestion = did_you_mean(quote(found)) if found is not None and found != value else None
    text = value if isinstance(value, str) else ""
    if url := _URL.fullmatch(text):
        tls = "; for TLS to the servers there is [backends.NAME.tls]" if url[1].lower() in ("https", "wss") else ""
        tls = "" if is_bound else tls
        return f"{quote(text)} is a URL, and an address is IP:PORT without a scheme{tls}", suggestion
    if text.count(":") > 1 and suggestion and "brackets" in reason:
        return "an IPv6 address needs brackets", suggestion
    if text.startswith("*") and is_bound:
        return f"{quote(text)} is written as a port alone, which is every address", suggestion
    if text.startswith("*"):
        return reason, None
    if not is_bound and suggestion is None and (kind := unknown_kind(text)) is not None:
        near = closest(kind, (*KINDS, NAMED))
        known = ", ".join(one for one in (*KINDS, NAMED) if one != "http")
        said = f"{reason}; as a source, {quote(kind)} is not known: {known} and URLs of lists are"
        return said, did_you_mean(near and quote(text.replace(kind, near, 1)))
    return reason, suggestion


def _version(value: object, reason: str) -> tuple[str, str | None]:
    if isinstance(value, float) and value in (1.2, 1.3):
        return reason, did_you_mean(quote(str(value)))
    if isinstance(value, (str, float, int)) and _OLD_TLS.fullmatch(str(value)):
        return f"{reason} (older ones are no longer spoken, RFC 8996)", did_you_mean('"1.2"')
    return reason, None


@lru_cache(maxsize=1)
def _keys() -> tuple[tuple[str, str], ...]:
    """Return every table with each of its keys."""
    return tuple(_walk("", Whole))


def _walk(table: str, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        below = f"{table}.{name}" if table else name
        if table:
            yield table, name
        found = _model(field.annotation)
        if found is not None:
            is_named, kind = found
            # An item of a list, and the target of an entry, are written inline.
            if not issubclass(kind, model) and name not in ("tables", "servers", "certificates"):
                yield from _walk(f"{below}.NAME" if is_named else below, kind)


def _model(annotation: Any) -> tuple[bool, type[BaseModel]] | None:
    """Return the model in an annotation, and whether tables of it have names of their own."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return False, annotation
    is_named = get_origin(annotation) is dict
    found = next((one for part in get_args(annotation) if (one := _model(part)) is not None), None)
    return (is_named or found[0], found[1]) if found else None
