"""Write python/headworks/config/written.py: what each key may be given as, one TypedDict for each model.

python tools/written_types.py FILE [--check]
"""

import inspect
import json
import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import renewing
from pydantic import BaseModel, BeforeValidator

from headworks.config import models
from headworks.config.models.analyzers import AnalyzerName, Hook
from headworks.config.models.answers import Status
from headworks.config.models.base import path_text
from headworks.config.models.literals import BalanceName, CheckKind, ProtocolName
from headworks.config.models.providers import ProviderName
from headworks.config.models.rules import RuleName
from headworks.config.models.whole import Whole
from headworks.config.values import Duration, Mode, Size

MARKER = "# Everything below is written by tools/written_types.py from the models: make docs.\n"

SHORT: dict[type[BaseModel], str] = {
    models.Server: "str",
    models.Target: "str",
    models.CertificateFiles: "FilePath",
    models.Kind: "str",
    models.Rates: "str",
}
"""Models that a string is short for."""
NAMED = {
    ProtocolName: "ProtocolName",
    BalanceName: "BalanceName",
    CheckKind: "CheckKind",
    Hook: "Hook",
    Status: "str | int",
    RuleName: "AnyRule",
    AnalyzerName: "AnyAnalyzer",
    ProviderName: "AnyProvider",
}
"""Types that are called by a name."""


def renewed(text: str) -> str:
    """Return the module with everything below the marker written anew."""
    return renewing.below(MARKER, text) + "".join(map(_class, every_model()))


def every_model() -> list[type[BaseModel]]:
    """Return every model, those that others are made of first."""
    found: dict[type[BaseModel], None] = {}

    def visit(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for below in annotation.__annotations__.values():
                visit(below)
            found[annotation] = None
        for argument in get_args(annotation):
            visit(argument)

    visit(Whole)
    return list(found)


def dict_name(model: type[BaseModel]) -> str:
    """Return the name of the TypedDict of a model."""
    return "ConfigDict" if model is Whole else f"{model.__name__}Dict"


def _class(model: type[BaseModel]) -> str:
    title = "Config" if model is Whole else model.__name__
    lines = [
        "",
        "",
        f"class {dict_name(model)}(TypedDict, total=False):",
        f'    """Keys of a {title}, as they may be given."""',
        "",
    ]
    for name, field in model.model_fields.items():
        written = shape(_annotation(model, name))
        line = f"    {name}: " + (f"Required[{written}]" if field.is_required() else written)
        lines += [line]
    if model in SHORT:
        lines += ["", "", f"Any{model.__name__} = {SHORT[model]} | {_either(model)}"]
    return "\n".join(lines) + "\n"


def _annotation(model: type[BaseModel], name: str) -> Any:
    """Return the annotation of a key, which may be one that several models have in common."""
    return next(found[name] for kind in model.__mro__ if name in (found := inspect.get_annotations(kind)))


def shape(annotation: Any) -> str:  # noqa: PLR0911  (one for each kind of type)
    """Return the type that a value may be given as."""
    name = next((name for known, name in NAMED.items() if annotation is known or annotation == known), None)
    if name is not None:
        return name
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"Any{annotation.__name__}" if annotation in SHORT else _either(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(shape, arguments)))
    if origin is Literal:
        return f"Literal[{', '.join(map(json.dumps, arguments))}]"
    if origin is tuple:
        # Whatever keeps several takes one.
        one = shape(arguments[0])
        return f"{one} | Sequence[{one}]"
    if origin is dict:
        return f"Mapping[{shape(arguments[0])}, {shape(arguments[1])}]"
    return str(annotation.__name__)


def _either(model: type[BaseModel]) -> str:
    return f"models.{model.__name__} | {dict_name(model)}"


def _annotated(base: Any, metadata: tuple[Any, ...]) -> str:
    unset = " | None" if type(None) in get_args(base) else ""
    for item in metadata:
        if isinstance(item, Duration):
            return f"str | timedelta{unset}"
        if isinstance(item, Size | Mode):
            return f"str | int{unset}"
        if isinstance(item, BeforeValidator) and item.func is path_text:
            return f"FilePath{unset}"
    return shape(base)


if __name__ == "__main__":
    sys.exit(renewing.run(__doc__, renewed))
