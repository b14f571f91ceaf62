"""Parts of every model: strict immutable tables, names of a registry, kinds of text, and keys of one kind only.

A field may carry ``only``: the protocols (or kinds of check) that it is for, as lists of protocols.py. Given elsewhere
it would do nothing, so it is an error there. Must never know a particular key.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from headworks.config.problems import closest
from headworks.config.protocols import HTTP
from headworks.config.values import problem, quote


class Model(BaseModel):
    """Keyword-only, immutable, strict: ``"5"`` is not 5, and an unknown key is an error."""

    # Built when first used: of the models that a file is read by, only the whole is.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def only(field: FieldInfo) -> tuple[str, ...]:
    """Return the kinds that a field is for; empty: all."""
    extra = field.json_schema_extra
    kinds = extra.get("only", ()) if isinstance(extra, dict) else ()
    return tuple(map(str, kinds)) if isinstance(kinds, (list, tuple)) else ()


def applies(field: FieldInfo, kind: str) -> bool:
    """Whether a field is for ``kind``."""
    return not only(field) or kind in only(field)


def is_for_requests(field: FieldInfo) -> bool:
    """Whether a field is for requests (or checks by requests) only."""
    return bool(only(field)) and set(only(field)) <= set(HTTP)


def strangers(model: BaseModel, kind: str) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the fields that were given although they are not for ``kind``."""
    for name, field in type(model).model_fields.items():
        if name in model.model_fields_set and not applies(field, kind) and getattr(model, name) is not None:
            yield name, field


def listed(names: Sequence[str], word: str = "and") -> str:
    """Write ``a, b and c``."""
    return f" {word} ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def one_or_many(value: object) -> object:
    """Take ``"x"`` for ``["x"]``; models are immutable, so lists are kept as tuples."""
    return (value,) if isinstance(value, (str, dict, BaseModel)) else many(value)


def many(value: object) -> object:
    """Keep a list as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def known(kind: str, names: Sequence[str]) -> BeforeValidator:
    """Accept one of ``names`` (and None, which only Python can say and the type decides about)."""

    def check(value: object) -> object:
        if value is None or value in names:
            return value
        all_names = ", ".join(names)
        near = closest(value, names) if isinstance(value, str) else None
        raise problem(f"{quote(value)} is not a known {kind}; known: {all_names}", near and quote(near))

    return BeforeValidator(check)


def matching(pattern: str, what: str) -> AfterValidator:
    """Accept text that ``pattern`` matches as a whole. ``what`` says what it must be: ``a path that begins with /``."""

    def check(value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value):
            raise problem(f"{quote(value)} is not {what}")
        return value

    return AfterValidator(check)


def _distinct(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    twice = next((value for n, value in enumerate(values or ()) if values and value in values[:n]), None)
    if twice is not None:
        raise problem(f"{quote(twice)} is listed twice")
    return values


Name = Annotated[str, Field(min_length=1)]
Address = Annotated[str, Field(min_length=1)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(one_or_many), Field(min_length=1)]
Networks = Annotated[tuple[Address, ...], BeforeValidator(one_or_many)]
Limit = Annotated[int | None, Field(ge=1, le=10_000_000)]

distinct = AfterValidator(_distinct)
"""A list that has nothing twice."""

token = matching(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "a name such as X-Request-Id (RFC 9110, section 5.6.2)")
"""The name of a field or cookie."""

text = matching(r"[^\x00-\x08\x0a-\x1f\x7f]*", "the value of a field: it has a control character")
"""The value of a field."""

FieldName = Annotated[str, token]
FieldValue = Annotated[str, text]
Host = Annotated[
    str, matching(r"[0-9A-Za-z._~%!$&'()*+,;=:\[\]-]+", "a host such as app.example.com or 127.0.0.1:8080")
]
Prefix = Annotated[
    str, matching(r"(/[!-\"$->@-~]+)+/?", "a path prefix such as /api: it begins with / and has no query")
]
