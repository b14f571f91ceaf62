"""Write the reference of every configuration key, from the models themselves.

``python tools/configuration_docs.py docs/configuration.md`` replaces what follows the marker in that file and keeps
what people wrote above it; with ``--check`` it writes nothing and exits 1 when the file is not up to date.
"""

import json
import re
import sys
import types
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import renewing
from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from headworks import _engine
from headworks.config import (
    Accept,
    AdminSettings,
    AdminTls,
    Affinity,
    AnalyzerSettings,
    Backend,
    BackendTls,
    Bandwidth,
    CertificateFiles,
    ClientCertificates,
    Compression,
    Config,
    Connect,
    ConnectionRate,
    Ejection,
    FirstBytes,
    Headers,
    Health,
    Hsts,
    HttpSettings,
    Kind,
    Listener,
    ListenerTls,
    LogSettings,
    Pool,
    ProviderSettings,
    ProxySettings,
    RateLimit,
    Rates,
    Redirect,
    Resolver,
    Resources,
    Respond,
    Server,
    SyslogSettings,
    Target,
    Timeouts,
)
from headworks.config.models.analyzers import AnalyzerName
from headworks.config.models.base import listed, only
from headworks.config.models.providers import ProviderName
from headworks.config.models.rules import RuleName
from headworks.config.values import Duration, Mode, Size

MARKER = "<!-- What follows is written by tools/configuration_docs.py from the models: edit those. -->"

TABLES: tuple[type[BaseModel], ...] = (
    ProxySettings,
    Resources,
    LogSettings,
    SyslogSettings,
    Resolver,
    Listener,
    FirstBytes,
    Kind,
    Accept,
    ConnectionRate,
    Bandwidth,
    Rates,
    Timeouts,
    ListenerTls,
    CertificateFiles,
    ClientCertificates,
    Hsts,
    HttpSettings,
    RateLimit,
    Compression,
    Redirect,
    Respond,
    Headers,
    Target,
    Backend,
    Server,
    Connect,
    BackendTls,
    Health,
    Ejection,
    Pool,
    Affinity,
    AnalyzerSettings,
    ProviderSettings,
    AdminSettings,
    AdminTls,
)
"""Every kind of table of the file, in the order in which people write them. One that is in several places is described
once."""

TITLES = {
    "backends.NAME.servers[]": "`servers` of a backend",
    "listeners.NAME.tls.certificates[]": "`certificates` of a listener",
    "listeners.NAME.first_bytes.tls": "Kinds of `[listeners.NAME.first_bytes]`",
    "tables.NAME.PATTERN": "Entries of `[tables.NAME]`",
}
"""Sections that are not called by their path."""

WHAT_IS_OF_A_KIND: dict[type[BaseModel], str] = {Health: "checks", ProviderSettings: "providers"}
"""Tables whose keys are for some kinds of these, not of listeners."""

CHOICES: dict[tuple[type[BaseModel], str], Callable[[], list[str]]] = {
    (Listener, "protocol"): lambda: list(_engine.protocols()),
    (Backend, "balance"): _engine.balances,
}
"""Keys whose values are a registry's names."""


def renewed(text: str) -> str:
    """Return the page with everything below the marker written anew."""
    return renewing.below(MARKER, text) + "\n\n" + reference()


def reference() -> str:
    """Return one section a table, one entry a key."""
    places = _places()
    return "\n".join(line for model in TABLES for line in _section(places[model], model))


def every_key() -> list[str]:
    """Return every key there is, found by walking the whole Config: what the reference must contain."""
    return [f"{places[0]}.{name}" for model, places in _places().items() for name in model.model_fields]


def _places() -> dict[type[BaseModel], list[str]]:
    """Return where each kind of table may be."""
    places: dict[type[BaseModel], list[str]] = {}
    for path, model in _walk("", Config):
        if path:
            places.setdefault(model, []).append(path)
    return places


