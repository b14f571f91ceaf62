"""Names that sniproxy has none of: of listeners, tables and backends; and statements as one line of text."""

import re
from collections.abc import Collection

from headworks.importing.sniproxy.statements import Statement
from headworks.importing.sniproxy.tree import Form, Listener, Route

_PLAIN = re.compile(r"[^\s;#{}\\\"]+")


def of_listener(listener: Listener, taken: Collection[str]) -> str:
    """Return ``tls_443``, ``http_80`` or ``tls_unix``, with a number where there is one already."""
    where = "unix" if listener.address.form is Form.UNIX else str(listener.address.port)
    return free(f"{'http' if listener.is_http else 'tls'}_{where}", taken)


def of_backend(route: Route, source: str | None) -> str:
    """Return the address, with what else makes a backend another one: tables read as they did before."""
    return f"{route.address}{'+proxy' if route.proxy else ''}{f'@{source}' if source else ''}"


def free(name: str, taken: Collection[str]) -> str:
    """Return a name, with a number where it is taken."""
    return next(one for one in (name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))) if one not in taken)


def shown(statement: Statement) -> str:
    """Return a statement as it could be written in one line, its block left out."""
    return " ".join(map(_quoted, (word.text for word in statement.words)))


def _quoted(text: str) -> str:
    text = text.encode(errors="surrogateescape").decode(errors="replace")
    text = "".join(one if one.isprintable() else "?" for one in text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped if _PLAIN.fullmatch(text.replace("\\", "")) else f'"{escaped}"'
