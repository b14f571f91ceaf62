"""Source: whether text is a sniproxy.conf, told by what is in it.

Must never take a configuration of ours for one, however broken: what begins like TOML is none.
"""

import re

from headworks.importing.sniproxy.statements import Statement, parse
from headworks.importing.sniproxy.switches import GLOBAL, keyword

_OURS = re.compile(r"^[ \t]*(\[[\w\"'.\- ]+\][ \t]*(#.*)?$|[\w.\"'-]+[ \t]*=)", re.MULTILINE)
"""A header or a key of TOML."""
_OTHERS = frozenset({"global", "defaults", "frontend", "backend", "http", "events", "stream", "server", "upstream"})
"""Keywords that files of other proxies begin with."""
_ENOUGH = 3
"""Letters of a keyword that are no accident."""


def is_sniproxy(source: bytes) -> bool:
    """Whether bytes that are no TOML are a sniproxy.conf: most keywords are its own, and one of them tells."""
    if _OURS.search(source.decode(errors="replace")):
        return False
    statements = parse(source).block.statements
    words = [one.words[0].text for one in statements]
    ours = [one for one in statements if keyword(one.words[0].text, GLOBAL) is not None]
    return 2 * len(ours) > len(words) and _OTHERS.isdisjoint(words) and any(map(_tells, ours))


def _tells(statement: Statement) -> bool:
    """Whether a statement is sniproxy's beyond doubt."""
    written = statement.words[0].text
    name = keyword(written, GLOBAL)
    if name in ("listener", "table"):
        return statement.block is not None and bool(written)
    is_setting = name in ("username", "groupname", "pidfile") and len(statement.words) == 2  # noqa: PLR2004
    return is_setting and len(written) >= _ENOUGH
