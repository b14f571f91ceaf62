"""JSON Schema of a configuration, for editors that complete and check TOML as it is typed.

Made of what each key may be given as (written.py) and what it is (models/). Must never decide what is right: it knows
kinds and names, and `headworks check` knows the rest.
"""

import json
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from headworks.config import models, written
from headworks.config.values import Duration, Mode, Rate, Size

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_PATTERNS = {
    Duration: r"^[0-9]{1,12}(us|ms|s|m|h)$",
    Size: r"^[0-9]{1,16}(B|KiB|MiB|GiB)$",
    Rate: r"^[0-9]{1,16}(B|KiB|MiB|GiB)/s$",
    Mode: r"^0?[0-7]{3}$",
}


def schema() -> dict[str, Any]:
    """Return the schema of a whole configuration."""
    made: dict[str, Any] = {}
    whole = _table(written.ConfigDict, made)
    return {"$schema": DIALECT, "title": "Headworks", **whole, "$defs": made}


def _table(kind: Any, made: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one table; those of tables in it go to ``made``."""
    model = getattr(models, kind.__name__.removesuffix("Dict"), models.Whole)
    properties: dict[str, Any] = {}
    needed = []
    for name, annotation in get_type_hints(kind, include_extras=True).items():
        if get_origin(annotation) is Required:
            needed.append(name)
            annotation = get_args(annotation)[0]  # noqa: PLW2901  (what is required)
        properties[name] = _described(_of(annotation, made), model.model_fields.get(name))
    required = {"required": needed} if needed else {}
    return {"type": "object", "properties": properties, **required, "additionalProperties": False}


def _of(annotation: Any, made: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what a key may be given as; what only Python can say is left out."""
    parts = [one for one in _parts(annotation) if _is_written(one)]
    shapes = [_one(part, made) for part in parts]
    if len(shapes) == 1:
        return shapes[0]
    if all(shape.keys() == {"type"} for shape in shapes):
        return {"type": [shape["type"] for shape in shapes]}
    return {"anyOf": shapes}


def _parts(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [part for one in get_args(annotation) for part in _parts(one)]
    return [annotation]


def _is_written(part: Any) -> bool:
    """Whether TOML can say it."""
    origin = get_origin(part)
    return (
        part is Any
        or part in _SCALARS
        or is_typeddict(part)
        or origin is Literal
        or (origin is not None and origin in (Sequence, Mapping, list, dict))
    )


def _one(part: Any, made: dict[str, Any]) -> dict[str, Any]:
    if part is Any:
        return {}
    if part in _SCALARS:
        return {"type": _SCALARS[part]}
    if is_typeddict(part):
        name = part.__name__.removesuffix("Dict")
        if name not in made:
            made[name] = {}
            made[name] |= _table(part, made)
        return {"$ref": f"#/$defs/{name}"}
    origin, arguments = get_origin(part), get_args(part)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Sequence, list):
        return {"type": "array", "items": _of(arguments[0], made)}
    return {"type": "object", "additionalProperties": _of(arguments[1], made)}


def _described(shape: dict[str, Any], field: FieldInfo | None) -> dict[str, Any]:
    """Add what is known of a key: words, default, range, how it is written."""
    if field is None:
        return shape
    scalar = next((one for one in field.metadata if isinstance(one, Duration | Size | Mode)), None)
    described = {**shape, "description": field.description or ""}
    if scalar is not None:
        kinds = {**shape, "pattern": _PATTERNS[type(scalar)]}
        described = {**kinds, "description": field.description or ""}
    elif shape.get("type") == "integer":
        for bound in field.metadata:
            if isinstance(bound, Ge):
                described["minimum"] = bound.ge
            elif isinstance(bound, Le):
                described["maximum"] = bound.le
    default = _plain(scalar.show(field.default) if scalar is not None and field.default is not None else field.default)
    if not field.is_required() and default is not None:
        described["default"] = default
    if field.examples:
        described["examples"] = field.examples
    return described


def _plain(value: Any) -> Any:
    """Return a default that JSON can say; None for others."""
    if isinstance(value, BaseModel):
        return None
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return None
