"""Guess: of which proxy a file is, by what is in it and by its name."""

import re
from pathlib import PurePath

from headworks.importing.sniproxy.source import is_sniproxy

FORMATS = ("nginx", "haproxy", "sniproxy")
"""Names of the formats that can be read."""

_OURS = re.compile(rb"^[ \t]*(\[[\w\"'.\- ]+\][ \t]*(#.*)?$|[\w.\"'-]+[ \t]*=[ \t]*[\[{\"'\dtf])", re.MULTILINE)
_HAPROXY = re.compile(
    rb"^(global[ \t]*|defaults|(defaults|frontend|backend|listen)[ \t]+[^{;\n=]+)[ \t]*(#.*)?$", re.MULTILINE
)
_NGINX = re.compile(rb"^[ \t]*((http|stream|events|server)|(upstream|location|map)[ \t][^;#\n{]+)\s*\{", re.MULTILINE)
_MOST = 1 << 20


def guess(source: bytes, name: str) -> str | None:
    """Return the name of a format; None where nothing tells. A file of ours is none."""
    head = source[:_MOST].replace(b"\r\n", b"\n")
    is_of_haproxy, is_of_nginx = bool(_HAPROXY.search(head)), bool(_NGINX.search(head))
    if is_of_haproxy != is_of_nginx and not _OURS.search(head):
        return "haproxy" if is_of_haproxy else "nginx"
    if is_sniproxy(source):
        return "sniproxy"
    file = PurePath(name).name.lower()
    if _OURS.search(head) and not (is_of_haproxy or is_of_nginx):
        return None
    if file.endswith(".cfg") or "haproxy" in file:
        return "haproxy" if is_of_haproxy else None
    return "nginx" if is_of_nginx else "haproxy" if is_of_haproxy else None
