"""Parts of every model: strict immutable tables, names of a registry, kinds of text, and keys of one kind only.

A field may carry ``only``: the protocols (or kinds of check) that it is for, as lists of protocols.py. Given elsewhere
it would do nothing, so it is an error there. Must never know a particular key.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast, dataclass_transform

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic._internal._model_construction import ModelMetaclass
from pydantic.fields import FieldInfo

from headworks.config.problems import ConfigError, Path, Problem, closest, did_you_mean
from headworks.config.protocols import HTTP
from headworks.config.reasons import explain
from headworks.config.values import problem, quote


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
class _Kind(ModelMetaclass):
    """The kind of all models: whoever asks what there is sees keys and our own methods."""

    def __dir__(cls) -> list[str]:  # noqa: N805  (of a class)
        return shown(cast(Any, cls))


class Model(BaseModel, metaclass=_Kind):
    """Keyword-only, immutable, strict: ``"5"`` is not 5, and an unknown key is an error.

    Raises ConfigError with everything that is wrong with the values; paths begin at the model.
    """

    # Built when first used: of the models that a file is read by, only the whole is.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    # What each model takes is said in written.py: more than what it keeps.
    if not TYPE_CHECKING:

        def __init__(self, /, **keys: Any) -> None:
            try:
                super().__init__(**keys)
            except ValidationError as error:
                raise ConfigError(_problems(type(self), error)) from None

        # Models within are not made by it: pydantic need not call it for them.
        __init__.__pydantic_base_init__ = True

    def __dir__(self) -> Iterable[str]:
        """List the keys, and what is ours besides."""
        return shown(type(self))


def shown(model: type[BaseModel]) -> list[str]:
    """Return the names of a model's keys, and of its own public methods."""
    ours = (name for kind in model.__mro__ if issubclass(kind, Model) and kind is not Model for name in vars(kind))
    names = (name for name in ours if not name.startswith(("_", "model_")))
    return sorted({*getattr(model, "__pydantic_fields__", ()), *names})


def _problems(model: type[BaseModel], error: ValidationError) -> Iterator[Problem]:
    for details in error.errors(include_url=False):
        if details["type"] == "extra_forbidden":
            path: Path = details["loc"]
            near = closest(str(path[-1]), list(model.model_fields)) if len(path) == 1 else None
            yield Problem(path=path, reason="unknown key", suggestion=did_you_mean(near and quote(near)))
        else:
            for path, reason, suggestion in explain(details):
                yield Problem(path=path, reason=reason, suggestion=suggestion)


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
    return (value,) if isinstance(value, (str, os.PathLike, Mapping, BaseModel)) else many(value)


def many(value: object) -> object:
    """Keep a list, or what is as good as one, as a tuple."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)) else value


def table(value: object) -> object:
    """Keep any mapping as a dict."""
    return dict(value) if isinstance(value, Mapping) else value


def path_text(value: object) -> object:
    """Keep a path as text."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


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
FileName = Annotated[str, BeforeValidator(path_text), Field(min_length=1)]
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
Fields = Annotated[dict[FieldName, FieldValue], BeforeValidator(table)]
"""Fields of a head by name."""
Host = Annotated[
    str, matching(r"[0-9A-Za-z._~%!$&'()*+,;=:\[\]-]+", "a host such as app.example.com or 127.0.0.1:8080")
]
Prefix = Annotated[
    str, matching(r"(/[!-\"$->@-~]+)+/?", "a path prefix such as /api: it begins with / and has no query")
]
