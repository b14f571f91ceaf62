"""Names of nginx's servers: as keys of a table, and as a condition in Python."""

import re
from dataclasses import dataclass, field

from headworks.importing.nginx.reader import Statement
from headworks.importing.patterns import is_ours, named
from headworks.importing.rulefile import quoted, raw

_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)


@dataclass(slots=True)
class Names:
    """The names of one server."""

    exact: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    """Names whose subdomains it has."""
    patterns: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Names that cannot be told in ours."""

    @property
    def keys(self) -> list[str]:
        """The hosts of a table."""
        return [*self.exact, *(f"*.{one}" for one in self.below), *(f"~{one}" for one in self.patterns)]

    def condition(self) -> str:
        """Return what holds for its requests, in Python."""
        host = '(request.host or "")'
        parts = []
        if len(self.exact) == 1:
            parts.append(f"request.host == {quoted(self.exact[0])}")
        elif self.exact:
            parts.append(f"request.host in {{{', '.join(map(quoted, self.exact))}}}")
        parts += [f'{host}.endswith("." + {quoted(one)})'.replace('" + "', "") for one in self.below]
        parts += [f"re.search({raw(python(one))}, {host})" for one in self.patterns]
        return " or ".join(parts)


def names_of(server: Statement) -> Names:
    """Read what a server is called; one without a name has none."""
    found = Names()
    for text in dict.fromkeys(one for statement in server.all("server_name") for one in statement.arguments):
        _add(text, found)
    return found


def _add(text: str, found: Names) -> None:
    name = text.lower().removesuffix(".") if not text.startswith("~") else text
    if name in ("_", "", "$hostname") or name.strip("_-") == "":
        return
    if name.startswith("~"):
        pattern = named(text[1:])
        found.patterns.append(pattern) if is_ours(pattern) else found.lost.append(text)
    elif name.startswith("*.") and _NAME.fullmatch(name[2:]):
        found.below.append(name[2:])
    elif name.startswith(".") and _NAME.fullmatch(name[1:]):
        found.exact.append(name[1:])
        found.below.append(name[1:])
    elif name.endswith(".*") and _NAME.fullmatch(name[:-2]):
        found.patterns.append(f"^{re.escape(name[:-1])}")
    elif _NAME.fullmatch(name):
        found.exact.append(name)
    else:
        found.lost.append(text)


_ENDS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)


def python(pattern: str) -> str:
    r"""Write an expression as rules have it: the end of a text is `\Z`."""
    return _ENDS.sub(lambda found: r"\Z" if found[0] == "$" else found[0], pattern)
