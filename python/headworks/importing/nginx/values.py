"""Values of nginx: times, sizes, addresses, and texts with variables."""

import re
from ipaddress import ip_address

from headworks.importing.haproxy.values import SettingError, duration, number, server
from headworks.importing.rulefile import quoted

__all__ = [
    "SettingError",
    "bound",
    "duration",
    "milliseconds",
    "number",
    "plain",
    "server",
    "size",
    "string",
    "template",
]

_TIME = re.compile(r"(?:(\d{1,9})(ms|y|M|w|d|h|m|s)?\s*)+", re.ASCII)
_ONE_TIME = re.compile(r"(\d{1,9})(ms|y|M|w|d|h|m|s)?", re.ASCII)
_SIZE = re.compile(r"(\d{1,12})([kKmMgG])?", re.ASCII)
_MILLISECONDS = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "M": 2_592_000_000,
    "y": 31_536_000_000,
}
_UNITS = {"": "B", "k": "KiB", "m": "MiB", "g": "GiB"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_LINES = {ord("\n"): None, ord("\t"): None, ord("\r"): None}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_KNOWN = {
    "remote_addr": "client.address",
    "realip_remote_addr": "client.address",
    "remote_port": "client.port",
    "host": "name",
    "http_host": "host",
    "request_uri": "uri",
    "uri": "path",
    "document_uri": "path",
    "args": "query",
    "query_string": "query",
    "scheme": "scheme",
    "request_method": "method",
    "server_addr": "local.address",
    "server_port": "local.port",
    "request_id": "request.id",
    "ssl_protocol": "tls.version",
    "ssl_cipher": "tls.cipher",
    "ssl_server_name": "tls.name",
    "ssl_client_s_dn": "tls.client.subject",
    "ssl_client_i_dn": "tls.client.issuer",
    "ssl_client_serial": "tls.client.serial",
}
_PYTHON = {
    "client.address": None,
    "name": '(request.host or "")',
    "host": "request.authority",
    "uri": "request.target",
    "path": "request.path",
    "query": "request.query",
    "scheme": "request.scheme",
    "method": "request.method",
}


def milliseconds(text: str) -> int:
    """Return a time; a number without a unit is in seconds. Raises SettingError."""
    if not _TIME.fullmatch(text):
        raise SettingError(f"{text} is no time")
    return sum(int(found[1]) * _MILLISECONDS[found[2] or "s"] for found in _ONE_TIME.finditer(text))


def size(text: str, most: int) -> str | None:
    """Return a size as we write it; None for 0. Raises SettingError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise SettingError(f"{text} is no size")
    amount, unit = int(found[1]), (found[2] or "").lower()
    if amount * 1024 ** "_kmg".index(unit or "_") > most:
        raise SettingError(f"{text} is more than may be set here")
    return f"{amount}{_UNITS[unit]}" if amount else None


def bound(text: str) -> str:
    """Return the address that one ``listen`` names. Raises SettingError."""
    if text.startswith("unix:"):
        return text
    if text.isdigit():
        return f"0.0.0.0:{_port(text)}"
    host, colon, port = text.rpartition(":")
    if text.endswith("]") or not colon:
        host, port = text, "80"
    bare = host.strip("[]")
    if bare == "*":
        return f"0.0.0.0:{_port(port)}"
    if bare == "localhost":
        bare = "127.0.0.1"
    try:
        address = str(ip_address(bare))
    except ValueError:
        raise SettingError(f"{host} is no IP address: listen to one") from None
    return f"[{address}]:{_port(port)}" if ":" in address else f"{address}:{_port(port)}"


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or not 0 < int(text) < 1 << 16:
        raise SettingError(f'"{text}" is no port')
    return int(text)


def plain(text: str) -> str:
    """Return a text with the characters that its escapes stand for."""
    return re.sub(r"\\([ntr\\\"'])", lambda found: _ESCAPES.get(found[1], found[1]), text)


def template(text: str, names: dict[str, str] | None = None, *, lines: bool = False) -> str:
    """Return a text with our variables for nginx's. ``names`` are texts of some; ``lines``: it may have several.

    Raises SettingError.
    """
    if not (text.translate(_LINES) if lines else text).isprintable():
        raise SettingError("it has control characters")
    pieces, at = [], 0
    for found in _VARIABLE.finditer(text):
        pieces += [text[at : found.start()].replace("{", "{{").replace("}", "}}"), _variable(found, names or {})]
        at = found.end()
    return "".join([*pieces, text[at:].replace("{", "{{").replace("}", "}}")])


def string(text: str, names: dict[str, str] | None = None, *, lines: bool = False) -> str:
    """Return a text as one in Python, for rules. Raises SettingError."""
    if not text.isascii():
        raise SettingError("it has characters that are no ASCII")
    found = template(text, names, lines=lines)
    pieces = re.split(r"(\{\{|\}\}|\{[^{}]*\})", found)
    if all(not piece.startswith("{") or piece == "{{" for piece in pieces):
        return quoted(found.replace("{{", "{").replace("}}", "}"))
    return 'f"' + "".join(_in_python(piece) for piece in pieces) + '"'


def _in_python(piece: str) -> str:
    if piece in ("{{", "}}") or not piece.startswith("{"):
        return piece if piece in ("{{", "}}") else quoted(piece)[1:-1]
    known = _PYTHON.get(piece[1:-1])
    if known is None:
        raise SettingError(f"{piece} is not to be had in texts of rules")
    return "{" + known.replace('"', "'") + "}"


def _variable(found: re.Match[str], names: dict[str, str]) -> str:
    name = found[1] or found[2]
    if name in names:
        return names[name]
    if name in _KNOWN:
        return f"{{{_KNOWN[name]}}}"
    if name.startswith("http_"):
        return f"{{header.{name[5:].replace('_', '-')}}}"
    if name == "is_args":
        return ""
    raise SettingError(f"${name} has no equal among our variables")
