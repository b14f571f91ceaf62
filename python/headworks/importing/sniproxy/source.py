"""Source: whether text is a sniproxy.conf, told by what is in it, and such a file as a configuration that runs.

Must never take a configuration of ours for one, however broken: what begins like TOML is none.
"""

import os
import re

from headworks.importing.sniproxy.statements import Statement, parse
from headworks.importing.sniproxy.switches import GLOBAL, keyword
from headworks.importing.sniproxy.translation import Translation, translate

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


def document(source: bytes, name: str | None) -> Translation:
    """Translate a sniproxy.conf for who is about to run it: only root becomes somebody else, as with sniproxy."""
    found = translate(source, name)
    if os.geteuid() != 0:
        for key in ("user", "group"):
            found.value["proxy"].pop(key, None)
    return found


def _tells(statement: Statement) -> bool:
    """Whether a statement is sniproxy's beyond doubt."""
    written = statement.words[0].text
    name = keyword(written, GLOBAL)
    if name in ("listener", "table"):
        return statement.block is not None and bool(written)
    is_setting = name in ("username", "groupname", "pidfile") and len(statement.words) == 2  # noqa: PLR2004
    return is_setting and len(written) >= _ENOUGH
