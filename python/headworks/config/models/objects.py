"""Objects: names of what users wrote in Python, ``module:name``, or the objects themselves.

Owns how they are written, copied and looked for. Must never import a module: whoever checks a configuration does.
"""

import re
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from headworks.config.values import problem, quote

NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""``module:name``, with dots on both sides."""


class ObjectName(str):
    """The name of an object, and where it is looked for; ``made`` is what became of it once it was checked."""

    __slots__ = ("directory", "given", "made")

    def __new__(cls, name: str, directory: Path | None = None, given: Any = None) -> Self:
        """Name an object; ``given`` is the object where there is no need to look for it."""
        named = super().__new__(cls, name)
        named.directory = directory
        named.given = given
        named.made = None
        return named

    directory: Path | None
    """The folder of the configuration; None before it is known."""
    given: Any
    made: Any

    @classmethod
    def read(cls, value: object) -> Self:
        """Take a name or an object. Raises PydanticCustomError."""
        raise NotImplementedError

    def anchored(self, directory: Path) -> Self:
        """Return the same name, looked for in ``directory`` unless it knows a folder already."""
        return type(self)(self, self.directory or directory, self.given)

    def __deepcopy__(self, known: object) -> Self:
        """Return the same name, to be looked up again."""
        return type(self)(self, self.directory, self.given)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by ``read``."""
        text = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.no_info_plain_validator_function(cls.read, serialization=text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that it is a text."""
        return {"type": "string"}


class ClassName(ObjectName):
    """The name of a class that derives from one of ours (or of an object of it), and where it is looked for."""

    __slots__ = ()

    example: ClassVar[str]
    """A name, for people who have written what is none."""

    @classmethod
    def base(cls) -> type:
        """Return the class that it derives from."""
        raise NotImplementedError

    @classmethod
    def read(cls, value: object) -> Self:
        """Take a name, a class or an object. Raises PydanticCustomError."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            if not NAME.fullmatch(value):
                raise problem(f"{quote(value)} is not module:Class, such as {cls.example}")
            return cls(value)
        kind, base = value if isinstance(value, type) else type(value), cls.base()
        if not issubclass(kind, base):
            what = base.__name__
            raise problem(f"{kind.__name__} is no {what.lower()}: derive it from headworks.{what}")
        return cls(f"{kind.__module__}:{kind.__qualname__}", given=value)
