"""``rules``: names of Python functions, ``module:function``, or the functions themselves.

Owns how they are written and what a name has become when it was looked up. Must never import a module: config/rules.py
does, when a configuration is checked.
"""

import re
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from headworks.config.models.base import many
from headworks.config.values import problem, quote
from headworks.rules.function import RuleFunction

if TYPE_CHECKING:
    from headworks.rules.compiler import Compiled

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class RuleName(str):
    """The name of a rule, and where it is looked for."""

    __slots__ = ("compiled", "directory", "given")

    def __new__(cls, name: str, directory: Path | None = None, given: RuleFunction | None = None) -> Self:
        """Name a rule; ``given`` is the function where there is no need to look for it."""
        made = super().__new__(cls, name)
        made.directory = directory
        made.given = given
        made.compiled = None
        return made

    directory: Path | None
    """The folder of the configuration; None before it is known."""
    given: RuleFunction | None
    compiled: "Compiled | None"
    """The program, once it was checked."""

    @classmethod
    def read(cls, value: object) -> "RuleName":
        """Take a name or a function. Raises PydanticCustomError."""
        if isinstance(value, RuleName):
            return value
        if isinstance(value, FunctionType):
            value = RuleFunction(value)
        if isinstance(value, RuleFunction):
            return cls(value.name, given=value)
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise problem(f"{quote(value)} is not module:function, such as site:route")
        return cls(value)

    def __deepcopy__(self, known: object) -> "RuleName":
        """Return the same name, to be looked up again."""
        return RuleName(self, self.directory, self.given)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by ``read``."""
        text = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.no_info_plain_validator_function(cls.read, serialization=text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that it is a text."""
        return {"type": "string"}


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, (str, RuleFunction, FunctionType)) else many(value)


Rules = Annotated[tuple[RuleName, ...], BeforeValidator(_one_or_more)]
"""Rules in the order in which they are asked."""


def anchor(value: Any, directory: Path) -> None:
    """Tell the names in ``value`` where they are looked for."""
    for section in ("listeners", "backends"):
        below = value.get(section)
        for one in below.values() if isinstance(below, dict) else ():
            names = one.get("rules") if isinstance(one, dict) else None
            if isinstance(names, (list, str)) and names:
                every = [names] if isinstance(names, str) else names
                one["rules"] = [_anchored(name, directory) for name in every]


def _anchored(name: Any, directory: Path) -> Any:
    if isinstance(name, RuleName):
        return RuleName(name, name.directory or directory, name.given)
    return RuleName(name, directory) if isinstance(name, str) and _NAME.fullmatch(name) else name
