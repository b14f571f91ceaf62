"""Fields, cookies and query parameters as rules see them: read-only mappings that keep order and repetition.

Owns how several of one name are taken: fields are joined, of cookies and parameters the first counts. Must never
change what was sent. Texts are bytes decoded as ASCII with ``surrogateescape``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar, overload

_T = TypeVar("_T")
Pairs = Sequence[tuple[str, str]]


class Headers(Mapping[str, str]):
    """The fields of a head: names in any case, order and repetition kept (RFC 9110, section 5)."""

    def __init__(self, fields: Mapping[str, str] | Pairs = ()) -> None:
        self.fields: tuple[tuple[str, str], ...] = _pairs(fields)
        """Names and values as they were sent."""

    def __getitem__(self, name: str) -> str:
        """Return the value; several fields of one name are joined with ``, `` (RFC 9110, section 5.3)."""
        values = self.getlist(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: _T) -> str | _T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Return the value as ``[]`` does, or ``default`` when there is no such field."""
        values = self.getlist(name)
        return ", ".join(values) if values else default

    def getlist(self, name: str) -> list[str]:
        """Return each field's value, in order."""
        wanted = name.lower()
        return [value for field, value in self.fields if field.lower() == wanted]

    def __contains__(self, name: object) -> bool:
        """Whether there is such a field, even an empty one."""
        return isinstance(name, str) and bool(self.getlist(name))

    def __iter__(self) -> Iterator[str]:
        """Give each name once, in lower case."""
        return iter(dict.fromkeys(name.lower() for name, _ in self.fields))

    def __len__(self) -> int:
        """Count the names."""
        return len(list(iter(self)))

    def __eq__(self, other: object) -> bool:
        """Whether the same fields came in the same order."""
        return isinstance(other, Headers) and self.fields == other.fields

    def __hash__(self) -> int:
        """Hash what is compared."""
        return hash(self.fields)

    def __repr__(self) -> str:
        """Show the fields."""
        return f"Headers({list(self.fields)!r})"


class First(Mapping[str, str]):
    """Cookies or query parameters: names as they are, and of several of one name the first counts."""

    def __init__(self, items: Mapping[str, str] | Pairs = ()) -> None:
        self.items_sent: tuple[tuple[str, str], ...] = _pairs(items)
        """Names and values in the order in which they were sent."""
        self._first = dict(reversed(self.items_sent))

    def __getitem__(self, name: str) -> str:
        """Return the first value."""
        return self._first[name]

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: _T) -> str | _T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Return the first value, or ``default`` when there is none."""
        return self._first.get(name, default)

    def getlist(self, name: str) -> list[str]:
        """Return every value of a name, in order."""
        return [value for one, value in self.items_sent if one == name]

    def __iter__(self) -> Iterator[str]:
        """Give each name once."""
        return iter(dict.fromkeys(name for name, _ in self.items_sent))

    def __len__(self) -> int:
        """Count the names."""
        return len(self._first)

    def __repr__(self) -> str:
        """Show what was sent."""
        return f"{type(self).__name__}({list(self.items_sent)!r})"


class Cookies(First):
    """The cookies of a request (RFC 6265, section 5.4): values as they were sent, quotes kept."""

    @classmethod
    def parse(cls, fields: Sequence[str]) -> "Cookies":
        """Read Cookie fields."""
        pairs = (pair.strip(" \t").partition("=") for field in fields for pair in field.split(";"))
        return cls([(name, value) for name, equals, value in pairs if equals])


class QueryParams(First):
    """The parameters of a query: percent-decoded, ``+`` is a space, one without ``=`` is empty."""

    @classmethod
    def parse(cls, query: str) -> "QueryParams":
        """Read a query without its ``?``."""
        pairs = (part.partition("=") for part in query.split("&") if part)
        return cls([(_decoded(name), _decoded(value)) for name, _, value in pairs])


def _decoded(text: str) -> str:
    from urllib.parse import unquote_to_bytes

    raw = unquote_to_bytes(text.replace("+", " ").encode("ascii", "surrogateescape"))
    return raw.decode("ascii", "surrogateescape")


def _pairs(pairs: Mapping[str, str] | Pairs) -> tuple[tuple[str, str], ...]:
    return tuple(pairs.items() if isinstance(pairs, Mapping) else pairs)
