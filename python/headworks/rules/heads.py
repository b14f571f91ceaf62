"""Heads for tests: a request's or response's bytes taken apart, as far as subjects need it.

Owns no law: a head that core would refuse may pass here. Must never be used on bytes from the network.
"""

Fields = list[tuple[str, str]]
_PARTS = 3


def request(head: bytes) -> tuple[str, str, str, Fields]:
    """Return method, target, version and fields."""
    line, fields = _split(head)
    parts = line.split(" ")
    if len(parts) != _PARTS or not parts[2].startswith("HTTP/"):
        raise ValueError(f"{line!r} is not a request line")
    return parts[0], parts[1], parts[2].removeprefix("HTTP/"), fields


def response(head: bytes) -> tuple[int, Fields]:
    """Return status and fields."""
    line, fields = _split(head)
    parts = line.split(" ", 2)
    if len(parts) < _PARTS - 1 or not parts[0].startswith("HTTP/") or not parts[1].isdigit():
        raise ValueError(f"{line!r} is not a status line")
    return int(parts[1]), fields


def path(target: str) -> str:
    """Return the path of a target; that of an absolute URI without one is ``/``."""
    return _origin(target).partition("?")[0]


def query(target: str) -> str:
    """Return the query of a target, without ``?``."""
    return _origin(target).partition("?")[2]


def authority(target: str) -> str:
    """Return the authority of an absolute URI; empty for other targets."""
    scheme, separator, rest = target.partition("://")
    if not separator or not scheme.isalnum():
        return ""
    end = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
    return rest[:end]


def host(written: str) -> str | None:
    """Return the name in ``name:port``, in lower case; brackets of an IPv6 address stay."""
    name = written[: written.find("]") + 1] if written.startswith("[") else written.partition(":")[0]
    return name.lower() or None


def _origin(target: str) -> str:
    if authority(target):
        rest = target.partition("://")[2][len(authority(target)) :]
        return rest if rest.startswith("/") else f"/{rest}"
    return target


def _split(head: bytes) -> tuple[str, Fields]:
    line, *rest = head.decode("ascii", "surrogateescape").split("\r\n\r\n", 1)[0].split("\r\n")
    fields = []
    for one in filter(None, rest):
        name, colon, value = one.partition(":")
        if not colon or not name:
            raise ValueError(f"{one!r} is not a field")
        fields.append((name, value.strip(" \t")))
    return line, fields