def _walk(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        for kind, below in _models(field.annotation):
            yield from _walk((here + kind).replace(".NAME.NAME", ".NAME.PATTERN"), below)


def _models(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Find the models in a type, each with what stands between the key and its own keys."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
    inner = {dict: ".NAME", tuple: "[]"}.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        for kind, model in _models(argument):
            yield inner + kind, model


def _section(places: list[str], model: type[BaseModel]) -> Iterator[str]:
    path, *others = places
    yield f"## {TITLES.get(path, f'`[{path}]`')}\n"
    if said := _after_colon(model):
        yield f"{said}\n"
    if others:
        yield f"The same keys are in {listed([f'`{other}`' for other in others])}.\n"
    for name, field in model.model_fields.items():
        yield f"### `{path}.{name}`\n"
        yield f"{field.description}\n"
        rows = [
            ("for", _kinds(model, field)),
            ("type", _type(model, name, field)),
            ("default", _default(field)),
            ("range", _range(field)),
        ]
        yield "".join(f"- {label}: {value}\n" for label, value in rows if value)
        examples = "\n# or: ".join(f"{name} = {_toml(example)}" for example in field.examples or ())
        yield f"```toml\n{examples}\n```\n"


def _after_colon(model: type[BaseModel]) -> str:
    """Return the first paragraph of a model's docstring, without the name of the table it begins with."""
    paragraph = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    said = re.sub(r"^``\S+``(\.|: )", "", paragraph).replace("``", "`")
    return said[:1].upper() + said[1:]


def _kinds(model: type[BaseModel], field: FieldInfo) -> str:
    what = WHAT_IS_OF_A_KIND.get(model, "listeners")
    return f"{listed(only(field))} {what}" if only(field) else ""


def _type(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    if choices := CHOICES.get((model, name)):
        return "one of " + ", ".join(f'`"{choice}"`' for choice in choices())
    for item in field.metadata:
        if isinstance(item, Duration):
            return "duration"
        if isinstance(item, Size):
            return "size in bytes" + (f", {_extra(field, 'unit')}" if _extra(field, "unit") else "")
        if isinstance(item, Mode):
            return "permission bits, a string of octal digits or a number such as `0o660`"
    unit = _extra(field, "unit")
    return _type_name(field.annotation) + (f", {unit}" if unit else "")


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), [part for part in get_args(annotation) if part is not type(None)]
    if origin is Literal:
        return "one of " + ", ".join(f"`{_toml(value)}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_type_name, arguments))
    if origin is tuple:
        return f"{_type_name(arguments[0])}, or a list of them"
    if origin is Annotated:
        return _type_name(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "string or table" if annotation in (CertificateFiles, Kind, Rates, Server, Target) else "table"
    plain = {
        str: "string",
        RuleName: "string",
        AnalyzerName: "string",
        ProviderName: "string",
        int: "whole number",
        bool: "`true` or `false`",
        dict: "table of strings" if arguments[1:] != [Any] else "table",
    }
    return plain[origin or annotation]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "none, it is required"
    if field.default is None:
        return f"not set: {_extra(field, 'unset')}"
    if isinstance(field.default, BaseModel):
        return "the defaults below"
    if isinstance(field.default, (tuple, dict)) and not field.default:
        return "`[]`" if isinstance(field.default, tuple) else "`{}`"
    return f"`{_toml(_written(field, field.default))}`"


def _range(field: FieldInfo) -> str:
    for item in field.metadata:
        if isinstance(item, Duration | Size):
            zero = getattr(item, "zero", None)
            return f"`{item.minimum}` to `{item.maximum}`" + (f', or `"0s"`: {zero}' if zero else "")
    low = next((str(item.ge) for item in field.metadata if isinstance(item, Ge)), None)
    high = next((str(item.le) for item in field.metadata if isinstance(item, Le)), None)
    low, high = (low, high) if low or high else _inner_range(field.annotation)
    return f"{int(low):,} to {int(high):,}" if low and high else ""


def _inner_range(annotation: Any) -> tuple[str | None, str | None]:
    """Return the range of ``Annotated[int | None, Field(ge=, le=)]``, which pydantic keeps one level down."""
    for item in getattr(annotation, "__metadata__", ()):
        bounds = {type(part): part for part in getattr(item, "metadata", ())}
        if Ge in bounds and Le in bounds:
            return str(bounds[Ge].ge), str(bounds[Le].le)
    return None, None


def _written(field: FieldInfo, value: Any) -> Any:
    scalar = next((item for item in field.metadata if isinstance(item, Duration | Size | Mode)), None)
    return scalar.show(value) if scalar else value


def _extra(field: FieldInfo, key: str) -> str:
    extra = field.json_schema_extra
    return str(extra.get(key, "")) if isinstance(extra, dict) else ""


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            raise TypeError("an example is given as it is written")
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return json.dumps(value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


if __name__ == "__main__":
    sys.exit(renewing.run(__doc__, renewed))
