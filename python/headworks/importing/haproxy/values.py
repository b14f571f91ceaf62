"""Values of HAProxy: times, sizes, addresses and ports, as ours are written."""

import re
from ipaddress import ip_address

_TIME = re.compile(r"(\d{1,10})(us|ms|s|m|h|d)?", re.ASCII)
_MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_MOST_PORTS = 1024
_MOST = 65535
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?", re.ASCII)


class SettingError(ValueError):
    """A value that is none, or that has no equal. The message says why."""


def milliseconds(text: str) -> int:
    """Return a time; one without a unit is in milliseconds. Raises SettingError."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise SettingError(f"{text} is no time")
    return round(int(found[1]) * _MILLISECONDS[found[2] or "ms"])


def duration(length: int, most: int) -> str:
    """Write milliseconds as we do, within what a key takes."""
    length = max(1, min(length, most))
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if length % size == 0:
            return f"{length // size}{unit}"
    return f"{length}ms"


def number(text: str, least: int, most: int) -> int:
    """Return a whole number within bounds. Raises SettingError."""
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII):
        raise SettingError(f"{text} is no number")
    return max(least, min(int(text), most))


def bound(text: str) -> list[str]:
    """Return the addresses that one ``bind`` names. Raises SettingError."""
    return [one for part in text.split(",") for one in _bound(part)]


def _bound(text: str) -> list[str]:
    if text.startswith(("abns@", "sockpair@", "quic4@", "quic6@", "udp@", "abnsz@", "rhttp@", "mptcp")):
        raise SettingError(f"{text.partition('@')[0]} is not listened on")
    if text.startswith("fd@"):
        return [f"fd:{text.removeprefix('fd@')}"]
    if text.startswith(("unix@", "/")):
        return [f"unix:{text.removeprefix('unix@')}"]
    family, _, rest = text.rpartition("@")
    host, colon, ports = rest.rpartition(":")
    if not colon:
        raise SettingError(f"{text} has no port")
    return [_joined(_listening(host, family), port) for port in _ports(ports)]


def _listening(host: str, family: str) -> str:
    bare = host.strip("[]")
    if bare in ("", "*"):
        return "::" if family == "ipv6" else "0.0.0.0"  # noqa: S104  (what the file says)
    try:
        return str(ip_address(bare))
    except ValueError:
        raise SettingError(f"{host} is no IP address") from None


def _ports(text: str) -> list[int]:
    found = _PORTS.fullmatch(text)
    if found is None:
        raise SettingError(f'"{text}" is no port')
    first, last = int(found[1]), int(found[2] or found[1])
    if not 0 < first <= last <= _MOST or last - first >= _MOST_PORTS:
        raise SettingError(f"{text} are no ports, or more than {_MOST_PORTS:,}")
    return list(range(first, last + 1))


def server(text: str) -> str:
    """Return the address of a server. Raises SettingError."""
    if text.startswith(("unix@", "/")):
        return f"unix:{text.removeprefix('unix@')}"
    family, _, rest = text.rpartition("@")
    if family not in ("", "ipv4", "ipv6"):
        raise SettingError(f"{text} is no address that can be connected to here")
    if rest.count(":") > 1 and not rest.startswith("["):
        # An IPv6 address: what follows the last colon is the port.
        host, _, port = rest.rpartition(":")
    else:
        host, colon, port = rest.rpartition(":")
        host, port = (host, port) if colon and not rest.endswith("]") else (rest, "")
    bare = host.strip("[]")
    try:
        bare = str(ip_address(bare))
    except ValueError:
        if not _NAME.fullmatch(bare) or ".." in bare:
            raise SettingError(f'"{text}" is no address of a server') from None
    if not port or port == "0":
        return f"[{bare}]" if ":" in bare else bare
    return _joined(bare, _ports(port)[0])


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
